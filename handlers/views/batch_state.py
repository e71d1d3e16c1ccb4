"""A batch with its gateways as they are now, and the words that all texts about it share. Pure."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from deploy.access import Environment
from deploy.actions.action import Action, State
from deploy.actions.batches import Batch
from deploy.gateway import GatewayRef
from handlers.views.places import named
from handlers.views.text import counted, escape
from handlers.views.words.kinds import KIND_WORDS

T = TypeVar("T")

NAMED = 10
"""So many gateways are named in a sentence."""
FAILED = (State.FAILED, State.STOPPED, State.UNKNOWN)
_PLACES = 3


@dataclass(frozen=True)
class Row:
    """One gateway of a batch. Without an action it is still being planned, or is `unreadable`."""

    ref: GatewayRef
    environment: str
    production: bool
    action: Action | None = None
    unreadable: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.action is not None and self.action.final


@dataclass(frozen=True)
class BatchState:
    """A batch with its gateways as they are now; those that no action was planned for are named in
    `batch.unplanned` only.

    While it is `settling` a plan that no longer held may still be planned anew.
    """

    batch: Batch
    rows: tuple[Row, ...]
    settling: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing more can happen to any of them."""
        planned = self.batch.planned and not self.settling
        return planned and all(row.ended for row in self.rows)

    @property
    def actions(self) -> tuple[Action, ...]:
        """The actions of its gateways."""
        return tuple(row.action for row in self.rows if row.action is not None)

    @property
    def to_approve(self) -> tuple[Action, ...]:
        """Those that wait for approvers."""
        return tuple(each for each in self.actions if awaits_approval(each))

    @property
    def to_confirm(self) -> tuple[Action, ...]:
        """Those that their requester decides alone."""
        return tuple(each for each in self.actions if awaits_confirmation(each))


def awaits_approval(action: Action) -> bool:
    """Whether approvers are to decide it."""
    return _open(action) and action.policy.by == "approvers"


def awaits_confirmation(action: Action) -> bool:
    """Whether its requester is to decide it, and rests on no approval window."""
    alone = action.policy.by == "requester" and not action.policy.windows
    return _open(action) and alone


def _open(action: Action) -> bool:
    return action.state is State.PENDING and not action.plan.denied


def seal(actions: Iterable[Action]) -> str:
    """What a button is bound to: which plans there are, each by its digest."""
    plans = sorted(f"{each.id}:{each.digest}" for each in actions)
    return hashlib.sha256("\n".join(plans).encode()).hexdigest()


def title(state: BatchState) -> str:
    """What is asked for, of how many gateways."""
    words = KIND_WORDS[state.batch.selection.kind]
    return words.of_several(counted(len(state.rows), "gateway"))


def where(state: BatchState) -> str:
    """The places, each with the environment that it is in."""
    places = list(dict.fromkeys(place_of(row) for row in state.rows))
    more = len(places) - _PLACES
    named = places[:_PLACES] if more > 0 else places
    return joined([*named, counted(more, "more namespace")] if more > 0 else named)


def place_of(row: Row) -> str:
    place = f"{row.ref.cluster}/{row.ref.namespace}"
    described = named(Environment(row.environment, production=row.production))
    return f"{place} ({escape(described)})" if row.environment else place


def in_production(rows: Sequence[Row]) -> str:
    """How many of these gateways are in production; empty where none is."""
    count = sum(row.production for row in rows)
    if not count:
        return ""
    if count < len(rows):
        return f"{count} of {len(rows)} in production"
    return f"all {count} in production" if count > 1 else "production"


def counts(state: BatchState) -> list[str]:
    """How many are done, then how many of everything else that there is."""
    states = [action.state for action in state.actions]
    done = states.count(State.SUCCEEDED)
    found = [
        (states.count(State.FAILED), "failed"),
        (states.count(State.STOPPED), "stopped"),
        (states.count(State.UNKNOWN), "with an unknown result"),
        (states.count(State.RUNNING), "running"),
        (states.count(State.APPROVED), "approved"),
        (len(state.to_approve), "waiting for approval"),
        (states.count(State.PENDING) - len(state.to_approve), "waiting for confirmation"),
        (states.count(State.DENIED), "denied"),
        (states.count(State.CANCELLED), "cancelled"),
        (states.count(State.EXPIRED), "expired"),
        (states.count(State.SUPERSEDED), "superseded"),
        (sum(row.unreadable for row in state.rows), "not readable"),
        (
            len(state.rows) - len(states) - sum(row.unreadable for row in state.rows),
            "being planned",
        ),
        (len(state.batch.unplanned), "not planned"),
    ]
    more = [f"{count} {what}" for count, what in found if count]
    return [f"{done} of {len(state.rows)} done", *more] if done or not more else more


def names_of(names: Iterable[str], limit: int = NAMED) -> str:
    every = [escape(name) for name in names]
    more = len(every) - limit
    return joined([*every[:limit], f"{more} more"] if more > 0 else every)


def joined(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def grouped(items: Iterable[T], key: Callable[[T], str]) -> list[tuple[str, list[T]]]:
    """In groups of the same key, in the order in which the keys come first."""
    found: dict[str, list[T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return list(found.items())
