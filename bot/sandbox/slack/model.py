"""What a workspace is made of: plain data the emulator is constructed with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

JSON = dict[str, Any]


class Team(NamedTuple):
    """Another workspace that shares a channel with this one (Slack Connect)."""

    id: str
    name: str
    domain: str


PERSON_KINDS = ("is_restricted", "is_ultra_restricted", "deleted")
"""The fields of User that an administrator can change."""


@dataclass(frozen=True)
class User:
    """A member of the workspace, or with `home` a member of another one.

    `is_restricted` is a guest in several channels, `is_ultra_restricted` a guest in one, `deleted`
    a deactivated account. `tz` is an IANA zone name, `color` six hex digits.
    """

    id: str
    name: str
    real_name: str
    title: str = ""
    tz: str = "UTC"
    email: str = ""
    is_bot: bool = False
    color: str = "4a154b"
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    deleted: bool = False
    home: Team | None = None

    @property
    def is_guest(self) -> bool:
        """A guest of either kind; Slack's `is_restricted` is true for both."""
        return self.is_restricted or self.is_ultra_restricted

    @property
    def is_confined(self) -> bool:
        """Whether they see only the channels they are in, public or not."""
        return self.is_guest or self.home is not None


@dataclass(frozen=True)
class UserGroup:
    """A user group; `handle` is without the at-sign, `users` are ids."""

    id: str
    handle: str
    name: str
    users: Sequence[str] = ()


@dataclass(frozen=True)
class Channel:
    """A channel or, with `is_im`, a direct conversation; `members` are user ids, `pending` the ids of
    workspaces that were invited to share it and have not accepted."""

    id: str
    name: str
    is_private: bool = False
    topic: str = ""
    members: Sequence[str] = ()
    is_im: bool = False
    pending: tuple[str, ...] = ()

    @property
    def kind(self) -> Literal["im", "groups", "channels"]:
        """The first half of the scopes that guard it (`groups:read`, …)."""
        if self.is_im:
            return "im"
        return "groups" if self.is_private else "channels"


class Command(NamedTuple):
    """A slash command as the app's manifest declares it."""

    command: str
    description: str
    usage_hint: str = ""


@dataclass(frozen=True)
class AppConfig:
    """The one app installed in the workspace. Its secrets are kept out of the repr.

    In HTTP mode `request_url` stands for three fields of its manifest (the command's `url`, and
    `request_url` of interactivity and of event subscriptions), `options_url` for the fourth,
    interactivity's `message_menu_options_url`, to which alone selects are asked about.
    """

    app_id: str
    name: str
    bot_user_id: str
    bot_id: str
    bot_token: str = field(repr=False)
    app_token: str = field(repr=False)
    signing_secret: str = field(repr=False)
    scopes: Sequence[str]
    commands: Sequence[tuple[str, str, str]]
    mode: Literal["socket", "http"] = "socket"
    request_url: str | None = None
    options_url: str | None = None
    home_tab_enabled: bool = True
    bot_events: Sequence[str] = ("app_home_opened",)
    app_token_scopes: Sequence[str] = ("connections:write",)

    def find_command(self, name: str) -> Command | None:
        """The declared command of that name, slash included."""
        return next((Command(*c) for c in self.commands if c[0] == name), None)


class SlackError(Exception):
    """A method's refusal: `{"ok": false, "error": error, **extra}` with HTTP 200."""

    def __init__(self, error: str, **extra: Any) -> None:
        super().__init__(error)
        self.error = error
        self.extra = extra

    def body(self) -> JSON:
        """The reply's JSON."""
        return {"ok": False, "error": self.error, **self.extra}


def refused_arguments(*messages: str) -> SlackError:
    """`invalid_arguments` with the detail where Slack puts it."""
    return SlackError(
        "invalid_arguments", response_metadata={"messages": [f"[ERROR] {m}" for m in messages]}
    )
