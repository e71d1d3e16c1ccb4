"""Every field of a spec, declared once: the reader, the writer and the JSON Schema come from here.

Adding one is a line here and a place for it in the dataclasses.
"""

import dataclasses

from deploy.gateway import NAME_LIMIT
from deploy.specs.forms import (
    ADDRESS,
    BYPASS,
    CIDR,
    CPU,
    ENDPOINT,
    FREE_TEXT,
    GATEWAY,
    GUID,
    HOST,
    HOSTNAME,
    KEY,
    LABEL_KEY,
    LABEL_VALUE,
    LOG_ENDPOINT,
    MEMORY,
    MOMENT,
    OBJECT_NAME,
    OPEN_PORT,
    PERCENT,
    PORT,
    REPOSITORY,
    SHARE,
    TAG,
    TAINT,
    URL,
)
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import CaSource, DnsOption, HostAlias, KeyRef, Toleration
from deploy.specs.record import Field, Record
from deploy.specs.values import Day, Flag, Label, Many, MapOf, OneOf, Raw, Text, Whole

_KEY_REF = Record(
    KeyRef,
    (
        Field("name", "name", OBJECT_NAME, "The Secret."),
        Field("key", "key", KEY, "Its key."),
    ),
)
_CA = Record(
    CaSource,
    (
        Field("secret", "secret", OBJECT_NAME, "The Secret that holds it."),
        Field("configMap", "config_map", OBJECT_NAME, "Or the ConfigMap that holds it."),
        Field("key", "key", KEY, "The key under which it is held, as PEM."),
    ),
)
_ALIAS = Record(
    HostAlias,
    (
        Field("ip", "ip", ADDRESS, "The address."),
        Field("hostnames", "hostnames", Many(HOSTNAME, 1), "The names that stand for it."),
    ),
)
_DNS_OPTION = Record(
    DnsOption,
    (
        Field("name", "name", Text(r"[a-z0-9-]{1,63}", "an option of resolv.conf"), "Its name."),
        Field("value", "value", Text(r"[A-Za-z0-9.-]{1,63}", "its value"), "Its value, if any."),
    ),
)
_TOLERATION = Record(
    Toleration,
    (
        Field("key", "key", TAINT, "The taint; any when left out."),
        Field("operator", "operator", OneOf(("Equal", "Exists")), "How the value is compared."),
        Field("value", "value", LABEL_VALUE, "The taint's value."),
        Field(
            "effect",
            "effect",
            OneOf(("NoSchedule", "PreferNoSchedule", "NoExecute")),
            "The taint's effect; any when left out.",
        ),
        Field("tolerationSeconds", "seconds", Whole(0, 86400), "How long a pod bears NoExecute."),
    ),
)

SPEC = Record(
    GatewaySpec,
    (
        Field("gateway", "apim.gateway", GATEWAY, "The gateway resource in API Management."),
        Field("apim.instance", "apim.instance", Label(), "The instance's name in the settings."),
        Field(
            "apim.endpoint",
            "apim.configuration_endpoint",
            HOST,
            "Where the gateway fetches its configuration; a custom domain goes here.",
        ),
        Field("cluster", "ref.cluster", Label(), "The cluster's name in the settings."),
        Field("namespace", "ref.namespace", Label(), "Its namespace."),
        Field(
            "name", "ref.name", Label(NAME_LIMIT), "The Deployment's name; gateway in lower case."
        ),
        Field(
            "image.repository",
            "repository",
            REPOSITORY,
            "The image without its tag; a mirror goes here.",
            always=True,
        ),
        Field("image.tag", "tag", TAG, "The version; a full one, x.y.z, stays what it is."),
        Field(
            "image.pullPolicy",
            "pull.policy",
            OneOf(("IfNotPresent", "Always", "Never")),
            "When nodes ask the registry; Always suits tags that move.",
        ),
        Field("image.pullSecrets", "pull.secrets", Many(OBJECT_NAME), "For a private registry."),
        Field("replicas", "replicas", Whole(1, 100), "Pods; Microsoft advises three at least."),
        Field("autoscaling.minReplicas", "autoscaling.least", Whole(1, 100), "Never fewer pods."),
        Field(
            "autoscaling.maxReplicas",
            "autoscaling.most",
            Whole(1, 100),
            "Never more pods; saying it turns autoscaling on.",
        ),
        Field(
            "autoscaling.targetCPUUtilization",
            "autoscaling.cpu",
            PERCENT,
            "Percent of the requested CPU; 80 when no target is said.",
        ),
        Field(
            "autoscaling.targetMemoryUtilization",
            "autoscaling.memory",
            PERCENT,
            "Percent of the requested memory.",
        ),
        Field("resources.cpu", "cpu", CPU, "CPU requested for each pod; two cores are advised."),
        Field("resources.memory", "memory", MEMORY, "Memory requested for each pod."),
        Field("resources.limits.cpu", "limits.cpu", CPU, "None: a limit would slow requests down."),
        Field(
            "resources.limits.memory",
            "limits.memory",
            MEMORY,
            "What is requested: a leak must not take the node.",
        ),
        Field(
            "service.type",
            "service_type",
            OneOf(("LoadBalancer", "ClusterIP", "NodePort")),
            "ClusterIP behind an ingress.",
        ),
        Field("service.httpPort", "http_port", PORT, "The port for HTTP."),
        Field("service.httpsPort", "https_port", PORT, "The port for HTTPS."),
        Field(
            "service.externalTrafficPolicy",
            "service.external_traffic_policy",
            OneOf(("Local", "Cluster")),
            "Local, which keeps the client's address; Cluster spreads more evenly.",
        ),
        Field(
            "service.annotations",
            "service.annotations",
            MapOf(LABEL_KEY, FREE_TEXT),
            "For a cloud's load balancer, such as an internal one.",
        ),
        Field(
            "service.loadBalancerClass",
            "service.load_balancer_class",
            LABEL_KEY,
            "Which controller makes the load balancer.",
        ),
        Field(
            "service.loadBalancerSourceRanges",
            "service.source_ranges",
            Many(CIDR),
            "Who may call; everybody when empty.",
        ),
        Field("service.nodePorts.http", "service.http_node_port", PORT, "A fixed node port."),
        Field("service.nodePorts.https", "service.https_node_port", PORT, "A fixed node port."),
        Field(
            "rollout.maxUnavailable",
            "rollout.max_unavailable",
            SHARE,
            "No pod is stopped before a new one is ready.",
        ),
        Field("rollout.maxSurge", "rollout.max_surge", SHARE, "How many pods more meanwhile."),
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
            "rollout.minReadySeconds",
            "rollout.min_ready",
            Whole(0, 3600),
            "How long a pod must be ready before it counts.",
        ),
        Field(
            "rollout.revisionHistoryLimit",
            "rollout.history_limit",
            Whole(0, 100),
            "How many versions before are kept for going back.",
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
        Field(
            "logs.level",
            "log_level",
            OneOf(("all", "debug", "info", "warn", "error", "fatal")),
            "Microsoft advises warn under load.",
        ),
        Field("logs.format", "log_format", OneOf(("text", "json", "none")), "json for collectors."),
        Field(
            "logs.local.type",
            "local_logs.sink",
            OneOf(("none", "auto", "localsyslog", "rfc5424", "journal", "json")),
            "Where logs go beside the container's output.",
        ),
        Field("logs.local.endpoint", "local_logs.endpoint", LOG_ENDPOINT, "That sink's address."),
        Field("logs.local.facility", "local_logs.facility", Whole(0, 23), "Syslog's facility."),
        Field("metrics.cloud", "metrics.cloud", Flag(), "Whether Azure Monitor gets metrics."),
        Field("metrics.statsd.endpoint", "metrics.statsd", ENDPOINT, "Turns StatsD on."),
        Field(
            "metrics.statsd.sampling",
            "metrics.statsd_sampling",
            Text(r"0(\.[0-9]{1,6})?|1(\.0{1,6})?", "a number from 0 to 1"),
            "Which share of metrics is sent.",
        ),
        Field(
            "metrics.statsd.tagFormat",
            "metrics.statsd_tag_format",
            OneOf(("librato", "dogStatsD", "influxDB")),
            "How the collector wants tags.",
        ),
        Field("metrics.openTelemetry.collector", "metrics.collector", URL, "Turns it on."),
        Field(
            "metrics.openTelemetry.systemMetrics",
            "metrics.system_metrics",
            Flag(),
            "Whether CPU, memory and the like are sent too.",
        ),
        Field(
            "metrics.openTelemetry.buckets",
            "metrics.buckets",
            Many(Whole(1, 3_600_000)),
            "Bounds of the histograms, in milliseconds.",
        ),
        Field(
            "certificateAuthorities",
            "authorities",
            Many(_CA),
            "Private authorities that backends and Azure are trusted by.",
        ),
        Field(
            "dns.policy",
            "network.dns_policy",
            OneOf(("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")),
            "How pods resolve names; Default asks the node's servers.",
        ),
        Field("dns.nameservers", "network.nameservers", Many(ADDRESS, 0, 3), "Further servers."),
        Field("dns.searches", "network.searches", Many(HOSTNAME, 0, 32), "Search domains."),
        Field("dns.options", "network.options", Many(_DNS_OPTION), "Options of resolv.conf."),
        Field(
            "hostNetwork", "network.host_network", Flag(), "Whether pods use the node's network."
        ),
        Field("hostAliases", "network.host_aliases", Many(_ALIAS), "Lines of /etc/hosts."),
        Field("proxy.http", "proxy.http", URL, "The proxy for HTTP."),
        Field("proxy.https", "proxy.https", URL, "The proxy for HTTPS, Azure's too."),
        Field(
            "proxy.httpSecret", "proxy.http_secret", _KEY_REF, "Its URL, when it has a password."
        ),
        Field("proxy.httpsSecret", "proxy.https_secret", _KEY_REF, "The same for HTTPS."),
        Field("proxy.bypass", "proxy.bypass", Many(BYPASS), "Hosts that are asked directly."),
        Field(
            "backup.size",
            "backup.size",
            MEMORY,
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
        Field(
            "discovery.rateLimitPort",
            "discovery.rate_limit",
            OPEN_PORT,
            "UDP port over which pods share rate-limit counters.",
        ),
        Field(
            "discovery.heartbeatPort",
            "discovery.heartbeat",
            OPEN_PORT,
            "UDP port over which pods find each other.",
        ),
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
            "One: how many pods a drain may take at once.",
        ),
        Field(
            "disruptionBudget.minAvailable",
            "disruption.min_available",
            SHARE,
            "Or how many it must leave.",
        ),
        Field("placement.spread", "placement.spread", Flag(), "Over zones and nodes."),
        Field(
            "placement.whenUnsatisfiable",
            "placement.when_unsatisfiable",
            OneOf(("ScheduleAnyway", "DoNotSchedule")),
            "Whether uneven pods are better than none.",
        ),
        Field(
            "placement.affinity",
            "placement.affinity",
            Raw(("nodeAffinity", "podAffinity", "podAntiAffinity")),
            "Kubernetes' own object, passed on.",
        ),
        Field("placement.tolerations", "placement.tolerations", Many(_TOLERATION), "Taints borne."),
        Field(
            "placement.nodeSelector",
            "placement.node_selector",
            MapOf(LABEL_KEY, LABEL_VALUE),
            "Labels that nodes must have.",
        ),
        Field(
            "placement.priorityClassName",
            "placement.priority_class",
            OBJECT_NAME,
            "Who is evicted first when a node is full.",
        ),
        Field("security.runAsUser", "security.user", Whole(1, 2**31 - 1), "The image's own user."),
        Field("security.runAsGroup", "security.group", Whole(0, 2**31 - 1), "The image's group."),
        Field("security.fsGroup", "security.fs_group", Whole(0, 2**31 - 1), "Owns volumes."),
        Field(
            "security.readOnlyRootFilesystem",
            "security.read_only_root",
            Flag(),
            "Microsoft does not support it.",
        ),
        Field(
            "auth.type",
            "auth.kind",
            OneOf(("token", "entraApp", "workloadIdentity")),
            "How the gateway signs in; only a token expires after 30 days.",
        ),
        Field("auth.clientId", "auth.client_id", GUID, "The app's or identity's client id."),
        Field("auth.tenantId", "auth.tenant_id", GUID, "Its Entra tenant."),
        Field("auth.clientSecret", "auth.client_secret", _KEY_REF, "Where an app's secret is."),
        Field("auth.certificate", "auth.certificate", _KEY_REF, "Or its certificate."),
        Field(
            "auth.clientSecretExpires",
            "auth.secret_expires",
            Day(),
            "The last day of either; the bot warns before it.",
        ),
        Field("auth.authority", "auth.authority", URL, "Entra ID in another cloud."),
        Field("auth.tokenAudience", "auth.audience", URL, "API Management in another cloud."),
        Field(
            "auth.serviceAccount",
            "auth.service_account",
            OBJECT_NAME,
            "For workload identity; the gateway's name.",
        ),
        Field(
            "objects.selector",
            "objects.selector",
            MapOf(LABEL_KEY, LABEL_VALUE),
            "Of an adopted gateway: the labels that select its pods.",
        ),
        Field("objects.container", "objects.container", OBJECT_NAME, "Its container's name."),
        Field("objects.configMap", "objects.config_map", OBJECT_NAME, "Its settings' ConfigMap."),
        Field("objects.service", "objects.service", OBJECT_NAME, "Its Service of live traffic."),
        Field(
            "objects.discoveryService",
            "objects.discovery_service",
            OBJECT_NAME,
            "Its Service over which pods find each other.",
        ),
        Field(
            "objects.disruptionBudget",
            "objects.disruption_budget",
            OBJECT_NAME,
            "Its PodDisruptionBudget.",
        ),
        Field(
            "settings",
            "settings",
            MapOf(
                Text(r"[A-Za-z0-9_.-]{1,253}", "a setting's name"),
                dataclasses.replace(FREE_TEXT, flags=True),
            ),
            "Settings of the container that have no field here.",
        ),
        Field("labels", "labels", MapOf(LABEL_KEY, LABEL_VALUE), "On every object and pod."),
        Field(
            "annotations", "annotations", MapOf(LABEL_KEY, FREE_TEXT), "On every object and pod."
        ),
    ),
)
