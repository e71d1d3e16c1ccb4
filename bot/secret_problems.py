"""What is wrong with the secrets: missing, of the wrong kind, or with quotes around them. Pure.

No problem repeats a part of a secret.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.problems import Problem
from bot.secret_files import SUFFIX, Given
from deploy.actions.redis_address import address_of
from deploy.errors import InvalidInput

_SLACK_KINDS: Mapping[str, str] = {
    "xoxb-": "a bot token",
    "xoxe.xoxb-": "a bot token",
    "xapp-": "an app-level token",
    "xoxp-": "the token of a person",
    "xoxe.xoxp-": "the token of a person",
    "xoxe-": "a refresh token",
}
_WANTED: Mapping[str, tuple[str, str, str]] = {
    "SLACK_BOT_TOKEN": (
        "a bot token",
        "a bot token (xoxb-…)",
        "It is under “OAuth & Permissions” of the Slack app.",
    ),
    "SLACK_APP_TOKEN": (
        "an app-level token",
        "an app-level token (xapp-…) with connections:write",
        "It is under “Basic Information” of the Slack app.",
    ),
    "SLACK_SIGNING_SECRET": (
        "",
        "the signing secret",
        "It is under “Basic Information” of the Slack app.",
    ),
}
_BARE = (
    *_WANTED,
    *("AZURE_CLIENT_SECRET", "REDIS_URL", "GATEWAY_BOT_REDIS_URL"),
    *("REGISTRY_USER", "REGISTRY_TOKEN"),
)
"""Their values are never quoted; passwords and keys may begin with a quotation mark."""
_OF_OTHER_MODE: Mapping[str, tuple[str, ...]] = {
    "socket": ("SLACK_SIGNING_SECRET",),
    "http": ("SLACK_APP_TOKEN",),
}
_SHARED_LENGTH = 16
_REDIS = ("REDIS_URL", "GATEWAY_BOT_REDIS_URL")


@dataclass(frozen=True)
class Needs:
    """What the settings make necessary; `registry` is whether it is known whose login REGISTRY_… is.
    Of a part that cannot be read nothing is. `unused` are secrets that the bot does not look at."""

    mode: str = ""
    redis_url: str | None = ""
    azure: bool = False
    event_grid: bool = False
    registry: bool = True
    unused: frozenset[str] = frozenset()


def needs_of(data: Mapping[str, Any]) -> Needs:
    """By the data of a settings file, which may have mistakes. Of an empty one nothing is known."""
    if not data:
        return Needs()
    slack, redis = _section(data, "slack"), _section(data, "redis")
    azure, images = _section(data, "azure"), _section(data, "images")
    event_grid = data.get("event_grid")
    mode = str(slack.get("mode", "socket")) if slack is not None else ""
    return Needs(
        mode=mode,
        redis_url=_text(redis.get("url")) if redis is not None else "",
        azure=bool(azure and azure.get("client_id") and azure.get("tenant_id")),
        event_grid=isinstance(event_grid, Mapping) and not event_grid.get("entra"),
        registry=images is None or images.get("pull_from") is not None,
        unused=frozenset(
            [*_OF_OTHER_MODE.get(mode, ()), *(["EVENT_GRID_SECRET"] if event_grid is None else [])]
        ),
    )


def secret_problems(given: Given, needs: Needs) -> list[Problem]:
    """Everything at once. What is not used is not judged."""
    found = [each for each in given.problems if each.path.removesuffix(SUFFIX) not in needs.unused]
    found += _missing(given, needs)
    for variable, value in given.values.items():
        if variable not in needs.unused:
            found += form_problems(variable, value)
    return [*found, *_redis(given, needs), *_together(given, needs)]


def _section(data: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    section = data.get(name, {})
    return section if isinstance(section, Mapping) else None


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else ""


def _missing(given: Given, needs: Needs) -> Iterator[Problem]:
    for variable, why in _required(needs):
        if not given.names(variable):
            what, where = _WANTED.get(variable, ("", "", ""))[1:]
            expected = f" Expected {what}." if what else ""
            yield Problem(
                variable,
                None,
                f"is missing{why}.{expected}",
                where or f"Set it, or {variable}_FILE: docs/settings.md.",
            )
    if needs.redis_url is None and not any(given.names(name) for name in _REDIS):
        yield Problem(
            "REDIS_URL", None, "is missing.", "Set it, or redis.url in the settings file."
        )


def _required(needs: Needs) -> Iterator[tuple[str, str]]:
    yield "SLACK_BOT_TOKEN", ""
    if needs.mode == "socket":
        yield "SLACK_APP_TOKEN", ", and slack.mode is socket"
    if needs.mode == "http":
        yield "SLACK_SIGNING_SECRET", ", and slack.mode is http"
    if needs.azure:
        yield "AZURE_CLIENT_SECRET", ", and azure.client_id and azure.tenant_id are set"
    if needs.event_grid:
        yield "EVENT_GRID_SECRET", ", and event_grid is set without event_grid.entra"


def form_problems(variable: str, value: str) -> Iterator[Problem]:
    """What is wrong with the value of one variable, whatever the others are."""
    bare = value
    if variable in _BARE and len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        yield Problem(
            variable, None, "has quotes around it, which are sent as a part of it.", "Remove them."
        )
        bare = bare[1:-1]
    if variable in _WANTED:
        yield from _kind(variable, bare)
    if variable == "EVENT_GRID_SECRET" and len(value) < _SHARED_LENGTH:
        yield Problem(
            variable,
            None,
            f"has fewer than {_SHARED_LENGTH} characters, so it could be guessed.",
            "Choose a longer one, at random.",
        )


def _kind(variable: str, value: str) -> Iterator[Problem]:
    wanted, expected, where = _WANTED[variable]
    kind = next((said for start, said in _SLACK_KINDS.items() if value.startswith(start)), "")
    if kind != wanted:
        is_another = f"is {kind}. " if kind else f"is not {wanted}. "
        yield Problem(variable, None, f"{is_another}Expected {expected}.", where)


def _redis(given: Given, needs: Needs) -> Iterator[Problem]:
    variable = next((name for name in _REDIS if name in given.values), "")
    url = given.values.get(variable) or needs.redis_url
    if not url:
        return
    try:
        address_of(url.strip("\"'"))
    except InvalidInput as error:
        remedy = " ".join(part for part in (error.meaning, error.remedy) if part)
        yield Problem(variable or "redis.url", None, error.happened, remedy)


def _together(given: Given, needs: Needs) -> Iterator[Problem]:
    signs_in = [name for name in ("REGISTRY_PASSWORD", "REGISTRY_TOKEN") if given.names(name)]
    if signs_in and not needs.registry:
        yield Problem(
            signs_in[0],
            None,
            "is set, but the settings name no registry that it is for.",
            "Set images.pull_from in the settings file.",
        )
    if "REGISTRY_PASSWORD" in signs_in and not given.names("REGISTRY_USER"):
        yield Problem(
            "REGISTRY_USER", None, "is missing, and REGISTRY_PASSWORD is set.", "Set it too."
        )
