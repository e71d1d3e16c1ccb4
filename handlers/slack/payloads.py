"""Slack's payloads once they are unpacked: what a person asked for, clicked or sent."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from deploy.actions.versions import check, reading

_VERSION = 2
_WITHOUT_THREAD = 1
"""What needs nothing of the newer form is written in the older one, for an older bot."""


IN_PERSON = ("D", "U", "W")
"""How the ids of direct messages begin, and of people whose direct messages are meant."""


def in_channel(channel: str) -> bool:
    """Whether others than one person read what is posted there."""
    return bool(channel) and not channel.startswith(IN_PERSON)


def said_id(channel: str, ts: str) -> str:
    """The id of what the message of that ts asks for, however often and by whichever event it comes."""
    return f"said:{channel}:{ts}"


@dataclass(frozen=True)
class Request:
    """One accepted command or modal: JSON-able, since it waits in the inbox until it is answered.

    `id` tells deliveries of the same request apart from others; `response_url` may be empty. With
    `said` it was said in a message, and is answered in the conversation: in the thread of the message
    at `thread`, where there is one.
    """

    id: str
    verb: str
    user: str
    channel: str
    response_url: str = ""
    gateway: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    said: bool = False
    thread: str = ""

    @property
    def open_thread(self) -> str:
        """The thread, where the message is not its first: in one without an answer Slack does not show what
        is for one person (api.slack.com/methods/chat.postEphemeral)."""
        return "" if self.id == said_id(self.channel, self.thread) else self.thread


def request_to_mapping(request: Request) -> dict[str, Any]:
    """What is stored of a request, JSON-able."""
    fields = asdict(request)
    if request.said:
        return {"version": _VERSION, **fields}
    del fields["said"], fields["thread"]
    return {"version": _WITHOUT_THREAD, **fields}


def request_from_mapping(data: Mapping[str, Any]) -> Request:
    """The request that was stored. Newer where a newer bot wrote it, Unreadable where it is
    damaged."""
    with reading("The request"):
        check("The request", data.get("version"), _VERSION)
        request = Request(**{key: value for key, value in data.items() if key != "version"})
        others = ("options", "said")
        texts = (value for name, value in vars(request).items() if name not in others)
        if not (all(isinstance(t, str) for t in texts) and isinstance(request.options, dict)):
            raise TypeError
        return request


@dataclass(frozen=True)
class Click:
    """A button, a menu or a suggestion request: who did what, on which surface; JSON-able.

    `id` is the same for each delivery of one click and for no other, `name` its action_id.
    `message` is the one that it was in, as Slack gave it, empty where it was in none; `alone` says
    that only this person sees that. `view` is the modal that it was in; it is not stored.
    """

    id: str
    name: str
    user: str
    channel: str
    trigger_id: str
    response_url: str
    value: str
    message: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False
    view: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Submission:
    """A modal that was sent: who, its values and what it carried; JSON-able.

    `id` is the same for each delivery of the same values, `name` its callback_id.
    """

    id: str
    name: str
    user: str
    private_metadata: str
    values: Mapping[str, Mapping[str, Any]]


def verb_of_click(name: str) -> str:
    """What the inbox calls a click with this action_id."""
    return f"click:{name}"


def request_of_click(click: Click) -> Request:
    """The click as it waits in the inbox."""
    return Request(
        id=f"click:{click.id}",
        verb=verb_of_click(click.name),
        user=click.user,
        channel=click.channel,
        response_url=click.response_url,
        options={name: value for name, value in asdict(click).items() if name != "view"},
    )


def click_of(request: Request) -> Click:
    """The click that was stored. Unreadable where it is damaged."""
    with reading("The click"):
        return Click(**request.options)


def verb_of_form(name: str) -> str:
    """What the inbox calls a sent modal with this callback_id."""
    return f"form:{name}"


def request_of_form(sent: Submission) -> Request:
    """The sent modal as it waits in the inbox. Its sender is answered where it was opened, if its
    metadata says so, else in person."""
    try:
        origin = json.loads(sent.private_metadata)
    except ValueError:
        origin = {}
    told = origin if isinstance(origin, dict) else {}
    return Request(
        id=sent.id,
        verb=verb_of_form(sent.name),
        user=sent.user,
        channel=str(told.get("channel") or ""),
        response_url=str(told.get("response_url") or ""),
        options=asdict(sent),
    )


def form_of(request: Request) -> Submission:
    """The sent modal that was stored. Unreadable where it is damaged."""
    with reading("The form"):
        return Submission(**request.options)
