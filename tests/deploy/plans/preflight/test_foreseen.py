"""What a plan's pods will meet, found before it is applied: a fault at a time, and good clusters."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.plans.preflight.foreseen import foreseen
from deploy.plans.preflight.outlook import Outlook, Wanted
from deploy.plans.preflight.references import references_of
from deploy.rendering.manifests import render
from deploy.rules.finding import Finding
from deploy.specs.overlay import merged
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from tests.support.gateway_bed import SPEC

Obj = dict[str, Any]


def spec(**changes: Any) -> Any:
    return spec_from_mapping(merged(spec_to_mapping(SPEC), changes))


def deployment(**changes: Any) -> Obj:
    (found,) = (o for o in render(spec(**changes), "t") if o["kind"] == "Deployment")
    return found


def running(made: Obj, pods: int) -> Obj:
    return {**copy.deepcopy(made), "status": {"replicas": pods}}


def item(name: str, **more: Any) -> Obj:
    return {"metadata": {"name": name, **more.pop("metadata", {})}, **more}


def quota(hard: Mapping[str, str], used: Mapping[str, str] | None = None, **spec: Any) -> Obj:
    status = {"hard": hard, "used": used or dict.fromkeys(hard, "0")}
    return item("compute", spec={"hard": hard, **spec}, status=status)


def limit(kind: str = "Container", **said: Any) -> Obj:
    return item("ranges", spec={"limits": [{"type": kind, **said}]})


def node(name: str = "n", taints: Any = (), **labels: str) -> Obj:
    usual = {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    labels = {key.replace("__", "/").replace("_", "."): value for key, value in labels.items()}
    return item(name, metadata={"labels": {**usual, **labels}}, spec={"taints": list(taints)})


def storage(name: str, provisioner: str, *, default: bool = False) -> Obj:
    marks = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return item(name, metadata={"annotations": marks}, provisioner=provisioner)


DISK = storage("default", "disk.csi.azure.com", default=True)
FILE = storage("azurefile-csi", "file.csi.azure.com")


def look(
    after: Obj,
    live: Obj | None = None,
    *,
    objects: tuple[Obj, ...] = (),
    lenient: bool = False,
    most: int = 0,
    **outlook: Any,
) -> tuple[Finding, ...]:
    least = after["spec"]["replicas"]
    wanted = Wanted(after, live, least, most or least)
    made = {(o["kind"], o["metadata"]["name"]) for o in objects} | {("Secret", "t")}
    made |= {("ConfigMap", "edge-1-env")}
    claims = {o["metadata"]["name"]: o for o in objects if o["kind"] == "PersistentVolumeClaim"}
    return foreseen(wanted, Outlook(**outlook), claims=claims, made=made, lenient=lenient)


def with_backup(**changes: Any) -> tuple[Obj, tuple[Obj, ...]]:
    objects = render(spec(**merged({"backup": {"size": "1Gi"}}, changes)), "t")
    return objects[-1], objects[:-1]


def patched(change: Callable[[Obj], object]) -> Obj:
    made = deployment()
    change(made["spec"]["template"]["spec"])
    return made


USUAL = item("usual", value=1, globalDefault=True)
HIGH = item("high", value=5)
OF_USUAL = quota({"pods": "1"}, scopeSelector={"matchExpressions": [
    {"scopeName": "PriorityClass", "operator": "In", "values": ["usual"]}]})  # fmt: skip
KATA = item(
    "kata",
    overhead={"podFixed": {"memory": "1Gi", "cpu": "250m"}},
    scheduling={"nodeSelector": {"runtime": "kata"}},
)
OPENSHIFT = item("dev", metadata={"annotations": {
    "openshift.io/sa.scc.uid-range": "1000680000/10000",
    "openshift.io/sa.scc.supplemental-groups": "1000680000/10000,5/2"}})  # fmt: skip
OLD, NEW = running(deployment(), 2), deployment(image={"tag": "2.12.1"})
ALONE = deployment(replicas=1)
RWO = item("edge-1-config-backup", spec={"accessModes": ["ReadWriteOnce"]})
FAULTS: dict[str, tuple[Callable[[], tuple[Finding, ...]], str, str, str]] = {
    "a quota without room for what a new gateway needs": (
        lambda: look(deployment(), quotas=(quota({"requests.cpu": "3"}),)),
        "deny", "room for 1 of 2 more pods", "requests.cpu: 2 for each pod, 3 left",
    ),
    "a quota that others use up": (
        lambda: look(deployment(), quotas=(quota({"memory": "8Gi"}, {"memory": "5Gi"}),)),
        "warning", "room for 1 of 2", "requests.memory: 2Gi for each pod, 3Gi left",
    ),
    "a quota that counts pods": (
        lambda: look(deployment(), quotas=(quota({"count/pods": "1"}),)),
        "deny", "room for 1 of 2", "count/pods: 1 for each pod, 1 left",
    ),
    "a quota without room to replace pods": (
        lambda: look(NEW, OLD, quotas=(quota({"requests.cpu": "4"}, {"requests.cpu": "4"}),)),
        "deny", "no room for the extra pod", "0 left",
    ),
    "a quota without room now to replace pods": (
        lambda: look(NEW, OLD, quotas=(quota({"limits.memory": "8Gi"}, {"limits.memory": "7Gi"}),)),
        "warning", "no room for the extra pod", "1Gi left",
    ),
    "a quota that counts what the pods leave out": (
        lambda: look(deployment(), quotas=(quota({"limits.cpu": "64"}),), limits=()),
        "deny", "requires limits.cpu, which the pods do not set", "without the values",
    ),
    "a quota of a scope that the pods are in": (
        lambda: look(deployment(), quotas=(quota({"pods": "1"}, scopes=["NotBestEffort"]),)),
        "deny", "room for 1 of 2", "pods",
    ),
    "a quota of the pods' priority class": (
        lambda: look(
            deployment(placement={"priorityClassName": "high"}),
            quotas=(quota({"pods": "1"}, scopeSelector={"matchExpressions": [
                {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}),),
        ),
        "deny", "room for 1 of 2", "pods",
    ),
    "a quota of the default priority class": (
        lambda: look(deployment(), quotas=(OF_USUAL,), priorities=(USUAL, HIGH)),
        "deny", "room for 1 of 2", "pods",
    ),
    "a quota of what LimitRanges that may not be read could fill in": (
        lambda: look(deployment(), quotas=(quota({"limits.cpu": "64"}),), limits=None),
        "warning", "requires limits.cpu, which the pods do not set", "a LimitRange may set them",
    ),
    "a quota that a runtime's overhead exceeds": (
        lambda: look(
            deployment(placement={"runtimeClassName": "kata"}),
            quotas=(quota({"requests.memory": "5Gi"}),),
            runtimes=(KATA,),
        ),
        "deny", "room for 1 of 2", "requests.memory: 3Gi for each pod, 5Gi left",
    ),
    "no such runtime class": (
        lambda: look(deployment(placement={"runtimeClassName": "gvisor"}), runtimes=(KATA,)),
        "warning", "no RuntimeClass gvisor", "does not create pods",
    ),
    "no such priority class": (
        lambda: look(deployment(placement={"priorityClassName": "x"}), priorities=(USUAL,)),
        "warning", "no PriorityClass x", "does not create pods",
    ),
    "nodes that the runtime class is not for": (
        lambda: look(
            deployment(placement={"runtimeClassName": "kata"}), runtimes=(KATA,), nodes=(node(),)
        ),
        "warning", "No node has ", "linux/amd64",
    ),
    "users of OpenShift": (
        lambda: look(deployment(), space=OPENSHIFT),
        "warning", "users 1000680000 to 1000689999, but the pods set user 1001 and group 1001",
        "restricted-v2",
    ),
    "a group of OpenShift alone": (
        lambda: look(
            deployment(security={"runAsUser": "none", "fsGroup": 1000680001}), space=OPENSHIFT
        ),
        "warning", "the pods set group 1000680001 of volumes", "restricted-v2",
    ),
    "a LimitRange with a lower maximum": (
        lambda: look(deployment(), limits=(limit(max={"memory": "1Gi"}),)),
        "deny", "LimitRange ranges does not allow this container edge-1", "the maximum is 1Gi",
    ),
    "a LimitRange with a maximum, and no limit": (
        lambda: look(deployment(), limits=(limit(max={"cpu": "4"}),)),
        "deny", "does not allow this container", "CPU has no limit; the maximum is 4",
    ),
    "a LimitRange with a higher minimum": (
        lambda: look(deployment(), limits=(limit("Pod", min={"cpu": "3"}),)),
        "deny", "does not allow this pod", "a request of 2; the minimum is 3",
    ),
    "a LimitRange whose default limit is less than what is requested": (
        lambda: look(deployment(), limits=(limit(default={"cpu": "500m"}),)),
        "deny", "does not allow this container", "no limit; the default limit is 500m",
    ),
    "a LimitRange with a ratio": (
        lambda: look(
            deployment(resources={"limits": {"cpu": "4"}}),
            limits=(limit(maxLimitRequestRatio={"cpu": "1"}),),
        ),
        "deny", "does not allow", "a limit of 2 times its request; the maximum is 1 times",
    ),
    "a backup on disks": (
        lambda: look(with_backup()[0], objects=with_backup()[1], classes=(DISK, FILE)),
        "deny", "StorageClass default provides disks", "stay pending",
    ),
    "a backup of a class that there is not": (
        lambda: look(
            with_backup(backup={"storageClass": "fast"})[0],
            objects=with_backup(backup={"storageClass": "fast"})[1],
            classes=(DISK,),
        ),
        "warning", "no StorageClass fast", "Available classes: default",
    ),
    "a backup without a default class": (
        lambda: look(with_backup()[0], objects=with_backup()[1], classes=(FILE,)),
        "warning", "no default StorageClass", "Available classes: azurefile-csi",
    ),
    "a backup that one node alone can mount": (
        lambda: look(
            with_backup(backup={"accessMode": "ReadWriteOnce"})[0],
            objects=with_backup(backup={"accessMode": "ReadWriteOnce"})[1],
            classes=(DISK,),
        ),
        "deny", "is ReadWriteOnce: pods on other nodes cannot mount it", "up to 2 pods",
    ),
    "a backup of one node, and one pod that is replaced beside the old one": (
        lambda: look(
            deployment(replicas=1, backup={"existingClaim": "edge-1-config-backup"}),
            found={("PersistentVolumeClaim", "edge-1-config-backup"): RWO},
        ),
        "warning", "a new pod on another node waits", "stops only once",
    ),
    "an existing claim that is missing": (
        lambda: look(
            deployment(backup={"existingClaim": "shared"}),
            found={("PersistentVolumeClaim", "shared"): None},
        ),
        "warning", "no PersistentVolumeClaim shared", "does not start",
    ),
    "a Secret that is missing": (
        lambda: look(
            deployment(proxy={"httpsSecret": {"name": "proxy", "key": "url"}}),
            found={("Secret", "proxy"): None},
        ),
        "warning", "no Secret proxy", "does not start",
    ),
    "a key that is missing": (
        lambda: look(
            deployment(certificateAuthorities=[{"configMap": "roots", "key": "ca.crt"}]),
            found={("ConfigMap", "roots"): item("roots", data={"ca.pem": ""})},
        ),
        "warning", "ConfigMap roots has no key ca.crt", "does not start",
    ),
    "a pull secret that is missing": (
        lambda: look(
            deployment(image={"pullSecrets": ["registry"]}), found={("Secret", "registry"): None}
        ),
        "warning", "no Secret registry, which image.pullSecrets names", "rejects",
    ),
    "a service account that is missing": (
        lambda: look(
            patched(lambda pod: pod.update(serviceAccountName="apim")),
            found={("ServiceAccount", "apim"): None},
        ),
        "warning", "no ServiceAccount apim", "does not create pods",
    ),
    "nodes of another architecture": (
        lambda: look(deployment(), nodes=(node(kubernetes_io__arch="arm64"),)),
        "warning", "No node has kubernetes.io/arch=amd64", "linux/arm64",
    ),
    "a node selector that no node has": (
        lambda: look(deployment(placement={"nodeSelector": {"pool": "edge"}}), nodes=(node(),)),
        "warning", "pool=edge", "stay pending",
    ),
    "a cordoned node": (
        lambda: look(deployment(), nodes=({**node(), "spec": {"unschedulable": True}},)),
        "warning", "No node has", "Nodes that accept pods: none",
    ),
    "a taint that the pods do not tolerate": (
        lambda: look(
            deployment(), nodes=(node(taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),)
        ),
        "warning", "has a taint", "gpu=yes:NoSchedule",
    ),
    "a paused Deployment": (
        lambda: look({**NEW, "spec": {**NEW["spec"], "paused": True}}, OLD),
        "deny", "paused", "resumes it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS.values(), ids=FAULTS)
def test_each_fault_is_found_alone(
    case: tuple[Callable[[], tuple[Finding, ...]], str, str, str],
) -> None:
    find, severity, what, why = case
    (finding,) = find()
    assert (finding.severity, what in finding.what, why in finding.why) == (severity, True, True), (
        finding
    )
    assert finding.fix


GOOD: dict[str, Callable[[], tuple[Finding, ...]]] = {
    "nothing is known": lambda: look(deployment()),
    "all is there": lambda: look(
        deployment(), quotas=(), limits=(), classes=(), nodes=(node(),), found={}
    ),
    "a quota with room": lambda: look(
        NEW, OLD, quotas=(quota({"requests.cpu": "10"}, {"requests.cpu": "4"}),)
    ),
    "a quota without room, and pods replaced one by one": lambda: look(
        deployment(image={"tag": "2.12.1"}, rollout={"maxUnavailable": 1, "maxSurge": 0}),
        OLD,
        quotas=(quota({"pods": "2"}, {"pods": "2"}),),
    ),
    "a full quota, and nothing that starts": lambda: look(
        deployment(), OLD, quotas=(quota({"pods": "2"}, {"pods": "2"}),)
    ),
    "a full quota, and fewer pods": lambda: look(
        ALONE, running(deployment(), 2), quotas=(quota({"pods": "2"}, {"pods": "2"}),)
    ),
    "users that are left to OpenShift": lambda: look(
        deployment(security={"runAsUser": "none", "fsGroup": "none"}), space=OPENSHIFT
    ),
    "users that another constraint lets run already": lambda: look(NEW, OLD, space=OPENSHIFT),
    "a namespace without users of its own": lambda: look(deployment(), space=item("dev")),
    "a runtime class with room for its overhead": lambda: look(
        deployment(placement={"runtimeClassName": "kata"}),
        runtimes=(KATA,),
        nodes=(node(runtime="kata"),),
        quotas=(quota({"requests.memory": "6Gi", "limits.cpu": "9"}),),
        limits=(limit(default={"cpu": "2"}),),
    ),
    "a quota of another priority class than the default": lambda: look(
        deployment(), quotas=(OF_USUAL,), priorities=(HIGH,)
    ),
    "a quota of priority classes that may not be read": lambda: look(
        deployment(), quotas=(OF_USUAL,)
    ),
    "quotas of other scopes": lambda: look(
        deployment(),
        quotas=(
            quota({"pods": "0"}, scopes=["BestEffort"]),
            quota({"pods": "0"}, scopes=["Terminating"]),
            quota({"configmaps": "0"}),
        ),
    ),
    "a quota of limits, which a LimitRange fills in": lambda: look(
        deployment(),
        quotas=(quota({"limits.cpu": "9"}),),
        limits=(limit(default={"cpu": "3"}),),
    ),
    "a quota of other pods than those that have nothing but their runtime's overhead": lambda: look(
        patched(
            lambda pod: pod.update(
                runtimeClassName="kata", containers=[{**pod["containers"][0], "resources": {}}]
            )
        ),
        quotas=(quota({"pods": "0"}, scopes=["NotBestEffort"]),),
        limits=(),
        runtimes=(KATA,),
    ),
    "a LimitRange that fits": lambda: look(
        deployment(resources={"limits": {"cpu": "2"}}),
        limits=(limit(max={"cpu": "2", "memory": "2Gi"}, min={"cpu": "10m"}),),
    ),
    "a LimitRange of volumes": lambda: look(
        deployment(), limits=(limit("PersistentVolumeClaim", max={"storage": "1Ki"}),)
    ),
    "a backup on file storage": lambda: look(
        with_backup(backup={"storageClass": "azurefile-csi"})[0],
        objects=with_backup(backup={"storageClass": "azurefile-csi"})[1],
        classes=(DISK, FILE),
    ),
    "a backup on a driver that may share a file system": lambda: look(
        with_backup()[0],
        objects=with_backup()[1],
        classes=(storage("local-path", "rancher.io/local-path", default=True),),
    ),
    "a backup on a driver that nobody here knows": lambda: look(
        with_backup()[0],
        objects=with_backup()[1],
        classes=(storage("own", "storage.example.com", default=True),),
    ),
    "a backup on volumes that people make by hand": lambda: look(
        with_backup()[0],
        objects=with_backup()[1],
        classes=(storage("own", "kubernetes.io/no-provisioner", default=True),),
    ),
    "one pod on a disk, stopped before the new one starts": lambda: look(
        deployment(
            replicas=1,
            rollout={"strategy": "Recreate"},
            backup={"existingClaim": "edge-1-config-backup"},
        ),
        found={("PersistentVolumeClaim", "edge-1-config-backup"): RWO},
    ),
    "optional objects that are missing": lambda: look(
        patched(
            lambda pod: pod["containers"][0]["envFrom"].append(
                {"configMapRef": {"name": "extra", "optional": True}}
            )
        ),
        found={("ConfigMap", "extra"): None},
    ),
    "what may not be read": lambda: look(
        deployment(proxy={"httpsSecret": {"name": "proxy", "key": "url"}}),
        quotas=None, limits=None, classes=None, nodes=None, found={},
    ),
    "a taint that is tolerated": lambda: look(
        deployment(placement={"tolerations": [{"key": "edge", "operator": "Exists"}]}),
        nodes=(node(taints=[{"key": "edge", "value": "1", "effect": "NoSchedule"}]),),
    ),
    "a taint that only advises": lambda: look(
        deployment(), nodes=(node(taints=[{"key": "x", "effect": "PreferNoSchedule"}]),)
    ),
    "a node that is not ready for the moment": lambda: look(
        deployment(),
        nodes=(node(taints=[{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]),),
    ),
    "nodes of EKS Fargate, one for each pod": lambda: look(
        deployment(),
        nodes=(
            node(
                taints=[
                    {
                        "key": "eks.amazonaws.com/compute-type",
                        "value": "fargate",
                        "effect": "NoSchedule",
                    }
                ]
            ),
        ),
    ),
    "a full quota, and a gateway that is asleep": lambda: look(
        deployment(replicas=0, image={"tag": "2.12.1"}, rollout={"maxSurge": 1}),
        running(deployment(replicas=0), 0),
        quotas=(quota({"pods": "2"}, {"pods": "2"}),),
    ),
    "one good node among others": lambda: look(
        deployment(), nodes=(node("a", kubernetes_io__arch="arm64"), node("b"))
    ),
    "a node that does not say what it is": lambda: look(
        deployment(), nodes=(item("old", metadata={"labels": {}}),)
    ),
    "a paused Deployment whose pods stay": lambda: look(
        {**OLD, "spec": {**OLD["spec"], "paused": True}}, OLD
    ),
}  # fmt: skip


@pytest.mark.parametrize("find", GOOD.values(), ids=GOOD)
def test_nothing_is_found_where_nothing_fails(find: Callable[[], tuple[Finding, ...]]) -> None:
    assert find() == ()


@pytest.mark.parametrize("name", FAULTS)
def test_the_fix_of_a_finding_ends_it(name: str) -> None:
    """As far as it can be laid over the spec."""
    findings = FAULTS[name][0]()
    for finding in findings:
        if finding.fix_patch is None:
            continue
        if finding.rule == "quota":
            fixed = deployment(**merged({"image": {"tag": "2.12.1"}}, finding.fix_patch))
            full = quota({"requests.cpu": "4"}, {"requests.cpu": "4"})
            assert look(fixed, OLD, quotas=(full,)) == ()
        elif finding.rule == "storage-class":
            made, objects = with_backup(**finding.fix_patch)
            assert look(made, objects=objects, classes=(DISK, FILE)) == ()
        elif finding.rule == "users":
            assert look(deployment(**finding.fix_patch), space=OPENSHIFT) == ()
        else:
            again = {"replicas": 1, "backup": {"existingClaim": "edge-1-config-backup"}}
            made = deployment(**merged(again, finding.fix_patch))
            found = {("PersistentVolumeClaim", "edge-1-config-backup"): RWO}
            assert look(made, found=found) == ()


CLOUDS = {
    "AKS": (
        storage("default", "disk.csi.azure.com", default=True),
        storage("managed-csi", "disk.csi.azure.com"),
        storage("azurefile-csi", "file.csi.azure.com"),
        storage("azurefile-csi-premium", "file.csi.azure.com"),
    ),
    "EKS": (storage("gp2", "kubernetes.io/aws-ebs"),),
    "EKS with EFS": (
        storage("gp2", "kubernetes.io/aws-ebs", default=True),
        storage("efs-sc", "efs.csi.aws.com"),
    ),
    "GKE": (
        storage("standard-rwo", "pd.csi.storage.gke.io", default=True),
        storage("premium-rwo", "pd.csi.storage.gke.io"),
        storage("standard-rwx", "filestore.csi.storage.gke.io"),
        storage("premium-rwx", "filestore.csi.storage.gke.io"),
    ),
}
BACKUPS: tuple[Obj, ...] = (
    {},
    {"replicas": 1},
    {"backup": {"accessMode": "ReadWriteOnce"}},
    {"replicas": 1, "backup": {"accessMode": "ReadWriteOnce"}},
)
DENIED = frozenset({"recreates-pods", "rollout-stops-all"})


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("asked", BACKUPS, ids=str)
def test_what_is_offered_for_a_backup_leads_to_a_plan_that_works(cloud: str, asked: Obj) -> None:
    classes = CLOUDS[cloud]
    made, objects = with_backup(**asked)
    live = running(deployment(replicas=made["spec"]["replicas"]), made["spec"]["replicas"])
    found = look(made, live, objects=objects, classes=classes, denied=DENIED)
    for finding in found:
        if finding.fix_patch is None:
            # Any class will do for a claim of one node.
            any_class = finding.rule == "storage-class" and "accessMode" in asked.get("backup", {})
            assert ("to one of them" if any_class else "one of EFS on EKS") in finding.fix
            continue
        fixed, objects = with_backup(**merged(asked, finding.fix_patch))
        assert fixed["spec"]["strategy"]["type"] == "RollingUpdate"
        assert look(fixed, live, objects=objects, classes=classes, denied=DENIED) == ()
    shared = any("file" in each["provisioner"] or "efs" in each["provisioner"] for each in classes)
    assert found
    assert {bool(finding.fix_patch) for finding in found} == {shared}


def test_an_outage_is_offered_only_where_no_rule_denies_it() -> None:
    alone, full = running(ALONE, 1), (quota({"pods": "1"}, {"pods": "1"}),)
    after = deployment(replicas=1, image={"tag": "2.12.1"})
    (finding,) = look(after, alone, quotas=full)
    assert finding.fix_patch == {"rollout": {"maxUnavailable": 1, "maxSurge": 0}}
    (finding,) = look(after, alone, quotas=full, denied=DENIED)
    assert (finding.fix_patch, finding.fix) == (None, "Request less, or have the quota raised.")
    made, objects = with_backup(replicas=1, backup={"accessMode": "ReadWriteOnce"})
    (finding,) = look(made, objects=objects)
    assert finding.fix_patch == {"rollout": {"strategy": "Recreate"}}
    (finding,) = look(made, objects=objects, denied=DENIED)
    assert finding.fix_patch is None
    assert "exempted from the rule recreates-pods" in finding.fix


def test_a_rotation_is_warned_and_never_denied() -> None:
    full = quota({"pods": "2"}, {"pods": "2"})
    (finding,) = look(NEW, OLD, quotas=(full,), lenient=True)
    assert (finding.severity, finding.rule) == ("warning", "quota")


def test_volumes_that_several_pods_share_already_only_warn() -> None:
    claim = {"existingClaim": "edge-1-config-backup"}
    live = running(deployment(backup=claim), 2)
    after = deployment(backup=claim, image={"tag": "2.12.1"})
    found = {("PersistentVolumeClaim", "edge-1-config-backup"): RWO}
    assert [each.severity for each in look(after, live, found=found)] == ["warning"]


@pytest.mark.parametrize(
    ("around", "rule"),
    [
        ({"quotas": (quota({"limits.cpu": "64"}),), "limits": ()}, "quota"),
        ({"limits": (limit(max={"cpu": "4"}),)}, "limit-range"),
    ],
)
def test_what_a_webhook_has_given_the_pods_that_run_is_only_warned_of(
    around: dict[str, Any], rule: str
) -> None:
    found = [(each.rule, each.severity) for each in look(NEW, OLD, **around)]
    assert found == [(rule, "warning")]
    asleep = running(deployment(), 0)
    assert [each.severity for each in look(NEW, asleep, **around)] == ["deny"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["hard", "used", "limits", "type", "max", "min", "default", "cpu", "memory", "taints",
             "labels", "key", "effect", "scopes", "scopeSelector", "matchExpressions", "spec",
             "status", "accessModes", "data", "annotations"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(spec=ANYTHING, status=ANYTHING, labels=ANYTHING)
def test_odd_objects_of_others_stop_no_plan(spec: Any, status: Any, labels: Any) -> None:
    odd = item("odd", metadata={"labels": labels, "annotations": labels}, spec=spec, status=status)
    made, objects = with_backup()
    look(made, objects=objects, quotas=(odd,), limits=(odd,), classes=(odd,), nodes=(odd,))
    named = deployment(placement={"runtimeClassName": "odd"})
    odd |= {"scheduling": spec, "overhead": status, "globalDefault": True, "value": labels}
    look(named, quotas=(odd,), runtimes=(odd,), priorities=(odd,), nodes=(odd,), space=odd)
    look(
        deployment(certificateAuthorities=[{"configMap": "roots", "key": "ca.crt"}]),
        found={("ConfigMap", "roots"): {**odd, "data": spec}},
    )


@given(pod=ANYTHING)
def test_odd_pods_name_nothing_that_stops_a_plan(pod: Any) -> None:
    for each in ({"containers": pod, "volumes": pod, "initContainers": pod}, {"volumes": [pod]}):
        assert all(name for _, name in references_of(each))


def test_what_could_not_be_read_is_said_where_it_matters_and_nowhere_else() -> None:
    kinds = ("Node", "StorageClass", "RuntimeClass", "PriorityClass")
    unseen = dict.fromkeys(kinds, "No Role allows it.")
    assert look(deployment(), unseen=unseen) == ()
    after, objects = with_backup()
    said = look(after, objects=objects, unseen=unseen)
    assert [(each.rule, each.severity) for each in said] == [("storage-class", "info")]
    assert said[0].what.endswith("can provide the volume: No Role allows it.")
    chosen = patched(lambda pod: pod.update(nodeSelector={"disk": "fast"}))
    assert [(e.rule, e.severity) for e in look(chosen, unseen=unseen)] == [("nodes", "info")]
    classes = {"runtimeClassName": "gvisor", "priorityClassName": "high"}
    assert [
        each.what for each in look(patched(lambda pod: pod.update(classes)), unseen=unseen)
    ] == [
        "Could not check whether the cluster has RuntimeClass gvisor: No Role allows it.",
        "Could not check whether the cluster has PriorityClass high: No Role allows it.",
    ]
    lenient = look(chosen, unseen={"ResourceQuota": "It may not be listed."}, lenient=True)
    assert [(each.rule, each.severity) for each in lenient] == [("quota", "info")]
