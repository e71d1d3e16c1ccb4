"""How many pods an apply asks for: a number where somebody asks for it, else those that run. Pure.

Whoever writes `scale` owns the number from then on, be it an autoscaler or a person. It stays theirs:
an apply without it takes nothing from them. Where it is this bot's, the live number is applied again
onto the version that was read, for a field that its only owner leaves out falls back to one pod
(Kubernetes, "Server-Side Apply", Transferring ownership).
"""

from collections.abc import Iterator, Sequence

from deploy.kube.cluster import FIELD_MANAGER
from deploy.kube.objects import Manifest
from deploy.plans.handover import REPLICAS_MANAGER, spec_carried_by
from deploy.rules.finding import Finding
from deploy.specs.gateway_spec import GatewaySpec

REPLICAS = "spec.replicas"
_OURS = (FIELD_MANAGER, REPLICAS_MANAGER)
_RULE = "counted-elsewhere"


def asked_count(
    spec: GatewaySpec, live: Manifest | None, autoscalers: Sequence[str], *, named: bool
) -> int | None:
    """The number of pods to set on the live Deployment; None where the one that runs stays.

    It is asked for where the request has `named` it, or its spec says another than the spec that was
    deployed. One that was scaled to 0 is started again unless somebody else counts its pods.
    """
    if live is None or autoscalers or not isinstance(spec.counted, int):
        return None
    carried = spec_carried_by(live)
    stopped = carried is not None and not live["spec"].get("replicas", 1)
    other = carried is not None and carried.replicas != spec.replicas
    return spec.counted if named or other or stopped else None


def with_count(objects: tuple[Manifest, ...], count: int | None) -> tuple[Manifest, ...]:
    """The objects as they go onto what runs: with that number of pods, or with none."""
    return tuple(_counted(o, count) if o["kind"] == "Deployment" else o for o in objects)


def keeping_count(wanted: Manifest, live: Manifest | None) -> Manifest:
    """What to apply onto `live`: where no number is asked for, the live one if it is this bot's."""
    leaves = wanted["kind"] == "Deployment" and "replicas" not in wanted["spec"]
    if not leaves or live is None or FIELD_MANAGER not in _owners(live, applied=True):
        return wanted
    return _counted(wanted, live["spec"]["replicas"])


def as_counted(result: Manifest, wanted: Manifest, live: Manifest | None) -> Manifest:
    """What a dry run gave, with the pods that were read where no number is asked for: others may have
    counted them anew since, which is not a change of this plan."""
    if live is None or wanted["kind"] != "Deployment" or "replicas" in wanted["spec"]:
        return result
    return _counted(result, live["spec"].get("replicas", 1))


def is_count(kind: str, path: str) -> bool:
    """Whether a field is the number of pods, as the diff or as managed fields write its path."""
    return (kind, path.lstrip(".")) == ("Deployment", REPLICAS)


def counted_elsewhere(
    spec: GatewaySpec,
    live: Manifest | None,
    autoscalers: Sequence[str],
    count: int | None,
    *,
    named: bool,
) -> Iterator[Finding]:
    """Who else counts the pods, and what becomes of a number that was asked for."""
    if live is None or count is not None or spec.autoscaling.most is not None:
        return
    runs = live["spec"].get("replicas", 1)
    who = ", ".join(autoscalers) or ", ".join(sorted(_owners(live) - set(_OURS)))
    if named and autoscalers:
        yield Finding(
            _RULE,
            "warning",
            f"{who} sets the replicas, so the plan does not set them to {spec.replicas}.",
            f"A number set by hand would be overwritten; {runs} run now.",
            "Change its minReplicas or maxReplicas instead.",
        )
    elif autoscalers or (who and runs != spec.counted):
        yield Finding(
            _RULE,
            "info",
            f"{who} sets the replicas. The current {runs} stay.",
            "This bot changes the number only when asked to.",
            "",
        )


def _counted(deployment: Manifest, count: int | None) -> Manifest:
    spec = {key: value for key, value in deployment["spec"].items() if key != "replicas"}
    return {**deployment, "spec": spec if count is None else {"replicas": count, **spec}}


def _owners(live: Manifest, *, applied: bool = False) -> set[str]:
    return {
        str(entry.get("manager", ""))
        for entry in live["metadata"].get("managedFields") or ()
        if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
        if not applied or entry.get("operation") == "Apply"
    }
