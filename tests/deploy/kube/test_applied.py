"""What a manager applies is read off a live object: applied again, it changes nothing."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from bot.sandbox.cluster.apply import apply
from bot.sandbox.cluster.defaults import apply_defaults
from bot.sandbox.cluster.errors import ApiError
from bot.sandbox.cluster.fieldset import fields_of, from_fields_v1
from bot.sandbox.cluster.kinds import DEPLOYMENT, by_kind
from bot.sandbox.cluster.managed_fields import Manager, after_update, owned, store
from bot.sandbox.cluster.schema import struct
from deploy.kube.applied import applied
from deploy.rendering.manifests import render
from deploy.specs.gateway_spec import GatewaySpec
from tests.support.specs import SPECS

RECORDED = Path(__file__).parents[2] / "data" / "kubernetes-1.36" / "pairs.json"
OURS = Manager("bot", "Apply", "apps/v1")
Obj = dict[str, Any]


def recorded() -> list[Any]:
    """Every apply of `bot` that a real API server has noted in an object, once each."""
    found = {}
    for pair in json.loads(RECORDED.read_text()):
        item = pair["response"]
        if not isinstance(item, dict):
            continue
        for entry in (item.get("metadata") or {}).get("managedFields") or ():
            if entry["manager"] == "bot":
                found[pair["title"]] = pytest.param(item, entry["fieldsV1"], id=pair["title"])
    return list(found.values())


def owned_by(manifest: Obj) -> Any:
    """The fields that applying it makes its manager own."""
    kind = by_kind(manifest["apiVersion"], manifest["kind"])
    return owned(fields_of(struct(kind.model), manifest))


@pytest.mark.parametrize(("item", "fields"), recorded())
def test_the_fields_a_real_api_server_noted_are_found_again(item: Obj, fields: Obj) -> None:
    # A Secret's `stringData` is written and never read.
    readable = {path for path in from_fields_v1(fields) if path[0] != "f:stringData"}
    assert owned_by(applied(item, "bot")) == readable


def test_a_manager_that_has_applied_nothing_has_the_objects_name_alone() -> None:
    live = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "gw", "namespace": "dev", "uid": "u", "labels": {"app": "gw"}},
        "spec": {"replicas": 2},
    }
    assert applied(live, "bot") == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "gw", "namespace": "dev"},
    }


def _labelled(item: Obj) -> None:
    item["metadata"].setdefault("labels", {})["team"] = "edge"


def _scaled(item: Obj) -> None:
    item["spec"]["replicas"] = 6


def _restarted(item: Obj) -> None:
    noted = item["spec"]["template"]["metadata"].setdefault("annotations", {})
    noted["kubectl.kubernetes.io/restartedAt"] = "2026-11-29T12:00:00Z"


def _debugged(item: Obj) -> None:
    variables = item["spec"]["template"]["spec"]["containers"][0].setdefault("env", [])
    variables.insert(0, {"name": "DEBUG", "value": "1"})


def _injected(item: Obj) -> None:
    item["spec"]["template"]["spec"]["containers"].insert(0, {"name": "proxy", "image": "p:1"})


def _imaged(item: Obj) -> None:
    item["spec"]["template"]["spec"]["containers"][-1]["image"] = "registry.contoso.com/gw:1"


def _mounted(item: Obj) -> None:
    pod = item["spec"]["template"]["spec"]
    pod.setdefault("volumes", []).append({"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}})


def _pinned(item: Obj) -> None:
    item["metadata"].setdefault("finalizers", []).append("contoso.com/keep")


def _unlimited(item: Obj) -> None:
    item["spec"]["template"]["spec"]["containers"][-1]["resources"].pop("limits", None)


EDITS: tuple[Callable[[Obj], None], ...] = (
    _labelled, _scaled, _restarted, _debugged, _injected, _imaged, _mounted, _pinned, _unlimited,
)  # fmt: skip


def live_of(spec: GatewaySpec, edits: list[Callable[[Obj], None]]) -> Obj:
    """The Deployment of a spec as it was applied by `bot` and then edited by somebody else."""
    node = struct(DEPLOYMENT.model)
    wanted = next(o for o in render(spec, "t") if o["kind"] == "Deployment")
    bare: Obj = {"metadata": {}, "spec": {}}
    try:
        made = apply(node, bare, wanted, OURS, "then", force=False, where="dev/gw")
    except ApiError:
        # Such as two host aliases of one address, which a spec may have and no API server takes.
        reject()
    live = copy.deepcopy(made.obj)
    apply_defaults(DEPLOYMENT, live)
    store(live, made.managers)
    for edit in edits:
        edited = copy.deepcopy(live)
        edit(edited)
        theirs = Manager("edit", "Update", "apps/v1")
        store(edited, after_update(node, live, edited, theirs, "now"))
        live = edited
    return live


@settings(deadline=None, max_examples=40)
@given(SPECS, st.lists(st.sampled_from(EDITS), unique=True))
def test_what_is_read_off_any_gateway_that_others_edited_changes_nothing_when_applied(
    spec: GatewaySpec, edits: list[Callable[[Obj], None]]
) -> None:
    live = live_of(spec, edits)
    before = copy.deepcopy(live)
    found = applied(live, "bot")
    node = struct(DEPLOYMENT.model)
    again = apply(node, live, found, OURS, "later", force=False, where="dev/gw")
    assert live == before
    result = copy.deepcopy(again.obj)
    store(result, again.managers)
    assert result == before


@settings(deadline=None, max_examples=30)
@given(SPECS)
def test_what_was_applied_is_what_is_read_off_whoever_edited_nothing(spec: GatewaySpec) -> None:
    wanted = next(o for o in render(spec, "t") if o["kind"] == "Deployment")
    assert applied(live_of(spec, []), "bot") == wanted
