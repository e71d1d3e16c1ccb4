"""What the form of `deploy` says beside its fields."""

from collections.abc import Mapping, Sequence
from typing import Any

from deploy.access import Environment, Freeze
from deploy.health.status import GatewaySummary
from handlers.views.places import named
from handlers.views.text import date, escape
from handlers.views.words.reasons import given

_SHOWN = 5


HOW = "Nothing changes yet: next, you review the plan."
FILE_INSTEAD = "Use a spec file instead"
FIELDS_INSTEAD = "Without a spec file"
IN_FILE = "Leave empty to take it from the spec file."


def frozen(environment: Environment, freeze: Freeze, command: str, overridden: bool) -> str:
    """That nothing may change there now, and how to do it all the same."""
    until = date(freeze.ends.timestamp())
    how = (
        "This request overrides it."
        if overridden
        else f'To override it, type `{escape(command)} deploy … --break-glass="why this cannot wait"`.'
    )
    return (
        f":snowflake: *{escape(named(environment))} is frozen* until {until}: "
        f"{escape(given(freeze.reason))} It holds for that environment only. {how}"
    )


def runs_in(gateways: Sequence[GatewaySummary]) -> str:
    """Where the chosen gateway runs already."""
    places = [
        f"`{escape(f'{s.ref.cluster}/{s.ref.namespace}/{s.ref.name}')}` ({escape(s.tag)})"
        for s in gateways[:_SHOWN]
    ]
    more = len(gateways) - _SHOWN
    listed = ", ".join(places) + (f" and {more} more" if more > 0 else "")
    return f"It runs in {listed}."


def kept(options: Mapping[str, Any]) -> str:
    """What was typed with the command that has no field in the form."""
    words = ", ".join(f"`--{escape(name)}`" for name in options)
    return f"Kept from your command: {words}."


TOO_LONG = (
    ":warning: What you typed with the command is too long to be kept here. Write it under "
    "“Further fields”."
)


def missing(what: str) -> str:
    """A required field is empty."""
    return f"The {what} is missing. Choose it here, or give a spec file that says it."
