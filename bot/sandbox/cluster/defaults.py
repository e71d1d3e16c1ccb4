"""The defaults the API server fills in. They change the object they are given, which the caller
owns."""

import base64
from collections.abc import Callable
from typing import Any

from bot.sandbox.cluster.kinds import Kind
from bot.sandbox.cluster.limit_ranges import complete
from bot.sandbox.cluster.objects import Obj, get


def _set(obj: Obj, **values: Any) -> None:
    for name, value in values.items():
        if obj.get(name) is None:
            obj[name] = value


def apply_defaults(kind: Kind, obj: Obj) -> None:
    """Fill in the defaults of `kind`, as decoding into the versioned type does."""
    for name in _STRUCTS.get(kind.kind, ()):
        if obj.get(name) is None:
            obj[name] = {}
    default = _BY_KIND.get(kind.kind)
    if default is not None:
        default(obj)


# Structs that are always written, even when they are empty.
_STRUCTS: dict[str, tuple[str, ...]] = {
    "Namespace": ("spec",),
    "Pod": ("spec",),
    "Service": ("spec",),
    "Deployment": ("spec",),
    "ReplicaSet": ("spec",),
    "StatefulSet": ("spec",),
    "DaemonSet": ("spec",),
    "PersistentVolumeClaim": ("spec",),
    "PersistentVolume": ("spec",),
    "Node": ("spec",),
    "ResourceQuota": ("spec",),
    "LimitRange": ("spec",),
    "PodDisruptionBudget": ("spec",),
    "HorizontalPodAutoscaler": ("spec",),
    "Lease": ("spec",),
    "Ingress": ("spec",),
    "NetworkPolicy": ("spec",),
}


def zero_object(kind: Kind) -> Obj:
    """What an object of this kind holds before anything is written: structs that are never
    absent."""
    zero: Obj = {"metadata": {}}
    if kind.kind in _STRUCTS or kind.kind.startswith("SelfSubject"):
        zero["spec"] = {}
    if "status" in kind.subresources:
        zero["status"] = {}
    if kind.kind == "Pod":
        zero["spec"] = {"containers": []}
    if kind.kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"):
        zero["spec"] = {"template": {"metadata": {}, "spec": {"containers": []}}}
    if kind.kind == "Deployment":
        zero["spec"]["strategy"] = {}
    if kind.kind == "HorizontalPodAutoscaler":
        zero["spec"] = {"scaleTargetRef": {}}
    if kind.kind == "PersistentVolumeClaim":
        zero["spec"] = {"resources": {}}
    if kind.kind == "Event":
        zero |= {"involvedObject": {}, "source": {}}
    return zero


def initial_status(kind: Kind, obj: Obj) -> Obj | None:
    """The status an object is created with; None for kinds that keep the one they were sent."""
    if kind.kind == "Pod":
        return {"phase": "Pending", "qosClass": qos_class(obj)}
    if kind.kind in ("PersistentVolumeClaim", "PersistentVolume"):
        return {"phase": "Pending"}
    found: dict[str, Obj] = {
        "Deployment": {},
        "ReplicaSet": {"replicas": 0},
        "StatefulSet": {"replicas": 0, "availableReplicas": 0},
        "DaemonSet": {
            "currentNumberScheduled": 0,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 0,
            "numberReady": 0,
        },
        "Service": {"loadBalancer": {}},
        "Ingress": {"loadBalancer": {}},
        "Namespace": {"phase": "Active"},
        "ResourceQuota": {},
        "HorizontalPodAutoscaler": {"desiredReplicas": 0, "currentMetrics": None},
        "PodDisruptionBudget": {
            "disruptionsAllowed": 0,
            "currentHealthy": 0,
            "desiredHealthy": 0,
            "expectedPods": 0,
        },
    }
    return found.get(kind.kind)


def qos_class(pod: Obj) -> str:
    """The quality-of-service class that follows from the containers' resources."""
    guaranteed, any_set = True, False
    for container in get(pod, "spec", "containers", default=[]):
        requests = get(container, "resources", "requests", default={})
        limits = get(container, "resources", "limits", default={})
        any_set = any_set or bool(requests or limits)
        for resource in ("cpu", "memory"):
            if resource not in limits or requests.get(resource) != limits[resource]:
                guaranteed = False
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _probe(probe: Obj) -> None:
    _set(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if probe.get("httpGet") is not None:
        _http_get(probe["httpGet"])
    if probe.get("grpc") is not None:
        _set(probe["grpc"], service="")


def _http_get(action: Obj) -> None:
    _set(action, path="/", scheme="HTTP")


def _container(container: Obj) -> None:
    image = str(container.get("image", ""))
    tag = image.rsplit("/", 1)[-1].partition("@")[0].partition(":")[2]
    latest = "@" not in image and tag in ("", "latest")
    _set(
        container,
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy="Always" if latest else "IfNotPresent",
    )
    for port in container.get("ports") or []:
        _set(port, protocol="TCP")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name) is not None:
            _probe(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict) and hook.get("httpGet") is not None:
            _http_get(hook["httpGet"])
    for variable in container.get("env") or []:
        reference = get(variable, "valueFrom", "fieldRef")
        if reference is not None:
            _set(reference, apiVersion="v1")


def _volume(volume: Obj) -> None:
    if set(volume) <= {"name"}:
        volume["emptyDir"] = {}
    for source in ("secret", "configMap", "downwardAPI", "projected"):
        if volume.get(source) is not None:
            _set(volume[source], defaultMode=420)
    if volume.get("hostPath") is not None:
        _set(volume["hostPath"], type="")
    for part in get(volume, "projected", "sources", default=[]):
        if part.get("serviceAccountToken") is not None:
            _set(part["serviceAccountToken"], expirationSeconds=3600)
    items = [
        *get(volume, "downwardAPI", "items", default=[]),
        *(
            item
            for part in get(volume, "projected", "sources", default=[])
            for item in get(part, "downwardAPI", "items", default=[])
        ),
    ]
    for item in items:
        if item.get("fieldRef") is not None:
            _set(item["fieldRef"], apiVersion="v1")


def pod_spec(spec: Obj) -> None:
    """The defaults of a pod's or pod template's spec."""
    _set(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    elif spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        _container(container)
    for volume in spec.get("volumes") or []:
        _volume(volume)


def _template(spec: Obj) -> None:
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    pod_spec(template.setdefault("spec", {}))


def _pod(obj: Obj) -> None:
    spec = obj["spec"]
    _set(spec, enableServiceLinks=True)
    pod_spec(spec)
    # In a pod only: a template keeps what was written.
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        resources = container["resources"]
        for name, limit in (resources.get("limits") or {}).items():
            resources.setdefault("requests", {}).setdefault(name, limit)


def _deployment(obj: Obj) -> None:
    spec = obj["spec"]
    _set(spec, replicas=1, strategy={}, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec["strategy"]
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy, rollingUpdate={})
        _set(strategy["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")
    _template(spec)


def _replica_set(obj: Obj) -> None:
    spec = obj["spec"]
    _set(spec, replicas=1)
    _template(spec)
    labels = get(spec, "template", "metadata", "labels")
    if labels:
        _set(spec, selector={"matchLabels": dict(labels)})
        _set(obj["metadata"], labels=dict(labels))


def _stateful_set(obj: Obj) -> None:
    spec = obj["spec"]
    _set(spec, replicas=1, podManagementPolicy="OrderedReady", revisionHistoryLimit=10)
    _set(spec, updateStrategy={})
    _set(spec["updateStrategy"], type="RollingUpdate")
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        _set(spec["updateStrategy"], rollingUpdate={})
        _set(spec["updateStrategy"]["rollingUpdate"], partition=0, maxUnavailable=1)
    _set(spec, persistentVolumeClaimRetentionPolicy={})
    _set(spec["persistentVolumeClaimRetentionPolicy"], whenDeleted="Retain", whenScaled="Retain")
    _template(spec)


def _daemon_set(obj: Obj) -> None:
    spec = obj["spec"]
    _set(spec, revisionHistoryLimit=10, updateStrategy={})
    _set(spec["updateStrategy"], type="RollingUpdate")
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        _set(spec["updateStrategy"], rollingUpdate={})
        _set(spec["updateStrategy"]["rollingUpdate"], maxUnavailable=1, maxSurge=0)
    _template(spec)


def _cron_job(obj: Obj) -> None:
    spec = obj["spec"]
    _set(spec, concurrencyPolicy="Allow", suspend=False)
    _set(spec, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    _template(spec.setdefault("jobTemplate", {}).setdefault("spec", {}))


def _service(obj: Obj) -> None:
    spec = obj["spec"]
    _set(spec, sessionAffinity="None", type="ClusterIP")
    if spec["type"] != "ExternalName":
        _set(spec, internalTrafficPolicy="Cluster")
    if spec["sessionAffinity"] == "ClientIP":
        _set(spec, sessionAffinityConfig={"clientIP": {"timeoutSeconds": 10800}})
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _set(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _set(spec, allocateLoadBalancerNodePorts=True)
    for port in spec.get("ports") or []:
        _set(port, protocol="TCP")
        _set(port, targetPort=port.get("port"))


def _secret(obj: Obj) -> None:
    _set(obj, type="Opaque")
    plain = obj.pop("stringData", None)
    if plain:
        data = obj.setdefault("data", {})
        for name, text in plain.items():
            data[name] = base64.b64encode(str(text).encode()).decode()


def _claim(obj: Obj) -> None:
    _set(obj["spec"], volumeMode="Filesystem", resources={})


def _volume_object(obj: Obj) -> None:
    _set(obj["spec"], volumeMode="Filesystem", persistentVolumeReclaimPolicy="Retain")


def _autoscaler(obj: Obj) -> None:
    spec = obj["spec"]
    _set(spec, minReplicas=1, scaleTargetRef={})
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is None:
        return
    up = [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ]
    down = [{"type": "Percent", "value": 100, "periodSeconds": 15}]
    for name, policies in (("scaleUp", up), ("scaleDown", down)):
        rules = behavior.setdefault(name, {})
        _set(rules, selectPolicy="Max", policies=policies)
    _set(behavior["scaleUp"], stabilizationWindowSeconds=0)


def _role_binding(obj: Obj) -> None:
    _set(obj.setdefault("roleRef", {}), apiGroup="rbac.authorization.k8s.io")
    for subject in obj.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            _set(subject, apiGroup="rbac.authorization.k8s.io")


def _role(obj: Obj) -> None:
    _set(obj, rules=[])


def _storage_class(obj: Obj) -> None:
    _set(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _limit_range(obj: Obj) -> None:
    for limit in obj["spec"].get("limits") or []:
        complete(limit)


def _priority_class(obj: Obj) -> None:
    _set(obj, preemptionPolicy="PreemptLowerPriority")


def _webhooks(obj: Obj) -> None:
    for hook in obj.get("webhooks") or []:
        _set(hook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=10)
        _set(hook, namespaceSelector={}, objectSelector={})
        for rule in hook.get("rules") or []:
            _set(rule, scope="*")


def _mutating_webhooks(obj: Obj) -> None:
    _webhooks(obj)
    for hook in obj.get("webhooks") or []:
        _set(hook, reinvocationPolicy="Never")


def _namespace(obj: Obj) -> None:
    _set(obj["spec"], finalizers=["kubernetes"])
    labels = obj["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")


def _node(obj: Obj) -> None:
    _set(obj, status={})
    status = obj["status"]
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])


def _network_policy(obj: Obj) -> None:
    spec = obj["spec"]
    _set(spec, podSelector={})
    _set(spec, policyTypes=["Ingress", *(["Egress"] if spec.get("egress") else [])])
    for rule in (*(spec.get("ingress") or []), *(spec.get("egress") or [])):
        for port in rule.get("ports") or []:
            _set(port, protocol="TCP")


def _endpoints(obj: Obj) -> None:
    for subset in obj.get("subsets") or []:
        for port in subset.get("ports") or []:
            _set(port, protocol="TCP")


def _endpoint_slice(obj: Obj) -> None:
    for port in obj.get("ports") or []:
        _set(port, name="", protocol="TCP")


_BY_KIND: dict[str, Callable[[Obj], None]] = {
    "Pod": _pod,
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "StatefulSet": _stateful_set,
    "CronJob": _cron_job,
    "DaemonSet": _daemon_set,
    "Service": _service,
    "Secret": _secret,
    "PersistentVolumeClaim": _claim,
    "PersistentVolume": _volume_object,
    "HorizontalPodAutoscaler": _autoscaler,
    "RoleBinding": _role_binding,
    "ClusterRoleBinding": _role_binding,
    "Role": _role,
    "ClusterRole": _role,
    "StorageClass": _storage_class,
    "LimitRange": _limit_range,
    "PriorityClass": _priority_class,
    "MutatingWebhookConfiguration": _mutating_webhooks,
    "ValidatingWebhookConfiguration": _webhooks,
    "Namespace": _namespace,
    "Node": _node,
    "NetworkPolicy": _network_policy,
    "Endpoints": _endpoints,
    "EndpointSlice": _endpoint_slice,
}
