"""The sandbox's nodes: they run gateway stand-ins for the pods scheduled on them."""

from bot.sandbox.node.node import Node

__all__ = ["Node"]
