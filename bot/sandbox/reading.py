"""Reading a YAML file with errors that name the field and what was expected there."""

import re
from collections.abc import Iterator, Sequence
from typing import Any


class FieldError(ValueError):
    """A value that is not what its place takes; the message begins with the field's path."""


class Field:
    """A value and its path in the file, as `users[2].name`."""

    def __init__(self, value: Any, path: str = "") -> None:
        self.value = value
        self.path = path

    def refuse(self, expected: str) -> FieldError:
        """The error that says what was expected here."""
        shown = "nothing" if self.value is None else repr(self.value)
        shown = shown if len(shown) <= 60 else f"{shown[:57]}…"
        return FieldError(f"{self.path or 'the file'}: expected {expected}, found {shown}")

    def keys(self, required: Sequence[str], optional: Sequence[str] = ()) -> "Field":
        """This mapping itself, once it has these keys and no others."""
        if not isinstance(self.value, dict):
            raise self.refuse("a mapping")
        known = (*required, *optional)
        for key in self.value:
            if key not in known:
                raise FieldError(f"{self._below(key)}: no such key; there are {', '.join(known)}")
        for key in required:
            if self.value.get(key) is None:
                raise FieldError(f"{self._below(key)}: is missing")
        return self

    def __getitem__(self, key: str) -> "Field":
        return Field(self.value.get(key), self._below(key))

    def items(self, *, least: int = 0) -> Iterator["Field"]:
        """Each value of this list."""
        if not isinstance(self.value, list) or len(self.value) < least:
            raise self.refuse("a list" if not least else "a list that is not empty")
        for number, value in enumerate(self.value):
            yield Field(value, f"{self.path}[{number}]")

    def text(self, default: str | None = None, *, like: str = "", means: str = "") -> str:
        """This text; `like` is a pattern it matches as a whole and `means` says that in words."""
        if self.value is None and default is not None:
            return default
        if not isinstance(self.value, str) or not self.value:
            raise self.refuse("text (put it in quotes if it looks like a number)")
        if like and not re.fullmatch(like, self.value):
            raise self.refuse(means)
        return self.value

    def choice(self, among: Sequence[str]) -> str:
        """This text, which is one of these."""
        if self.value not in among:
            raise self.refuse(f"one of {', '.join(among)}")
        return str(self.value)

    def flag(self, *, default: bool) -> bool:
        """True or false."""
        if self.value is None:
            return default
        if not isinstance(self.value, bool):
            raise self.refuse("true or false")
        return self.value

    def number(self) -> float:
        """A number of any kind."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.refuse("a number")
        return float(self.value)

    def _below(self, key: object) -> str:
        return f"{self.path}.{key}" if self.path else str(key)


def unique(fields: Sequence[Field], names: Sequence[str]) -> None:
    """FieldError at the first of `fields` whose name another one before it has."""
    for number, (field, name) in enumerate(zip(fields, names, strict=True)):
        if name in names[:number]:
            raise FieldError(f"{field.path}: {name} is there twice")
