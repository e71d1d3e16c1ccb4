"""A spec as the pods of its Deployment. Pure.

Values are Microsoft's production guidance (azure-docs,
how-to-self-hosted-gateway-on-kubernetes-in-production, 2026-02-20) unless the spec says otherwise.
"""

import json
from typing import Any

from deploy.rendering.container_settings import CERTIFICATE_DIRECTORY
from deploy.rendering.labels import (
    claim_name,
    config_map_name,
    container_name,
    pod_labels,
    selector,
    service_account_name,
)
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import (
    KeyRef,
    LivenessProbe,
    Network,
    Placement,
    ReadinessProbe,
    Security,
    Source,
    StartupProbe,
    Toleration,
)
from deploy.specs.settings import AUTH, SECRET_SETTING
from deploy.tokens.token import LAYOUT_KEY

STATUS_PATH = "/status-0123456789abcdef"
HTTP, HTTPS = 8080, 8081
BACKUP_DIRECTORY = "/apim/config"
AUTHORITY_DIRECTORY = "/usr/local/share/ca-certificates"
"""Where the image's operating system looks for further authorities; Microsoft's reference says
only that they are mounted."""
_WORKLOAD_IDENTITY = "azure.workload.identity/use"


def pod_template(
    spec: GatewaySpec, token_secret: str | None, annotations: dict[str, str]
) -> dict[str, Any]:
    """The template. `token_secret` is None where no token is used."""
    chosen = pod_labels(spec)
    if spec.auth.kind == "workloadIdentity":
        chosen[_WORKLOAD_IDENTITY] = "true"
    return {
        "metadata": {
            "labels": chosen,
            "annotations": {**dict(spec.annotations), **annotations},
        },
        "spec": _pod(spec, token_secret),
    }


def _pod(spec: GatewaySpec, token_secret: str | None) -> dict[str, Any]:
    pod: dict[str, Any] = {
        **({} if "security" in spec.objects.keeps else {"automountServiceAccountToken": False}),
        "terminationGracePeriodSeconds": spec.rollout.termination_grace,
        **_pod_security(spec),
        **_placement(spec),
        **_network(spec.network),
        "containers": [_container(spec, token_secret)],
    }
    if spec.pull.secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in spec.pull.secrets]
    if spec.auth.kind == "workloadIdentity":
        pod["serviceAccountName"] = service_account_name(spec)
    if volumes := _volumes(spec):
        pod["volumes"] = [volume for volume, _ in volumes]
    return pod


def _pod_security(spec: GatewaySpec) -> dict[str, Any]:
    security = spec.security
    asked: dict[str, Any]
    if "security" in spec.objects.keeps:
        asked = {
            "runAsUser": _changed(security.user, Security.user),
            "fsGroup": _changed(security.fs_group, Security.fs_group),
            "runAsGroup": security.group,
        }
        return {"securityContext": found} if (found := _given(asked)) else {}
    asked = {
        "runAsUser": security.user,
        "runAsNonRoot": True,
        "fsGroup": security.fs_group,
        "seccompProfile": {"type": "RuntimeDefault"},
        "runAsGroup": security.group,
    }
    return {"securityContext": {k: v for k, v in _given(asked).items() if v != "none"}}


def _placement(spec: GatewaySpec) -> dict[str, Any]:
    placement: Placement = spec.placement
    found: dict[str, Any] = {}
    if placement.spread:
        found["topologySpreadConstraints"] = [
            _spread(spec, "topology.kubernetes.io/zone"),
            _spread(spec, "kubernetes.io/hostname"),
        ]
    if placement.affinity is not None:
        found["affinity"] = json.loads(placement.affinity)
    if placement.tolerations:
        found["tolerations"] = [_toleration(each) for each in placement.tolerations]
    if placement.node_selector:
        found["nodeSelector"] = dict(placement.node_selector)
    if placement.priority_class is not None:
        found["priorityClassName"] = placement.priority_class
    if placement.runtime_class is not None:
        found["runtimeClassName"] = placement.runtime_class
    return found


def _spread(spec: GatewaySpec, key: str) -> dict[str, Any]:
    when = spec.placement.when_unsatisfiable
    # Old pods would count too, and where uneven pods may not run, stop the new ones from starting.
    alone = {"matchLabelKeys": ["pod-template-hash"]} if when == "DoNotSchedule" else {}
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": when,
        "labelSelector": {"matchLabels": selector(spec)},
        **alone,
    }


def _toleration(toleration: Toleration) -> dict[str, Any]:
    return _given(
        {
            "key": toleration.key,
            "operator": toleration.operator,
            "value": toleration.value,
            "effect": toleration.effect,
            "tolerationSeconds": toleration.seconds,
        }
    )


def _network(network: Network) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if network.dns_policy != Network.dns_policy:
        found["dnsPolicy"] = network.dns_policy
    dns: dict[str, Any] = {
        "nameservers": list(network.nameservers),
        "searches": list(network.searches),
        "options": [_given({"name": o.name, "value": o.value}) for o in network.options],
    }
    if any(dns.values()):
        found["dnsConfig"] = {key: value for key, value in dns.items() if value}
    if network.host_network:
        found["hostNetwork"] = True
    if network.host_aliases:
        found["hostAliases"] = [
            {"ip": alias.ip, "hostnames": list(alias.hostnames)} for alias in network.host_aliases
        ]
    return found


def _container(spec: GatewaySpec, token_secret: str | None) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": container_name(spec),
        "image": spec.image,
        "imagePullPolicy": spec.pull.policy,
    }
    if "ports" not in spec.objects.keeps:
        container["ports"] = _ports(spec)
    if env := _env(spec, token_secret):
        container["env"] = env
    container["envFrom"] = _env_from(spec)
    if resources := _resources(spec):
        container["resources"] = resources
    if "probes" not in spec.objects.keeps:
        probes = _probes(spec)
        container |= {name: probes[name] for name in probes if name not in spec.objects.keeps}
    if spec.rollout.pre_stop is not None:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": spec.rollout.pre_stop}}}
    if security := _container_security(spec):
        container["securityContext"] = security
    if volumes := _volumes(spec):
        container["volumeMounts"] = [mount for _, mount in volumes]
    return container


def _ports(spec: GatewaySpec) -> list[dict[str, Any]]:
    ports = spec.discovery
    return [
        {"name": "http", "containerPort": HTTP, "protocol": "TCP"},
        {"name": "https", "containerPort": HTTPS, "protocol": "TCP"},
        {"name": "rate-limit-dc", "containerPort": ports.rate_limit, "protocol": "UDP"},
        {"name": "dc-heartbeat", "containerPort": ports.heartbeat, "protocol": "UDP"},
    ]


def _resources(spec: GatewaySpec) -> dict[str, Any]:
    """Requests as advised. The memory limit keeps a leak from taking the node; a CPU limit would only
    slow requests down."""
    limits = {"memory": spec.limits.memory or spec.memory, **_given({"cpu": spec.limits.cpu})}
    found = {"requests": {"cpu": spec.cpu, "memory": spec.memory}, "limits": limits}
    return {
        name: kept
        for name, amounts in found.items()
        if (kept := {each: text for each, text in amounts.items() if text != "none"})
    }


def _env_from(spec: GatewaySpec) -> list[dict[str, Any]]:
    """Every source, this bot's ConfigMap last where nothing says otherwise: a later one wins."""
    own = config_map_name(spec)
    sources = spec.objects.sources
    if not any(each.config_map == own and not each.prefix for each in sources):
        sources = (*sources, Source(config_map=own))
    return [_source(each) for each in sources]


def _source(source: Source) -> dict[str, Any]:
    kind = "secretRef" if source.secret is not None else "configMapRef"
    ref = _given({"name": source.secret or source.config_map, "optional": source.optional})
    return {**_given({"prefix": source.prefix}), kind: ref}


def _probes(spec: GatewaySpec) -> dict[str, Any]:
    """Ten minutes to load the configuration: with Kubernetes' defaults a gateway that waits for
    Azure is killed after thirty seconds, for ever (issue 418 of the gateway's repository)."""
    # Ports that are as they were found may have other names.
    port: int | str = HTTP if "ports" in spec.objects.keeps else "http"
    return {
        "startupProbe": _probe(port, spec.probes.startup),
        "readinessProbe": _probe(port, spec.probes.readiness),
        "livenessProbe": _probe(port, spec.probes.liveness),
    }


def _container_security(spec: GatewaySpec) -> dict[str, Any]:
    asked = {"readOnlyRootFilesystem": True} if spec.security.read_only_root else {}
    if "security" in spec.objects.keeps:
        return asked
    return {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
        **asked,
    }


def _env(spec: GatewaySpec, token_secret: str | None) -> list[dict[str, Any]]:
    """The values from Secrets; a changed Secret reaches pods only when they are replaced."""
    refs = (
        (AUTH, KeyRef(token_secret, LAYOUT_KEY) if token_secret is not None else None),
        (SECRET_SETTING, spec.auth.client_secret),
        ("HTTP_PROXY", spec.proxy.http_secret),
        ("HTTPS_PROXY", spec.proxy.https_secret),
    )
    return [
        {
            "name": name,
            "valueFrom": {"secretKeyRef": {"name": ref.name, "key": ref.key}},
        }
        for name, ref in refs
        if ref is not None
    ]


def _volumes(spec: GatewaySpec) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each volume with the container's mount of it."""
    found: list[tuple[dict[str, Any], dict[str, Any]]] = []
    if spec.backup.on:
        name = spec.objects.backup_volume or "config-backup"
        found.append(
            (
                {"name": name, "persistentVolumeClaim": {"claimName": claim_name(spec)}},
                {"name": name, "mountPath": BACKUP_DIRECTORY},
            )
        )
    if spec.authorities:
        sources = [_authority(spec, index) for index in range(len(spec.authorities))]
        found.append(
            (
                {"name": "ca-certificates", "projected": {"sources": sources}},
                {
                    "name": "ca-certificates",
                    "mountPath": AUTHORITY_DIRECTORY,
                    "readOnly": True,
                },
            )
        )
    if spec.auth.certificate is not None:
        found.append(
            (
                {
                    "name": "entra-certificate",
                    "secret": {"secretName": spec.auth.certificate.name},
                },
                {
                    "name": "entra-certificate",
                    "mountPath": CERTIFICATE_DIRECTORY,
                    "readOnly": True,
                },
            )
        )
    return found


def _authority(spec: GatewaySpec, index: int) -> dict[str, Any]:
    source = spec.authorities[index]
    # update-ca-certificates takes only files that end in .crt.
    items = [{"key": source.key, "path": f"authority-{index}.crt"}]
    if source.secret is not None:
        return {"secret": {"name": source.secret, "items": items}}
    return {"configMap": {"name": source.config_map, "items": items}}


def _probe(port: int | str, probe: StartupProbe | ReadinessProbe | LivenessProbe) -> dict[str, Any]:
    return {
        "httpGet": {"path": STATUS_PATH, "port": port, "scheme": "HTTP"},
        "periodSeconds": probe.period,
        "failureThreshold": probe.failures,
        "timeoutSeconds": probe.timeout,
    }


def _changed(value: int | str, default: int | str) -> int | None:
    return value if isinstance(value, int) and value != default else None


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
