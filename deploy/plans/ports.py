"""A Service's ports: those that a dry run makes up, and those that somebody else gave another
number, which an apply alone cannot take back.

Kubernetes tells a Service's ports apart by number and protocol. One whose number was edited is
another entry, its editor's alone; an apply adds the wanted one beside it, and both have one name.
So the entry is first given its number back in place, where it keeps its node port, and is applied
then.
"""

import functools
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from deploy.kube.cluster import FIELD_MANAGER, Cluster
from deploy.kube.objects import Manifest
from deploy.kube.rewriting import rewrite
from deploy.plans.plan import ObjectChange, OwnershipConflict

_ASIDE = "gateway-bot-aside-"
"""Names of ports in a dry run, where the edited entry still has theirs."""


@dataclass(frozen=True)
class Moved:
    """An entry as it is live, and as it is wanted; `managers` are those who own what is live."""

    live: Mapping[str, Any]
    wanted: Mapping[str, Any]
    managers: tuple[str, ...]


def moved_ports(live: Manifest | None, wanted: Manifest) -> tuple[Moved, ...]:
    """The ports of that name which are another's, under a number that nothing else has. Pure."""
    if wanted["kind"] != "Service" or live is None:
        return ()
    entries = live["spec"].get("ports") or ()
    named = {port.get("name"): port for port in wanted["spec"]["ports"]}
    there, kept = {_key(port) for port in entries}, {_key(port) for port in named.values()}
    found = []
    for port in entries:
        to = named.get(port.get("name"))
        if to is None or _key(port) in kept or _key(to) in there:
            continue
        managers = _managers(live, port)
        if FIELD_MANAGER not in managers:
            found.append(Moved(port, to, managers))
    return tuple(found)


def asked_for(wanted: Manifest, moved: Sequence[Moved]) -> Manifest:
    """What a dry run can be asked for while the edited entries are there. Pure."""
    if not moved:
        return wanted
    aside = {_key(port.wanted): f"{_ASIDE}{number}" for number, port in enumerate(moved)}
    ports = [
        {k: v for k, v in {**port, "name": aside[_key(port)]}.items() if k != "nodePort"}
        if _key(port) in aside
        else port
        for port in wanted["spec"]["ports"]
    ]
    return {**wanted, "spec": {**wanted["spec"], "ports": ports}}


def as_taken(result: Manifest, moved: Sequence[Moved]) -> Manifest:
    """What the dry run's answer is once the entries have their numbers back. Pure."""
    if not moved:
        return result
    gone = {_key(port.live) for port in moved}
    back = {_key(port.wanted): port for port in moved}
    ports = []
    for port in result["spec"]["ports"]:
        if _key(port) in back:
            one = back[_key(port)]
            node_port = one.wanted.get("nodePort") or one.live.get("nodePort")
            if result["spec"].get("type") == "ClusterIP":
                node_port = None
            kept = {k: v for k, v in port.items() if k != "nodePort"}
            ports.append(
                {
                    **kept,
                    "name": one.wanted["name"],
                    **({"nodePort": node_port} if node_port else {}),
                }
            )
        elif _key(port) not in gone:
            ports.append(port)
    return {**result, "spec": {**result["spec"], "ports": ports}}


def without_made_up(result: Manifest, live: Manifest | None, wanted: Manifest) -> Manifest:
    """A dry run's answer without the numbers that the cluster gives only when it applies: in a dry
    run it makes them up, perhaps others each time. Pure.

    Source: kubernetes, pkg/registry/core/service/portallocator/operation.go.
    """
    if wanted["kind"] != "Service":
        return result
    known = ((live or {}).get("spec") or {}, wanted["spec"])
    given = {
        _key(port) for spec in known for port in spec.get("ports") or () if port.get("nodePort")
    }
    spec = {
        **result["spec"],
        "ports": [
            port if _key(port) in given else {k: v for k, v in port.items() if k != "nodePort"}
            for port in result["spec"].get("ports") or ()
        ],
    }
    if not any(each.get("healthCheckNodePort") for each in known):
        spec.pop("healthCheckNodePort", None)
    return {**result, "spec": spec}


def conflicts_of(wanted: Manifest, moved: Sequence[Moved]) -> tuple[OwnershipConflict, ...]:
    """The owners of the edited entries."""
    name = wanted["metadata"]["name"]
    return tuple(
        OwnershipConflict("Service", name, manager, _path(port.live))
        for port in moved
        for manager in port.managers
    )


def take_back_ports(
    cluster: Cluster, wanted: Sequence[Manifest], changes: Sequence[ObjectChange]
) -> None:
    """Give the edited entries of these objects their numbers back, as far as `changes` shows it.

    Conflict when a Service changes under every try.
    """
    for service in wanted:
        if service["kind"] != "Service":
            continue
        metadata = service["metadata"]
        shown = {
            field.path
            for change in changes
            if (change.kind, change.name) == ("Service", metadata["name"])
            for field in change.fields
        }
        fields = functools.partial(_taken_back, service, shown)
        rewrite(cluster, "Service", metadata["namespace"], metadata["name"], fields)


def _taken_back(wanted: Manifest, shown: Set[str], live: Manifest) -> Mapping[str, Any]:
    moved = {
        _key(port.live): port.wanted
        for port in moved_ports(live, wanted)
        if _path(port.live) in shown
    }
    if not moved:
        return {}
    ports = [
        {**port, **{k: to[k] for k in ("port", "protocol") if k in to}}
        if (to := moved.get(_key(port)))
        else port
        for port in live["spec"]["ports"]
    ]
    return {"/spec/ports": ports}


def _managers(live: Manifest, port: Mapping[str, Any]) -> tuple[str, ...]:
    number, protocol = _key(port)
    key = f'k:{{"port":{number},"protocol":"{protocol}"}}'
    return tuple(
        str(entry.get("manager", ""))
        for entry in live["metadata"].get("managedFields") or ()
        if key in ((entry.get("fieldsV1") or {}).get("f:spec") or {}).get("f:ports", {})
    )


def _key(port: Mapping[str, Any]) -> tuple[int, str]:
    return port["port"], port.get("protocol", "TCP")


def _path(port: Mapping[str, Any]) -> str:
    """As the diff writes it."""
    return "spec.ports[{}/{}]".format(*_key(port))
