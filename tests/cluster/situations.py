"""What clusters of others are like: the situations of docs/clusters.md, made in a namespace."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deploy.actions.action import State
from deploy.specs.options import Service
from tests.cluster.rollout_bed import (
    ADMISSION,
    MIRROR,
    OTHER,
    REPOSITORY,
    Bed,
    namespace_deleted,
)
from tests.support.kube_api import JSON_PATCH, MERGE, STRATEGIC, Obj
from tests.support.waiting import until
from tests.support.webhooks import Decide, Denied, Patch, listening

FIRST_USER, LAST_USER = 1000680000, 1000689999
_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
_VOLUMES = "/api/v1/persistentvolumes"
_PODS = {"": ["pods"]}
_DEPLOYMENTS = {"apps": ["deployments"]}
_SIDECAR = {"name": "mesh", "image": "mesh.example/proxy:1.0", "resources": {}}


@dataclass(frozen=True)
class Situation:
    """`make` brings it about, `afterwards` looks at what was rolled out in it."""

    make: Callable[[Bed], None]
    afterwards: Callable[[Bed], None] = lambda bed: None
    real: bool = False
    """Whether only a real API server has such an admission."""
    dual_stack: bool = False
    """Whether it takes a control plane whose Services may have two families."""


def nothing(bed: Bed) -> None:
    """As it is."""


def running(bed: Bed, **changes: Any) -> None:
    outcome = bed.deploy(bed.spec(tag="2.10.0", **changes), "ABC233")
    assert outcome.state is State.SUCCEEDED, outcome


def two_pods(bed: Bed) -> None:
    running(bed, replicas=2)


def _of_namespace(bed: Bed, metadata: Obj) -> None:
    path = f"/api/v1/namespaces/{bed.ns}"
    answer = bed.target.api.request("PATCH", path, {"metadata": metadata}, MERGE)
    assert answer.status == 200, answer.body


def restricted(bed: Bed) -> None:
    _of_namespace(bed, {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}})


def webhook(bed: Bed, decide: Decide, resources: dict[str, list[str]], kind: str) -> None:
    """Have a webhook asked about the namespace's objects, and wait until it is."""
    hook = bed.stack.enter_context(listening(bed.home, decide))
    configuration = hook.configuration(kind, f"policy-{bed.ns}", bed.ns, resources)
    bed.make(f"{ADMISSION}/{kind.lower()}s", configuration)
    labels = {"app": "probe"}
    pod = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "c", "image": "a/b:1"}]},
    }
    tried = {
        "pods": (f"/api/v1/namespaces/{bed.ns}/pods", {**pod, "metadata": {"name": "probe"}}),
        "deployments": (
            f"/apis/apps/v1/namespaces/{bed.ns}/deployments",
            {
                "metadata": {"name": "probe"},
                "spec": {"selector": {"matchLabels": labels}, "template": pod},
            },
        ),
    }
    (plural,) = next(iter(resources.values()))
    path, body = tried[plural]

    def asked() -> bool:
        bed.target.api.request("POST", f"{path}?dryRun=All", body)
        return bool(hook.asked)

    until(asked, "the webhook")


def openshift(bed: Bed) -> None:
    """A namespace as OpenShift marks it, with what its constraint restricted-v2 does to pods."""
    length = LAST_USER - FIRST_USER + 1
    block = f"{FIRST_USER}/{length}"
    names = ("uid-range", "supplemental-groups")
    _of_namespace(bed, {"annotations": {f"openshift.io/sa.scc.{name}": block for name in names}})
    webhook(bed, constrained, _PODS, "MutatingWebhookConfiguration")


def constrained(pod: Obj) -> Patch:
    context: Obj = pod["spec"].get("securityContext") or {}
    user, group = context.get("runAsUser"), context.get("fsGroup")
    wrong = []
    if group not in (None, FIRST_USER):
        at = ".spec.securityContext.fsGroup"
        wrong.append(f"{at}: Invalid value: []int64{{{group}}}: {group} is not an allowed group")
    if user is not None and not FIRST_USER <= user <= LAST_USER:
        ranges = f"must be in the ranges: [{FIRST_USER}, {LAST_USER}]"
        wrong.append(f".containers[0].runAsUser: Invalid value: {user}: {ranges}")
    if wrong:
        said = ", ".join(f"provider restricted-v2: {each}" for each in wrong)
        raise Denied(f"unable to validate against any security context constraint: [{said}]")
    mine = {"runAsUser": FIRST_USER, "fsGroup": FIRST_USER, **context}
    return [{"op": "add", "path": "/spec/securityContext", "value": mine}]


def mirroring(prefix: tuple[str, ...], mirror: str) -> Decide:
    """Images of Microsoft's registry, by digest, in the pod spec at that path."""

    def decide(item: Obj) -> Patch:
        spec: Obj = item
        for step in prefix:
            spec = spec[step]
        patch = []
        for index, container in enumerate(spec["containers"]):
            image = container["image"]
            if image.startswith(REPOSITORY) and "@" not in image:
                digest = hashlib.sha256(image.encode()).hexdigest()
                value = f"{image.replace(REPOSITORY, mirror)}@sha256:{digest}"
                path = f"/{'/'.join(prefix)}/containers/{index}/image"
                patch.append({"op": "replace", "path": path, "value": value})
        return patch

    return decide


_TEMPLATE = ("spec", "template", "spec")


def mirrored_deployments(bed: Bed) -> None:
    decide = mirroring(_TEMPLATE, MIRROR)
    webhook(bed, decide, _DEPLOYMENTS, "MutatingWebhookConfiguration")


def unknown_mirror(bed: Bed) -> None:
    decide = mirroring(_TEMPLATE, "elsewhere.example/azure-api-management/gateway")
    webhook(bed, decide, _DEPLOYMENTS, "MutatingWebhookConfiguration")


def mirrored_pods(bed: Bed) -> None:
    webhook(bed, mirroring(("spec",), MIRROR), _PODS, "MutatingWebhookConfiguration")


def pods(bed: Bed) -> list[Obj]:
    found = bed.target.api.items(f"/api/v1/namespaces/{bed.ns}/pods?labelSelector=app%3Dedge-1")
    return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]


def images_are_of_the_mirror(bed: Bed) -> None:
    images = {c["image"] for pod in pods(bed) for c in pod["spec"]["containers"]}
    assert images
    assert all(each.startswith(f"{MIRROR}:") and "@sha256:" in each for each in images), images


def users_are_the_namespaces(bed: Bed) -> None:
    users = {pod["spec"]["securityContext"]["runAsUser"] for pod in pods(bed)}
    assert users == {FIRST_USER}


def meshed(bed: Bed) -> None:
    def decide(pod: Obj) -> Patch:
        return [{"op": "add", "path": "/spec/containers/0", "value": _SIDECAR}]

    webhook(bed, decide, _PODS, "MutatingWebhookConfiguration")


def the_sidecar_runs(bed: Bed) -> None:
    names = {tuple(c["name"] for c in pod["spec"]["containers"]) for pod in pods(bed)}
    assert names == {("mesh", "edge-1")}


def forbidding(resources: dict[str, list[str]]) -> Callable[[Bed], None]:
    def decide(_: Obj) -> Patch:
        raise Denied("images must be signed")

    return lambda bed: webhook(bed, decide, resources, "ValidatingWebhookConfiguration")


def quota(bed: Bed, **spec: Any) -> None:
    quotas = f"/api/v1/namespaces/{bed.ns}/resourcequotas"
    bed.target.api.create(quotas, {"metadata": {"name": "compute"}, "spec": spec})
    get = bed.target.api.get
    until(lambda: get(f"{quotas}/compute").get("status", {}).get("hard"), "the quota")


def full(bed: Bed) -> None:
    two_pods(bed)
    quota(bed, hard={"pods": "2"})
    path = f"/api/v1/namespaces/{bed.ns}/resourcequotas/compute"
    until(lambda: bed.target.api.get(path)["status"]["used"]["pods"] == "2", "its pods counted")


def cpu_limits_counted(bed: Bed) -> None:
    quota(bed, hard={"limits.cpu": "64"})


def small_memory(bed: Bed) -> None:
    limits = [{"type": "Container", "max": {"memory": "128Mi"}}]
    body = {"metadata": {"name": "ranges"}, "spec": {"limits": limits}}
    bed.target.api.create(f"/api/v1/namespaces/{bed.ns}/limitranges", body)


def storage(name: str, provisioner: str, mode: str) -> Callable[[Bed], None]:
    """A class, and a volume of it, which a control plane without that driver lacks."""

    def make(bed: Bed) -> None:
        called = f"{name}-{bed.ns}"
        bed.make(_CLASSES, {"metadata": {"name": called}, "provisioner": provisioner})
        spec = {
            "accessModes": [mode],
            "capacity": {"storage": "1Gi"},
            "hostPath": {"path": f"/var/lib/{called}"},
            "storageClassName": called,
        }
        bed.make(_VOLUMES, {"metadata": {"name": called}, "spec": spec})

    return make


def runtime(bed: Bed) -> None:
    """A runtime that takes a gigabyte for each pod, where two and a half are left."""
    body = {"handler": "kata", "overhead": {"podFixed": {"memory": "1Gi"}}}
    bed.make(
        "/apis/node.k8s.io/v1/runtimeclasses", {"metadata": {"name": f"kata-{bed.ns}"}, **body}
    )
    quota(bed, hard={"requests.memory": "2560Mi"})


def default_priority(bed: Bed) -> None:
    name = f"usual-{bed.ns}"
    body = {"metadata": {"name": name}, "value": 0, "globalDefault": True}
    bed.make("/apis/scheduling.k8s.io/v1/priorityclasses", body)
    chosen = {"scopeName": "PriorityClass", "operator": "In", "values": [name]}
    quota(bed, hard={"pods": "0"}, scopeSelector={"matchExpressions": [chosen]})


def autoscaled(bed: Bed) -> None:
    two_pods(bed)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "edge-1"}
    spec = {"minReplicas": 2, "maxReplicas": 9, "scaleTargetRef": target}
    body = {"metadata": {"name": "scaler"}, "spec": spec}
    bed.target.api.create(
        f"/apis/autoscaling/v2/namespaces/{bed.ns}/horizontalpodautoscalers", body
    )


def two_pods_stay(bed: Bed) -> None:
    assert bed.target.api.get(bed.path)["spec"]["replicas"] == 2


def owned(bed: Bed) -> None:
    running(bed)
    bed.patch(
        [
            {
                "op": "replace",
                "path": "/spec/template/spec/containers/0/image",
                "value": OTHER + ".1",
            }
        ],
        form=JSON_PATCH,
    )


def annotated(bed: Bed) -> None:
    """An agent of the cluster's owner keeps an annotation and a label of the pods."""
    running(bed)
    own = {"annotations": {"cost.example/centre": "7"}, "labels": {"cost.example/team": "edge"}}
    bed.patch({"spec": {"template": {"metadata": own}}}, manager="cost-agent")


def the_annotation_is_kept(bed: Bed) -> None:
    for pod in pods(bed):
        assert pod["metadata"]["annotations"]["cost.example/centre"] == "7"
        assert pod["metadata"]["labels"]["cost.example/team"] == "edge"


def paused(bed: Bed) -> None:
    running(bed)
    bed.patch({"spec": {"paused": True}})


def hooked(bed: Bed) -> None:
    running(bed)
    hook = {"preStop": {"exec": {"command": ["sleep", "5"]}}}
    container = {"name": "edge-1", "lifecycle": hook}
    bed.patch({"spec": {"template": {"spec": {"containers": [container]}}}}, form=STRATEGIC)


def ending(bed: Bed) -> None:
    running(bed)
    bed.patch({"metadata": {"finalizers": ["tests.gateway-bot.io/hold"]}})
    free = {"metadata": {"finalizers": None}}
    bed.stack.callback(bed.target.api.request, "PATCH", bed.path, free, MERGE)
    namespace_deleted(bed)


def one_family(bed: Bed) -> None:
    path = f"/api/v1/namespaces/{bed.ns}/services/edge-1-live-traffic"
    spec = bed.target.api.get(path)["spec"]
    assert (spec["ipFamilyPolicy"], len(spec["ipFamilies"])) == ("PreferDualStack", 1)


def as_many_families_as_asked(bed: Bed) -> None:
    for name in ("edge-1-live-traffic", "edge-1-instance-discovery"):
        spec = bed.target.api.get(f"/api/v1/namespaces/{bed.ns}/services/{name}")["spec"]
        both = spec["ipFamilyPolicy"] != "SingleStack"
        assert (len(spec["ipFamilies"]), len(spec["clusterIPs"])) == (1 + both, 1 + both)


def with_both_families(bed: Bed) -> None:
    both = Service(ip_family_policy="PreferDualStack")
    running(bed, service=both)


def closed(bed: Bed) -> None:
    """Nothing gets in or out but what a policy opens."""
    everything = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    body = {"metadata": {"name": "default-deny"}, "spec": everything}
    bed.target.api.create(f"/apis/networking.k8s.io/v1/namespaces/{bed.ns}/networkpolicies", body)


def the_policy_opens(bed: Bed) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{bed.ns}/networkpolicies/edge-1"
    spec = bed.target.api.get(path)["spec"]
    opened = {(p["protocol"], p["port"]) for rule in spec["egress"] for p in rule["ports"]}
    assert {("UDP", 4290), ("UDP", 4291), ("TCP", 443), ("UDP", 53)} <= opened


SITUATIONS: dict[str, Situation] = {
    "OpenShift gives the namespace users of its own": Situation(
        openshift, users_are_the_namespaces
    ),
    "Pod Security enforces `restricted`": Situation(restricted, real=True),
    "A webhook sends images of Deployments to a mirror, by digest": Situation(
        mirrored_deployments, images_are_of_the_mirror
    ),
    "A webhook sends images of pods to a mirror, by digest": Situation(
        mirrored_pods, images_are_of_the_mirror
    ),
    "That mirror is not in `images.repositories`": Situation(unknown_mirror),
    "A webhook adds a sidecar to pods": Situation(meshed, the_sidecar_runs),
    "A webhook refuses Deployments": Situation(forbidding(_DEPLOYMENTS)),
    "A webhook refuses pods": Situation(forbidding(_PODS)),
    "A quota is used up by the 2 pods that run": Situation(full),
    "A quota counts CPU limits": Situation(cpu_limits_counted),
    "A LimitRange allows 128Mi for each container": Situation(small_memory),
    "A quota has 2.5Gi left, and a runtime class takes 1Gi for each pod": Situation(runtime),
    "A quota is of the default priority class, and full": Situation(default_priority),
    "The storage class makes disks": Situation(
        storage("disks", "disk.csi.azure.com", "ReadWriteOnce")
    ),
    "The storage class makes file shares": Situation(
        storage("files", "file.csi.azure.com", "ReadWriteMany")
    ),
    "The cluster has IPv4 alone": Situation(nothing, one_family),
    "The cluster has IPv4 and IPv6": Situation(nothing, as_many_families_as_asked, dual_stack=True),
    "The cluster has IPv4 and IPv6, and so has the gateway": Situation(
        with_both_families, as_many_families_as_asked, dual_stack=True
    ),
    "All traffic is denied by default": Situation(closed, the_policy_opens),
    "The cluster has no such runtime class": Situation(nothing),
    "No node is of that architecture": Situation(nothing),
    "A pull secret is missing": Situation(nothing),
    "Somebody's autoscaler counts 2 pods": Situation(autoscaled, two_pods_stay),
    "An agent has set the image": Situation(owned),
    "An agent adds to the pod template": Situation(annotated, the_annotation_is_kept),
    "Somebody's `preStop` hook is in the Deployment": Situation(hooked),
    "The Deployment is paused": Situation(paused),
    "The namespace is being deleted": Situation(ending),
}
