"""An Azure on this machine: Entra sign-in, Resource Manager's gateway routes, configuration."""

from bot.sandbox.azure.azure import Azure
from bot.sandbox.azure.events import Subscription
from bot.sandbox.azure.model import Api, ApimService, ClientApp, GatewayResource

__all__ = ["Api", "ApimService", "Azure", "ClientApp", "GatewayResource", "Subscription"]
