"""From what was observed to a plan and its digest, and a plan as JSON.

The digest is what a decision is about: sha256 over canonical JSON of the cluster's UID, the
gateway, the wanted objects (the token left out), the changes, what a failure goes back to, and
whose tokens the plan sends elsewhere or replaces.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.annotations import SPEC_ANNOTATION
from deploy.kube.objects import Manifest
from deploy.observed.managers import Manager
from deploy.observed.token_only import TokenReading
from deploy.plans.diff import field_changes
from deploy.plans.plan import (
    FieldChange,
    HeldToken,
    ObjectChange,
    OwnershipConflict,
    Plan,
    ReplacedSecret,
    TokenOnly,
    WayBack,
)
from deploy.rules.finding import Exempted, Finding
from deploy.specs.annotation import without_version
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_from_mapping, spec_of_others_from_mapping, spec_to_mapping
from deploy.tokens.token_plan import TokenPlan

_SPEC_PATH = f'metadata.annotations["{SPEC_ANNOTATION}"]'


@dataclass(frozen=True)
class Observed:
    """One wanted object, what is live now, and what a dry run says it would become."""

    wanted: Manifest
    live: Manifest | None
    merged: Manifest


def build_plan(
    spec: GatewaySpec,
    *,
    cluster_uid: str,
    observed: Sequence[Observed],
    token: TokenPlan,
    deletions: Sequence[ObjectChange] = (),
    findings: Sequence[Finding] = (),
    conflicts: Sequence[OwnershipConflict] = (),
    back_to: int = 0,
    replaces: ReplacedSecret | None = None,
    partial: bool = False,
    count: int | None = None,
) -> Plan:
    """The plan, its digest included.

    `back_to` is the revision to go back to should new pods not get ready; 0 for none.
    """
    changes = tuple(change for item in observed if (change := _change(item)) is not None)
    plan = Plan(
        spec=spec,
        cluster_uid=cluster_uid,
        objects=tuple(item.wanted for item in observed),
        changes=(*changes, *deletions),
        token=token,
        findings=tuple(findings),
        conflicts=tuple(conflicts),
        replaces=replaces,
        partial=partial,
        count=count,
    )
    return bound(dataclasses.replace(plan, on_failure=_way_back(plan, back_to)))


def bound(plan: Plan) -> Plan:
    """The plan with the digest of what it holds now."""
    return dataclasses.replace(plan, digest=_digest(plan))


def as_shown(plan: Plan, shown: Plan) -> Plan:
    """A plan that was made once more, with what makes it no other plan than the one that was decided.

    That is the way back: which revision has ready pods may change from one second to the next, and is
    looked at again before anything goes back. And the words for why there is a new token: another
    version of the bot may have others. The digest has them, so they stay as every version of it knows
    them; only what is read here may change.
    """
    token = dataclasses.replace(plan.token, reason=shown.token.reason)
    alike = dataclasses.replace(plan, on_failure=shown.on_failure, token=token)
    return bound(alike) if plan.digest and alike != plan else plan


def _way_back(plan: Plan, revision: int) -> WayBack | None:
    if plan.token.previous:
        return WayBack(secret=plan.token.previous)
    return WayBack(revision) if revision and plan.starts_pods else None


def plan_to_mapping(plan: Plan) -> dict[str, Any]:
    """What is stored with an action, JSON-able; the wanted objects follow from the spec."""
    return {
        "spec": spec_to_mapping(plan.spec),
        "cluster_uid": plan.cluster_uid,
        "changes": [dataclasses.asdict(change) for change in plan.changes],
        "token": dataclasses.asdict(plan.token),
        "findings": [dataclasses.asdict(finding) for finding in plan.findings],
        "conflicts": [dataclasses.asdict(conflict) for conflict in plan.conflicts],
        "on_failure": dataclasses.asdict(plan.on_failure) if plan.on_failure else None,
        **_tokens_there(plan),
        **({"warnings": list(plan.warnings)} if plan.warnings else {}),
        **({"partial": True} if plan.partial else {}),
        **({"count": plan.count} if plan.count is not None else {}),
        **({"runs": plan.runs} if plan.runs else {}),
        "digest": plan.digest,
    }


def plan_from_mapping(data: Mapping[str, Any]) -> Plan:
    """The plan as it was shown. Its `objects` are empty: to apply it, it is made anew."""
    back, replaces = data.get("on_failure"), data.get("replaces")
    read = spec_of_others_from_mapping if "manages" in data else spec_from_mapping
    return Plan(
        spec=read(data["spec"]),
        cluster_uid=data["cluster_uid"],
        objects=(),
        changes=tuple(
            ObjectChange(
                c["kind"], c["name"], c["change"], tuple(FieldChange(**f) for f in c["fields"])
            )
            for c in data["changes"]
        ),
        token=TokenPlan(**data["token"]),
        findings=tuple(_finding(f) for f in data["findings"]),
        conflicts=tuple(OwnershipConflict(**c) for c in data["conflicts"]),
        on_failure=WayBack(**back) if back else None,
        held=tuple(HeldToken(**token) for token in data.get("held", ())),
        replaces=ReplacedSecret(**replaces) if replaces else None,
        warnings=tuple(data.get("warnings", ())),
        manages=_token_only(data["manages"]) if "manages" in data else None,
        partial=bool(data.get("partial")),
        count=data.get("count"),
        runs=str(data.get("runs", "")),
        digest=data["digest"],
    )


def _finding(data: Mapping[str, Any]) -> Finding:
    exempted = data.get("exempted")
    return Finding(**{**data, "exempted": Exempted(**exempted) if exempted else None})


def _change(item: Observed) -> ObjectChange | None:
    kind, name = item.wanted["kind"], item.wanted["metadata"]["name"]
    if item.live is None:
        return ObjectChange(kind, name, "create", _essentials(item.wanted))
    # A spec that has a version by now says what it said.
    changes = field_changes(kind, _unversioned(item.live), _unversioned(item.merged))
    if not changes:
        return None
    # The spec's own text repeats the other changes; alone it is shown, for it is still a change.
    told = tuple(change for change in changes if change.path != _SPEC_PATH)
    return ObjectChange(kind, name, "update", told or changes)


def _unversioned(manifest: Manifest) -> Manifest:
    """The object, the version left out of the spec that it carries."""
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations") or {}
    if SPEC_ANNOTATION not in annotations:
        return manifest
    text = without_version(annotations[SPEC_ANNOTATION])
    return {
        **manifest,
        "metadata": {**metadata, "annotations": {**annotations, SPEC_ANNOTATION: text}},
    }


def _essentials(manifest: Manifest) -> tuple[FieldChange, ...]:
    spec = manifest.get("spec", {})
    kind = manifest["kind"]
    if kind == "Deployment":
        container = spec["template"]["spec"]["containers"][0]
        requests = container.get("resources", {}).get("requests", {})
        asked = [f"{requests['cpu']} CPU"] if "cpu" in requests else []
        asked += [requests["memory"]] if "memory" in requests else []
        pairs = [("image", container["image"]), ("requests", ", ".join(asked) or "none")]
        if "replicas" in spec:
            pairs.insert(1, ("replicas", spec["replicas"]))
    elif kind == "Service":
        ports = ", ".join(f"{port['port']}/{port['protocol']}" for port in spec["ports"])
        pairs = [("type", spec["type"]), ("ports", ports)]
    elif kind == "ConfigMap":
        pairs = [("config.service.endpoint", manifest["data"]["config.service.endpoint"])]
    elif kind == "PodDisruptionBudget":
        pairs = [(key, spec[key]) for key in ("maxUnavailable", "minAvailable") if key in spec]
    elif kind == "NetworkPolicy":
        pairs = [(way, _opened(spec[way])) for way in ("ingress", "egress")]
    elif kind == "HorizontalPodAutoscaler":
        pairs = [(key, spec[key]) for key in ("minReplicas", "maxReplicas")]
    elif kind == "PersistentVolumeClaim":
        pairs = [("storage", spec["resources"]["requests"]["storage"])]
    elif kind == "ServiceAccount":
        pairs = list(manifest["metadata"]["annotations"].items())
    else:
        pairs = []
    return tuple(FieldChange(path, None, value) for path, value in pairs)


def _opened(rules: Sequence[Mapping[str, Any]]) -> str:
    """The ports that a NetworkPolicy opens; a rule without ports opens all."""
    every: Sequence[Mapping[str, Any]] = ({},)
    ports = [
        f"{port.get('port', 'all')}/{port.get('protocol', 'TCP')}"
        for rule in rules
        for port in rule.get("ports") or every
    ]
    return f"only {', '.join(dict.fromkeys(ports))}"


def _tokens_there(plan: Plan) -> dict[str, Any]:
    """What was found of tokens in use; left out where a plan touches none, as in older records."""
    found: dict[str, Any] = {}
    if plan.held:
        found["held"] = [dataclasses.asdict(token) for token in plan.held]
    if plan.replaces:
        found["replaces"] = dataclasses.asdict(plan.replaces)
    if plan.manages:
        found["manages"] = dataclasses.asdict(plan.manages)
    return found


def _token_only(data: Mapping[str, Any]) -> TokenOnly:
    owner = data["declared_by"]
    reading = TokenReading(**data["reading"])
    return TokenOnly(
        **{**data, "reading": reading, "declared_by": Manager(**owner) if owner else None}
    )


def _digest(plan: Plan) -> str:
    # What a partial plan does not change stays as it is by then, whatever that is.
    objects = () if plan.partial else plan.objects
    bound = {
        "cluster": plan.cluster_uid,
        "ref": str(plan.spec.ref),
        "objects": [_unversioned(manifest) for manifest in objects],
        "token": dataclasses.asdict(plan.token),
        "changes": [dataclasses.asdict(change) for change in plan.changes],
        "on_failure": dataclasses.asdict(plan.on_failure) if plan.on_failure else None,
        **_tokens_there(plan),
    }
    canonical = json.dumps(bound, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
