"""Slack's payloads once they are unpacked: what a person asked for, clicked or sent."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from deploy.actions.versions import check, reading

_VERSION = 1


@dataclass(frozen=True)
class Request:
    """One accepted command or modal: JSON-able, since it waits in the inbox until it is answered.

    `id` tells deliveries of the same request apart from others; `response_url` may be empty.
    """

    id: str
    verb: str
    user: str
    channel: str
    response_url: str = ""
    gateway: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def request_to_mapping(request: Request) -> dict[str, Any]:
    """What is stored of a request, JSON-able."""
    return {"version": _VERSION, **asdict(request)}


def request_from_mapping(data: Mapping[str, Any]) -> Request:
    """The request that was stored. Newer where a newer bot wrote it, Unreadable where it is
    damaged."""
    with reading("The request"):
        check("The request", data.get("version"), _VERSION)
        request = Request(**{key: value for key, value in data.items() if key != "version"})
        texts = (value for name, value in vars(request).items() if name != "options")
        if not (all(isinstance(t, str) for t in texts) and isinstance(request.options, dict)):
            raise TypeError
        return request


@dataclass(frozen=True)
class Click:
    """A button or a suggestion request: who did what, on which surface."""

    user: str
    channel: str
    trigger_id: str
    response_url: str
    value: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Submission:
    """A modal that was sent: who, its values and what it carried."""

    id: str
    user: str
    private_metadata: str
    values: Mapping[str, Mapping[str, Any]]
