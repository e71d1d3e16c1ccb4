"""Clicks in a form that is drawn anew after each: two quick ones are made on the same drawing of it, and
neither knows of the other, which another bot may answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.actions.connection import redis_errors
from handlers.slack.payloads import Click

_KEPT_MS = 60_000
"""Longer than a click is worked on: a later one need know nothing of it."""


@dataclass(frozen=True, order=True)
class FormClick:
    """One of them: when (epoch seconds, Slack's time), on what, with which value, on which drawing of
    the form (its hash), and what was entered by then, as Slack has it."""

    at: float
    name: str
    value: str
    drawing: str
    state: Mapping[str, Any] = field(default_factory=dict, compare=False)


class FormClicks:
    """Those of all bots that share one Redis. Every method raises Unavailable."""

    def __init__(self, client: Any, *, prefix: str = "gateway-bot") -> None:
        self._client = client
        self._prefix = prefix

    @redis_errors
    def noted(self, click: Click) -> tuple[FormClick, ...]:
        """This one and every other in its form lately, oldest first."""
        key, this = self._key(click), form_click(click)
        kept = json.dumps([this.value, this.drawing, this.state])
        pipe = self._client.pipeline(transaction=False)
        pipe.hset(key, f"{this.at} {this.name}", kept)
        pipe.pexpire(key, _KEPT_MS)
        pipe.execute()
        return self.of(click)

    @redis_errors
    def of(self, click: Click) -> tuple[FormClick, ...]:
        """The same, without noting it."""
        stored = self._client.hgetall(self._key(click))
        parts = ((*field.split(" ", 1), json.loads(kept)) for field, kept in stored.items())
        return tuple(sorted(FormClick(float(at), name, *kept) for at, name, kept in parts))

    def _key(self, click: Click) -> str:
        return f"{self._prefix}:{{form:{click.view['id']}}}"


def form_click(click: Click) -> FormClick:
    """What counts of a click in a form."""
    try:
        at = float(click.id.rpartition(":")[2])
    except ValueError:
        at = 0.0
    entered = (click.view.get("state") or {}).get("values") or {}
    return FormClick(at, click.name, click.value, click.view["hash"], entered)
