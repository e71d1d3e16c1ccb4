"""A gateway's NetworkPolicy while its pods are replaced.

A policy applies at once to every pod that it selects, old and new alike. So a change first opens what
either version needs, and closes the rest once the old pods are gone.
"""

from collections.abc import Iterable, Sequence

from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.plans.dry_run import wanted_objects
from deploy.plans.plan import ObjectChange
from deploy.specs.gateway_spec import GatewaySpec

KIND = "NetworkPolicy"
_WAYS = ("ingress", "egress")


def widened(cluster: Cluster, objects: Iterable[Manifest]) -> list[Manifest]:
    """The objects, of which a policy keeps open what it opens now."""
    return [_widened(cluster, item) if item["kind"] == KIND else item for item in objects]


def narrow(cluster: Cluster, spec: GatewaySpec, *, force: bool) -> None:
    """Close what only the version before `spec` needed. Raises what an apply raises."""
    if not spec.network_policy.enabled:
        return
    live = cluster.get("Deployment", spec.ref.namespace, spec.ref.name)
    wanted = wanted_objects(spec, None, live)
    cluster.apply_all([item for item in wanted if item["kind"] == KIND], force=force)


def is_rest(change: ObjectChange, shown: Iterable[ObjectChange]) -> bool:
    """Whether a change of a policy is what a run that died has left of one that was `shown`: from
    what opens both to what was wanted. Its rules are replaced whole, so that is all it can be for the
    same objects."""
    return change.kind == KIND and any(
        (each.kind, each.name, each.change) == (KIND, change.name, change.change) for each in shown
    )


def _widened(cluster: Cluster, wanted: Manifest) -> Manifest:
    metadata, spec = wanted["metadata"], wanted["spec"]
    live = cluster.get(KIND, metadata["namespace"], metadata["name"])
    now = live["spec"] if live else {}
    return {**wanted, "spec": {**spec, **{way: _both(spec[way], now.get(way)) for way in _WAYS}}}


def _both(rules: Sequence[Manifest], others: Iterable[Manifest] | None) -> list[Manifest]:
    said = [_completed(rule) for rule in rules]
    return [*rules, *(rule for rule in others or () if _completed(rule) not in said)]


def _completed(rule: Manifest) -> Manifest:
    """The rule as the API server completes it, which writes what it takes for granted."""
    ports = [{"protocol": "TCP", **port} for port in rule.get("ports") or ()]
    return {**rule, "ports": ports} if ports else rule
