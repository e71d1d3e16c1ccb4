"""What the first line of the log says of this bot, and which values no line may show."""

import hashlib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import SecretStr

from bot.settings import Secrets, Settings
from deploy.actions.records import canonical


def start_line(settings: Settings, secrets: Secrets) -> str:
    """Version, settings, Redis without its password, and clusters."""
    clusters = ", ".join(cluster.name for cluster in settings.clusters)
    return (
        f"gateway-bot {_version()} starts: settings {settings_hash(settings)}, Slack by "
        f"{settings.slack.mode}, Redis {_shown(_redis_url(settings, secrets))}, clusters {clusters}"
    )


def settings_hash(settings: Settings) -> str:
    """The same for bots with the same settings, whatever the order in their files. Where Redis is may
    hold a password, and is left out."""
    known = settings.model_dump(mode="json", exclude={"redis": {"url"}})
    return hashlib.sha256(canonical(known).encode()).hexdigest()[:12]


def known_secrets(settings: Settings, secrets: Secrets) -> tuple[str, ...]:
    """The values of all that is secret, and the password of Redis."""
    values = [
        value.get_secret_value()
        for name, value in vars(secrets).items()
        # Only a part of it is secret.
        if isinstance(value, SecretStr) and name != "redis_url"
    ]
    return (*values, *_passwords(_redis_url(settings, secrets)))


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


def _redis_url(settings: Settings, secrets: Secrets) -> str:
    url = secrets.redis_url
    return url.get_secret_value() if url is not None else settings.redis.url or ""


def _version() -> str:
    try:
        return version("gateway-bot")
    except PackageNotFoundError:
        return "of an unknown version"
