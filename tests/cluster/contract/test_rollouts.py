"""How a Deployment becomes pods: progress, surge, deadlines, revisions, rollback, cleaning up."""

import copy
import datetime
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.conftest import GATEWAY
from tests.support.kube_api import KubeApi, Obj
from tests.support.quotas import enforced_quota
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers")
_BROKEN = f"{GATEWAY}:no-such-tag"


class Rollout:
    """The Deployment `gw` of a namespace."""

    def __init__(self, api: KubeApi, ns: str, manifest: Obj) -> None:
        self.api = api
        self.apps = f"/apis/apps/v1/namespaces/{ns}"
        self.core = f"/api/v1/namespaces/{ns}"
        self.path = f"{self.apps}/deployments/gw"
        self.manifest = manifest
        self.spec: Obj = manifest["spec"]

    def apply(self, image: str = "", **spec: Any) -> None:
        """Apply the manifest with another image or other fields of its spec."""
        self.spec.update(spec)
        if image:
            self.spec["template"]["spec"]["containers"][0]["image"] = image
        self.api.apply(self.path, self.manifest)

    def live(self) -> Obj:
        """The object."""
        return self.api.get(self.path)

    def done(self) -> bool:
        """Whether every replica is of the newest template and available."""
        live = self.live()
        status, wanted = live.get("status", {}), live["spec"]["replicas"]
        return (
            status.get("observedGeneration") == live["metadata"]["generation"]
            and [status.get(name) for name in ("replicas", "updatedReplicas", "availableReplicas")]
            == [wanted] * 3
        )

    def finish(self) -> None:
        """Wait for done()."""
        until(self.done, "a finished rollout")

    def hear_of_sets(self) -> None:
        """Wait until the controller of Deployments has heard of every change of a ReplicaSet until now.

        They come to it in order, and it says nothing of a Deployment's pods before it has heard of that
        one's own ReplicaSet. One that it does not know to be an orphan it takes for another's, and makes
        new pods.
        """
        path = f"{self.apps}/deployments/other"
        other = copy.deepcopy(self.manifest)
        other["metadata"].update(name="other", labels={"app": "other"})
        other["spec"]["selector"]["matchLabels"] = {"app": "other"}
        other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
        self.api.apply(path, other)
        until(lambda: self.api.get(path).get("status", {}).get("updatedReplicas"), "its pods")
        self.api.delete(path, "?propagationPolicy=Foreground")
        until(lambda: self.api.gone(path), "its deletion")

    def scale_of_sets(self) -> Callable[[], list[int]]:
        """How many pods the ReplicaSets want together, from now on, after each change.

        `status.replicas` of the Deployment may say more for a moment: it is the sum of what the
        ReplicaSets' own controller, which runs beside that of Deployments, has written so far.
        """
        there = [{"object": rs} for rs in self.sets().values()]
        log = self.api.follow(f"{self.apps}/replicasets")

        def scales() -> list[int]:
            wanted: dict[str, int] = {}
            sums = []
            for event in [*there, *log]:
                rs = event["object"]
                wanted[rs["metadata"]["name"]] = rs["spec"]["replicas"]
                sums.append(sum(wanted.values()))
            return sums

        return scales

    def heard_in(self, log: list[Obj]) -> None:
        """Wait until a log of Deployments has what there is now."""

        def heard() -> bool:
            versions = [event["object"]["metadata"]["resourceVersion"] for event in log]
            return self.live()["metadata"]["resourceVersion"] in versions

        until(heard, "the newest version in the log")

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason of a condition."""
        for condition in self.live().get("status", {}).get("conditions", []):
            if condition["type"] == kind:
                return condition["status"], condition["reason"]
        return "", ""

    def pods(self) -> list[Obj]:
        """The pods."""
        return self.api.items(f"{self.core}/pods")

    def sets(self) -> dict[str, Obj]:
        """The ReplicaSets by revision."""
        return {
            rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: rs
            for rs in self.api.items(f"{self.apps}/replicasets")
        }


@pytest.fixture
def rollout(api: KubeApi, ns: str, deployment: Obj) -> Rollout:
    """The Deployment, not applied yet."""
    return Rollout(api, ns, deployment)


def test_a_rollout_ends_available_with_all_pods_of_the_newest_set(rollout: Rollout) -> None:
    rollout.apply()
    rollout.finish()
    until(
        lambda: rollout.condition("Progressing") == ("True", "NewReplicaSetAvailable"), "progress"
    )
    assert rollout.condition("Available") == ("True", "MinimumReplicasAvailable")
    (current,) = rollout.sets().values()
    template_hash = current["metadata"]["labels"]["pod-template-hash"]
    assert current["metadata"]["name"] == f"gw-{template_hash}"
    assert {p["metadata"]["labels"]["pod-template-hash"] for p in rollout.pods()} == {template_hash}
    assert all(re.fullmatch(rf"gw-{template_hash}-[a-z0-9]{{5}}", p["metadata"]["name"])
               for p in rollout.pods())  # fmt: skip


def test_scaling_is_told_by_events(rollout: Rollout) -> None:
    rollout.apply()
    rollout.finish()
    rollout.apply(replicas=3)
    rollout.finish()

    def messages() -> list[str]:
        events = rollout.api.items(f"{rollout.core}/events")
        found = [e for e in events if e["reason"] == "ScalingReplicaSet"]
        return [re.sub(r"gw-[a-z0-9]+", "gw-HASH", e["message"]) for e in found]

    expected = {
        "Scaled up replica set gw-HASH from 0 to 2",
        "Scaled up replica set gw-HASH from 2 to 3",
    }
    until(lambda: set(messages()) == expected, "both events")


def test_a_rollout_never_drops_below_the_minimum_nor_rises_above_the_surge(
    rollout: Rollout,
) -> None:
    rollout.apply(replicas=4)
    rollout.finish()
    log = rollout.api.follow(f"{rollout.apps}/deployments")
    scales = rollout.scale_of_sets()
    rollout.apply("example.com/app:2.0")
    rollout.finish()
    rollout.heard_in(log)
    statuses = [event["object"]["status"] for event in log]
    assert len(statuses) > 5
    assert min(status.get("availableReplicas", 0) for status in statuses) >= 3
    until(lambda: len(set(scales())) > 1 and scales()[-1] == 4, "the last scaling in the log")
    assert max(scales()) <= 5


def test_without_unavailability_each_new_pod_comes_before_an_old_one_goes(
    rollout: Rollout,
) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    rollout.apply(strategy=rolling)
    rollout.finish()
    log = rollout.api.follow(f"{rollout.apps}/deployments")
    scales = rollout.scale_of_sets()
    rollout.apply("example.com/app:2.0")
    rollout.finish()
    rollout.heard_in(log)
    assert min(e["object"]["status"].get("availableReplicas", 0) for e in log) == 2
    until(lambda: 3 in scales() and scales()[-1] == 2, "the last scaling in the log")
    assert max(scales()) == 3


def test_a_broken_image_runs_into_the_progress_deadline(rollout: Rollout) -> None:
    rollout.apply(_BROKEN, progressDeadlineSeconds=2)
    until(
        lambda: rollout.condition("Progressing") == ("False", "ProgressDeadlineExceeded"),
        "the deadline",
    )
    assert rollout.condition("Available") == ("False", "MinimumReplicasUnavailable")

    def reason() -> str:
        (status, *_) = rollout.pods()[0]["status"].get("containerStatuses") or [{}]
        return str(status.get("state", {}).get("waiting", {}).get("reason", ""))

    until(lambda: reason() in ("ErrImagePull", "ImagePullBackOff"), "the reason")


def test_a_broken_update_leaves_the_old_pods_serving(rollout: Rollout) -> None:
    rollout.apply()
    rollout.finish()
    rollout.apply(_BROKEN)
    until(lambda: rollout.live()["status"].get("updatedReplicas") == 1, "the new pod")
    assert rollout.live()["status"]["availableReplicas"] == 2
    assert rollout.condition("Available") == ("True", "MinimumReplicasAvailable")
    # Which of the two depends on whether the controller saw the new set before its first pod.
    under_way = {("True", "ReplicaSetUpdated"), ("True", "NewReplicaSetCreated")}
    until(lambda: rollout.condition("Progressing") in under_way, "the condition")


def test_each_template_is_a_revision_and_an_old_one_can_come_back(rollout: Rollout) -> None:
    rollout.apply()
    rollout.finish()
    rollout.apply("example.com/app:2.0")
    rollout.finish()
    assert set(rollout.sets()) == {"1", "2"}
    old = rollout.sets()["1"]
    rollout.spec["template"]["spec"] = {
        **rollout.spec["template"]["spec"],
        "containers": [{"name": "gw", "image": "example.com/app:1.0"}],
    }
    rollout.apply()
    rollout.finish()
    # The same ReplicaSet serves again, under the newest number.
    assert set(rollout.sets()) == {"2", "3"}
    assert rollout.sets()["3"]["metadata"]["uid"] == old["metadata"]["uid"]
    annotations = rollout.live()["metadata"]["annotations"]
    assert annotations["deployment.kubernetes.io/revision"] == "3"


def test_a_replica_set_keeps_the_annotations_of_its_deployment(rollout: Rollout) -> None:
    rollout.manifest["metadata"]["annotations"] = {"gateway-bot.io/action": "ABC234"}
    rollout.apply()
    rollout.finish()
    annotations = rollout.sets()["1"]["metadata"]["annotations"]
    assert annotations["gateway-bot.io/action"] == "ABC234"


def test_recreate_ends_every_old_pod_before_a_new_one_starts(rollout: Rollout) -> None:
    rollout.apply(strategy={"type": "Recreate"})
    rollout.finish()
    log = rollout.api.follow(f"{rollout.core}/pods")
    rollout.apply("example.com/app:2.0")
    rollout.finish()

    def images() -> set[str]:
        return {e["object"]["spec"]["containers"][0]["image"] for e in log}

    until(lambda: "example.com/app:2.0" in images(), "the new pods in the log")
    old: dict[str, str] = {}
    for event in log:
        pod = event["object"]
        if pod["spec"]["containers"][0]["image"].endswith(":2.0"):
            break
        gone = event["type"] == "DELETED"
        old[pod["metadata"]["name"]] = "gone" if gone else pod["status"]["phase"]
    assert len(old) == 2
    assert set(old.values()) <= {"gone", "Succeeded", "Failed"}


def test_old_replica_sets_beyond_the_history_limit_are_removed(rollout: Rollout) -> None:
    for version in ("1.0", "2.0", "3.0", "4.0"):
        rollout.apply(f"example.com/app:{version}", revisionHistoryLimit=1)
        rollout.finish()
    until(lambda: set(rollout.sets()) == {"3", "4"}, "the cleaning up")


def test_a_paused_deployment_rolls_only_when_it_is_resumed(rollout: Rollout) -> None:
    rollout.apply()
    rollout.finish()
    rollout.apply("example.com/app:2.0", paused=True)
    until(lambda: rollout.condition("Progressing") == ("Unknown", "DeploymentPaused"), "it")
    assert len(rollout.sets()) == 1
    rollout.apply(paused=False)
    rollout.finish()


def test_min_ready_seconds_holds_a_pod_back_from_being_available(rollout: Rollout) -> None:
    rollout.apply(minReadySeconds=8)
    rollout.finish()
    until(lambda: rollout.condition("Available")[0] == "True", "the condition")
    ready = max(_since(pod, "Ready") for pod in rollout.pods())
    # Whoever looks may come too late to see them ready only; when it was, the cluster has noted.
    assert _since(rollout.live(), "Available") - ready >= datetime.timedelta(seconds=8)


def _since(obj: Obj, kind: str) -> datetime.datetime:
    """When a condition became what it is, in whole seconds."""
    (condition,) = [c for c in obj["status"]["conditions"] if c["type"] == kind]
    return datetime.datetime.fromisoformat(condition["lastTransitionTime"])


def test_scaling_in_the_middle_of_a_rollout_shares_the_new_replicas(rollout: Rollout) -> None:
    rollout.apply(replicas=4)
    rollout.finish()
    rollout.apply(_BROKEN)
    until(lambda: rollout.live()["status"].get("updatedReplicas") == 2, "the new pods")
    rollout.apply(replicas=8)

    def sizes() -> list[int]:
        return sorted(rs["spec"]["replicas"] for rs in rollout.sets().values())

    until(lambda: sizes() == [4, 6], "the new sizes")


def test_deleting_a_deployment_deletes_its_sets_and_pods(rollout: Rollout) -> None:
    rollout.apply()
    rollout.finish()
    rollout.api.delete(rollout.path)
    until(lambda: not rollout.pods() and not rollout.sets(), "the cleaning up")


def test_foreground_deletion_waits_for_the_pods(rollout: Rollout) -> None:
    rollout.apply()
    rollout.finish()
    log = rollout.api.follow(f"{rollout.apps}/deployments")
    rollout.api.delete(rollout.path, "?propagationPolicy=Foreground")
    until(lambda: rollout.api.gone(rollout.path), "the deletion")
    assert rollout.pods() == []
    # The log is written by a thread of its own, and a last status may stand before it.
    until(lambda: log[-1]["type"] == "DELETED", "the deletion in the log")
    ending = [e["object"]["metadata"].get("finalizers") for e in log if e["type"] == "MODIFIED"]
    assert ["foregroundDeletion"] in ending


def test_orphaned_pods_are_adopted_again(rollout: Rollout) -> None:
    rollout.apply()
    rollout.finish()
    names = {pod["metadata"]["name"] for pod in rollout.pods()}
    rollout.api.delete(rollout.path, "?propagationPolicy=Orphan")
    until(lambda: rollout.api.gone(rollout.path), "the deletion")
    assert {pod["metadata"]["name"] for pod in rollout.pods()} == names
    rollout.hear_of_sets()
    rollout.apply()
    rollout.finish()
    assert {pod["metadata"]["name"] for pod in rollout.pods()} == names


def test_a_deployment_that_cannot_make_pods_says_why(rollout: Rollout) -> None:
    quota = enforced_quota(rollout.api, rollout.core, pods="1")
    rollout.apply()

    def failure() -> str:
        conditions = rollout.live().get("status", {}).get("conditions", [])
        return next((c["message"] for c in conditions if c["type"] == "ReplicaFailure"), "")

    message = until(failure, "the condition")
    assert "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1" in message
    until(lambda: rollout.api.get(quota)["status"]["used"]["pods"] == "1", "the use")


def test_a_pod_that_asks_for_too_much_fits_on_no_node(rollout: Rollout) -> None:
    container = rollout.spec["template"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"cpu": "640"}}
    rollout.apply(replicas=1)

    def unschedulable() -> str:
        for pod in rollout.pods():
            for condition in pod["status"].get("conditions", []):
                if condition.get("reason") == "Unschedulable":
                    return str(condition["message"])
        return ""

    # A node that has just come may be named for its taint first.
    said = re.compile(r"0/\d+ nodes are available: .*Insufficient cpu")
    until(lambda: said.match(unschedulable()), "the condition")
    events = f"{rollout.core}/events?fieldSelector=reason%3DFailedScheduling"
    until(lambda: rollout.api.items(events), "the event")


def test_a_template_that_asks_for_a_secret_that_is_missing_waits_with_that_reason(
    rollout: Rollout,
) -> None:
    container = rollout.spec["template"]["spec"]["containers"][0]
    reference = {"secretKeyRef": {"name": "missing", "key": "value"}}
    container["env"] = [{"name": "TOKEN", "valueFrom": reference}]
    rollout.apply(replicas=1)

    def waiting() -> Obj:
        statuses = [s for p in rollout.pods() for s in p["status"].get("containerStatuses") or []]
        found: Obj = next((s["state"]["waiting"] for s in statuses if "waiting" in s["state"]), {})
        return found

    until(lambda: waiting().get("reason") == "CreateContainerConfigError", "the reason")
    assert waiting()["message"] == 'secret "missing" not found'
