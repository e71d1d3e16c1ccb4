"""Any valid spec, as data that hypothesis makes: the mapping first, so that its words are tested.

Groups that exclude each other are drawn as alternatives; what is drawn is always valid.
"""

from typing import Any

from hypothesis import strategies as st

from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_from_mapping

Mapping = dict[str, Any]
Strategy = st.SearchStrategy[Any]

NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,14}[a-z0-9])?", fullmatch=True)
WORDS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,14}[A-Za-z0-9])?", fullmatch=True)
HOSTS = st.sampled_from(["contoso.com", "proxy.dev.svc", "10.0.0.4", "gw-1"])
ADDRESSES = st.ip_addresses().map(str)
CIDRS = st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "192.168.4.0/24", "fd00::/8"])
GUIDS = st.uuids().map(str)
KEYS = st.sampled_from(["value", "tls.crt", "ca-1.pem"])
SHARES = st.one_of(st.integers(1, 50).map(str), st.integers(1, 100).map("{}%".format))
CPUS = st.sampled_from(["500m", "1", "2", "0.5"])
MEMORIES = st.sampled_from(["512Mi", "2Gi", "1000M"])
FREE_TEXT = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], whitelist_characters="\n\t"), max_size=30
)
URLS = st.builds("http://{}:{}".format, HOSTS, st.integers(1, 65535))
REFS = st.fixed_dictionaries({"name": NAMES, "key": KEYS})
LABEL_KEYS = st.one_of(WORDS, st.builds("contoso.com/{}".format, WORDS)).filter(
    lambda key: key != "app"
)


def _some(**strategies: Strategy) -> Strategy:
    """A mapping with any of these keys."""
    return st.fixed_dictionaries({}, optional=strategies)


def _pairs(keys: Strategy, values: Strategy) -> Strategy:
    return st.dictionaries(keys, values, max_size=3)


def _lists(items: Strategy, most: int = 3, least: int = 0) -> Strategy:
    return st.lists(items, min_size=least, max_size=most)


IMAGE = st.fixed_dictionaries(
    {"tag": st.sampled_from(["2.11.1", "v2", "2", f"2.11.1@sha256:{'0a' * 32}"])},
    optional={
        "repository": st.sampled_from(["registry.contoso.com/gateway", "localhost:5000/a/b"]),
        "pullPolicy": st.sampled_from(["IfNotPresent", "Always", "Never"]),
        "pullSecrets": _lists(NAMES),
    },
)
_TARGET = {"type": "AverageValue", "averageValue": "100"}
FURTHER_METRICS: list[Mapping] = [
    {"type": "Pods", "pods": {"metric": {"name": "requests"}, "target": _TARGET}},
    {"type": "External", "external": {"metric": {"name": "queue"}, "target": _TARGET}},
    {
        "type": "ContainerResource",
        "containerResource": {
            "name": "cpu",
            "container": "edge",
            "target": {"type": "Utilization", "averageUtilization": 60},
        },
    },
]
WAYS: list[Mapping] = [
    {"stabilizationWindowSeconds": 300},
    {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}], "selectPolicy": "Max"},
    {"tolerance": "0.05"},
]
PODS = st.one_of(
    st.just({}),
    st.integers(1, 100).map(lambda n: {"replicas": n}),
    st.tuples(
        st.integers(1, 50),
        st.integers(50, 100),
        _some(
            targetCPUUtilization=st.integers(1, 1000),
            targetMemoryUtilization=st.integers(1, 1000),
            metrics=st.lists(st.sampled_from(FURTHER_METRICS), max_size=2),
            behavior=_some(scaleUp=st.sampled_from(WAYS), scaleDown=st.sampled_from(WAYS)),
        ),
    ).map(
        lambda drawn: {
            "autoscaling": {"minReplicas": drawn[0], "maxReplicas": drawn[1], **drawn[2]}
        }
    ),
)
RESOURCES = _some(
    cpu=CPUS,
    memory=MEMORIES,
    limits=_some(cpu=st.sampled_from(["2", "2500m", "4"]), memory=st.sampled_from(["2Gi", "1Ti"])),
)
_SERVICE: Mapping = {
    "httpPort": st.integers(1, 1000),
    "httpsPort": st.integers(1001, 65535),
    "annotations": _pairs(LABEL_KEYS, FREE_TEXT),
}
_EXTERNAL: Mapping = {
    **_SERVICE,
    "externalTrafficPolicy": st.sampled_from(["Local", "Cluster"]),
    "nodePorts": _some(http=st.integers(30000, 31000), https=st.integers(31001, 32767)),
}
_SINGLE = {"ipFamilyPolicy": st.just("SingleStack"), "ipFamilies": st.just(["IPv6"])}
_SERVICE |= {"internalTrafficPolicy": st.sampled_from(["Cluster", "Local"]), **_SINGLE}
_EXTERNAL |= {
    "internalTrafficPolicy": st.sampled_from(["Cluster", "Local"]),
    "ipFamilyPolicy": st.sampled_from(["PreferDualStack", "RequireDualStack"]),
    "ipFamilies": st.sampled_from([["IPv4"], ["IPv6"]]),
}
SERVICE = st.one_of(
    st.fixed_dictionaries({"type": st.just("ClusterIP")}, optional=_SERVICE),
    st.fixed_dictionaries({"type": st.just("NodePort")}, optional=_EXTERNAL),
    _some(
        type=st.just("LoadBalancer"),
        loadBalancerClass=st.sampled_from(["contoso.com/internal", "metallb"]),
        loadBalancerSourceRanges=_lists(CIDRS),
        **_EXTERNAL,
    ),
)
ROLLOUT = _some(
    maxUnavailable=SHARES,
    maxSurge=SHARES,
    progressDeadlineSeconds=st.integers(100, 7200),
    terminationGracePeriodSeconds=st.integers(0, 3600),
    minReadySeconds=st.integers(0, 99),
    revisionHistoryLimit=st.integers(0, 100),
    automaticRollback=st.booleans(),
)
ROLLOUT = st.one_of(
    ROLLOUT,
    st.just({"strategy": "Recreate"}),
    st.integers(1, 300).map(
        lambda n: {"preStopSleepSeconds": n, "terminationGracePeriodSeconds": n + 1}
    ),
)
_PROBE = _some(
    periodSeconds=st.integers(1, 3600),
    failureThreshold=st.integers(1, 3600),
    timeoutSeconds=st.integers(1, 3600),
)
PROBES = _some(startup=_PROBE, readiness=_PROBE, liveness=_PROBE)
LOCAL_LOGS = st.one_of(
    st.sampled_from(["none", "auto", "json"]).map(lambda sink: {"type": sink}),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["journal", "json"]), "endpoint": st.just("/run/log.sock")}
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["localsyslog", "rfc5424"]), "endpoint": st.just("10.0.0.1:514")},
        optional={"facility": st.integers(0, 23)},
    ),
)
LOGS = _some(
    level=st.sampled_from(["all", "debug", "info", "warn", "error", "fatal"]),
    format=st.sampled_from(["text", "json", "none"]),
    local=LOCAL_LOGS,
)
METRICS = _some(
    cloud=st.booleans(),
    statsd=st.fixed_dictionaries(
        {"endpoint": st.just("statsd.monitoring:8125")},
        optional={
            "sampling": st.sampled_from(["0.25", "1", 0.5]),
            "tagFormat": st.sampled_from(["librato", "dogStatsD", "influxDB"]),
        },
    ),
    openTelemetry=st.fixed_dictionaries(
        {"collector": URLS},
        optional={
            "systemMetrics": st.booleans(),
            "buckets": st.sets(st.integers(1, 10000), max_size=5).map(sorted),
        },
    ),
)
AUTHORITIES = _lists(
    st.one_of(
        st.fixed_dictionaries({"secret": NAMES, "key": KEYS}),
        st.fixed_dictionaries({"configMap": NAMES, "key": KEYS}),
    )
)
_DNS: Mapping = {
    "searches": _lists(HOSTS),
    "options": _lists(
        st.sampled_from([{"name": "ndots", "value": "2"}, {"name": "edns0"}]), most=2
    ),
}
DNS = st.one_of(
    _some(
        policy=st.sampled_from(["ClusterFirst", "Default"]),
        nameservers=_lists(ADDRESSES),
        **_DNS,
    ),
    st.fixed_dictionaries(
        {"policy": st.just("None"), "nameservers": _lists(ADDRESSES, least=1)}, optional=_DNS
    ),
)
NETWORK = st.one_of(
    _some(dns=DNS),
    st.fixed_dictionaries(
        {"hostNetwork": st.just(True)},
        optional={"dns": st.one_of(DNS, st.just({"policy": "ClusterFirstWithHostNet"}))},
    ),
)
ALIASES = _lists(
    st.fixed_dictionaries({"ip": ADDRESSES, "hostnames": _lists(HOSTS, least=1)}),
)
PROXY = st.builds(
    lambda *parts: {key: value for part in parts for key, value in part.items()},
    st.one_of(_some(http=URLS), _some(httpSecret=REFS)),
    st.one_of(_some(https=URLS), _some(httpsSecret=REFS)),
    _some(bypass=_lists(st.sampled_from([".svc", "10.0.0.0/8", "localhost"]))),
)
BACKUP = st.one_of(
    NAMES.map(lambda name: {"existingClaim": name}),
    st.fixed_dictionaries(
        {"size": st.sampled_from(["50Mi", "1Gi"])},
        optional={
            "storageClass": NAMES,
            "accessMode": st.sampled_from(["ReadWriteMany", "ReadWriteOnce"]),
        },
    ),
)
DISRUPTION = st.one_of(
    _some(enabled=st.booleans()),
    SHARES.map(lambda share: {"maxUnavailable": share}),
    SHARES.map(lambda share: {"minAvailable": share}),
)
TOLERATIONS = _lists(
    st.one_of(
        st.just({"operator": "Exists"}),
        st.fixed_dictionaries(
            {"key": LABEL_KEYS, "value": WORDS},
            optional={"effect": st.sampled_from(["NoSchedule", "PreferNoSchedule"])},
        ),
        st.fixed_dictionaries(
            {
                "key": LABEL_KEYS,
                "operator": st.just("Exists"),
                "effect": st.just("NoExecute"),
                "tolerationSeconds": st.integers(0, 86400),
            }
        ),
    )
)
_TERM: Mapping = {
    "topologyKey": "kubernetes.io/hostname",
    "labelSelector": {"matchLabels": {"app": "edge"}},
}
_OWN = {**_TERM, "matchLabelKeys": ["pod-template-hash"]}
_OTHERS = {**_TERM, "mismatchLabelKeys": ["tenant"]}
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
PLACEMENT = _some(
    spread=st.booleans(),
    whenUnsatisfiable=st.sampled_from(["ScheduleAnyway", "DoNotSchedule"]),
    affinity=st.sampled_from(
        [
            {},
            {"podAntiAffinity": {_PREFERRED: [{"weight": 50, "podAffinityTerm": _TERM}]}},
            {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_TERM]}},
            {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_TERM, _OWN]}},
            {"podAntiAffinity": {_PREFERRED: [{"weight": 1, "podAffinityTerm": _OTHERS}]}},
        ]
    ),
    tolerations=TOLERATIONS,
    nodeSelector=_pairs(LABEL_KEYS, WORDS),
    priorityClassName=NAMES,
    runtimeClassName=NAMES,
)
AUTH = st.one_of(
    st.just({"type": "token"}),
    st.fixed_dictionaries(
        {"type": st.just("workloadIdentity"), "clientId": GUIDS, "tenantId": GUIDS},
        optional={"serviceAccount": NAMES, "tokenAudience": URLS},
    ),
    *(
        st.fixed_dictionaries(
            {"type": st.just("entraApp"), "clientId": GUIDS, "tenantId": GUIDS, proof: REFS},
            optional={
                "authority": URLS,
                "tokenAudience": URLS,
                "clientSecretExpires": st.dates().map(str),
            },
        )
        for proof in ("clientSecret", "certificate")
    ),
)
SETTINGS = st.lists(
    st.sampled_from(
        [
            ("telemetry.logs.std.color", "false"),
            ("net.server.http.forwarded.proto.enabled", True),
            ("config.service.integration.timeout", "00:02:00"),
            ("net.server.tls.ciphers.allowed-suites", "TLS_AES_256_GCM_SHA384"),
        ]
    ),
    unique=True,
).map(dict)

MAPPINGS: st.SearchStrategy[Mapping] = st.builds(
    lambda whole, *groups: {**whole, **{k: v for group in groups for k, v in group.items()}},
    st.fixed_dictionaries(
        {
            "gateway": WORDS.filter(lambda word: word.replace("-", "").isalnum()),
            "apim": st.fixed_dictionaries({"instance": NAMES, "endpoint": HOSTS}),
            "cluster": NAMES,
            "namespace": NAMES,
            "image": IMAGE,
        },
        optional={
            "name": NAMES,
            "resources": RESOURCES,
            "service": SERVICE,
            "rollout": ROLLOUT,
            "probes": PROBES,
            "logs": LOGS,
            "metrics": METRICS,
            "certificateAuthorities": AUTHORITIES,
            "hostAliases": ALIASES,
            "proxy": PROXY,
            "backup": BACKUP,
            "discovery": _some(
                rateLimitPort=st.integers(1024, 4290), heartbeatPort=st.integers(4291, 65535)
            ),
            "disruptionBudget": DISRUPTION,
            "placement": PLACEMENT,
            "security": _some(
                runAsGroup=st.integers(0, 5000), readOnlyRootFilesystem=st.booleans()
            ),
            "auth": AUTH,
            "settings": SETTINGS,
            "labels": _pairs(LABEL_KEYS, WORDS),
            "annotations": _pairs(LABEL_KEYS, FREE_TEXT),
        },
    ),
    PODS,
    NETWORK,
)
"""Every field, as a person may write it."""

SPECS: st.SearchStrategy[GatewaySpec] = MAPPINGS.map(spec_from_mapping)
"""Any valid spec."""
