"""Which secrets the settings make necessary, by the name of their variable. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from bot.settings import Settings


@dataclass(frozen=True)
class Need:
    """A variable, and what it is; without one that is not `required` the bot starts all the same."""

    variable: str
    what: str
    required: bool = True


def secret_needs(settings: Settings) -> tuple[Need, ...]:
    """What the bot is to be given besides its settings."""
    return tuple(_needs(settings))


def _needs(settings: Settings) -> Iterator[Need]:
    yield Need("SLACK_BOT_TOKEN", "xoxb-…, of the installed app")
    if settings.slack.mode == "socket":
        yield Need("SLACK_APP_TOKEN", "xapp-…, with connections:write")
    else:
        yield Need("SLACK_SIGNING_SECRET", "of the app's Basic Information")
    if settings.redis.url is None:
        yield Need("REDIS_URL", "rediss://USER:PASSWORD@HOST:PORT")
    else:
        yield Need("REDIS_URL", "with user and password, instead of redis.url", required=False)
    azure = settings.azure
    if azure.client_id and azure.tenant_id:
        yield Need("AZURE_CLIENT_SECRET", "of the application azure.client_id")
    if settings.event_grid is not None and settings.event_grid.entra is None:
        yield Need("EVENT_GRID_SECRET", "16 characters or more, which Event Grid shows")
    yield Need("GATEWAY_BOT_AUDIT_KEY", "to make the audit trail's hashes with", required=False)
    if settings.images.pull_from is not None:
        for variable in ("REGISTRY_USER", "REGISTRY_PASSWORD", "REGISTRY_TOKEN"):
            yield Need(variable, "where the registry asks for sign-in", required=False)
