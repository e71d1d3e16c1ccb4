"""The lies test of failures: each has its cause and its remedy, by the words of a real cluster.

On the sandbox's cluster and on a real control plane; `make test-cluster` runs it. What each case ended
as is printed at the end.
"""

import dataclasses
import datetime
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.actions.action import State
from deploy.deadline import Deadline
from deploy.errors import Refused
from deploy.health.cache import ClusterCache
from deploy.health.status import gateway_detail, summaries
from deploy.observed.causes import Cause, meaning_of, remedy_of
from deploy.specs.options import Auth, Backup, KeyRef, Network, Placement
from handlers.views.action import no_change
from tests.cluster.conftest import Target
from tests.cluster.rollout_bed import ADMISSION, Bed, namespace_deleted, rollout_bed
from tests.conftest import EVIDENCE
from tests.support.gateway_bed import RecordingRun
from tests.support.kube_api import MERGE, Obj
from tests.support.quotas import enforced_quota
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
        # Its plans would find most of what is provoked here.
        made.blind = True
        yield made


def quota(**hard: str) -> Callable[[Bed], None]:
    def strike(bed: Bed) -> None:
        enforced_quota(bed.target.api, f"/api/v1/namespaces/{bed.ns}", **hard)

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


def policy(bed: Bed, message: str = "no pods here") -> None:
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
        "validations": [{"expression": "false", "message": message}],
    }
    bed.make(f"{ADMISSION}/validatingadmissionpolicies", {"metadata": {"name": name}, "spec": spec})
    bound = {"policyName": name, "validationActions": ["Deny"]}
    bed.make(
        f"{ADMISSION}/validatingadmissionpolicybindings",
        {"metadata": {"name": name}, "spec": bound},
    )
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "a/b:1"}]}}
    pods = f"/api/v1/namespaces/{bed.ns}/pods?dryRun=All"
    until(lambda: bed.target.api.request("POST", pods, pod).status == 422, "the policy")


def security_constraints(bed: Bed) -> None:
    """What OpenShift's admission says, from an admission that a cluster without OpenShift has."""
    policy(
        bed,
        "unable to validate against any security context constraint: "
        "[provider restricted-v2: .containers[0].runAsUser: Invalid value: 1001]",
    )


def waiting(container: str, reason: str, message: str) -> Obj:
    state = {"waiting": {"reason": reason, "message": message}}
    return {
        "name": container,
        "image": "x",
        "imageID": "",
        "ready": False,
        "restartCount": 3,
        "state": state,
    }


def kubelet(
    *, gateway: Obj | None = None, init: Obj | None = None, event: tuple[str, str] | None = None
) -> Callable[[Bed], None]:
    """A node that there is not reports this of each pod, as a kubelet does; `event` is a reason and a
    message of the controller that attaches volumes."""
    status: Obj = {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]}
    if gateway is not None:
        status["containerStatuses"] = [gateway]
    if init is not None:
        status["initContainerStatuses"] = [init]

    def strike(bed: Bed) -> None:
        ended = threading.Event()
        thread = threading.Thread(target=_reporting, args=(bed, status, event, ended), daemon=True)
        thread.start()
        bed.stack.callback(thread.join, 30)
        bed.stack.callback(ended.set)

    return strike


def _reporting(
    bed: Bed, status: Obj, event: tuple[str, str] | None, ended: threading.Event
) -> None:
    api, pods, seen = bed.target.api, f"/api/v1/namespaces/{bed.ns}/pods", set()
    while not ended.wait(0.1):
        for pod in api.get(pods)["items"]:
            name = pod["metadata"]["name"]
            # What the scheduler says of a look that it began before comes later.
            if (name in seen and _bound(pod)) or not name.startswith("edge-1-"):
                continue
            target = {"apiVersion": "v1", "kind": "Node", "name": f"away-{bed.ns}"}
            bound = {"metadata": {"name": name}, "target": target}
            api.request("POST", f"{pods}/{name}/binding", bound)
            if event is not None:
                _tell(bed, pod, *event)
            said = api.request("PATCH", f"{pods}/{name}/status", {"status": status}, MERGE)
            if said.status == 200:
                # One that is gone by now has nothing to say; another one is looked at again.
                seen.add(name)


def _bound(pod: Obj) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any(c["type"] == "PodScheduled" and c["status"] == "True" for c in conditions)


def _tell(bed: Bed, pod: Obj, reason: str, message: str) -> None:
    moment = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    names = {key: pod["metadata"][key] for key in ("name", "namespace", "uid")}
    body = {
        "metadata": {"name": f"{names['name']}.attach", "namespace": bed.ns},
        "involvedObject": {"kind": "Pod", "apiVersion": "v1", **names},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
        "source": {"component": "attachdetach-controller"},
    }
    # It may have been told before: a pod is looked at again where its status was not taken.
    bed.target.api.request("POST", f"/api/v1/namespaces/{bed.ns}/events", body)


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
        f"{ADMISSION}/validatingwebhookconfigurations",
        {"metadata": {"name": name}, "webhooks": [hook]},
    )
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "a/b:1"}]}}
    pods = f"/api/v1/namespaces/{bed.ns}/pods?dryRun=All"
    until(lambda: bed.target.api.request("POST", pods, pod).status == 500, "the webhook")


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
    (Cause.NO_LIMITS, quota(**{"limits.cpu": "10"}), {}, True),
    (Cause.LIMIT_RANGE, limit_range, {}, True),
    (Cause.POD_SECURITY, pod_security, {"network": of_the_host}, False),
    (Cause.POLICY, policy, {}, False),
    (Cause.SECURITY_CONSTRAINT, security_constraints, {}, False),
    (Cause.WEBHOOK_DOWN, webhook_down, {}, True),
    (
        Cause.PULL_SECRET,
        kubelet(
            gateway=waiting(
                "edge-1",
                "ImagePullBackOff",
                'Back-off pulling image "x": ErrImagePull: failed to authorize: failed to fetch '
                "anonymous token: unexpected status: 401 Unauthorized",
            )
        ),
        {"placement": selecting},
        False,
    ),
    (
        Cause.ARCHITECTURE,
        kubelet(
            gateway=waiting(
                "edge-1",
                "ErrImagePull",
                'failed to pull and unpack image "x": no match for platform in manifest: not found',
            )
        ),
        {"placement": selecting},
        False,
    ),
    (
        Cause.INIT,
        kubelet(
            gateway=waiting("edge-1", "PodInitializing", ""),
            init=waiting(
                "istio-init", "CrashLoopBackOff", "back-off 40s restarting failed container"
            ),
        ),
        {"placement": selecting},
        False,
    ),
    (
        Cause.ATTACHED,
        kubelet(
            gateway=waiting("edge-1", "ContainerCreating", ""),
            event=(
                "FailedAttachVolume",
                'Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to '
                "one node and can't be attached to another",
            ),
        ),
        {"placement": selecting},
        False,
    ),
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
        pytest.skip("the sandbox's cluster has no such admission, and no node that is not there")
    strike(bed)
    asked = {
        name: value(getattr(bed.spec(), name)) if callable(value) else value
        for name, value in changes.items()
    }
    run = RecordingRun()
    outcome = bed.deploy(bed.spec(**asked), run=run)
    assert outcome.state is State.FAILED
    if cause is Cause.TAINT and "didn't match Pod's node affinity/selector" in outcome.meaning:
        # Nodes of other tests on the same control plane have no taints, so it is the labels too.
        cause = Cause.NODES
    assert outcome.meaning.startswith(meaning_of(cause)), outcome
    assert outcome.remedy == remedy_of(cause)
    headlines = {state["stuck"]["cause"] for state in run.states if state.get("stuck")}
    assert cause.value in headlines, "while it was followed its headline said so already"
    row = f"{bed.target.name:8} {cause.name.lower():32} {outcome.state:16} {outcome.meaning[:120]}"
    record_property(EVIDENCE, row)


def test_a_rollout_whose_pods_get_an_older_endpoint_names_it_and_is_not_called_no_change(
    bed: Bed,
) -> None:
    assert bed.deploy(bed.spec()).state is State.SUCCEEDED
    old = "https://gone.configuration.azure-api.net"
    container = {"name": "edge-1", "env": [{"name": "config.service.endpoint", "value": old}]}
    body = {"spec": {"template": {"spec": {"containers": [container]}}}}
    bed.patch(body, form="application/strategic-merge-patch+json")
    wanted = bed.spec(log_level="warn")
    outcome = bed.deploy(wanted)
    assert outcome.state is State.FAILED
    said = f"The pods fetch their configuration from {old}, set by a variable of the Deployment"
    assert said in outcome.meaning
    plan = bed.planner.plan(wanted, "ABC235")
    assert plan.unsettled
    assert "No change" not in no_change(plan).text


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
    said = f"Namespace “{bed.ns}” on cluster “west” is being deleted."
    until(lambda: said in gateway_detail(cache, ref).summary.attention, "it in the status")


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
    until(down, "the outage", 120)


def test_what_the_api_server_warns_of_is_in_the_plan(bed: Bed) -> None:
    old = Placement(node_selector=(("beta.kubernetes.io/os", "linux"),))
    (warning,) = bed.planner.plan(bed.spec(placement=old), "ABC234").warnings
    assert "deprecated since v1.14" in warning
