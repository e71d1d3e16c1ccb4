"""Every field of a spec, declared once: the reader, the writer and the JSON Schema come from here.

Adding one is a line here and a place for it in the dataclasses.
"""

import dataclasses
import ipaddress

from deploy.gateway import NAME_LIMIT, GatewaySpec
from deploy.gateway_options import CaSource, DnsOption, HostAlias, KeyRef, Toleration
from deploy.spec_values import (
    Field,
    Flag,
    Label,
    Many,
    MapOf,
    OneOf,
    Parsed,
    Raw,
    Record,
    Text,
    Whole,
)


def _address(text: str) -> object:
    if "%" in text:
        raise ValueError("a zone")
    return ipaddress.ip_address(text)


def _cidr(text: str) -> object:
    address, _, length = text.partition("/")
    if not length.isdecimal():
        raise ValueError("no prefix length")
    _address(address)
    return ipaddress.ip_network(text)


_DNS = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
_WORD = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_HOST_PORT = r"([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_URL = rf"https?://{_HOST_PORT}(:[0-9]{{1,5}})?(/[A-Za-z0-9._~/%-]*)?"

OBJECT_NAME = Text(rf"(?=.{{1,253}}$){_DNS}", "the name of a Kubernetes object")
_KEY = Text(r"(?!\.$|\.\.)[A-Za-z0-9._-]{1,253}", "a key of a Secret or ConfigMap")
_QUALIFIED = rf"((?=[^/]{{1,253}}/){_DNS}/)?{_WORD}"
LABEL_KEY = Text(_QUALIFIED, "a label's or annotation's name such as contoso.com/team")
LABEL_VALUE = Text(rf"({_WORD})?", "a label's value: at most 63 letters, digits, “-”, “_” and “.”")
FREE_TEXT = Text(r"[^\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]{0,8000}", "text of at most 8000 letters")
TAG = Text(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", "an image tag")
"""OCI distribution specification, "Pulling manifests"."""
REPOSITORY = Text(
    r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+",
    "a registry host and a path",
)
HOST = Text(r"(https://)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?", "a host name")
GATEWAY = Text(
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,78}[A-Za-z0-9])?", "the name of a gateway in API Management"
)
"""`gatewayId` has 1 to 80 characters (azure-mgmt-apimanagement 5.0.0)."""
CPU = Text(r"([1-9][0-9]{0,4}m|[0-9]{1,3}(\.[0-9]{1,3})?)", "a quantity such as 500m or 2")
MEMORY = Text(r"[1-9][0-9]{0,9}(Ki|Mi|Gi|Ti|k|M|G|T)?", "a quantity such as 512Mi or 2Gi")
SHARE = Text(
    r"(100|[1-9]?[0-9])%|[0-9]{1,3}",
    "a number of pods or a percentage such as 25%",
)
URL = Text(_URL, "a URL such as http://proxy:3128 without user or password", hidden=True)
ENDPOINT = Text(rf"{_HOST_PORT}:[0-9]{{1,5}}", "a host and a port such as statsd.monitoring:8125")
_LOG_ENDPOINT = Text(r"[A-Za-z0-9_./:\[\]-]{1,253}", "a path, or a host and a port")
GUID = Text(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "an id such as Entra ID shows")
_MOMENT = Text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "a moment such as 2026-11-23T15:04:05Z")
ADDRESS = Parsed(_address, "an IP address")
CIDR = Parsed(_cidr, "an address range such as 10.0.0.0/8")
_HOSTNAME = Text(rf"(?=.{{1,253}}$){_DNS}", "a host name")
_BYPASS = Text(r"[A-Za-z0-9*.:/_-]{1,253}", "a host, domain or address range")
_PORT = Whole(1, 65535)
_OPEN_PORT = Whole(1024, 65535)
_PERCENT = Whole(1, 1000)

_KEY_REF = Record(
    KeyRef,
    (
        Field("name", "name", OBJECT_NAME, "The Secret."),
        Field("key", "key", _KEY, "Its key."),
    ),
)
_CA = Record(
    CaSource,
    (
        Field("secret", "secret", OBJECT_NAME, "The Secret that holds it."),
        Field("configMap", "config_map", OBJECT_NAME, "Or the ConfigMap that holds it."),
        Field("key", "key", _KEY, "The key under which it is held, as PEM."),
    ),
)
_ALIAS = Record(
    HostAlias,
    (
        Field("ip", "ip", ADDRESS, "The address."),
        Field("hostnames", "hostnames", Many(_HOSTNAME, 1), "The names that stand for it."),
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
        Field("key", "key", Text(_QUALIFIED, "a taint's key"), "The taint; any when left out."),
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
            _PERCENT,
            "Percent of the requested CPU; 80 when no target is said.",
        ),
        Field(
            "autoscaling.targetMemoryUtilization",
            "autoscaling.memory",
            _PERCENT,
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
        Field("service.httpPort", "http_port", _PORT, "The port for HTTP."),
        Field("service.httpsPort", "https_port", _PORT, "The port for HTTPS."),
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
        Field("service.nodePorts.http", "service.http_node_port", _PORT, "A fixed node port."),
        Field("service.nodePorts.https", "service.https_node_port", _PORT, "A fixed node port."),
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
            _MOMENT,
            "Set by restart: another moment replaces every pod.",
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
        Field("logs.local.endpoint", "local_logs.endpoint", _LOG_ENDPOINT, "That sink's address."),
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
        Field("dns.searches", "network.searches", Many(_HOSTNAME, 0, 32), "Search domains."),
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
        Field("proxy.bypass", "proxy.bypass", Many(_BYPASS), "Hosts that are asked directly."),
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
            _OPEN_PORT,
            "UDP port over which pods share rate-limit counters.",
        ),
        Field(
            "discovery.heartbeatPort",
            "discovery.heartbeat",
            _OPEN_PORT,
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
        Field("auth.authority", "auth.authority", URL, "Entra ID in another cloud."),
        Field("auth.tokenAudience", "auth.audience", URL, "API Management in another cloud."),
        Field(
            "auth.serviceAccount",
            "auth.service_account",
            OBJECT_NAME,
            "For workload identity; the gateway's name.",
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
