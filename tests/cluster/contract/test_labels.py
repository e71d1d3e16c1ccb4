"""Labels: those of earlier versions are still recognised, and those of others stay as they are."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.actions.action import State
from deploy.observed.installed import installed
from deploy.observed.pods import token_secret_of
from deploy.plans.dry_run import wanted_objects
from deploy.plans.plan import Plan
from deploy.plans.requests import RemovalRequest, RotateRequest
from deploy.rendering.manifests import render, token_secret, with_action
from deploy.rollouts.removal import Remover, removal_plan
from deploy.tokens.rotation import Rotation
from deploy.tokens.token import expiry_for
from handlers.views import plan as plan_view
from tests.cluster.adoption_bed import DATA, PATHS, AdoptionBed, adoption_bed
from tests.cluster.conftest import Target
from tests.cluster.rollout_bed import Bed, rollout_bed
from tests.support.earlier_labels import labelled_as_earlier
from tests.support.gateway_bed import INSTANCE, Mint, RecordingRun, action_for
from tests.support.kube_api import MERGE, Obj
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers")
_EARLIER, _OWN = "app.kubernetes.io/instance", "gateway-bot.io/part-of"
_MARKS = {
    "helm": {"meta.helm.sh/release-name": "apim", "meta.helm.sh/release-namespace": "dev"},
    "argocd-controller": {"team": "edge"},
}


@pytest.fixture
def bed(target: Target, ns: str, tmp_path: Path) -> Iterator[Bed]:
    """With a gateway that an earlier version deployed."""
    with rollout_bed(target, ns, tmp_path) as ready:
        spec = ready.spec()
        expires_at = expiry_for(Mint().time(INSTANCE, "edge-1"))
        token = Mint().generate_token(INSTANCE, "edge-1", "primary", expires_at)
        secret = token_secret(spec, "edge-1-token-aaa222", token, "AAA222")
        ready.cluster.create(labelled_as_earlier(secret, spec))
        made = with_action(render(spec, "edge-1-token-aaa222"), "AAA222", "U1")
        for item in made:
            ready.cluster.apply(labelled_as_earlier(item, spec))
        until(lambda: _available(ready) == 1, "a ready pod")
        yield ready


def _available(bed: Bed) -> int:
    return int(bed.target.api.get(bed.path).get("status", {}).get("availableReplicas", 0))


def _core(bed: Bed, kind: str) -> list[Obj]:
    items: list[Obj] = bed.target.api.items(f"/api/v1/namespaces/{bed.ns}/{kind}")
    return items


def _tokens(bed: Bed) -> set[str]:
    names = (item["metadata"]["name"] for item in _core(bed, "secrets"))
    return {name for name in names if name.startswith("edge-1-token-")}


def test_a_gateway_of_an_earlier_version_is_deployed_again_without_a_new_pod(bed: Bed) -> None:
    spec = installed(bed.cluster, bed.spec().ref).spec
    template = bed.target.api.get(bed.path)["spec"]["template"]
    pods = {item["metadata"]["uid"] for item in _core(bed, "pods")}
    plan = bed.planner.plan(spec, "ABC235")
    assert plan.conflicts == ()
    assert _relabelling(plan) == {_EARLIER, _OWN}
    assert not plan.restarts_pods
    (line,) = plan_view.lines(plan)
    assert line == f"~ 5 objects: label {_OWN} replaces {_EARLIER}"
    assert bed.deploy(spec, "ABC235").state is State.SUCCEEDED
    live = bed.target.api.get(bed.path)
    assert live["spec"]["template"] == template
    assert {item["metadata"]["uid"] for item in _core(bed, "pods")} == pods
    for item in (live, *_core(bed, "services"), *_core(bed, "configmaps")):
        if item["metadata"]["name"] != "kube-root-ca.crt":
            labels = item["metadata"]["labels"]
            assert (labels.get(_EARLIER), labels[_OWN]) == (None, "edge-1")
    again = bed.planner.plan(spec, "ABC236")
    assert again.empty, again.changes
    assert live["spec"]["selector"] == {"matchLabels": {"app": "edge-1"}}


def test_its_tokens_are_rotated_and_collected(bed: Bed) -> None:
    for action_id in ("ABC235", "ABC236"):
        outcome = bed.change("rotate", RotateRequest(bed.spec().ref, Rotation()), action_id)
        assert outcome.state is State.SUCCEEDED, outcome
    live = bed.target.api.get(bed.path)
    used = token_secret_of(live["spec"]["template"]["spec"])
    assert used is not None
    assert used[0] == "edge-1-token-abc236"
    assert _tokens(bed) == {"edge-1-token-abc235", "edge-1-token-abc236"}
    assert live["metadata"]["labels"][_EARLIER] == "edge-1", "a rotation changes nothing else"


def test_it_is_deleted_whole(bed: Bed) -> None:
    outcome = bed.change("rotate", RotateRequest(bed.spec().ref, Rotation()), "ABC235")
    assert outcome.state is State.SUCCEEDED, outcome
    request = RemovalRequest(bed.spec().ref, volumes=False)
    outcome = bed.change("delete", request, "ABC236")
    assert outcome.state is State.SUCCEEDED, outcome
    assert _tokens(bed) == set()
    left = {item["metadata"]["name"] for item in _core(bed, "configmaps")}
    assert left <= {"kube-root-ca.crt"}
    assert _core(bed, "services") == []
    assert bed.target.api.items(bed.path.rpartition("/")[0]) == []


@pytest.fixture
def others(target: Target, ns: str) -> Iterator[AdoptionBed]:
    with adoption_bed(target, ns) as found:
        yield found


def _installed_by(others: AdoptionBed, manager: str) -> str:
    """The Deployment's name, its pods ready."""
    name = ""
    for body in yaml.safe_load_all((DATA / "adoption/helm-1.15.yaml").read_text()):
        labels = {"helm.sh/chart": "gateway-1.15.1", **body["metadata"].get("labels", {})}
        labels = {_EARLIER: "apim", **labels}
        annotations = dict(_MARKS[manager])
        body["metadata"] |= {"namespace": others.ns, "labels": labels, "annotations": annotations}
        if body["kind"] == "Deployment":
            template = body["spec"]["template"]
            template["spec"] |= others.target.placed
            template["metadata"]["labels"] |= {"app.kubernetes.io/managed-by": "Helm"}
            name = body["metadata"]["name"]
        path = PATHS[body["kind"]].format(others.ns)
        others.target.api.create(f"{path}?fieldManager={manager}", body)
    others.wait(name)
    return name


def _claimed(item: Obj, *path: str) -> set[str]:
    """The labels at that path that this bot's field managers own."""
    found: set[str] = set()
    for entry in item["metadata"]["managedFields"]:
        if entry["manager"].startswith("gateway-bot"):
            fields: Any = entry["fieldsV1"]
            for step in (*path, "f:metadata", "f:labels"):
                fields = fields.get(step) or {}
            found |= {field.removeprefix("f:") for field in fields} - {"."}
    return found


def _labels(item: Obj) -> dict[str, str]:
    return dict(item["metadata"].get("labels") or {})


@pytest.mark.parametrize("manager", _MARKS)
def test_adopting_leaves_the_labels_by_which_helm_and_argo_cd_know_their_objects(
    others: AdoptionBed, manager: str
) -> None:
    name = _installed_by(others, manager)
    before = others.everything()
    spec = others.adoption(name).spec
    _, outcome = others.adopt(spec)
    assert outcome.state is State.SUCCEEDED, outcome
    for key, item in others.everything().items():
        labels = _labels(item)
        if key in before:
            was = before[key]["metadata"]
            assert {k: v for k, v in labels.items() if k != _OWN} == was["labels"], key
            assert _MARKS[manager].items() <= item["metadata"]["annotations"].items(), key
            assert _claimed(item) <= {_OWN}, key
        else:
            assert labels[_OWN] == name, key
            assert _EARLIER not in labels, key
    live, was = others.live(name), before["Deployment", name]
    assert live["spec"]["selector"] == was["spec"]["selector"]
    template = was["spec"]["template"]["metadata"]["labels"]
    assert live["spec"]["template"]["metadata"]["labels"] == template
    selector = was["spec"]["selector"]["matchLabels"]
    assert _claimed(live, "f:spec", "f:template") == set(selector)
    seen = installed(others.cluster, others.ref(name)).spec
    for wanted in (spec, seen):
        assert others.planner.plan(wanted, "ABC235").empty
    later = others.planner.plan(dataclasses.replace(spec, log_level="error"), "ABC236")
    # What is not listed counts as production. Argo CD applies again, and nobody upgrades the release.
    assert later.denied == (manager == "argocd-controller"), later.findings


@pytest.fixture
def adopted_earlier(others: AdoptionBed) -> AdoptionBed:
    """With the release adopted by a version that labelled every object as its own."""
    name = _installed_by(others, "helm")
    spec = others.adoption(name).spec
    plan, outcome = others.adopt(spec)
    assert outcome.state is State.SUCCEEDED, outcome
    wanted = wanted_objects(spec, plan.token.secret, others.live(name))
    for item in with_action(wanted, "ABC235", "U1"):
        others.cluster.apply(labelled_as_earlier(item, spec), force=True)
    assert plan.token.secret is not None
    path = f"{PATHS['Secret'].format(others.ns)}/{plan.token.secret}"
    secret = others.target.api.get(path)
    labels = {_OWN: None, **_labels(labelled_as_earlier(secret, spec))}
    answer = others.target.api.request("PATCH", path, {"metadata": {"labels": labels}}, MERGE)
    assert answer.status == 200, answer.body
    others.wait(name)
    return others


def test_a_release_adopted_by_an_earlier_version_is_relabelled_and_its_pods_run_on(
    adopted_earlier: AdoptionBed,
) -> None:
    others, name = adopted_earlier, "apim-azure-api-management-gateway"
    before = others.everything()
    spec = installed(others.cluster, others.ref(name)).spec
    plan, outcome = others.deploy(spec, "ABC236")
    assert plan.conflicts == ()
    assert _relabelling(plan) == {
        *("app.kubernetes.io/part-of", "app.kubernetes.io/managed-by", _OWN),
    }
    assert not plan.restarts_pods
    assert outcome.state is State.SUCCEEDED, outcome
    live = others.live(name)
    assert live["spec"]["template"] == before["Deployment", name]["spec"]["template"]
    assert live["spec"]["selector"] == before["Deployment", name]["spec"]["selector"]
    # By its selector's labels the chart finds what is its own, and so does whatever scrapes it.
    for kind in ("Deployment", "ConfigMap", "Service"):
        labels = _labels(others.everything()[kind, name])
        assert (labels[_OWN], labels[_EARLIER]) == (name, "apim")
    assert others.planner.plan(spec, "ABC237").empty


def test_a_release_adopted_by_an_earlier_version_is_deleted_whole(
    adopted_earlier: AdoptionBed,
) -> None:
    others, name = adopted_earlier, "apim-azure-api-management-gateway"
    found = installed(others.cluster, others.ref(name))
    plan = removal_plan(others.cluster, found, volumes=False)
    request = RemovalRequest(others.ref(name), volumes=False)
    action = action_for(plan, "ABC236", kind="delete", request=request)
    outcome = Remover({"west": others.cluster}).execute(action, RecordingRun())
    assert outcome.state is State.SUCCEEDED, outcome
    # The previous token and the account were never the bot's.
    assert set(others.everything()) == {("Secret", name), ("ServiceAccount", name)}


def _relabelling(plan: Plan) -> set[str]:
    """The labels that a plan changes which changes nothing else."""
    paths = {field.path for change in plan.changes for field in change.fields}
    assert all(path.startswith('metadata.labels["') for path in paths), paths
    return {path.removeprefix('metadata.labels["').removesuffix('"]') for path in paths}
