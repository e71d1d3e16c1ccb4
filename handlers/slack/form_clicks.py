"""Clicks in a form that is drawn anew after each: two quick ones are made on the same drawing of it, and
neither knows of the other, which another bot may answer."""

from dataclasses import dataclass
from typing import Any

from deploy.actions.connection import redis_errors
from handlers.slack.payloads import Click

_KEPT_MS = 600_000


@dataclass(frozen=True, order=True)
class FormClick:
    """One of them: when (epoch seconds, Slack's time), on what, and with which value."""

    at: float
    name: str
    value: str


class FormClicks:
    """Those of all bots that share one Redis. Every method raises Unavailable."""

    def __init__(self, client: Any, *, prefix: str = "gateway-bot") -> None:
        self._client = client
        self._prefix = prefix

    @redis_errors
    def noted(self, click: Click) -> tuple[FormClick, ...]:
        """This one and every other that was made on the same drawing of its form, oldest first."""
        key, this = self._key(click), form_click(click)
        pipe = self._client.pipeline(transaction=False)
        pipe.hset(key, f"{this.at} {this.name}", this.value)
        pipe.pexpire(key, _KEPT_MS)
        pipe.execute()
        return self.of(click)

    @redis_errors
    def of(self, click: Click) -> tuple[FormClick, ...]:
        """The same, without noting it."""
        stored = self._client.hgetall(self._key(click))
        parts = ((*field.split(" ", 1), value) for field, value in stored.items())
        return tuple(sorted(FormClick(float(at), name, value) for at, name, value in parts))

    def _key(self, click: Click) -> str:
        return f"{self._prefix}:{{form:{click.view['id']}:{click.view['hash']}}}"


def form_click(click: Click) -> FormClick:
    """What counts of a click in a form."""
    try:
        at = float(click.id.rpartition(":")[2])
    except ValueError:
        at = 0.0
    return FormClick(at, click.name, click.value)
