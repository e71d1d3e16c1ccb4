"""Whether pods are given a gateway token at a place that is not for it.

A token that a person can point to would run with whatever else the spec says, in another gateway's
name. One place is for a gateway's own; a Secret that its pods take in whole already is another.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.inventory import gateway_container
from deploy.observed.references import secrets_of
from deploy.observed.token_facts import holds_only, may_hold_token
from deploy.rendering.manifests import render
from deploy.specs.gateway_spec import GatewaySpec


def suspects_of(cluster: Cluster, spec: GatewaySpec) -> dict[str, Future[bool]]:
    """Each Secret that the pods are given beside their own token: whether it may hold a token too."""
    names = sorted(secrets_of(_without_token(spec)))
    return {name: cluster.begin(_suspecting(cluster, spec, name)) for name in names}


def token_references(
    cluster: Cluster,
    spec: GatewaySpec,
    suspects: Mapping[str, Future[bool]],
    live: Manifest | None,
) -> list[str]:
    """The suspects that hold a token, but for those that the pods of this very gateway have taken in
    whole already, for its own token, and are given nowhere else."""
    found = [name for name, holds in suspects.items() if holds.result()]
    had = _taken_whole(live["spec"]["template"]["spec"]) if live else frozenset()
    pod = _without_token(spec)
    containers = [{**each, "envFrom": []} for each in pod["containers"]]
    excused = _taken_whole(pod) & had - secrets_of({**pod, "containers": containers})
    return [
        name
        for name in found
        if name not in excused
        or not holds_only(cluster, spec.ref.namespace, name, spec.apim.gateway)
    ]


def _taken_whole(pod: Mapping[str, Any]) -> frozenset[str]:
    """The Secrets of which each key is a variable of the gateway's container."""
    return secrets_of({"envFrom": gateway_container(pod).get("envFrom") or []})


def _without_token(spec: GatewaySpec) -> Mapping[str, Any]:
    """What its pods are without the one place that is for their token."""
    deployment = next(item for item in render(spec, None) if item["kind"] == "Deployment")
    pod: Mapping[str, Any] = deployment["spec"]["template"]["spec"]
    return pod


def _suspecting(cluster: Cluster, spec: GatewaySpec, name: str) -> Callable[[], bool]:
    return lambda: may_hold_token(cluster, spec.ref.namespace, name)
