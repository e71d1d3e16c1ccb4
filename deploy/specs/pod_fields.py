"""Fields of a spec that shape the pods: how many, how large, how replaced, and where."""

from deploy.specs.forms import (
    CPU,
    LABEL_KEY,
    LABEL_VALUE,
    MEMORY,
    MOMENT,
    OBJECT_NAME,
    PERCENT,
    SHARE,
    STORAGE,
)
from deploy.specs.nested_fields import TOLERATION
from deploy.specs.record import Field
from deploy.specs.values import Flag, Many, MapOf, OneOf, Raw, Whole, WholeOr

METRICS = ("containerResource", "external", "object", "pods", "resource")

REPLICAS = (
    Field(
        "replicas",
        "replicas",
        WholeOr(0, 10_000, "external"),
        "Pods; Microsoft advises three at least. external where something else counts them.",
    ),
)
AUTOSCALING = (
    Field("autoscaling.minReplicas", "autoscaling.least", Whole(1, 100), "Never fewer pods."),
    Field(
        "autoscaling.maxReplicas",
        "autoscaling.most",
        Whole(1, 100),
        "Never more pods; setting this turns autoscaling on.",
    ),
    Field(
        "autoscaling.targetCPUUtilization",
        "autoscaling.cpu",
        PERCENT,
        "Percent of the requested CPU; 80 if no target is set.",
    ),
    Field(
        "autoscaling.targetMemoryUtilization",
        "autoscaling.memory",
        PERCENT,
        "Percent of the requested memory.",
    ),
    Field(
        "autoscaling.metrics",
        "autoscaling.metrics",
        Many(Raw(METRICS, words=("type",))),
        "Further metrics, Kubernetes' own objects, passed on.",
    ),
    Field(
        "autoscaling.behavior",
        "autoscaling.behavior",
        Raw(("scaleUp", "scaleDown")),
        "How fast pods come and go, Kubernetes' own object, passed on.",
    ),
)
RESOURCES = (
    Field("resources.cpu", "cpu", CPU, "CPU requested for each pod; two cores are advised."),
    Field("resources.memory", "memory", MEMORY, "Memory requested for each pod."),
    Field("resources.limits.cpu", "limits.cpu", CPU, "None: a limit would slow requests down."),
    Field(
        "resources.limits.memory",
        "limits.memory",
        MEMORY,
        "By default the memory request, so that a leak cannot exhaust the node.",
    ),
)
ROLLOUT = (
    Field(
        "rollout.strategy",
        "rollout.strategy",
        OneOf(("RollingUpdate", "Recreate")),
        "Recreate stops every pod before a new one starts, as a volume of one node needs it.",
    ),
    Field(
        "rollout.maxUnavailable",
        "rollout.max_unavailable",
        SHARE,
        "How many pods may be unavailable; with 0, none stops before a new one is ready.",
    ),
    Field(
        "rollout.maxSurge", "rollout.max_surge", SHARE, "How many extra pods a rollout may start."
    ),
    Field(
        "rollout.progressDeadlineSeconds",
        "rollout.progress_deadline",
        Whole(30, 7200),
        "After how long without progress a rollout has failed.",
    ),
    Field(
        "rollout.terminationGracePeriodSeconds",
        "rollout.termination_grace",
        Whole(0, 3600),
        "How long a pod may finish its requests.",
    ),
    Field(
        "rollout.preStopSleepSeconds",
        "rollout.pre_stop",
        Whole(1, 600),
        "How long a pod still serves after it is told to stop; load balancers need it to know.",
    ),
    Field(
        "rollout.minReadySeconds",
        "rollout.min_ready",
        Whole(0, 3600),
        "How long a pod must be ready before it counts.",
    ),
    Field(
        "rollout.revisionHistoryLimit",
        "rollout.history_limit",
        Whole(0, 100),
        "How many previous versions are kept for a rollback.",
    ),
    Field(
        "rollout.restartedAt",
        "rollout.restarted_at",
        MOMENT,
        "Set by restart: another moment replaces every pod.",
    ),
    Field(
        "rollout.automaticRollback",
        "rollout.automatic_rollback",
        Flag(),
        "Whether the previous version comes back when a rollout does not finish.",
    ),
)
PROBES = (
    Field(
        "probes.startup.periodSeconds",
        "probes.startup.period",
        Whole(1, 3600),
        "How often the startup probe asks.",
    ),
    Field(
        "probes.startup.failureThreshold",
        "probes.startup.failures",
        Whole(1, 3600),
        "After how many failures a pod that starts is restarted.",
    ),
    Field(
        "probes.startup.timeoutSeconds",
        "probes.startup.timeout",
        Whole(1, 3600),
        "How long it waits for the answer.",
    ),
    Field(
        "probes.readiness.periodSeconds",
        "probes.readiness.period",
        Whole(1, 3600),
        "How often the readiness probe asks.",
    ),
    Field(
        "probes.readiness.failureThreshold",
        "probes.readiness.failures",
        Whole(1, 3600),
        "After how many failures a pod gets no requests.",
    ),
    Field(
        "probes.readiness.timeoutSeconds",
        "probes.readiness.timeout",
        Whole(1, 3600),
        "How long it waits for the answer.",
    ),
    Field(
        "probes.liveness.periodSeconds",
        "probes.liveness.period",
        Whole(1, 3600),
        "How often the liveness probe asks.",
    ),
    Field(
        "probes.liveness.failureThreshold",
        "probes.liveness.failures",
        Whole(1, 3600),
        "After how many failures a pod is restarted.",
    ),
    Field(
        "probes.liveness.timeoutSeconds",
        "probes.liveness.timeout",
        Whole(1, 3600),
        "How long it waits for the answer.",
    ),
)
BACKUP = (
    Field(
        "backup.size",
        "backup.size",
        STORAGE,
        "Claims a volume of that size for the configuration, for starts without Azure.",
    ),
    Field("backup.storageClass", "backup.storage_class", OBJECT_NAME, "The cluster's default."),
    Field(
        "backup.accessMode",
        "backup.access_mode",
        OneOf(("ReadWriteMany", "ReadWriteOnce")),
        "Pods on several nodes share it.",
    ),
    Field("backup.existingClaim", "backup.existing_claim", OBJECT_NAME, "Uses that claim."),
)
DISRUPTION = (
    Field(
        "disruptionBudget.enabled",
        "disruption.enabled",
        Flag(),
        "Whether drains wait for the pods.",
    ),
    Field(
        "disruptionBudget.maxUnavailable",
        "disruption.max_unavailable",
        SHARE,
        "How many pods a drain may evict at once; 1 by default.",
    ),
    Field(
        "disruptionBudget.minAvailable",
        "disruption.min_available",
        SHARE,
        "Or how many it must leave.",
    ),
)
PLACEMENT = (
    Field("placement.spread", "placement.spread", Flag(), "Over zones and nodes."),
    Field(
        "placement.whenUnsatisfiable",
        "placement.when_unsatisfiable",
        OneOf(("ScheduleAnyway", "DoNotSchedule")),
        "Whether pods that cannot be spread evenly are still scheduled.",
    ),
    Field(
        "placement.affinity",
        "placement.affinity",
        Raw(("nodeAffinity", "podAffinity", "podAntiAffinity")),
        "Kubernetes' own object, passed on.",
    ),
    Field("placement.tolerations", "placement.tolerations", Many(TOLERATION), "Taints borne."),
    Field(
        "placement.nodeSelector",
        "placement.node_selector",
        MapOf(LABEL_KEY, LABEL_VALUE),
        "Labels that nodes must have; amd64 and Linux for a new gateway.",
    ),
    Field(
        "placement.priorityClassName",
        "placement.priority_class",
        OBJECT_NAME,
        "Who is evicted first when a node is full.",
    ),
    Field(
        "placement.runtimeClassName",
        "placement.runtime_class",
        OBJECT_NAME,
        "What runs the containers, as a sandbox does.",
    ),
)
SECURITY = (
    Field(
        "security.runAsUser",
        "security.user",
        WholeOr(1, 2**31 - 1, "none"),
        "The image's own user; none leaves it to the cluster, as OpenShift wants it.",
    ),
    Field("security.runAsGroup", "security.group", Whole(0, 2**31 - 1), "The image's group."),
    Field(
        "security.fsGroup",
        "security.fs_group",
        WholeOr(0, 2**31 - 1, "none"),
        "Owns volumes; none leaves it to the cluster.",
    ),
    Field(
        "security.readOnlyRootFilesystem",
        "security.read_only_root",
        Flag(),
        "Microsoft does not support it.",
    ),
)
