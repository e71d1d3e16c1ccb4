"""Kubernetes objects as the API gives and takes them."""

from typing import Any

Manifest = dict[str, Any]
"""A Kubernetes object as the API takes it."""
