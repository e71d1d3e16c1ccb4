"""A table of fields as one mapping: read into a frozen dataclass, written back, and its schema."""

import dataclasses
import functools
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.errors import InvalidInput
from deploy.specs.values import Schema, Value, join, must_map, unknown


@dataclass(frozen=True)
class Field:
    """Where a value is in the text (`path`) and in the data (`attr`), and why there is one.

    With `always` it is written even at its default.
    """

    path: str
    attr: str
    value: Value
    why: str
    always: bool = False


@dataclass(frozen=True)
class Record:
    """A mapping of known keys to one frozen dataclass; defaults are the dataclass's own."""

    cls: type
    fields: tuple[Field, ...]

    def read(self, given: Any, path: str) -> Any:
        _check_keys(given, self._tree, path)
        values: dict[str, Any] = {}
        for field in self.fields:
            found = _found(given, field.path)
            if found is not None:
                _put(values, field.attr, field.value.read(found, join(path, field.path)))
            elif field.path in self._required:
                at = join(path, field.path)
                raise InvalidInput(f"{at} is missing.", field=at)
        return _build(self.cls, values)

    def write(self, value: Any) -> dict[str, Any]:
        written: dict[str, Any] = {}
        for field in self.fields:
            held = functools.reduce(getattr, field.attr.split("."), value)
            if held is not None and (field.always or held != self.default(field)):
                _put(written, field.path, field.value.write(held))
        return written

    def schema(self) -> Schema:
        return self._schema_of(self._tree)

    def default(self, field: Field) -> Any:
        """What the value is when nothing is said; MISSING where something must be."""
        return _default(self.cls, field.attr)

    @functools.cached_property
    def _required(self) -> frozenset[str]:
        return frozenset(
            field.path for field in self.fields if self.default(field) is dataclasses.MISSING
        )

    @functools.cached_property
    def _tree(self) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for field in self.fields:
            _put(tree, field.path, field)
        return tree

    def _schema_of(self, tree: Mapping[str, Any]) -> Schema:
        properties, required = {}, []
        for key, below in tree.items():
            if isinstance(below, Field):
                properties[key] = self._field_schema(below)
                needed = self.default(below) is dataclasses.MISSING
            else:
                properties[key] = self._schema_of(below)
                needed = "required" in properties[key]
            if needed:
                required.append(key)
        schema: Schema = {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
        }
        return schema | ({"required": required} if required else {})

    def _field_schema(self, field: Field) -> Schema:
        schema = {**field.value.schema(), "description": field.why}
        default = self.default(field)
        if default is not None and default is not dataclasses.MISSING:
            schema["default"] = field.value.write(default)
        return schema


def _check_keys(given: Any, tree: Mapping[str, Any], path: str) -> None:
    must_map(given, path)
    for key, value in given.items():
        if key not in tree:
            raise unknown(path, key, tree)
        if isinstance(tree[key], dict) and value is not None:
            _check_keys(value, tree[key], join(path, key))


def _found(given: Any, path: str) -> Any:
    for key in path.split("."):
        given = given.get(key)
        if given is None:
            return None
    return given


def _put(target: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        target = target.setdefault(parent, {})
    target[last] = value


@functools.cache
def _default(cls: Any, attr: str) -> Any:
    *parents, name = attr.split(".")
    for parent in parents:
        cls = _hints(cls)[parent]
    return next(found.default for found in dataclasses.fields(cls) if found.name == name)


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _build(cls: Any, values: Mapping[str, Any]) -> Any:
    hints = _hints(cls)
    return cls(
        **{
            name: _build(hints[name], value) if isinstance(value, dict) else value
            for name, value in values.items()
        }
    )
