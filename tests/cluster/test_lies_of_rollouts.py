"""The lies test of rollouts: “done” is said of what the cluster holds, and a failure has its cause.

Each sentence is broken on the sandbox's cluster and on a real control plane; undisturbed, it says done.
`make test-cluster` runs it. What each case ended as is printed at the end.
"""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.sandbox.valkey import Valkey
from deploy.actions.action import Action, Outcome, State
from deploy.actions.connection import connect as redis_at
from deploy.actions.second_looks import SecondLooks
from deploy.actions.store import ActionStore
from deploy.deadline import Deadline
from deploy.errors import NotGranted, Refused
from deploy.health.cache import ClusterCache
from deploy.health.status import gateway_detail, summaries
from deploy.kube.cluster import Cluster, connect
from deploy.observed.causes import Cause, meaning_of, remedy_of
from deploy.observed.history import revisions
from deploy.plans.planning import Planner
from deploy.rollouts.applying import Applier
from deploy.rollouts.deployer import Deployer
from deploy.rollouts.minting import Minter
from deploy.rollouts.second_look import second_look
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Auth, Autoscaling, Backup, KeyRef, Network, Placement, Rollout
from tests.cluster.conftest import Target
from tests.cluster.contract.test_stuck import spec_for
from tests.conftest import EVIDENCE
from tests.support import actions
from tests.support.actions import CODEC, replanning
from tests.support.custody import LocalCustody
from tests.support.gateway_bed import INSTANCE, TIMEOUTS, Mint, RecordingRun, action_for
from tests.support.kube_api import JSON_PATCH, MERGE, Obj
from tests.support.kubectl import Kubectl
from tests.support.redis_servers import started
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers", "asked_for")

REPOSITORY = "mcr.microsoft.com/azure-api-management/gateway"
MIRROR = "mirror.example/azure-api-management/gateway"
OTHER, WANTED = f"{REPOSITORY}:2.10.0", f"{REPOSITORY}:2.11.1"
HASTY = Rollout(progress_deadline=30)
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"


@pytest.fixture
def asked_for(request: pytest.FixtureRequest) -> None:
    """All of it takes minutes, so that `make test` leaves it out."""
    if request.config.getoption("--control-plane") != "required":
        pytest.skip("`make test-cluster` runs this")


@dataclass
class Bed:
    """A namespace on a cluster, and what carries changes out there."""

    target: Target
    ns: str
    cluster: Cluster
    home: Path
    stack: contextlib.ExitStack
    done: list[Action] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.ns}/deployments/edge-1"

    @property
    def planner(self) -> Planner:
        return Planner(
            lambda name: self.cluster,
            lambda: ("2.11.1",),
            instances={"contoso": INSTANCE},
            repositories=(REPOSITORY, MIRROR),
        )

    def spec(self, **changes: Any) -> GatewaySpec:
        return spec_for(self.target, self.ns, **{"cpu": "100m", "rollout": HASTY, **changes})

    def deploy(
        self, spec: GatewaySpec, action_id: str = "ABC234", run: RecordingRun | None = None
    ) -> Outcome:
        clusters = {"west": self.cluster}
        applier = Applier(clusters, Minter(Mint(), {"contoso": INSTANCE}, LocalCustody()))
        # The shortest deadline a spec may have is 30 s; eight are enough to see that nothing moves.
        deployer = Deployer(applier, replanning(self.planner, clusters), margin=-22.0)
        plan = self.planner.plan(spec, action_id)
        assert not plan.denied, plan.findings
        action = action_for(plan, action_id)
        self.done.append(action)
        return deployer.execute(action, run or RecordingRun())

    def look(self) -> str:
        """What a second look says of the last deployment."""
        return second_look({"west": self.cluster})(self.done[-1])

    def kubectl(self, *arguments: str) -> str:
        run = Kubectl(self.target.kubeconfig, self.home)
        return run("--context", self.target.context, "-n", self.ns, *arguments)

    def patch(self, body: Any, manager: str = "agent", form: str = MERGE) -> None:
        answer = self.target.api.request("PATCH", f"{self.path}?fieldManager={manager}", body, form)
        assert answer.status == 200, answer.body

    def image(self, image: str) -> None:
        at = "/spec/template/spec/containers/0/image"
        self.patch([{"op": "replace", "path": at, "value": image}], form=JSON_PATCH)

    def make(self, collection: str, body: Obj) -> None:
        """Create an object of the whole cluster until the test is over."""
        self.target.api.create(collection, body)
        path = f"{collection}/{body['metadata']['name']}"
        self.stack.callback(self.target.api.request, "DELETE", path)


@pytest.fixture
def bed(target: Target, ns: str, tmp_path: Path) -> Iterator[Bed]:
    cluster = connect(
        "west", kubeconfig=target.kubeconfig, context=target.context, timeouts=TIMEOUTS
    )
    with contextlib.ExitStack() as stack:
        stack.callback(cluster.close)
        yield Bed(target, ns, cluster, tmp_path, stack)


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
    until(lambda: _image(bed) == OTHER, "its first apply")


def _image(bed: Bed) -> str:
    return str(bed.target.api.get(bed.path)["spec"]["template"]["spec"]["containers"][0]["image"])


def scaled_with_kubectl(bed: Bed) -> None:
    bed.kubectl("scale", "deployment/edge-1", "--replicas=0")


def undone(bed: Bed) -> None:
    bed.kubectl("rollout", "undo", "deployment/edge-1")


def restarted(bed: Bed) -> None:
    bed.kubectl("rollout", "restart", "deployment/edge-1")


def deleted(bed: Bed) -> None:
    bed.target.api.delete(bed.path)


def namespace_deleted(bed: Bed) -> None:
    bed.target.api.delete(f"/api/v1/namespaces/{bed.ns}")


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
    Case("another image", lambda bed: bed.image(OTHER), State.FAILED, f"agent changed it meanwhile: {NOW}"),
    Case("an agent that reapplies", agent, State.FAILED, f"agent changed it meanwhile: {NOW}"),
    Case("undone", undone, State.FAILED, NOW),
    Case("scaled to 0", scaled_with_kubectl, State.FAILED, "replicas wanted 1, now 0"),
    Case("autoscaled, scaled to 0", scaled_with_kubectl, State.FAILED, "replicas wanted 1, now 0", AUTOSCALED),
    Case("deleted", deleted, State.FAILED, "The Deployment “edge-1” is gone"),
    Case("its namespace deleted", namespace_deleted, State.FAILED, "is being deleted."),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_done_is_said_of_what_the_cluster_holds_alone(
    case: Case, bed: Bed, record_property: Callable[[str, object], None]
) -> None:
    assert bed.deploy(bed.spec(tag="2.10.0", **case.changes), "ABC233").state is State.SUCCEEDED
    run = RecordingRun()
    outcomes: list[Outcome] = []
    bed.target.fault("slow_start_seconds", 4.0)
    bed.stack.callback(bed.target.fault, "slow_start_seconds", 0.0)
    wanted = bed.spec(**case.changes)
    thread = threading.Thread(target=lambda: outcomes.append(bed.deploy(wanted, run=run)))
    thread.start()
    until(lambda: any(not state["complete"] for state in run.states), "the rollout", 40)
    case.disturb(bed)
    bed.target.fault("slow_start_seconds", 0.0)
    thread.join(120)
    assert (outcomes[0].state, case.said in outcomes[0].happened) == (case.state, True), outcomes[0]
    if case.state is State.SUCCEEDED:
        assert bed.look() == ""
    row = f"{bed.target.name:8} {case.name:32} {outcomes[0].state:16} {outcomes[0].happened[:120]}"
    record_property(EVIDENCE, row)


def test_a_paused_deployment_is_not_done_and_its_pods_are_not_the_new_ones(bed: Bed) -> None:
    assert bed.deploy(bed.spec(tag="2.10.0"), "ABC233").state is State.SUCCEEDED
    paused(bed)
    outcome = bed.deploy(bed.spec())
    assert outcome.state is State.FAILED
    assert "0 of 1 pods ready" in outcome.happened
    assert "The Deployment is paused" in outcome.meaning
    assert "1 pod of the previous version still serve" in outcome.meaning


@pytest.mark.parametrize(
    ("undo", "said"),
    [
        (lambda bed: None, ""),
        (undone, NOW),
        (lambda bed: bed.image(OTHER), f"agent changed it since: {NOW}"),
        (scaled_with_kubectl, "replicas wanted 1, now 0"),
        (deleted, "The Deployment “edge-1” is gone"),
    ],
    ids=["nobody does anything", "undone", "another image", "scaled to 0", "deleted"],
)
def test_what_is_undone_after_a_success_is_found_by_the_second_look(
    bed: Bed, undo: Callable[[Bed], object], said: str
) -> None:
    assert bed.deploy(bed.spec(tag="2.10.0"), "ABC233").state is State.SUCCEEDED
    assert bed.deploy(bed.spec()).state is State.SUCCEEDED
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
        plan = bed.planner.plan(bed.spec(tag=tag), name)
        action = actions.ask(store, name, ref=plan.spec.ref, plan=plan)
        actions.confirm(store, name, digest=plan.digest)
        outcome = bed.deploy(bed.spec(tag=tag), name)
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
    bed.make(f"{_RBAC}/{collection}", binding(bed, reference))
    asked = api.request("POST", f"{accounts}/bot/token", {"spec": {"expirationSeconds": 3600}})
    config = yaml.safe_load(bed.target.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": asked.body["status"]["token"]}
    path = bed.home / "kubeconfig-bot"
    path.write_text(yaml.safe_dump(config))
    bed.cluster = connect("west", kubeconfig=path, context=bed.target.context, timeouts=TIMEOUTS)
    bed.stack.callback(bed.cluster.close)
    until(lambda: _may(bed), "its rights", 30)


def binding(bed: Bed, reference: Obj) -> Obj:
    group = "rbac.authorization.k8s.io"
    return {
        "metadata": {"name": f"bot-{bed.ns}"},
        "roleRef": {"apiGroup": group, **reference},
        "subjects": [{"kind": "ServiceAccount", "name": "bot", "namespace": bed.ns}],
    }


EVERYTHING = {"kind": "ClusterRole", "name": "cluster-admin"}


def test_with_rights_in_one_namespace_only_what_cannot_be_seen_is_said(bed: Bed) -> None:
    assert bed.deploy(bed.spec()).state is State.SUCCEEDED
    as_account(bed, EVERYTHING, f"namespaces/{bed.ns}/rolebindings")
    cache = ClusterCache(bed.cluster)
    bed.stack.callback(cache.stop, Deadline.after(60))
    with pytest.raises(NotGranted, match=r"may not list deployments\.apps on cluster “west”"):
        cache.read()


def test_a_right_that_is_gone_for_a_moment_ends_nothing(bed: Bed) -> None:
    api, bindings = bed.target.api, f"{_RBAC}/clusterrolebindings"
    as_account(bed, EVERYTHING, "clusterrolebindings")
    bed.target.fault("slow_start_seconds", 4.0)
    bed.stack.callback(bed.target.fault, "slow_start_seconds", 0.0)
    run = RecordingRun()
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(bed.deploy(bed.spec(), run=run)))
    thread.start()
    until(lambda: run.states, "the rollout", 40)
    api.delete(f"{bindings}/bot-{bed.ns}")
    until(lambda: not _may(bed), "the loss", 30)
    bed.target.fault("slow_start_seconds", 0.0)
    until(lambda: _ready(bed) == 1, "its pod", 60)
    api.create(bindings, binding(bed, EVERYTHING))
    thread.join(120)
    assert outcomes[0].state is State.SUCCEEDED, outcomes[0]


def _may(bed: Bed) -> bool:
    return bed.cluster.can_i("patch", "apps", "deployments", bed.ns)


def _ready(bed: Bed) -> int:
    return int((bed.target.api.get(bed.path).get("status") or {}).get("readyReplicas", 0))


def quota(**hard: str) -> Callable[[Bed], None]:
    def strike(bed: Bed) -> None:
        quotas = f"/api/v1/namespaces/{bed.ns}/resourcequotas"
        bed.target.api.create(quotas, {"metadata": {"name": "q"}, "spec": {"hard": hard}})
        get = bed.target.api.get
        until(lambda: get(f"{quotas}/q").get("status", {}).get("hard"), "the quota")

    return strike


def limit_range(bed: Bed) -> None:
    limits = [{"type": "Container", "max": {"memory": "64Mi"}}]
    body = {"metadata": {"name": "l"}, "spec": {"limits": limits}}
    bed.target.api.create(f"/api/v1/namespaces/{bed.ns}/limitranges", body)


def pod_security(bed: Bed) -> None:
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    path = f"/api/v1/namespaces/{bed.ns}"
    assert (
        bed.target.api.request("PATCH", path, {"metadata": {"labels": label}}, MERGE).status == 200
    )


def policy(bed: Bed) -> None:
    name = f"no-gateways-{bed.ns}"
    here = {"matchLabels": {"kubernetes.io/metadata.name": bed.ns}}
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    spec = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": here},
        "validations": [{"expression": "false", "message": "no pods here"}],
    }
    bed.make(
        f"{_ADMISSION}/validatingadmissionpolicies", {"metadata": {"name": name}, "spec": spec}
    )
    bound = {"policyName": name, "validationActions": ["Deny"]}
    bed.make(
        f"{_ADMISSION}/validatingadmissionpolicybindings",
        {"metadata": {"name": name}, "spec": bound},
    )
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "a/b:1"}]}}
    pods = f"/api/v1/namespaces/{bed.ns}/pods?dryRun=All"
    until(lambda: bed.target.api.request("POST", pods, pod).status == 422, "the policy", 30)


def webhook_down(bed: Bed) -> None:
    name = f"down-{bed.ns}"
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    hook = {
        "name": "down.example.com",
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": bed.ns}},
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    bed.make(
        f"{_ADMISSION}/validatingwebhookconfigurations",
        {"metadata": {"name": name}, "webhooks": [hook]},
    )
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "a/b:1"}]}}
    pods = f"/api/v1/namespaces/{bed.ns}/pods?dryRun=All"
    until(lambda: bed.target.api.request("POST", pods, pod).status == 500, "the webhook", 30)


def crashing(bed: Bed) -> None:
    bed.target.fault("crash_loop", "all")
    bed.stack.callback(bed.target.fault, "crash_loop", "none")


def nothing(bed: Bed) -> None:
    """What is asked for is enough."""


GUID = "11111111-2222-3333-4444-555555555555"
SIGNED_IN = Auth("entraApp", GUID, GUID, KeyRef("app", "secret"))


def half_a_secret(bed: Bed) -> None:
    path = f"/api/v1/namespaces/{bed.ns}/secrets"
    bed.target.api.create(path, {"metadata": {"name": "app"}, "stringData": {"other": "x"}})


def selecting(placement: Placement) -> Placement:
    """Nodes that there are not."""
    return dataclasses.replace(placement, node_selector=(("tests.gateway-bot.io/none", "x"),))


def tolerating(placement: Placement) -> Placement:
    """No taint."""
    return dataclasses.replace(placement, tolerations=())


def of_the_host(network: Network) -> Network:
    """What Pod Security's baseline forbids."""
    return dataclasses.replace(network, host_network=True)


REFUSALS: tuple[tuple[Cause, Callable[[Bed], None], Mapping[str, Any], bool], ...] = (
    (Cause.QUOTA, quota(pods="0"), {}, True),
    (Cause.NO_LIMITS, quota(**{"limits.cpu": "10"}), {}, False),
    (Cause.LIMIT_RANGE, limit_range, {}, False),
    (Cause.POD_SECURITY, pod_security, {"network": of_the_host}, False),
    (Cause.POLICY, policy, {}, False),
    (Cause.WEBHOOK_DOWN, webhook_down, {}, False),
    (Cause.IMAGE, nothing, {"tag": "9.9.9"}, True),
    (Cause.CRASH, crashing, {}, True),
    (Cause.MISSING_OBJECT, nothing, {"auth": SIGNED_IN}, True),
    (Cause.MISSING_KEY, half_a_secret, {"auth": SIGNED_IN}, True),
    (Cause.RESOURCES, nothing, {"cpu": "640"}, True),
    (Cause.NODES, nothing, {"placement": selecting}, True),
    (Cause.TAINT, nothing, {"placement": tolerating}, True),
    (
        Cause.CLAIM,
        nothing,
        {"backup": dataclasses.replace(Backup(), size="1Gi", storage_class="no-such-class")},
        True,
    ),
)
"""The cause, what brings it about, in which spec, and whether the sandbox knows it too."""


@pytest.mark.parametrize(
    ("cause", "strike", "changes", "in_sandbox"), REFUSALS, ids=[row[0].name for row in REFUSALS]
)
def test_a_rollout_that_fails_names_its_cause_and_what_to_do(
    bed: Bed,
    cause: Cause,
    strike: Callable[[Bed], None],
    changes: Mapping[str, Any],
    in_sandbox: bool,
    record_property: Callable[[str, object], None],
) -> None:
    if bed.target.sandbox is not None and not in_sandbox:
        pytest.skip("the sandbox's cluster has no such admission")
    strike(bed)
    asked = {
        name: value(getattr(bed.spec(), name)) if callable(value) else value
        for name, value in changes.items()
    }
    outcome = bed.deploy(bed.spec(**asked))
    assert outcome.state is State.FAILED
    assert outcome.meaning.startswith(meaning_of(cause)), outcome
    assert outcome.remedy == remedy_of(cause)
    row = f"{bed.target.name:8} {cause.name.lower():32} {outcome.state:16} {outcome.meaning[:120]}"
    record_property(EVIDENCE, row)


def test_a_namespace_that_is_being_deleted_is_named_in_the_plan_and_in_status(bed: Bed) -> None:
    assert bed.deploy(bed.spec()).state is State.SUCCEEDED
    cache = ClusterCache(bed.cluster)
    bed.stack.callback(cache.stop, Deadline.after(60))
    ref = bed.done[-1].ref
    assert "being deleted" not in " ".join(gateway_detail(cache, ref).summary.attention)
    hold = {"metadata": {"finalizers": ["tests.gateway-bot.io/hold"]}}
    bed.patch(hold)
    free = {"metadata": {"finalizers": None}}
    bed.stack.callback(bed.target.api.request, "PATCH", bed.path, free, MERGE)
    namespace_deleted(bed)
    with pytest.raises(Refused, match=f"Namespace “{bed.ns}” on cluster “west” is being deleted"):
        bed.planner.plan(bed.spec(tag="2.10.0"), "ABC235")
    assert f"Namespace “{bed.ns}” on cluster “west” is being deleted." in (
        gateway_detail(cache, ref).summary.attention
    )


def test_a_gateway_without_a_ready_pod_is_down_and_says_so(bed: Bed) -> None:
    assert bed.deploy(bed.spec()).state is State.SUCCEEDED
    cache = ClusterCache(bed.cluster)
    bed.stack.callback(cache.stop, Deadline.after(60))
    ref = bed.done[-1].ref

    def down() -> bool:
        (found,) = [s for s in summaries(cache.read(), 0) if s.ref == ref]
        return found.down

    assert not down()
    bed.target.fault("not_ready", True)
    bed.stack.callback(bed.target.fault, "not_ready", False)
    until(down, "the outage", 60)


def test_what_the_api_server_warns_of_is_in_the_plan(bed: Bed) -> None:
    old = Placement(node_selector=(("beta.kubernetes.io/os", "linux"),))
    (warning,) = bed.planner.plan(bed.spec(placement=old), "ABC234").warnings
    assert "deprecated since v1.14" in warning


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
    bed.make(f"{_ADMISSION}/mutatingadmissionpolicies", {"metadata": {"name": name}, "spec": spec})
    bed.make(
        f"{_ADMISSION}/mutatingadmissionpolicybindings",
        {"metadata": {"name": name}, "spec": {"policyName": name}},
    )

    def strikes() -> bool:
        plan = bed.planner.plan(bed.spec(), "ABC200")
        (made,) = [o for o in plan.objects if o["kind"] == "Deployment"]
        tried = bed.cluster.apply(made, dry_run=True)
        return "mirror.example" in str(tried["spec"])

    until(strikes, "the policy", 30)


def test_revisions_whose_image_a_webhook_rewrote_stay_the_bot_s_own(bed: Bed) -> None:
    mirrored(bed)
    assert bed.deploy(bed.spec(tag="2.10.0"), "ABC233").state is State.SUCCEEDED
    assert bed.deploy(bed.spec()).state is State.SUCCEEDED
    assert _image(bed).startswith("mirror.example/")

    def known() -> list[str]:
        sets = bed.cluster.list("ReplicaSet", bed.ns)
        return [r.action for r in revisions(bed.target.api.get(bed.path), sets)]

    until(lambda: known() == ["ABC234", "ABC233"], "both revisions", 30)
    assert bed.look() == ""
    assert bed.planner.plan(bed.spec(), "ABC235").empty
    back = dataclasses.replace(HASTY, automatic_rollback=True)
    outcome = bed.deploy(bed.spec(tag="9.9.9", rollout=back), "ABC236")
    assert "so 2.11.1 is back: 1 of 1 pods ready." in outcome.happened
    bed.image(OTHER)
    until(lambda: known()[0] == "", "somebody else's revision", 30)
