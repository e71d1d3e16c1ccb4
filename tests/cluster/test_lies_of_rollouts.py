"""The lies test of rollouts: “done” is said of what the cluster holds, and a failure has its cause.

Each sentence is broken on the sandbox's cluster and on a real control plane; undisturbed, it says done.
`make test-cluster` runs it. What each case ended as is printed at the end.
"""

import dataclasses
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.sandbox.valkey import Valkey
from deploy.actions.action import Outcome, State
from deploy.actions.connection import connect as redis_at
from deploy.actions.second_looks import SecondLooks
from deploy.actions.store import ActionStore
from deploy.deadline import Deadline
from deploy.errors import NotGranted
from deploy.health.cache import ClusterCache
from deploy.kube.cluster import connect
from deploy.observed.history import revisions
from deploy.plans.requests import RotateRequest
from deploy.rollouts.second_look import second_look
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Autoscaling, Rollout
from deploy.tokens.rotation import Rotation
from tests.cluster.conftest import Target
from tests.cluster.rollout_bed import (
    ADMISSION,
    HASTY,
    OTHER,
    RBAC,
    WANTED,
    Bed,
    image_of,
    namespace_deleted,
    rollout_bed,
)
from tests.conftest import EVIDENCE
from tests.support import actions
from tests.support.actions import CODEC
from tests.support.gateway_bed import PATIENT, RecordingRun
from tests.support.kube_api import Obj
from tests.support.redis_servers import started
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers", "asked_for")


@pytest.fixture
def asked_for(request: pytest.FixtureRequest) -> None:
    """All of it takes minutes, so that `make test` leaves it out."""
    if request.config.getoption("--control-plane") != "required":
        pytest.skip("`make test-cluster` runs this")


@pytest.fixture
def bed(target: Target, ns: str, tmp_path: Path) -> Iterator[Bed]:
    with rollout_bed(target, ns, tmp_path) as made:
        yield made


SLOW_SECONDS = 8.0
"""How long a pod takes to start, so that there is time to disturb its rollout."""
REPLACED_SECONDS = 60.0
"""The same for a pod that the disturbance replaces: nobody waits for it, so there is more time."""
UNHURRIED = Rollout()
"""For rollouts that are not to end by their deadline, however busy the machine is."""


def agent(bed: Bed) -> None:
    """Something that reapplies its own image every moment, until the test is over."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.3):
            bed.image(OTHER)

    thread = threading.Thread(target=work)
    thread.start()
    bed.stack.callback(thread.join, 20)
    bed.stack.callback(over.set)
    until(lambda: image_of(bed) == OTHER, "its first apply")


def scaled_with_kubectl(bed: Bed) -> None:
    bed.kubectl("scale", "deployment/edge-1", "--replicas=0")


def undone(bed: Bed) -> None:
    sets = f"/apis/apps/v1/namespaces/{bed.ns}/replicasets"
    # kubectl knows of no version before while the new one has no ReplicaSet.
    until(lambda: len(bed.target.api.get(sets)["items"]) > 1, "the new ReplicaSet")
    bed.kubectl("rollout", "undo", "deployment/edge-1")


def restarted(bed: Bed) -> None:
    bed.kubectl("rollout", "restart", "deployment/edge-1")


def deleted(bed: Bed) -> None:
    bed.target.api.delete(bed.path)


def paused(bed: Bed) -> None:
    bed.patch({"spec": {"paused": True}})


@dataclass(frozen=True)
class Case:
    """What somebody does in the middle of a rollout, how that ends, and words of its message."""

    name: str
    disturb: Callable[[Bed], object]
    state: State
    said: str
    changes: Mapping[str, Any] = field(default_factory=dict)


AUTOSCALED = {"replicas": GatewaySpec.replicas, "autoscaling": Autoscaling(least=1, most=2)}
NOW = f"image wanted {WANTED}, now {OTHER}"
CASES = (
    Case("nobody does anything", lambda bed: None, State.SUCCEEDED, "1 of 1 pods ready"),
    Case("restarted by hand", restarted, State.SUCCEEDED, "1 of 1 pods ready"),
    Case("another image", lambda bed: bed.image(OTHER), State.FAILED, (
        f"agent changed it during the rollout: {NOW}"
    )),
    Case("an agent that reapplies", agent, State.FAILED, (
        f"agent changed it during the rollout: {NOW}"
    )),
    Case("undone", undone, State.FAILED, NOW),
    Case("scaled to 0", scaled_with_kubectl, State.FAILED, "replicas wanted 1, now 0"),
    Case("autoscaled, scaled to 0", scaled_with_kubectl, State.FAILED, "replicas wanted 1, now 0", AUTOSCALED),
    Case("deleted", deleted, State.FAILED, "The Deployment “edge-1” is gone"),
    # It is being deleted, or is gone already.
    Case("its namespace deleted", namespace_deleted, State.FAILED, "amespace “"),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_done_is_said_of_what_the_cluster_holds_alone(
    case: Case, bed: Bed, record_property: Callable[[str, object], None]
) -> None:
    changes = {"rollout": UNHURRIED, **case.changes}
    assert bed.deploy(bed.spec(tag="2.10.0", **changes), "ABC233").state is State.SUCCEEDED
    run = RecordingRun()
    outcomes: list[Outcome] = []
    slow = SLOW_SECONDS if case.state is State.SUCCEEDED else REPLACED_SECONDS
    bed.target.fault("slow_start_seconds", slow)
    bed.stack.callback(bed.target.fault, "slow_start_seconds", 0.0)
    wanted = bed.spec(**changes)
    thread = threading.Thread(target=lambda: outcomes.append(bed.deploy(wanted, run=run)))
    thread.start()
    until(lambda: any(not state["complete"] for state in run.states), "the rollout")
    case.disturb(bed)
    bed.target.fault("slow_start_seconds", 0.0)
    thread.join(120)
    assert (outcomes[0].state, case.said in outcomes[0].happened) == (case.state, True), outcomes[0]
    if case.state is State.SUCCEEDED:
        assert bed.look() == ""
    row = f"{bed.target.name:8} {case.name:32} {outcomes[0].state:16} {outcomes[0].happened[:120]}"
    record_property(EVIDENCE, row)


def test_a_paused_deployment_is_not_done_and_its_pods_are_not_the_new_ones(bed: Bed) -> None:
    assert bed.deploy(bed.spec(tag="2.10.0", replicas=2), "ABC233").state is State.SUCCEEDED
    bed.target.fault("slow_start_seconds", SLOW_SECONDS)
    bed.stack.callback(bed.target.fault, "slow_start_seconds", 0.0)
    run = RecordingRun()
    outcomes: list[Outcome] = []
    wanted = bed.spec(replicas=2)
    thread = threading.Thread(target=lambda: outcomes.append(bed.deploy(wanted, run=run)))
    thread.start()
    pods = f"/api/v1/namespaces/{bed.ns}/pods"
    # Before it the plan would find that, and no pod of the new version would ever come.
    until(lambda: len(bed.target.api.items(pods)) == 3, "the first pod of the new version")
    paused(bed)
    thread.join(120)
    (outcome,) = outcomes
    assert outcome.state is State.FAILED
    assert outcome.meaning.count("The Deployment is paused") == 1
    assert "2 pods of the previous version and 1 of the new one serve traffic" in outcome.meaning


class Pausing(RecordingRun):
    """The run of a rollout whose Deployment somebody pauses in the moment in which it is complete."""

    def __init__(self, bed: Bed) -> None:
        super().__init__()
        self._bed = bed

    def progress(self, state: Mapping[str, Any]) -> None:
        super().progress(state)
        if state["complete"] and not self._bed.target.api.get(self._bed.path)["spec"].get("paused"):
            self._bed.kubectl("rollout", "pause", "deployment/edge-1")


def deployed(bed: Bed, run: RecordingRun | None) -> Outcome:
    return bed.deploy(bed.spec(rollout=UNHURRIED), "ABC234", run)


def rotated(bed: Bed, run: RecordingRun | None) -> Outcome:
    return bed.change("rotate", RotateRequest(bed.spec().ref, Rotation()), "ABC234", run)


@pytest.mark.parametrize("change", [deployed, rotated])
def test_of_a_success_whose_deployment_is_paused_it_is_said_by_whom_and_what_to_do(
    bed: Bed, change: Callable[[Bed, RecordingRun | None], Outcome]
) -> None:
    assert bed.deploy(bed.spec(tag="2.10.0", rollout=UNHURRIED), "ABC233").remedy == ""
    outcome = change(bed, Pausing(bed))
    assert outcome.state is State.SUCCEEDED, outcome
    assert outcome.happened.endswith("but kubectl-rollout has paused the Deployment"), outcome
    assert outcome.happened.startswith("1 of 1 pods")
    # A pause takes nothing back.
    assert bed.look() == ""
    resume = f"kubectl rollout resume deployment/edge-1 -n {bed.ns}"
    assert f"`{resume}`" in outcome.remedy
    bed.kubectl(*resume.split()[1:-2])
    undisturbed = bed.deploy(bed.spec(tag="2.10.0", rollout=UNHURRIED), "ABC235")
    assert (undisturbed.state, undisturbed.remedy) == (State.SUCCEEDED, ""), undisturbed


@pytest.mark.parametrize(
    ("undo", "said"),
    [
        (lambda bed: None, ""),
        (undone, NOW),
        (lambda bed: bed.image(OTHER), f"agent has changed it since: {NOW}"),
        (scaled_with_kubectl, "replicas wanted 1, now 0"),
        (deleted, "The Deployment “edge-1” is gone"),
    ],
    ids=["nobody does anything", "undone", "another image", "scaled to 0", "deleted"],
)
def test_what_is_undone_after_a_success_is_found_by_the_second_look(
    bed: Bed, undo: Callable[[Bed], object], said: str
) -> None:
    assert bed.deploy(bed.spec(tag="2.10.0", rollout=UNHURRIED), "ABC233").state is State.SUCCEEDED
    assert bed.deploy(bed.spec(rollout=UNHURRIED)).state is State.SUCCEEDED
    undo(bed)
    found = bed.look()
    assert (said in found) if said else not found, found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


def test_a_later_change_by_the_bot_itself_is_no_revert(bed: Bed, server: Valkey) -> None:
    client = redis_at(server.url)
    store = ActionStore(client, CODEC)
    second = SecondLooks(client, CODEC, store, second_look({"west": bed.cluster}), after=0.0)
    for name, tag in (("AAAAAA", "2.10.0"), ("BBBBBB", "2.11.1")):
        plan = bed.planner.plan(bed.spec(tag=tag, rollout=UNHURRIED), name)
        action = actions.ask(store, name, ref=plan.spec.ref, plan=plan)
        actions.confirm(store, name, digest=plan.digest)
        outcome = bed.deploy(bed.spec(tag=tag, rollout=UNHURRIED), name)
        assert outcome.state is State.SUCCEEDED
        second.expect(action, outcome)
        actions.carried_out(client, store, name, outcome)
    assert second.step() == 0
    assert not client.exists("gateway-bot:{looks}")


def as_account(bed: Bed, reference: Obj, collection: str) -> None:
    """From now on the bed's client is a service account to which that role is bound."""
    api = bed.target.api
    accounts = f"/api/v1/namespaces/{bed.ns}/serviceaccounts"
    api.create(accounts, {"metadata": {"name": "bot"}})
    bed.make(f"{RBAC}/{collection}", binding(bed, reference))
    asked = api.request("POST", f"{accounts}/bot/token", {"spec": {"expirationSeconds": 3600}})
    config = yaml.safe_load(bed.target.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": asked.body["status"]["token"]}
    path = bed.home / "kubeconfig-bot"
    path.write_text(yaml.safe_dump(config))
    bed.cluster = connect("west", kubeconfig=path, context=bed.target.context, timeouts=PATIENT)
    bed.stack.callback(bed.cluster.close)
    until(lambda: _may(bed), "its rights")


def binding(bed: Bed, reference: Obj) -> Obj:
    group = "rbac.authorization.k8s.io"
    return {
        "metadata": {"name": f"bot-{bed.ns}"},
        "roleRef": {"apiGroup": group, **reference},
        "subjects": [{"kind": "ServiceAccount", "name": "bot", "namespace": bed.ns}],
    }


EVERYTHING = {"kind": "ClusterRole", "name": "cluster-admin"}


def test_with_rights_in_one_namespace_only_what_cannot_be_seen_is_said(bed: Bed) -> None:
    assert bed.deploy(bed.spec(rollout=UNHURRIED)).state is State.SUCCEEDED
    as_account(bed, EVERYTHING, f"namespaces/{bed.ns}/rolebindings")
    cache = ClusterCache(bed.cluster)
    bed.stack.callback(cache.stop, Deadline.after(60))
    with pytest.raises(
        NotGranted, match=r"is not allowed to list deployments\.apps on cluster “west”"
    ):
        cache.read()


def test_a_right_that_is_gone_for_a_moment_ends_nothing(bed: Bed) -> None:
    api, bindings = bed.target.api, f"{RBAC}/clusterrolebindings"
    as_account(bed, EVERYTHING, "clusterrolebindings")
    bed.target.fault("slow_start_seconds", SLOW_SECONDS)
    bed.stack.callback(bed.target.fault, "slow_start_seconds", 0.0)
    run = RecordingRun()
    outcomes: list[Outcome] = []
    wanted = bed.spec(rollout=UNHURRIED)
    thread = threading.Thread(target=lambda: outcomes.append(bed.deploy(wanted, run=run)))
    thread.start()
    until(lambda: run.states, "the rollout")
    api.delete(f"{bindings}/bot-{bed.ns}")
    until(lambda: not _may(bed), "the loss")
    bed.target.fault("slow_start_seconds", 0.0)
    until(lambda: _ready(bed) == 1, "its pod", 60)
    api.create(bindings, binding(bed, EVERYTHING))
    thread.join(120)
    assert outcomes[0].state is State.SUCCEEDED, outcomes[0]


def _may(bed: Bed) -> bool:
    return bed.cluster.can_i("patch", "apps", "deployments", bed.ns)


def _ready(bed: Bed) -> int:
    return int((bed.target.api.get(bed.path).get("status") or {}).get("readyReplicas", 0))


def mirrored(bed: Bed) -> None:
    """A webhook, or what the API server has for one, sends the namespace's images to a mirror."""
    if bed.target.sandbox is not None:
        running = bed.target.sandbox
        faults = running.cluster.faults
        running.call(lambda: faults.set("image_mirror", True))
        bed.stack.callback(running.call, lambda: faults.set("image_mirror", False))
        return
    name = f"mirror-{bed.ns}"
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["deployments"],
    }
    image = (
        '[JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/image", value: '
        'object.spec.template.spec.containers[0].image.replace("mcr.microsoft.com", "mirror.example")}]'
    )
    spec = {
        "matchConstraints": {
            "resourceRules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": bed.ns}},
        },
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": image}}],
    }
    bed.make(f"{ADMISSION}/mutatingadmissionpolicies", {"metadata": {"name": name}, "spec": spec})
    bed.make(
        f"{ADMISSION}/mutatingadmissionpolicybindings",
        {"metadata": {"name": name}, "spec": {"policyName": name}},
    )

    def strikes() -> bool:
        plan = bed.planner.plan(bed.spec(), "ABC200")
        (made,) = [o for o in plan.objects if o["kind"] == "Deployment"]
        tried = bed.cluster.apply(made, dry_run=True)
        return "mirror.example" in str(tried["spec"])

    until(strikes, "the policy")


def test_revisions_whose_image_a_webhook_rewrote_stay_the_bot_s_own(bed: Bed) -> None:
    mirrored(bed)
    assert bed.deploy(bed.spec(tag="2.10.0"), "ABC233").state is State.SUCCEEDED
    assert bed.deploy(bed.spec()).state is State.SUCCEEDED
    assert image_of(bed).startswith("mirror.example/")

    def known() -> list[str]:
        sets = bed.cluster.list("ReplicaSet", bed.ns)
        return [r.action for r in revisions(bed.target.api.get(bed.path), sets)]

    until(lambda: known() == ["ABC234", "ABC233"], "both revisions")
    assert bed.look() == ""
    assert bed.planner.plan(bed.spec(), "ABC235").empty
    back = dataclasses.replace(HASTY, automatic_rollback=True)
    outcome = bed.deploy(bed.spec(tag="9.9.9", rollout=back), "ABC236")
    assert "so 2.11.1 is back: 1 of 1 pods ready." in outcome.happened
    bed.image(OTHER)
    until(lambda: known()[0] == "", "somebody else's revision")
