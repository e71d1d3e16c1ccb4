"""What people do that the app hears about: commands, clicks, look-ups, messages, opening Home."""

import copy
import secrets
from dataclasses import dataclass
from typing import Any

from bot.sandbox.slack import forms, messages
from bot.sandbox.slack.blocks import check_blocks
from bot.sandbox.slack.delivery import Courier, Delivery
from bot.sandbox.slack.escaping import escaped, in_message
from bot.sandbox.slack.model import JSON, Channel, SlackError, User
from bot.sandbox.slack.replies import CommandLine, reply
from bot.sandbox.slack.state import State
from bot.sandbox.slack.tokens import ResponseURLs, Triggers
from bot.sandbox.slack.views import Views


@dataclass(frozen=True)
class Desk:
    """What every interaction needs."""

    state: State
    views: Views
    triggers: Triggers
    response_urls: ResponseURLs
    courier: Courier
    verification_token: str

    def envelope(self, kind: str, user: User, trigger: bool = True) -> JSON:
        """The fields all interaction payloads share.

        In a shared channel a click's `team` is the workspace the app is installed in
        (java-slack-sdk#1041), but a form's is the person's own (bolt-js#1614).
        """
        home = self.state.team_of(user.id)
        team = home if kind in ("view_submission", "view_closed") else self.state.team
        payload: JSON = {
            "type": kind,
            "team": {"id": team["id"], "domain": team["domain"]},
            "user": {
                "id": user.id,
                "username": user.name,
                "name": user.name,
                "team_id": home["id"],
            },
            "api_app_id": self.state.app.app_id,
            "token": self.verification_token,
            "enterprise": None,
            "is_enterprise_install": False,
        }
        if trigger:
            payload["trigger_id"] = self.triggers.mint(user.id)
        return payload

    def event(self, event: JSON) -> None:
        """Send an event to the app, if it subscribed to it: of messages to those of one kind of
        conversation, as `message.im`."""
        state = self.state
        kind = state.channels[event["channel"]].kind
        name = f"message.{kind}" if event["type"] == "message" else event["type"]
        if name not in state.app.bot_events:
            return
        self.courier.deliver_event(
            {
                "token": self.verification_token,
                "team_id": state.team["id"],
                "api_app_id": state.app.app_id,
                "event": event,
                "type": "event_callback",
                "event_id": state.ids.make("Ev"),
                "event_time": int(state.clock()),
                "event_context": secrets.token_hex(16),
                "authorizations": [
                    {
                        "enterprise_id": None,
                        "team_id": state.team["id"],
                        "user_id": state.app.bot_user_id,
                        "is_bot": True,
                        "is_enterprise_install": False,
                    }
                ],
                "is_ext_shared_channel": state.is_shared(state.channels[event["channel"]]),
            }
        )


async def run_command(desk: Desk, channel: Channel, user: User, command: str, text: str) -> JSON:
    """Type a slash command; answers when the app has, or has failed to."""
    state = desk.state
    # An app's commands exist only for people of the workspace that installed it (bolt-python#767).
    if state.app.find_command(command) is None or user.home is not None:
        return {"ok": False, "error": "invalid_command"}
    url, record = desk.response_urls.mint("commands", user.id, channel.id)
    payload = {
        "token": desk.verification_token,
        "team_id": state.team["id"],
        "team_domain": state.team["domain"],
        "channel_id": channel.id,
        "channel_name": _command_channel_name(channel),
        "user_id": user.id,
        "user_name": user.name,
        "command": command,
        "text": escaped(state, text),
        "api_app_id": state.app.app_id,
        "is_enterprise_install": "false",
        "response_url": url,
        "trigger_id": desk.triggers.mint(user.id),
    }
    answer = await desk.courier.deliver(Delivery("slash_commands", payload, accepts_response=True))
    error = answer.error
    if error is None and answer.payload and _says_something(answer.payload):
        try:
            reply(state, record, answer.payload, CommandLine(f"{command} {text}".strip()))
        except SlackError:
            error = "invalid_command_response"
    if error is None:
        return {"ok": True}
    state.announce(
        {
            "type": "notice",
            "channel": channel.id,
            "user": user.id,
            "text": f'{command} failed with the error "{error}"',
            "thread_ts": None,
        },
        lambda u: u == user.id,
    )
    return {"ok": False, "error": error}


async def click(desk: Desk, user: User, surface: "Surface", given: JSON, state: JSON) -> JSON:
    """Use an element of a message or view; `given` is an action, `state` the inputs' values."""
    element, block_id = surface.find(given)
    if element is None or block_id is None:
        return {"ok": False, "error": "action_not_found"}
    entry = forms.action(element, block_id, given, desk.state.ids.ts())
    values = surface.note_state(block_id, entry, state)
    payload = {
        **desk.envelope("block_actions", user),
        **surface.payload(),
        "state": {"values": values},
        "actions": [entry],
    }
    payload |= surface.response_url(desk, user)
    answer = await desk.courier.deliver(Delivery("interactive", payload))
    desk.state.announce(
        {
            "type": "action_result",
            "user": user.id,
            "container": payload["container"],
            "block_id": block_id,
            "action_id": entry["action_id"],
            "ok": answer.error is None,
        },
        lambda u: u == user.id,
    )
    return {"ok": True} if answer.error is None else {"ok": False, "error": answer.error}


async def suggest(desk: Desk, user: User, surface: "Surface", given: JSON) -> JSON:
    """Ask the app for the options of an external select."""
    element, block_id = surface.find(given)
    if element is None:
        return {"error": "action_not_found"}
    payload = {
        **desk.envelope("block_suggestion", user, trigger=False),
        **surface.payload(),
        "action_id": given["action_id"],
        "block_id": block_id,
        "value": str(given.get("value") or ""),
    }
    answer = await desk.courier.deliver(Delivery("interactive", payload, accepts_response=True))
    if answer.error is not None:
        return {"error": answer.error}
    offered = answer.payload or {}
    for name in ("options", "option_groups"):
        if name in offered:
            return {name: offered[name]} if _options_ok(name, offered[name]) else _BAD_OPTIONS
    return _BAD_OPTIONS


_BAD_OPTIONS = {"error": "invalid_options"}


class Surface:
    """Where an element sits: a message, a message for one person, or a view."""

    def __init__(
        self,
        state: State,
        *,
        view: JSON | None = None,
        channel: Channel | None = None,
        message: JSON | None = None,
    ) -> None:
        self._state, self._view, self._channel, self._message = state, view, channel, message

    def find(self, given: JSON) -> tuple[JSON | None, str | None]:
        """The element an action names, and its block's id.

        In a message also one it had before an update: a client that has not redrawn sends it.
        """
        wanted, block_id = given.get("action_id"), given.get("block_id")
        present = {
            (block["block_id"], element["action_id"]): element
            for block, element in forms.interactive(self._blocks())
        }
        past = {}
        if self._message is not None and self._channel is not None:
            past = self._state.past_elements.get((self._channel.id, self._message["ts"]), {})
        for known in (present, past):
            for (block, action), element in known.items():
                if action == wanted and block_id in (None, block):
                    return element, block
        return None, None

    def note_state(self, block_id: str, entry: JSON, given: JSON) -> JSON:
        """`state.values` after this action."""
        values = copy.deepcopy(given)
        if self._view is not None:
            values = {**self._view["state"]["values"], **values}
        value = {k: v for k, v in entry.items() if k.startswith("selected_") or k == "value"}
        if entry["type"] != "button":
            values.setdefault(block_id, {})[entry["action_id"]] = {"type": entry["type"], **value}
        values = forms.state_values(self._blocks(), values)
        if self._view is not None:
            self._view["state"]["values"] = values
        return values

    def payload(self) -> JSON:
        """`container` and what it contains."""
        if self._view is not None:
            view = copy.deepcopy(self._view)
            return {"container": {"type": "view", "view_id": view["id"]}, "view": view}
        channel, message = self._place()
        ephemeral = bool(message.get("is_ephemeral"))
        container: JSON = {
            "type": "message",
            "message_ts": message["ts"],
            "channel_id": channel.id,
            "is_ephemeral": ephemeral,
        }
        if "thread_ts" in message:
            container["thread_ts"] = message["thread_ts"]
        body: JSON = {
            "container": container,
            "channel": {"id": channel.id, "name": _command_channel_name(channel)},
        }
        return body if ephemeral else {**body, "message": copy.deepcopy(message)}

    def response_url(self, desk: Desk, user: User) -> JSON:
        """A response URL that can replace the message; none for a view."""
        if self._view is not None:
            return {}
        channel, message = self._place()
        url, record = desk.response_urls.mint("actions", user.id, channel.id)
        record.original_ts = message["ts"]
        record.original_is_ephemeral = bool(message.get("is_ephemeral"))
        return {"response_url": url}

    def _blocks(self) -> list[JSON]:
        if self._view is not None:
            return list(self._view["blocks"])
        return messages.all_blocks(self._place()[1])

    def _place(self) -> tuple[Channel, JSON]:
        if self._channel is None or self._message is None:
            raise ValueError("a surface is a view or a message in a channel")
        return self._channel, self._message


def say(desk: Desk, channel: Channel, user: User, text: str, thread_ts: str | None) -> JSON:
    """Type a message; the app gets the events that it subscribed to, of conversations that it is in.

    A direct message is never an app_mention (docs.slack.dev/reference/events/app_mention).
    """
    state = desk.state
    sent = in_message(state, text)
    message = messages.person_message(state, user.id, sent, thread_ts)
    messages.post(state, channel.id, message)
    if state.app.bot_user_id in state.present(channel):
        desk.event(message_event(channel, message))
        if f"<@{state.app.bot_user_id}>" in sent and not channel.is_im:
            event = {**message, "channel": channel.id, "event_ts": message["ts"]}
            desk.event({**event, "type": "app_mention"})
    return message


def message_event(channel: Channel, message: JSON, before: JSON | None = None) -> JSON:
    """A new message as the app gets it, or one that was changed, of which there was another `before`."""
    channel_type = {"im": "im", "groups": "group", "channels": "channel"}[channel.kind]
    where = {"channel": channel.id, "channel_type": channel_type}
    if before is None:
        return {**message, **where, "event_ts": message["ts"]}
    return {
        "type": "message",
        "subtype": "message_changed",
        "hidden": True,
        "message": message,
        "previous_message": before,
        "ts": message["ts"],
        "event_ts": message["ts"],
        **where,
    }


def open_home(desk: Desk, user: User, tab: str) -> None:
    """Open the app's Home tab, or another of its tabs."""
    state = desk.state
    channel, _ = state.open_im(user)
    event: dict[str, Any] = {
        "type": "app_home_opened",
        "user": user.id,
        "channel": channel.id,
        "event_ts": state.ids.ts(),
        "tab": tab,
    }
    if tab == "home" and (view := state.homes.get(user.id)):
        event["view"] = copy.deepcopy(view)
    if state.app.home_tab_enabled or tab != "home":
        desk.event(event)


def _command_channel_name(channel: Channel) -> str:
    return {"im": "directmessage", "groups": "privategroup"}.get(channel.kind, channel.name)


def _says_something(payload: JSON) -> bool:
    return any(payload.get(name) for name in ("text", "blocks", "attachments"))


def _options_ok(name: str, offered: object) -> bool:
    """Checked as if they stood in a select, except that nothing found is a fine answer."""
    if offered == []:
        return True
    select = {"type": "static_select", name: offered}
    return not check_blocks([{"type": "actions", "elements": [select]}])
