"""What the body of a payload holds, unpacked: who did what, where, and an id that is the same in each delivery."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from handlers.slack.payloads import Click, Submission
from handlers.slack.typed_text import filled_in
from handlers.views import menus

Body = dict[str, Any]

_DOUBLE_CLICK_SECONDS = 10


def click_in(body: Body) -> Click:
    """A button, a menu, or what was typed in a select with suggestions."""
    action = (body.get("actions") or [body])[0]
    container = body.get("container") or {}
    user, (name, value) = body["user"]["id"], clicked(action)
    return Click(
        # action_ts is the click's own, the same in each delivery of it.
        id=f"{user}:{name}:{action.get('action_ts', body.get('trigger_id', ''))}",
        name=name,
        user=user,
        channel=(body.get("channel") or {}).get("id") or container.get("channel_id") or "",
        trigger_id=body.get("trigger_id", ""),
        response_url=body.get("response_url", ""),
        value=value,
        message=body.get("message") or {},
        alone=bool(container.get("is_ephemeral")),
        view=body.get("view") or {},
    )


def clicked(action: Mapping[str, Any]) -> tuple[str, str]:
    """The name and the value of what was clicked: a line of a menu is a button of its own."""
    value = action.get("value") or (action.get("selected_option") or {}).get("value") or ""
    if action.get("type") == "overflow":
        return menus.chosen(value)
    return action["action_id"], value


def submission_in(body: Body) -> Submission:
    """A form that was sent."""
    view = body["view"]
    values = filled_in(view["state"]["values"])
    # Sent again with other values it is another one, though its view is the same.
    digest = _digest(json.dumps(values, sort_keys=True))
    return Submission(
        id=f"view:{view['id']}:{view['hash']}:{digest}",
        name=view["callback_id"],
        user=body["user"]["id"],
        private_metadata=view.get("private_metadata", ""),
        values=values,
    )


def run_id(body: Body, click: Click) -> str:
    """That of the command behind a click: a second click on it right after the first is the same."""
    where = _message_of(body) or click.id
    return f"command:{click.user}:{where}:{_digest(click.value)}:{_moment_of(body)}"


def user_in(body: Body) -> str:
    """Who sent a payload, whatever it is; empty where that is not said."""
    user = body.get("user_id") or body.get("user") or (body.get("event") or {}).get("user")
    return str((user.get("id") if isinstance(user, dict) else user) or "")


def _message_of(body: Body) -> str:
    """The ts of the message that a click was in, also of one that only this person sees."""
    return (body.get("container") or {}).get("message_ts") or ""


def _moment_of(body: Body) -> int:
    """When something was clicked, in steps of some seconds: epoch seconds over that step."""
    at = str(body["actions"][0].get("action_ts") or "")
    seconds, _, _ = at.partition(".")
    known = seconds.isdecimal() and len(seconds) < 12
    return int(seconds) // _DOUBLE_CLICK_SECONDS if known else 0


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
