"""Whether what the pods name is there. Pure.

A Secret or ConfigMap that is missing keeps a container from starting, unless it is optional; a pull
secret that is missing only matters where the registry asks for one. Others may create them any
moment, and the pods start then, so it is never more than a warning.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.plans.preflight.outlook import Outlook, Reference, Wanted
from deploy.rules.finding import Finding
from deploy.rules.reading import at, mapping, mappings, text


@dataclass(frozen=True)
class Named:
    """One place of a pod that names an object; `key` is empty where all of it is used."""

    kind: str
    name: str
    key: str = ""
    optional: bool = False


def named_by(pod: Mapping[str, Any]) -> tuple[Named, ...]:
    """What a pod of this spec needs to start, in the gateway's namespace."""
    return tuple(dict.fromkeys(each for each in _named(pod) if each.name))


def references_of(pod: Mapping[str, Any]) -> frozenset[Reference]:
    """The objects of `named_by`."""
    return frozenset((each.kind, each.name) for each in named_by(pod))


def reference_findings(
    wanted: Wanted, outlook: Outlook, made: Collection[Reference]
) -> Iterator[Finding]:
    """What is missing and is not `made` by the plan either."""
    for each in named_by(wanted.pod):
        place = (each.kind, each.name)
        if each.optional or place in made or place not in outlook.found:
            continue
        found = outlook.found[place]
        if found is None:
            yield _missing(each)
        elif each.key and each.key not in _keys(found):
            yield Finding(
                "missing-object",
                "warning",
                f"{each.kind} {each.name} has no key {each.key}, which the pods need.",
                "Kubernetes does not start a container without it.",
                f"Add the key to the {each.kind}, or use another key in the spec.",
            )


def _missing(named: Named) -> Finding:
    if named.kind == "Secret" and named.key == _PULL:
        return Finding(
            "missing-object",
            "warning",
            f"There is no Secret {named.name}, which image.pullSecrets names.",
            "Nodes pull the image without credentials, which a private registry rejects.",
            "Create it, or name another one in image.pullSecrets.",
        )
    return Finding(
        "missing-object",
        "warning",
        f"There is no {named.kind} {named.name}, which the pods need.",
        "Kubernetes does not create pods for a service account that does not exist."
        if named.kind == "ServiceAccount"
        else "Kubernetes does not start a container without it.",
        f"Create the {named.kind}, or name another one.",
    )


_PULL = "/pull"
"""No key of a Secret has a slash."""


def _named(pod: Mapping[str, Any]) -> Iterator[Named]:
    for name in mappings(pod.get("imagePullSecrets")):
        yield Named("Secret", text(name.get("name")), _PULL)
    if (account := text(pod.get("serviceAccountName"))) not in ("", "default"):
        yield Named("ServiceAccount", account)
    for container in (*mappings(pod.get("initContainers")), *mappings(pod.get("containers"))):
        for variable in mappings(container.get("env")):
            for key, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
                yield _reference(kind, mapping(at(variable, "valueFrom", key)))
        for source in mappings(container.get("envFrom")):
            for key, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
                yield _reference(kind, mapping(source.get(key)))
    for volume in mappings(pod.get("volumes")):
        yield from _volume(volume)
        for source in mappings(at(volume, "projected", "sources")):
            yield from _volume(source)


def _reference(kind: str, given: Mapping[str, Any]) -> Named:
    return Named(kind, text(given.get("name")), text(given.get("key")), bool(given.get("optional")))


def _volume(source: Mapping[str, Any]) -> Iterator[Named]:
    for key, kind in (("secret", "Secret"), ("configMap", "ConfigMap")):
        given = mapping(source.get(key))
        name = text(given.get("secretName")) or text(given.get("name"))
        optional = bool(given.get("optional"))
        items = mappings(given.get("items"))
        for item in items or ({},):
            yield Named(kind, name, text(item.get("key")), optional)
    claim = text(at(source, "persistentVolumeClaim", "claimName"))
    yield Named("PersistentVolumeClaim", claim)


def _keys(item: Mapping[str, Any]) -> set[str]:
    return {*mapping(item.get("data")), *mapping(item.get("binaryData")), _PULL}
