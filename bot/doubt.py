"""What `gateway-bot check` says of a connection that works, but not as it should."""

from deploy.errors import GatewayBotError


class Doubtful(GatewayBotError):
    """It works, but not as it should."""
