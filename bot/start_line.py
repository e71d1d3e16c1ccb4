"""What the first line of the log says of this bot, and which values no line may show."""

from collections.abc import Iterator
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import SecretStr

from bot.clients import redis_url
from bot.settings import Secrets, Settings
from bot.settings_digest import settings_digest
from bot.version import version


def start_line(settings: Settings, secrets: Secrets) -> str:
    """Version, settings, Redis without its password, and clusters."""
    clusters = ", ".join(cluster.name for cluster in settings.clusters)
    return (
        f"gateway-bot {version()} starts: settings {settings_digest(settings)}, Slack by "
        f"{settings.slack.mode}, Redis {_shown(redis_url(settings, secrets))}, clusters {clusters}"
    )


def known_secrets(settings: Settings, secrets: Secrets) -> tuple[str, ...]:
    """The values of all that is secret, and the password of Redis."""
    values = [
        value.get_secret_value()
        for name, value in vars(secrets).items()
        # Only a part of it is secret.
        if isinstance(value, SecretStr) and name != "redis_url"
    ]
    return (*values, *_passwords(redis_url(settings, secrets)))


def _passwords(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    credentials, at, _ = parts.netloc.rpartition("@")
    if at and (password := credentials.partition(":")[2]):
        yield password
        yield unquote(password)
    for name, values in parse_qs(parts.query).items():
        if "password" in name:
            yield from values


def _shown(url: str) -> str:
    """The URL without credentials and options."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
