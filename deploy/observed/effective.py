"""The settings that a container's process really gets, and where each of them stands. Pure.

The kubelet takes the sources of `envFrom` in order, a later one winning, then the variables of `env`,
which win over every source (Kubernetes API reference, Container; kubelet, makeEnvironmentVariables).
A `$(NAME)` in a value is an earlier variable, `$$` one dollar.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

_REFERENCE = re.compile(r"\$\$|\$\(([^()\s]+)\)")

Objects = Mapping[str, Mapping[str, str | None] | None]
"""What ConfigMaps or Secrets hold, by their names: None for an object that does not exist, and for
a value that is not shown. One that was not read is left out."""


@dataclass(frozen=True)
class Origin:
    """Where a setting stands: in the Deployment's own text, in an object under a key, or in a field
    of the pod."""

    kind: Literal["Deployment", "ConfigMap", "Secret", "Pod"]
    name: str = ""
    key: str = ""


@dataclass(frozen=True)
class Setting:
    """One setting; its value is None where it is not known, and in no repr, for it may be a token."""

    origin: Origin
    value: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class EffectiveSettings:
    """The settings by name. `unread` are the sources of whose content nothing is known: each may add
    settings, or replace those of earlier sources. `absent` are those that do not exist, although no
    container starts without them."""

    settings: Mapping[str, Setting] = field(default_factory=lambda: MappingProxyType({}))
    unread: tuple[Origin, ...] = ()
    absent: tuple[Origin, ...] = ()

    @property
    def shown(self) -> dict[str, str]:
        """Those whose value is known."""
        return {n: s.value for n, s in self.settings.items() if s.value is not None}

    @property
    def hidden(self) -> frozenset[str]:
        """The names of those whose value is not known."""
        return frozenset(n for n, s in self.settings.items() if s.value is None)

    def find(self, name: str) -> Setting | None:
        """The setting of that name. .NET reads names without case; the usual spelling goes first."""
        lower = name.lower()
        others = (s for n, s in self.settings.items() if n.lower() == lower)
        return self.settings.get(name) or next(others, None)

    def value(self, name: str) -> str:
        """A setting's value; empty where there is none, or where it is not known."""
        found = self.find(name)
        return found.value or "" if found else ""


def effective_settings(
    container: Mapping[str, Any],
    config_maps: Objects,
    secrets: Objects = MappingProxyType({}),
) -> EffectiveSettings:
    """What a container of that spec is given. Takes any YAML; what is of a wrong type is nothing."""
    read = {"ConfigMap": config_maps, "Secret": secrets}
    found: dict[str, Setting] = {}
    unread: list[Origin] = []
    absent: list[Origin] = []
    for source in _mappings(container.get("envFrom")):
        for origin in _sources(source):
            held = read[origin.kind].get(origin.name, ...)
            if held is ...:
                unread.append(origin)
                continue
            if held is None and not _is_optional(source):
                absent.append(origin)
            prefix = _text(source.get("prefix"))
            for key, value in (held or {}).items():
                where = Origin(origin.kind, origin.name, key)
                found[f"{prefix}{key}"] = Setting(where, value if value is None else str(value))
    for variable in _mappings(container.get("env")):
        setting = _variable(variable, found, read)
        if setting is not None:
            found[_text(variable.get("name"))] = setting
    return EffectiveSettings(found, tuple(unread), tuple(absent))


def sources_of(container: Mapping[str, Any]) -> tuple[Origin, ...]:
    """Every ConfigMap and Secret that a container's settings are from; a whole one has no key."""
    whole = [o for source in _mappings(container.get("envFrom")) for o in _sources(source)]
    single = [
        origin
        for variable in _mappings(container.get("env"))
        if (origin := _reference(variable)[0]).kind in ("ConfigMap", "Secret")
    ]
    return (*whole, *single)


def _sources(source: Mapping[str, Any]) -> list[Origin]:
    config_map = _text(_mapping(source.get("configMapRef")).get("name"))
    secret = _text(_mapping(source.get("secretRef")).get("name"))
    found = [Origin("ConfigMap", config_map)] if config_map else []
    return [*found, *([Origin("Secret", secret)] if secret else [])]


def _is_optional(source: Mapping[str, Any]) -> bool:
    refs = (_mapping(source.get(name)) for name in ("configMapRef", "secretRef"))
    return any(ref.get("optional") is True for ref in refs)


def _reference(variable: Mapping[str, Any]) -> tuple[Origin, bool]:
    """What a variable's value is from, and whether it may be missing there."""
    value_from = _mapping(variable.get("valueFrom"))
    config_map = _mapping(value_from.get("configMapKeyRef"))
    secret = _mapping(value_from.get("secretKeyRef"))
    ref = config_map or secret
    if ref:
        kind: Literal["ConfigMap", "Secret"] = "ConfigMap" if config_map else "Secret"
        origin = Origin(kind, _text(ref.get("name")), _text(ref.get("key")))
        return origin, ref.get("optional") is True
    return Origin("Pod" if value_from else "Deployment"), False


def _variable(
    variable: Mapping[str, Any], known: Mapping[str, Setting], read: Mapping[str, Objects]
) -> Setting | None:
    """What a variable of `env` sets; None where it leaves what the sources say."""
    origin, optional = _reference(variable)
    if origin.kind == "Deployment":
        return _expanded(_text(variable.get("value")), known)
    held = read.get(origin.kind, {}).get(origin.name, ...)
    if held is ...:
        return Setting(origin)
    if origin.key in (held or {}):
        return Setting(origin, (held or {})[origin.key])
    # Without the key no container starts, unless it may be missing.
    return None if optional else Setting(origin, "")


def _expanded(text: str, known: Mapping[str, Setting]) -> Setting:
    """The text with earlier variables put in; as hidden as those."""
    used = [known[n] for n in _REFERENCE.findall(text) if n in known]
    hidden = next((setting for setting in used if setting.value is None), None)
    if hidden is not None:
        return hidden
    value = _REFERENCE.sub(lambda found: _replaced(found, known), text)
    # What is made of one object's value is still that object's to change.
    return Setting(used[0].origin if len(used) == 1 else Origin("Deployment"), value)


def _replaced(found: re.Match[str], known: Mapping[str, Setting]) -> str:
    if found[1] is None:
        return "$"
    return (known[found[1]].value or "") if found[1] in known else found[0]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list | tuple):
        return ()
    return tuple(each for each in value if isinstance(each, Mapping))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
