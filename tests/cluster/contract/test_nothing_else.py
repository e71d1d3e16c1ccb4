"""A rotation and a restart write what they are for and nothing else, whoever owns the rest."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.actions.action import ChangeRequest, State
from deploy.kube.cluster import FIELD_MANAGER
from deploy.observed.installed import installed
from deploy.plans.requests import RestartRequest, RotateRequest
from deploy.tokens.rotation import Rotation
from tests.cluster.conftest import Target
from tests.cluster.rollout_bed import Bed, rollout_bed
from tests.support.kube_api import JSON_PATCH, MERGE, STRATEGIC, Obj

pytestmark = pytest.mark.usefixtures("needs_controllers")
_MARK = "gateway-bot.io/restarted-at"
_NOTES = {"gateway-bot.io/action", "gateway-bot.io/written", "gateway-bot.io/spec"}
_BY_CONTROLLERS = {"deployment.kubernetes.io/revision"}
_BY_SERVER = {"resourceVersion", "generation", "managedFields"}


@pytest.fixture
def bed(target: Target, ns: str, tmp_path: Path) -> Iterator[Bed]:
    with rollout_bed(target, ns, tmp_path) as ready:
        assert ready.deploy(ready.spec(replicas=2)).state is State.SUCCEEDED
        yield ready


def rotate(bed: Bed) -> ChangeRequest:
    return RotateRequest(bed.spec().ref, Rotation())


def restart(bed: Bed) -> ChangeRequest:
    return RestartRequest(bed.spec().ref, "2026-11-29T12:00:00Z")


CHANGES = pytest.mark.parametrize(
    ("kind", "asked"), [("rotate", rotate), ("restart", restart)], ids=["rotate", "restart"]
)


def edited_by_others(bed: Bed) -> None:
    """What others change of a gateway that this bot deployed: fields of ours, and some beside them."""
    pod = "/spec/template/spec"
    ours = [
        {"op": "replace", "path": f"{pod}/terminationGracePeriodSeconds", "value": 5},
        {"op": "replace", "path": f"{pod}/containers/0/resources/limits/memory", "value": "3Gi"},
        {"op": "replace", "path": "/spec/progressDeadlineSeconds", "value": 45},
        {"op": "remove", "path": f"{pod}/topologySpreadConstraints"},
    ]
    bed.patch(ours, "kubectl-edit", JSON_PATCH)
    sidecar = {"name": "log-shipper", "image": "example.com/shipper:1"}
    beside: Obj = {
        "metadata": {"labels": {"team": "edge"}, "annotations": {"contoso.com/owner": "edge"}},
        "spec": {
            "minReadySeconds": 1,
            "template": {
                "metadata": {"annotations": {"contoso.com/scrape": "true"}},
                "spec": {
                    "$setElementOrder/containers": [{"name": "log-shipper"}, {"name": "edge-1"}],
                    "containers": [
                        sidecar,
                        {
                            "name": "edge-1",
                            "env": [{"name": "telemetry.logs.std.level", "value": "debug"}],
                        },
                    ],
                },
            },
        },
    }
    bed.patch(beside, "agent", STRATEGIC)
    scaled = bed.target.api.request("PATCH", f"{bed.path}/scale", {"spec": {"replicas": 3}}, MERGE)
    assert scaled.status == 200, scaled.body


def stripped(live: Obj, *, purpose: Callable[[Obj], object]) -> Obj:
    """The object without what the change is for, the bot's notes, and what the cluster keeps itself."""
    item = copy.deepcopy(live)
    purpose(item)
    metadata = item["metadata"]
    for name in _BY_SERVER:
        metadata.pop(name)
    for name in _NOTES | _BY_CONTROLLERS:
        metadata["annotations"].pop(name, None)
    item.pop("status")
    return item


def without_secret(item: Obj) -> object:
    containers = item["spec"]["template"]["spec"]["containers"]
    (own,) = [each for each in containers if each["name"] == "edge-1"]
    (token,) = [each for each in own["env"] if each["name"] == "config.service.auth"]
    return token.pop("valueFrom")


def without_mark(item: Obj) -> object:
    return item["spec"]["template"]["metadata"]["annotations"].pop(_MARK, None)


PURPOSES = {"rotate": without_secret, "restart": without_mark}


def owners(live: Obj, *, but: str = FIELD_MANAGER) -> Any:
    """What others own, but for what controllers do."""
    return [
        entry
        for entry in live["metadata"].get("managedFields", ())
        if entry["manager"] != but and entry.get("subresource") != "status"
    ]


def declared(item: Obj) -> Obj:
    """The object without what controllers report of it, at any time, and how often they did."""
    noted = {k: v for k, v in item["metadata"].items() if k != "resourceVersion"}
    return {
        **{key: value for key, value in item.items() if key != "status"},
        "metadata": {**noted, "managedFields": owners(item, but="")},
    }


def ours(live: Obj) -> Any:
    (entry,) = [e for e in live["metadata"]["managedFields"] if e["manager"] == FIELD_MANAGER]
    return entry["fieldsV1"]


@CHANGES
def test_every_other_field_and_owner_stays_as_it_was(
    bed: Bed, kind: str, asked: Callable[[Bed], ChangeRequest]
) -> None:
    edited_by_others(bed)
    api, core = bed.target.api, f"/api/v1/namespaces/{bed.ns}"

    def beside() -> list[Obj]:
        return [
            declared(o) for kind in ("services", "configmaps") for o in api.items(f"{core}/{kind}")
        ]

    before, others = api.get(bed.path), beside()
    outcome = bed.change(kind, asked(bed), "ABC235")
    assert outcome.state is State.SUCCEEDED, outcome
    after = api.get(bed.path)
    without = PURPOSES[kind]
    assert json.dumps(stripped(after, purpose=without)) == json.dumps(
        stripped(before, purpose=without)
    )
    assert without(copy.deepcopy(after)) != without(copy.deepcopy(before)), "it did what it is for"
    assert owners(after) == owners(before)
    assert after["spec"]["replicas"] == 3
    assert beside() == others


@CHANGES
def test_the_next_deployment_has_nothing_to_change_and_no_conflict(
    bed: Bed, kind: str, asked: Callable[[Bed], ChangeRequest]
) -> None:
    before = ours(bed.target.api.get(bed.path))
    assert bed.change(kind, asked(bed), "ABC235").state is State.SUCCEEDED
    live = bed.target.api.get(bed.path)
    owned = ours(live)
    noted = owned["f:spec"]["f:template"]["f:metadata"]["f:annotations"]
    assert (noted.pop(f"f:{_MARK}", None) is not None) == (kind == "restart")
    assert owned == before
    plan = bed.planner.plan(installed(bed.cluster, bed.spec().ref).spec, "ABC236")
    assert (plan.changes, plan.conflicts) == ((), ())
    assert plan.empty
