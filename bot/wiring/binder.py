"""Gives each verb what it names, and so everything else that Slack's payloads meet."""

import dataclasses
import difflib
from typing import Any, TypeVar, get_type_hints

N = TypeVar("N")


class Binder:
    """Builds dataclasses of needs: each field is the one of the same name of some part of the bot."""

    def __init__(self, *parts: Any) -> None:
        """Parts are dataclasses. TypeError where two have a field of one name."""
        self._offered: dict[str, tuple[Any, Any]] = {}
        for part in parts:
            types = get_type_hints(type(part))
            for field in dataclasses.fields(part):
                if field.name in self._offered:
                    raise TypeError(f"Two parts of the bot have a field “{field.name}”.")
                self._offered[field.name] = (types[field.name], getattr(part, field.name))

    def build(self, needs: type[N]) -> N:
        """TypeError where no part has a field of that name, or has it of another type."""
        return needs(**{name: self._named(needs, name) for name in get_type_hints(needs)})

    def _named(self, needs: type, name: str) -> Any:
        asked, who = get_type_hints(needs)[name], f"{needs.__module__}.{needs.__qualname__}"
        if name not in self._offered:
            near = difflib.get_close_matches(name, self._offered, n=1)
            hint = f" Did you mean “{near[0]}”?" if near else ""
            raise TypeError(f"{who} needs “{name}”, which no part of the bot has.{hint}")
        kind, value = self._offered[name]
        if kind != asked:
            raise TypeError(f"{who} needs “{name}” as {asked}; the bot has it as {kind}.")
        return value
