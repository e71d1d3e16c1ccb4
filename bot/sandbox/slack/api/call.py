"""One call of a Web API method: its arguments and what it may use."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bot.sandbox.slack.model import (
    JSON,
    AppConfig,
    Channel,
    SlackError,
    User,
    refused_arguments,
)
from bot.sandbox.slack.state import State
from bot.sandbox.slack.tokens import Triggers
from bot.sandbox.slack.views import Views

Tier = Literal["special", "t1", "t2", "t3", "t4"]


class Args:
    """Arguments of a call, whether they came as a form (all text) or as JSON."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given

    def __contains__(self, name: str) -> bool:
        return self.given.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        """A text argument; numbers are taken as their digits."""
        value = self.given.get(name)
        if value is None:
            return default
        if isinstance(value, bool | list | dict):
            raise refused_arguments(f"must provide a string [json-pointer:/{name}]")
        return str(value)

    def required(self, name: str) -> str:
        """A text argument that must be there. Raises SlackError invalid_arguments."""
        value = self.text(name)
        if not value:
            raise refused_arguments(f"missing required field: {name}")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """A yes or no."""
        value = self.given.get(name)
        return default if value is None else str(value).lower() in ("true", "1")

    def number(self, name: str, default: int) -> int:
        """A whole number. Raises SlackError invalid_arguments."""
        value = self.given.get(name)
        if value in (None, ""):
            return default
        try:
            return int(str(value))
        except ValueError:
            raise refused_arguments(f"must provide an integer [json-pointer:/{name}]") from None

    def json(self, name: str, error: str = "invalid_arguments") -> Any:
        """A structure, decoded when it came as text. Raises SlackError `error`."""
        value = self.given.get(name)
        if isinstance(value, str):
            if not value.strip():
                return None
            try:
                return json.loads(value)
            except ValueError:
                raise SlackError(error) from None
        return value

    def words(self, name: str) -> list[str]:
        """A list given as JSON or with commas."""
        value = self.given.get(name)
        if isinstance(value, str) and value.startswith("["):
            value = self.json(name)
        if isinstance(value, str):
            return [word.strip() for word in value.split(",") if word.strip()]
        return [str(word) for word in value] if isinstance(value, list) else []


@dataclass(frozen=True)
class Context:
    """What methods work on."""

    state: State
    views: Views
    triggers: Triggers
    base_url: Callable[[], str]
    open_socket_url: Callable[[], str]
    wake_scheduler: Callable[[], None]
    said: Callable[[Channel, JSON, JSON | None], None] = lambda channel, message, before: None
    """Called with each message of the app's own, and with what it was before it was changed."""

    @property
    def app(self) -> AppConfig:
        """The installed app."""
        return self.state.app

    def need_scope(self, *any_of: str) -> None:
        """Raise SlackError missing_scope unless the app has one of these."""
        if any_of and not set(any_of) & set(self.app.scopes):
            raise SlackError("missing_scope", needed=any_of[0], provided=",".join(self.app.scopes))

    def channel(self, ref: str) -> Channel:
        """A channel the app can know of. Raises SlackError channel_not_found."""
        channel = self.state.channels.get(ref)
        if channel is None or (channel.is_private and not self.is_member(channel)):
            raise SlackError("channel_not_found")
        return channel

    def postable(self, ref: str) -> Channel:
        """A channel the app may post in, by id or name; a person's id means the conversation
        with them.

        Raises SlackError channel_not_found or not_in_channel.
        """
        user = self.state.users.get(ref)
        if user is not None:
            return self.state.open_im(user)[0]
        named = self.state.channel(ref)
        channel = self.channel(named.id if named is not None else ref)
        if not self.is_member(channel) and "chat:write.public" not in self.app.scopes:
            raise SlackError("not_in_channel")
        return channel

    def is_member(self, channel: Channel) -> bool:
        """Whether the app's bot is in the channel."""
        return self.app.bot_user_id in channel.members

    def user(self, ref: str, error: str = "user_not_found") -> User:
        """A person by id. Raises SlackError `error`."""
        user = self.state.users.get(ref)
        if user is None:
            raise SlackError(error)
        return user


@dataclass(frozen=True)
class Method:
    """A method: what it does, which token and scopes it wants, and its rate tier."""

    name: str
    run: Callable[[Context, Args], JSON]
    tier: Tier = "t3"
    scopes: Sequence[str] = ()
    token: Literal["bot", "app", "none"] = "bot"


def page(items: list[JSON], args: Args, default: int = 100) -> tuple[list[JSON], JSON]:
    """One page of a list and its `response_metadata`. Raises SlackError invalid_cursor."""
    cursor = args.text("cursor")
    if cursor and not cursor.isdigit():
        raise SlackError("invalid_cursor")
    first = int(cursor or 0)
    last = first + max(1, min(args.number("limit", default), 1000))
    return items[first:last], {"next_cursor": str(last) if last < len(items) else ""}
