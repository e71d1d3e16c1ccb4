"""What the first line of the log says of this bot, and which values no line may show."""

import re

from pydantic import SecretStr

from bot.clients import redis_url
from bot.secret_changes import texts_to_hide
from bot.settings import Secrets, Settings
from bot.settings_digest import settings_digest
from bot.version import version
from deploy.actions.redis_address import address_of
from deploy.errors import InvalidInput

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}|[0-9a-fA-F:.]{2,45}")
_LATE_AT = re.compile(r"://[^/?#]*[/?#].*@", re.DOTALL)


def start_line(settings: Settings, secrets: Secrets) -> str:
    """Version, settings, Redis without its password, and clusters."""
    clusters = ", ".join(cluster.name for cluster in settings.clusters)
    return (
        f"gateway-bot {version()} starts: settings {settings_digest(settings)}, Slack by "
        f"{settings.slack.mode}, Redis {_shown(redis_url(settings, secrets))}, clusters {clusters}"
    )


def known_secrets(settings: Settings, secrets: Secrets) -> tuple[str, ...]:
    """The values of all that is secret, and what of Redis' URL may be a password."""
    held = {
        **{n: v.get_secret_value() for n, v in vars(secrets).items() if isinstance(v, SecretStr)},
        "redis_url": redis_url(settings, secrets),
    }
    return tuple(text for name, value in held.items() for text in texts_to_hide(name, value))


def _shown(url: str) -> str:
    """Scheme, hosts and ports of the URL, from what the bot itself reads in it: nothing is cut out of a
    text that may have a password somewhere else than expected."""
    try:
        address = address_of(url, check_files=False)
    except InvalidInput:
        return "not readable"
    # Of an @ behind the hosts nobody knows whether it is an option's or ends a password.
    if _LATE_AT.search(url) or not all(_HOST.fullmatch(host) for host, _ in address.hosts):
        return "not readable"
    hosts = ",".join(f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in address.hosts)
    return f"{url.partition('://')[0].lower()}://{hosts}"
