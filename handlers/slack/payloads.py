"""Slack's payloads once they are unpacked: what a person asked for, clicked or sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
