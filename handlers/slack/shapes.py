"""What Slack's payloads look like, as far as Slack's SDK and the listeners read them.

A body that is signed and yet has another shape is refused before anything of it is used. Fields are
those of docs.slack.dev/reference/interaction-payloads, /interactivity/implementing-slash-commands and
/apis/events-api; whatever else a payload holds is not looked at.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

Text = str | None


class _Named(msgspec.Struct):
    id: Text = None
    team_id: Text = None
    enterprise_id: Text = None


Name = str | _Named | None


class _Person(_Named, kw_only=True):
    id: str


class _Installation(msgspec.Struct):
    team_id: Text = None
    enterprise_id: Text = None
    user_id: Text = None
    is_enterprise_install: bool | None = None


class _Container(msgspec.Struct):
    channel_id: Text = None
    message_ts: Text = None
    view_id: Text = None
    is_ephemeral: bool | None = None


class _Message(msgspec.Struct):
    ts: Text = None
    thread_ts: Text = None
    user: Name = None
    channel: Name = None
    subtype: Text = None
    bot_id: Text = None


class _Option(msgspec.Struct):
    value: Text = None


class _Input(msgspec.Struct, kw_only=True):
    type: Text = None
    value: Text = None
    selected_option: _Option | None = None
    selected_options: list[_Option] | None = None
    files: list[dict[str, Any]] | None = None


class _Action(_Input, kw_only=True):
    action_id: str
    block_id: Text = None
    action_ts: Text = None


class _State(msgspec.Struct):
    values: dict[str, dict[str, _Input]]


class _Block(msgspec.Struct):
    type: str
    block_id: str


class _View(msgspec.Struct, kw_only=True):
    id: str
    type: str
    callback_id: Text = None
    hash: Text = None
    private_metadata: Text = None
    app_installed_team_id: Text = None
    team_id: Text = None
    blocks: list[_Block] | None = None
    state: _State | None = None


class _SentView(_View, kw_only=True):
    callback_id: str
    hash: str
    state: _State


class _Event(_Message, kw_only=True):
    type: str
    tab: Text = None
    team: Text = None
    user_team: Text = None
    channel_type: Text = None
    message: _Message | None = None
    previous_message: _Message | None = None
    item: _Message | None = None
    assistant_thread: dict[str, Any] | None = None
    function: dict[str, Any] | None = None


class _Payload(msgspec.Struct, kw_only=True):
    type: Text = None
    team: Name = None
    enterprise: Name = None
    user: Name = None
    channel: Name = None
    team_id: Text = None
    enterprise_id: Text = None
    user_id: Text = None
    channel_id: Text = None
    trigger_id: Text = None
    response_url: Text = None
    callback_id: Text = None
    thread_ts: Text = None
    ssl_check: Text = None
    challenge: Text = None
    is_enterprise_install: bool | str | None = None
    is_ext_shared_channel: bool | None = None
    authorizations: list[_Installation] | None = None
    response_urls: list[dict[str, Any]] | None = None
    container: _Container | None = None
    message: _Message | None = None
    previous_message: _Message | None = None
    item: _Message | None = None
    assistant_thread: dict[str, Any] | None = None
    function_data: dict[str, Any] | None = None
    view: _View | None = None
    event: _Event | None = None
    actions: Annotated[list[_Action], msgspec.Meta(min_length=1)] | None = None
    action_id: Text = None
    block_id: Text = None
    value: Text = None


class _Command(_Payload, kw_only=True):
    command: str
    text: Text = None
    trigger_id: str
    user_id: str
    channel_id: str


class _BlockActions(_Payload, kw_only=True):
    user: _Person
    channel: _Named | None = None
    actions: Annotated[list[_Action], msgspec.Meta(min_length=1)]


class _ViewClosed(_Payload, kw_only=True):
    user: _Person
    view: _View


class _ViewSubmission(_Payload, kw_only=True):
    user: _Person
    view: _SentView


class _BlockSuggestion(_Payload, kw_only=True):
    user: _Person
    channel: _Named | None = None
    action_id: str


class _EventCallback(_Payload, kw_only=True):
    event: _Event


class _HomeOpened(_Event, kw_only=True):
    user: str


class _SaidEvent(_Event, kw_only=True):
    """A message, and a mention of the bot in one."""

    user: str | None = None
    text: Text = None
    ts: str
    channel: str


class _SaidCallback(_Payload, kw_only=True):
    event: _SaidEvent


class _HomeCallback(_Payload, kw_only=True):
    event: _HomeOpened


_EVENTS: Mapping[object, type[_Payload]] = {
    "app_home_opened": _HomeCallback,
    "app_mention": _SaidCallback,
    "message": _SaidCallback,
}
_SHAPES: Mapping[object, type[_Payload]] = {
    "block_actions": _BlockActions,
    "view_submission": _ViewSubmission,
    "view_closed": _ViewClosed,
    "block_suggestion": _BlockSuggestion,
    "event_callback": _EventCallback,
}


def is_sound(body: Mapping[str, Any]) -> bool:
    """Whether a payload has the shape of its kind, and all its text can be written down."""
    shape = _shape_of(body)
    if shape is None:
        return False
    try:
        msgspec.convert(body, shape)
        msgspec.json.encode(body)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError, OverflowError):
        return False
    return True


def _shape_of(body: Mapping[str, Any]) -> type[_Payload] | None:
    kind, event = body.get("type"), body.get("event")
    if "command" in body:
        return _Command
    if kind == "event_callback" and isinstance(event, Mapping):
        name = event.get("type")
        return _EVENTS.get(name if isinstance(name, str) else None, _EventCallback)
    if isinstance(kind, str):
        return _SHAPES.get(kind, _Payload)
    return _Payload if "ssl_check" in body else None
