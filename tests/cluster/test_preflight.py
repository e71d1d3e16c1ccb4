"""What would fail after a plan is found in it, on the sandbox's cluster and on a real control plane.

Where the API server itself refuses a pod, a dry run of one is made beside it: it says the same.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploy.actions.action import State
from deploy.plans.dry_run import wanted_objects
from deploy.rules.finding import Finding
from deploy.specs.options import Backup, CaSource, Limits, Placement, Pull, Rollout
from tests.cluster.conftest import Target
from tests.cluster.rollout_bed import Bed, rollout_bed
from tests.support.kube_api import Obj
from tests.support.waiting import until

_PREFLIGHT = frozenset(
    {"quota", "limit-range", "storage-class", "access-mode", "missing-object", "nodes", "paused"}
)
_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"


@pytest.fixture
def bed(target: Target, ns: str, tmp_path: Path) -> Iterator[Bed]:
    with rollout_bed(target, ns, tmp_path) as made:
        yield made


def found(bed: Bed, **changes: Any) -> list[Finding]:
    plan = bed.planner.plan(bed.spec(**changes), "ABC235")
    return [finding for finding in plan.findings if finding.rule in _PREFLIGHT]


def refused(bed: Bed, **changes: Any) -> str:
    """What the API server says to one of the pods."""
    made = wanted_objects(bed.spec(**changes), "t", None, take_over=False, count=1)
    template = next(o for o in made if o["kind"] == "Deployment")["spec"]["template"]
    pod = {**template, "metadata": {"name": "p"}}
    answer = bed.target.api.request("POST", f"/api/v1/namespaces/{bed.ns}/pods?dryRun=All", pod)
    return str(answer.body) if answer.status >= 400 else ""


def quota(**hard: str) -> Callable[[Bed], None]:
    def make(bed: Bed) -> None:
        quotas = f"/api/v1/namespaces/{bed.ns}/resourcequotas"
        bed.target.api.create(quotas, {"metadata": {"name": "compute"}, "spec": {"hard": hard}})
        get = bed.target.api.get
        until(lambda: get(f"{quotas}/compute").get("status", {}).get("hard"), "the quota")

    return make


def limits(**said: Mapping[str, str]) -> Callable[[Bed], None]:
    def make(bed: Bed) -> None:
        body = {"metadata": {"name": "ranges"}, "spec": {"limits": [{"type": "Container", **said}]}}
        bed.target.api.create(f"/api/v1/namespaces/{bed.ns}/limitranges", body)

    return make


def a_config_map(bed: Bed) -> None:
    body = {"metadata": {"name": "roots"}, "data": {"other": "x"}}
    bed.target.api.create(f"/api/v1/namespaces/{bed.ns}/configmaps", body)


def a_disk(bed: Bed) -> None:
    body = {"metadata": {"name": f"disk-{bed.ns}"}, "provisioner": "disk.csi.azure.com"}
    bed.make(_CLASSES, body)


def nothing(bed: Bed) -> None:
    """As it is."""


@dataclass(frozen=True)
class Case:
    """What is made, what is asked for, and words of the finding and of the API server's refusal."""

    name: str
    make: Callable[[Bed], None]
    severity: str
    what: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    api: str = ""


CASES = (
    Case("a small quota", quota(**{"requests.memory": "1Gi"}), "deny",
         "Quota compute has room for 0 of 1 more pods", api="exceeded quota: compute"),
    Case("a quota of pods", quota(pods="0"), "deny", "Quota compute has room for 0 of 1 more pods",
         api="exceeded quota: compute"),
    Case("a quota of what is not set", quota(**{"limits.cpu": "64"}), "deny",
         "Quota compute requires limits.cpu, which the pods do not set",
         api="must specify limits.cpu"),
    Case("a lower maximum", limits(max={"memory": "64Mi"}), "deny",
         "LimitRange ranges does not allow this container edge-1",
         api="maximum memory usage per Container is 64Mi"),
    Case("a higher minimum", limits(min={"cpu": "3"}), "deny",
         "LimitRange ranges does not allow this container edge-1",
         api="minimum cpu usage per Container is 3"),
    Case("a default limit below the request", limits(default={"cpu": "1m"}), "deny",
         "LimitRange ranges does not allow this container edge-1",
         api="must be less than or equal to cpu limit"),
    Case("no such class", nothing, "warning", "The cluster has no StorageClass nowhere",
         {"backup": Backup(size="1Gi", storage_class="nowhere")}),
    Case("a disk for many", a_disk, "deny", "provides disks, which only one node can mount",
         {"backup": Backup(size="1Gi", storage_class="disk-NS")}),
    Case("one node's volume for two pods", a_disk, "deny", "pods on other nodes cannot mount it",
         {"backup": Backup(size="1Gi", storage_class="disk-NS", access_mode="ReadWriteOnce"),
          "replicas": 2}),
    Case("no such claim", nothing, "warning", "There is no PersistentVolumeClaim shared",
         {"backup": Backup(existing_claim="shared")}),
    Case("no such Secret", nothing, "warning", "There is no Secret issuing",
         {"authorities": (CaSource("tls.crt", secret="issuing"),)}),
    Case("no such key", a_config_map, "warning", "ConfigMap roots has no key ca.crt",
         {"authorities": (CaSource("ca.crt", config_map="roots"),)}),
    Case("no such pull secret", nothing, "warning", "There is no Secret registry, which",
         {"pull": Pull(secrets=("registry",))}),
    Case("no such node", nothing, "warning", "No node has ",
         {"placement": Placement(node_selector=(("pool", "nowhere"),))}),
    Case("another architecture", nothing, "warning", "No node has kubernetes.io/arch=s390x",
         {"placement": Placement(node_selector=(("kubernetes.io/arch", "s390x"),))}),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_would_fail_is_found_in_the_plan(case: Case, bed: Bed, target: Target) -> None:
    if not target.controllers and "quota" in case.name:
        pytest.skip("this control plane is an API server alone, without controllers")
    case.make(bed)
    changes = dict(case.changes)
    backup = changes.get("backup")
    if backup is not None and backup.storage_class == "disk-NS":
        changes["backup"] = Backup(backup.size, f"disk-{bed.ns}", backup.access_mode)
    (finding,) = found(bed, **changes)
    assert (finding.severity, case.what in finding.what) == (case.severity, True), finding
    # Of a quota that has a status the API server's admission learns a moment later.
    until(lambda: case.api in refused(bed, **changes), "that the API server says so")


def test_a_taint_that_no_pod_tolerates_is_found(bed: Bed, target: Target) -> None:
    chosen = tuple(target.placed["nodeSelector"].items())
    (finding,) = found(bed, placement=Placement(node_selector=chosen))
    assert "a taint that the pods do not tolerate" in finding.what
    assert "tests.gateway-bot.io/nodes" in finding.why


@pytest.mark.usefixtures("needs_controllers")
def test_where_no_pod_more_fits_they_are_replaced_one_by_one(bed: Bed) -> None:
    one_by_one = Rollout(max_unavailable="1", max_surge="0")
    assert bed.deploy(bed.spec(tag="2.10.0", replicas=2)).state is State.SUCCEEDED
    quota(pods="2")(bed)
    used = f"/api/v1/namespaces/{bed.ns}/resourcequotas/compute"
    get = bed.target.api.get
    until(lambda: get(used)["status"].get("used", {}).get("pods") == "2", "its pods counted")
    (finding,) = found(bed, replicas=2)
    assert "no room for the extra pod" in finding.what
    assert finding.fix_patch == {"rollout": {"maxUnavailable": 1, "maxSurge": 0}}
    assert found(bed, replicas=2, rollout=one_by_one) == []
    outcome = bed.deploy(bed.spec(replicas=2, rollout=one_by_one), "ABC236")
    assert outcome.state is State.SUCCEEDED, outcome


@pytest.mark.usefixtures("needs_controllers")
def test_more_pods_than_the_volume_of_a_gateway_takes_are_found(bed: Bed) -> None:
    a_disk(bed)
    changes: dict[str, Any] = {
        "backup": Backup(size="1Gi", storage_class=f"disk-{bed.ns}", access_mode="ReadWriteOnce"),
        "rollout": Rollout(strategy="Recreate"),
    }
    assert bed.deploy(bed.spec(replicas=0, **changes)).state is State.SUCCEEDED
    assert found(bed, **changes) == []
    (finding,) = found(bed, replicas=2, **changes)
    assert "pods on other nodes cannot mount it" in finding.what


@pytest.mark.usefixtures("needs_controllers")
def test_a_paused_deployment_is_found(bed: Bed) -> None:
    assert bed.deploy(bed.spec(tag="2.10.0")).state is State.SUCCEEDED
    bed.patch({"spec": {"paused": True}})
    (finding,) = found(bed)
    assert (finding.rule, finding.severity) == ("paused", "deny")
    # More pods of the same start all the same.
    assert found(bed, tag="2.10.0", replicas=2) == []


def a_secret(bed: Bed) -> None:
    body: Obj = {"metadata": {"name": "issuing"}, "data": {"tls.crt": "eA=="}}
    bed.target.api.create(f"/api/v1/namespaces/{bed.ns}/secrets", body)


def shared_files(bed: Bed) -> None:
    body = {"metadata": {"name": f"files-{bed.ns}"}, "provisioner": "file.csi.azure.com"}
    bed.make(_CLASSES, body)


GOOD: dict[str, tuple[Callable[[Bed], None], Mapping[str, Any]]] = {
    "nothing special": (nothing, {}),
    "a large quota": (quota(**{"requests.cpu": "64", "requests.memory": "64Gi", "pods": "99"}), {}),
    "a quota of limits that are set": (quota(**{"limits.cpu": "64"}), {"limits": Limits(cpu="2")}),
    "a quota of other things": (quota(services="9", **{"count/secrets": "9"}), {}),
    "a LimitRange that fits": (limits(max={"memory": "4Gi"}, min={"cpu": "10m"}), {}),
    "defaults for what is not set": (limits(default={"cpu": "4"}, max={"cpu": "8"}), {}),
    "file storage": (shared_files, {"backup": Backup(size="1Gi", storage_class="files-NS")}),
    "a Secret that is there": (a_secret, {"authorities": (CaSource("tls.crt", secret="issuing"),)}),
    "three pods": (nothing, {"replicas": 3}),
    "a disk that one pod leaves first": (
        a_disk,
        {
            "backup": Backup(size="1Gi", storage_class="disk-NS", access_mode="ReadWriteOnce"),
            "rollout": Rollout(strategy="Recreate"),
        },
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_on_a_good_cluster_nothing_is_found(name: str, bed: Bed, target: Target) -> None:
    if not target.controllers and "quota" in name:
        pytest.skip("this control plane is an API server alone, without controllers")
    make, changes = GOOD[name]
    make(bed)
    given = dict(changes)
    if (backup := given.get("backup")) is not None:
        there = (backup.storage_class or "").replace("NS", bed.ns)
        given["backup"] = Backup(backup.size, there, backup.access_mode)
    assert found(bed, **given) == []
    assert refused(bed, **given) == ""
