"""The kinds of values a spec holds: each reads text's data, writes it back and has a JSON Schema.

`read` raises InvalidInput with the dotted path of the value at fault.
"""

import datetime
import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from deploy.errors import InvalidInput
from deploy.gateway import check_label

Schema = dict[str, Any]
_ENTRIES = 64
"""More entries than this in one list or mapping are a mistake."""


class Value(Protocol):
    """One kind of value."""

    def read(self, given: Any, path: str) -> Any:
        """The value, in the form in which equal ones compare equal."""

    def write(self, value: Any) -> Any:
        """What reads back as `value`."""

    def schema(self) -> Schema:
        """JSON Schema of what `read` takes."""


@dataclass(frozen=True)
class Text:
    """Text of a form.

    With `hidden` a wrong value is not repeated, for it may hold a password; with `flags` true and
    false are taken as words. A suffix in `also` may follow it in a file, and is taken off before.
    `decimal` says that a number with a point is the same however many zeros end it: of other text
    YAML would drop them, as of the tag 2.10.
    """

    pattern: str
    wanted: str
    hidden: bool = False
    flags: bool = False
    also: str = ""
    decimal: bool = False

    def read(self, given: Any, path: str) -> str:
        if self.flags and isinstance(given, bool):
            given = str(given).lower()
        if isinstance(given, float) and not (self.decimal or self.hidden):
            raise _unquoted(given, path)
        # YAML reads an unquoted 2 as a number; in all these fields text was meant.
        number = isinstance(given, int | float) and not isinstance(given, bool)
        text = str(given) if number else given
        if not isinstance(text, str) or not re.fullmatch(self.pattern, text):
            raise wrong(path, "…" if self.hidden else given, self.wanted)
        return text

    def write(self, value: str) -> str:
        return value

    def schema(self) -> Schema:
        number = "number" if self.decimal else "integer"
        return {"type": ["string", number], "pattern": f"^({self.pattern}){self.also}$"}


@dataclass(frozen=True)
class Label:
    """A name as Kubernetes takes it (RFC 1123 label)."""

    limit: int = 63

    def read(self, given: Any, path: str) -> str:
        return check_label(Text(r"[\s\S]*", "text").read(given, path), path, self.limit)

    def write(self, value: str) -> str:
        return value

    def schema(self) -> Schema:
        return {
            "type": ["string", "integer"],
            "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
            "maxLength": self.limit,
        }


@dataclass(frozen=True)
class Parsed:
    """Text that a parser takes; the parser raises ValueError for what it does not."""

    parse: Callable[[str], object]
    wanted: str

    def read(self, given: Any, path: str) -> str:
        try:
            if isinstance(given, str):
                self.parse(given)
                return given
        except ValueError:
            pass
        raise wrong(path, given, self.wanted)

    def write(self, value: str) -> str:
        return value

    def schema(self) -> Schema:
        return {"type": "string"}


@dataclass(frozen=True)
class Day:
    """A day; YAML reads an unquoted one as a date."""

    def read(self, given: Any, path: str) -> str:
        if type(given) is datetime.date:
            return given.isoformat()
        try:
            return datetime.date.fromisoformat(given).isoformat()
        except (TypeError, ValueError):
            raise wrong(path, given, "a day such as 2027-03-31") from None

    def write(self, value: str) -> str:
        return value

    def schema(self) -> Schema:
        return {"type": "string", "format": "date"}


@dataclass(frozen=True)
class Whole:
    """A whole number within bounds."""

    least: int
    most: int

    def read(self, given: Any, path: str) -> int:
        whole = isinstance(given, int) and not isinstance(given, bool)
        if not whole or not self.least <= given <= self.most:
            raise wrong(path, given, f"a whole number from {self.least} to {self.most}")
        return int(given)

    def write(self, value: int) -> int:
        return value

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class WholeOr:
    """A whole number within bounds, or a word in place of it."""

    least: int
    most: int
    word: str

    def read(self, given: Any, path: str) -> int | str:
        if given == self.word:
            return self.word
        whole = isinstance(given, int) and not isinstance(given, bool)
        if not whole or not self.least <= given <= self.most:
            bounds = f"a whole number from {self.least} to {self.most}"
            raise wrong(path, given, f"{bounds}, or {self.word}")
        return int(given)

    def write(self, value: int | str) -> int | str:
        return value

    def schema(self) -> Schema:
        number = {"type": "integer", "minimum": self.least, "maximum": self.most}
        return {"anyOf": [number, {"const": self.word}]}


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def read(self, given: Any, path: str) -> bool:
        if not isinstance(given, bool):
            raise wrong(path, given, "true or false")
        return given

    def write(self, value: bool) -> bool:
        return value

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True)
class OneOf:
    """One of a few words."""

    choices: tuple[str, ...]

    def read(self, given: Any, path: str) -> str:
        if given not in self.choices:
            raise wrong(path, given, f"one of {', '.join(self.choices)}")
        return str(given)

    def write(self, value: str) -> str:
        return value

    def schema(self) -> Schema:
        return {"enum": list(self.choices)}


@dataclass(frozen=True)
class Many:
    """A list, in the order given."""

    item: Value
    least: int = 0
    most: int = _ENTRIES

    def read(self, given: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(given, list | tuple):
            raise wrong(path, given, "a list")
        if not self.least <= len(given) <= self.most:
            raise InvalidInput(
                f"{path} has {len(given)} entries, not {self.least} to {self.most}.", field=path
            )
        return tuple(self.item.read(each, f"{path}[{i}]") for i, each in enumerate(given))

    def write(self, value: tuple[Any, ...]) -> list[Any]:
        return [self.item.write(each) for each in value]

    def schema(self) -> Schema:
        found: Schema = {"type": "array", "items": self.item.schema(), "maxItems": self.most}
        return found | ({"minItems": self.least} if self.least else {})


@dataclass(frozen=True)
class MapOf:
    """A mapping of text to text, kept as pairs sorted by key."""

    key: Text
    value: Text

    def read(self, given: Any, path: str) -> tuple[tuple[str, str], ...]:
        must_map(given, path)
        if len(given) > _ENTRIES:
            raise InvalidInput(f"{path} has more than {_ENTRIES} entries.", field=path)
        return tuple(
            sorted(
                (self.key.read(key, join(path, key)), self.value.read(each, join(path, key)))
                for key, each in given.items()
            )
        )

    def write(self, value: tuple[tuple[str, str], ...]) -> dict[str, str]:
        return dict(value)

    def schema(self) -> Schema:
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^({self.key.pattern})$"},
            "additionalProperties": self.value.schema(),
            "maxProperties": _ENTRIES,
        }


@dataclass(frozen=True)
class Raw:
    """An object of Kubernetes' API of which only the first keys are looked at; kept as JSON. Those in
    `lists` hold lists, those in `words` text, the others objects."""

    keys: tuple[str, ...]
    lists: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def read(self, given: Any, path: str) -> str:
        must_map(given, path)
        for key, each in given.items():
            if key in self.lists:
                if not isinstance(each, list):
                    raise wrong(join(path, key), each, "a list")
                continue
            if key in self.words:
                if not isinstance(each, str):
                    raise wrong(join(path, key), each, "a word")
                continue
            if key not in self.keys:
                raise unknown(path, key, (*self.keys, *self.lists, *self.words))
            must_map(each, join(path, key))
        try:
            return json.dumps(given, sort_keys=True, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"{path} cannot be written as JSON: {error}.", field=path) from error

    def write(self, value: str) -> Any:
        return json.loads(value)

    def schema(self) -> Schema:
        return {
            "type": "object",
            "properties": {
                **{key: {"type": "object"} for key in self.keys},
                **{key: {"type": "array"} for key in self.lists},
                **{key: {"type": "string"} for key in self.words},
            },
            "additionalProperties": False,
        }


def join(path: str, key: Any) -> str:
    """The dotted path of `key` within `path`."""
    shown = str(key)[:80]
    return f"{path}.{shown}" if path else shown


class WrongValue(InvalidInput):
    """The value of a field is not what was wanted; `name` is what the field is called."""

    def __init__(self, path: str, given: str, wanted: str, name: str = "") -> None:
        super().__init__(f"{name or path} is “{given}”, not {wanted}.", field=path)
        self.given = given
        self.wanted = wanted

    def called(self, name: str) -> "WrongValue":
        """The same for whoever gave the value under another name."""
        return WrongValue(self.field, self.given, self.wanted, name)


def wrong(path: str, given: Any, wanted: str) -> WrongValue:
    """The error for a value that is not what was wanted."""
    shown = str(given)
    return WrongValue(path, shown if len(shown) <= 80 else shown[:79] + "…", wanted)


def _unquoted(given: float, path: str) -> InvalidInput:
    return InvalidInput(
        f"{path} is text, and YAML reads it as the number {given}.",
        field=path,
        meaning="A zero at its end would be lost: 2.10 is 2.1.",
        remedy=f'Put it in quotes, as in {path.rpartition(".")[2]}: "2.10".',
    )


_LISTED = 8
"""So many fields are named; of more the nearest ones, and where all of them stand."""


def unknown(path: str, key: Any, known: Iterable[str]) -> InvalidInput:
    """The error for a key that there is not, with the nearest that there is."""
    names = list(known)
    near = difflib.get_close_matches(str(key)[:80], names, n=1)
    if near:
        remedy = f"Did you mean {join(path, near[0])}?"
    elif len(names) <= _LISTED:
        remedy = f"There are: {', '.join(names)}."
    else:
        alike = difflib.get_close_matches(str(key)[:80], names, n=3, cutoff=0.0)
        remedy = f"The nearest are {', '.join(alike)}; docs/spec.md lists all {len(names)}."
    return InvalidInput(
        f"{join(path, key)} is not a field of a gateway's spec.",
        field=join(path, key),
        remedy=remedy,
    )


def must_map(given: Any, path: str) -> None:
    """Raise InvalidInput for what is not a mapping."""
    if not isinstance(given, Mapping):
        raise InvalidInput(f"{path or 'A spec'} must be a mapping of keys to values.", field=path)
