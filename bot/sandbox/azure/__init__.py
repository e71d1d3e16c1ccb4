"""An Azure on this machine: Entra sign-in, Resource Manager's gateway routes, configuration."""

from bot.sandbox.azure.azure import Azure
from bot.sandbox.azure.model import ApimService, ClientApp, GatewayResource

__all__ = ["ApimService", "Azure", "ClientApp", "GatewayResource"]
