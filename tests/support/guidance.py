"""Microsoft's production guidance, row by row, of 2020 and of today, as what a spec does of it.

Rows of today are those of azure-docs, how-to-self-hosted-gateway-on-kubernetes-in-production
(2026-02-20); those of 2020 are what the same page asked for then.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.kube.objects import Manifest

NAMESPACE = "guidance"
"""Where the rows' gateways are, until a test says where."""
_GUID = "11111111-1111-1111-1111-111111111111"
_SECRET = {"name": "app", "key": "secret"}

Options = Mapping[str, Any]
Found = Mapping[str, Manifest]


def _pod(found: Found) -> dict[str, Any]:
    pod: dict[str, Any] = found["Deployment"]["spec"]["template"]["spec"]
    return pod


def _container(found: Found) -> dict[str, Any]:
    (container,) = _pod(found)["containers"]
    assert isinstance(container, dict)
    return container


def _settings(found: Found) -> dict[str, str]:
    settings: dict[str, str] = found["ConfigMap"]["data"]
    return settings


def _traffic(found: Found) -> dict[str, Any]:
    spec: dict[str, Any] = found["Service edge-1-live-traffic"]["spec"]
    return spec


def _spreads(found: Found) -> dict[str, str]:
    spreads = _pod(found)["topologySpreadConstraints"]
    return {each["topologyKey"]: each["whenUnsatisfiable"] for each in spreads}


@dataclass(frozen=True)
class Row:
    """What a row asks for: the options that do it, and what must then be said where."""

    name: str
    options: Options
    said: Callable[[Found], Any]
    value: Any
    findings: tuple[str, ...] = field(default=())
    """The rules that tell a user who does less than the row of today asks."""


ROWS = (
    Row(
        "authentication, 2020: a token from a Secret",
        {},
        lambda found: [(v["name"], v["valueFrom"]) for v in _container(found)["env"]],
        [("config.service.auth", {"secretKeyRef": {"name": "edge-1-token", "key": "value"}})],
    ),
    Row(
        "authentication, now: an Entra app",
        {
            "auth": {
                "type": "entraApp",
                "clientId": _GUID,
                "tenantId": _GUID,
                "clientSecret": _SECRET,
            }
        },
        lambda found: (
            _settings(found)["config.service.auth"],
            [v["name"] for v in _container(found)["env"]],
        ),
        ("azureAdApp", ["config.service.auth.azureAd.clientSecret"]),
    ),
    Row(
        "authentication, now: a workload identity",
        {"auth": {"type": "workloadIdentity", "clientId": _GUID, "tenantId": _GUID}},
        lambda found: (
            _settings(found)["config.service.auth"],
            _pod(found)["serviceAccountName"],
            found["ServiceAccount"]["metadata"]["annotations"]["azure.workload.identity/client-id"],
        ),
        ("workloadIdentity", "edge-1", _GUID),
    ),
    Row(
        "namespace, 2020 and now: one of its own",
        {},
        lambda found: {o["metadata"]["namespace"] for o in found.values()},
        {NAMESPACE},
    ),
    Row(
        "replicas, 2020: two at least",
        {"replicas": 2},
        lambda found: found["Deployment"]["spec"]["replicas"],
        2,
        ("few-replicas",),
    ),
    Row(
        "replicas, now: three at least",
        {},
        lambda found: found["Deployment"]["spec"]["replicas"],
        3,
    ),
    Row(
        "strategy, 2020: maxUnavailable and maxSurge as reviewed",
        {"rollout": {"maxUnavailable": 1, "maxSurge": 1}},
        lambda found: found["Deployment"]["spec"]["strategy"],
        {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}},
    ),
    Row(
        "strategy, now: as the portal, nothing unavailable and a quarter more",
        {},
        lambda found: found["Deployment"]["spec"]["strategy"],
        {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
    ),
    Row(
        "autoscaling, now: by CPU and memory",
        {
            "autoscaling": {
                "minReplicas": 3,
                "maxReplicas": 9,
                "targetCPUUtilization": 70,
                "targetMemoryUtilization": 80,
            }
        },
        lambda found: [
            (m["resource"]["name"], m["resource"]["target"]["averageUtilization"])
            for m in found["HorizontalPodAutoscaler"]["spec"]["metrics"]
        ],
        [("cpu", 70), ("memory", 80)],
    ),
    Row(
        "resources, 2020: two cores and two gibibytes requested",
        {},
        lambda found: _container(found)["resources"]["requests"],
        {"cpu": "2", "memory": "2Gi"},
    ),
    Row(
        "resources, now: limits as requests, as in the sample of 2026",
        {"resources": {"limits": {"cpu": "2", "memory": "2Gi"}}},
        lambda found: _container(found)["resources"],
        {
            "requests": {"cpu": "2", "memory": "2Gi"},
            "limits": {"cpu": "2", "memory": "2Gi"},
        },
    ),
    Row(
        "image tag, 2020 and now: a full version in production",
        {},
        lambda found: _container(found)["image"].rpartition(":")[2],
        "2.11.1",
    ),
    Row(
        "image tag, now: the portal's moving one is told about",
        {"image": {"tag": "v2"}},
        lambda found: _container(found)["image"].rpartition(":")[2],
        "v2",
        ("floating-tag",),
    ),
    Row(
        "DNS, 2020 and now: ClusterFirst, customised as needed",
        {
            "dns": {
                "nameservers": ["10.0.0.10"],
                "searches": ["contoso.com"],
                "options": [{"name": "ndots", "value": "2"}],
            }
        },
        lambda found: (_pod(found).get("dnsPolicy", "ClusterFirst"), _pod(found)["dnsConfig"]),
        (
            "ClusterFirst",
            {
                "nameservers": ["10.0.0.10"],
                "searches": ["contoso.com"],
                "options": [{"name": "ndots", "value": "2"}],
            },
        ),
    ),
    Row(
        "external traffic, 2020 and now: Local keeps the client's address",
        {},
        lambda found: _traffic(found)["externalTrafficPolicy"],
        "Local",
    ),
    Row(
        "external traffic, 2020 and now: Cluster spreads evenly",
        {"service": {"externalTrafficPolicy": "Cluster"}},
        lambda found: _traffic(found)["externalTrafficPolicy"],
        "Cluster",
    ),
    Row(
        "custom domain, 2020 and now: the endpoint's host is any",
        {"apim": {"instance": "contoso", "endpoint": "apim.contoso.com"}},
        lambda found: _settings(found)["config.service.endpoint"],
        "apim.contoso.com",
    ),
    Row(
        "certificate authority, 2020 and now: trusted from a mount, as user 1001",
        {"certificateAuthorities": [{"configMap": "root", "key": "ca.crt"}]},
        lambda found: (
            _settings(found)["certificates.local.ca.enabled"],
            [mount["mountPath"] for mount in _container(found)["volumeMounts"]],
            _pod(found)["securityContext"]["runAsUser"],
        ),
        ("true", ["/usr/local/share/ca-certificates"], 1001),
    ),
    Row(
        "configuration backup, 2020: a volume at /apim/config",
        {"backup": {"existingClaim": "shared"}},
        lambda found: (
            [mount["mountPath"] for mount in _container(found)["volumeMounts"]],
            [v["persistentVolumeClaim"]["claimName"] for v in _pod(found)["volumes"]],
        ),
        (["/apim/config"], ["shared"]),
    ),
    Row(
        "configuration backup, now: owned by group 1001",
        {"backup": {"size": "50Mi", "storageClass": "azurefile-csi"}},
        lambda found: (
            _pod(found)["securityContext"]["fsGroup"],
            found["PersistentVolumeClaim"]["spec"]["accessModes"],
        ),
        (1001, ["ReadWriteMany"]),
    ),
    Row(
        "health, 2020: readiness is probed",
        {},
        lambda found: _container(found)["readinessProbe"]["httpGet"],
        {"path": "/status-0123456789abcdef", "port": "http", "scheme": "HTTP"},
    ),
    Row(
        "health, now: liveness is probed too",
        {},
        lambda found: _container(found)["livenessProbe"]["httpGet"],
        {"path": "/status-0123456789abcdef", "port": "http", "scheme": "HTTP"},
    ),
    Row(
        "availability, now: a disruption budget",
        {},
        lambda found: found["PodDisruptionBudget"]["spec"]["maxUnavailable"],
        1,
    ),
    Row(
        "availability, now: spread over zones and nodes",
        {"placement": {"whenUnsatisfiable": "DoNotSchedule"}},
        _spreads,
        {"topology.kubernetes.io/zone": "DoNotSchedule", "kubernetes.io/hostname": "DoNotSchedule"},
    ),
    Row(
        "availability, now: anti-affinity instead of spreading",
        {
            "placement": {
                "spread": False,
                "affinity": {
                    "podAntiAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": [
                            {
                                "topologyKey": "kubernetes.io/hostname",
                                "labelSelector": {"matchLabels": {"app": "edge-1"}},
                            }
                        ]
                    }
                },
            }
        },
        lambda found: ("topologySpreadConstraints" in _pod(found), list(_pod(found)["affinity"])),
        (False, ["podAntiAffinity"]),
    ),
    Row(
        "proxy, now: the three variables",
        {
            "proxy": {
                "http": "http://proxy:3128",
                "https": "http://proxy:3129",
                "bypass": [".svc", "10.0.0.0/8"],
            }
        },
        lambda found: {k: v for k, v in _settings(found).items() if k.endswith("_PROXY")},
        {
            "HTTP_PROXY": "http://proxy:3128",
            "HTTPS_PROXY": "http://proxy:3129",
            "NO_PROXY": ".svc,10.0.0.0/8",
        },
    ),
    Row(
        "monitoring, 2020: a local one",
        {"logs": {"local": {"type": "rfc5424", "endpoint": "10.0.0.9:514"}}},
        lambda found: _settings(found)["telemetry.logs.local.rfc5424.endpoint"],
        "10.0.0.9:514",
    ),
    Row(
        "monitoring, 2020: metrics to StatsD and not to the cloud",
        {"metrics": {"cloud": False, "statsd": {"endpoint": "statsd:8125"}}},
        lambda found: (
            _settings(found)["telemetry.metrics.cloud"],
            _settings(found)["telemetry.metrics.local.statsd.endpoint"],
        ),
        ("false", "statsd:8125"),
    ),
    Row(
        "monitoring, now: logs at warn, to the container's output for its insights",
        {"logs": {"level": "warn", "format": "json"}},
        lambda found: (
            _settings(found)["telemetry.logs.std"],
            _settings(found)["telemetry.logs.std.level"],
        ),
        ("json", "warn"),
    ),
    Row(
        "throttling, now: pods share counters over UDP 4290 and 4291",
        {},
        lambda found: [
            (port["protocol"], port["port"])
            for port in found["Service edge-1-instance-discovery"]["spec"]["ports"]
        ],
        [("UDP", 4290), ("UDP", 4291)],
    ),
    Row(
        "security, now: nothing more than needed, as user 1001 of group 2000",
        {"security": {"runAsGroup": 2000}},
        lambda found: (
            _container(found)["securityContext"],
            {k: _pod(found)["securityContext"][k] for k in ("runAsUser", "runAsGroup")},
            _pod(found)["securityContext"]["runAsNonRoot"],
        ),
        (
            {
                "allowPrivilegeEscalation": False,
                "privileged": False,
                "capabilities": {"drop": ["ALL"]},
            },
            {"runAsUser": 1001, "runAsGroup": 2000},
            True,
        ),
    ),
    Row(
        "egress, now: names that the cluster does not resolve are written down",
        {"hostAliases": [{"ip": "10.1.0.4", "hostnames": ["contoso.configuration.azure-api.net"]}]},
        lambda found: _pod(found)["hostAliases"],
        [{"ip": "10.1.0.4", "hostnames": ["contoso.configuration.azure-api.net"]}],
    ),
)
