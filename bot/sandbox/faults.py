"""Fault switches: how a person on the page, or a test, makes a part of the sandbox misbehave.

Each part owns one board and asks it at the moment a fault would strike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Value = bool | float | str


@dataclass(frozen=True)
class Switch:
    """One fault a part can show.

    `kind` says what values it takes: a toggle true or false, a number anything from 0 up,
    a choice one of `choices`.
    """

    name: str
    label: str
    kind: Literal["toggle", "number", "choice"]
    default: Value
    choices: tuple[str, ...] = ()
    help: str = ""

    def accept(self, value: object) -> Value:
        """Return `value` as this switch stores it; ValueError says what would be accepted."""
        if self.kind == "toggle" and isinstance(value, bool):
            return value
        if self.kind == "number" and isinstance(value, int | float) and not isinstance(value, bool):
            if value < 0:
                raise ValueError(f"{self.name} takes a number from 0 up")
            return float(value)
        if self.kind == "choice" and isinstance(value, str) and value in self.choices:
            return value
        wanted = {
            "toggle": "true or false",
            "number": "a number",
            "choice": f"one of {', '.join(self.choices)}",
        }
        raise ValueError(f"{self.name} takes {wanted[self.kind]}")


class FaultBoard:
    """The switches of one part and how they stand."""

    def __init__(self, part: str, switches: Sequence[Switch]) -> None:
        self.part = part
        self._switches = {switch.name: switch for switch in switches}
        self._values: dict[str, Value] = {switch.name: switch.default for switch in switches}
        self._callbacks: list[Callable[[], None]] = []

    def get(self, name: str) -> Any:
        """How the switch stands now. KeyError for a switch this part does not have."""
        return self._values[name]

    def set(self, name: str, value: object) -> None:
        """Move one switch. ValueError for an unknown switch or a value it does not take."""
        switch = self._switches.get(name)
        if switch is None:
            raise ValueError(
                f"{self.part} has no fault {name!r}; it has {', '.join(self._switches)}"
            )
        self._values[name] = switch.accept(value)
        for callback in self._callbacks:
            callback()

    def reset(self) -> None:
        """Put every switch back to its default."""
        for name, switch in self._switches.items():
            self.set(name, switch.default)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each change."""
        self._callbacks.append(callback)

    def describe(self) -> list[dict[str, Any]]:
        """What the page draws: every switch with its value."""
        return [
            {
                "name": s.name,
                "label": s.label,
                "kind": s.kind,
                "value": self._values[s.name],
                "default": s.default,
                "choices": list(s.choices),
                "help": s.help,
            }
            for s in self._switches.values()
        ]
