"""The Secrets and ConfigMaps that pods are given, wherever their spec names them. Pure.

Kubernetes names them in variables, in whole sources of variables and in volumes of many types. All
of these say by the key what the name is of, so no list of places is kept here that could lack one.
"""

from collections.abc import Iterator, Mapping
from typing import Any


def secrets_of(pod: Mapping[str, Any]) -> frozenset[str]:
    """The names of the Secrets that a pod of this spec is given.

    Those that an image is pulled with are the kubelet's; no container sees them.
    """
    return frozenset(_named(pod, "secret"))


def config_maps_of(pod: Mapping[str, Any]) -> frozenset[str]:
    """The names of the ConfigMaps that a pod of this spec is given."""
    return frozenset(_named(pod, "configmap"))


def _named(value: Any, kind: str) -> Iterator[str]:
    """The names under `secretKeyRef`, `secretRef`, `secret`, `nodePublishSecretRef`, `secretName`
    and the like, at every depth."""
    if isinstance(value, list):
        for each in value:
            yield from _named(each, kind)
    if not isinstance(value, Mapping):
        return
    for key, below in value.items():
        if key.lower() == f"{kind}name" and isinstance(below, str):
            yield below
        if kind in key.lower() and isinstance(below, Mapping) and below.get("name"):
            yield str(below["name"])
        yield from _named(below, kind)
