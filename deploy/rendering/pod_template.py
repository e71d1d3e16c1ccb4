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
    labels,
    selector,
    service_account_name,
)
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import KeyRef, Network, Placement, Toleration
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
    pod_labels = labels(spec)
    if spec.auth.kind == "workloadIdentity":
        pod_labels[_WORKLOAD_IDENTITY] = "true"
    return {
        "metadata": {
            "labels": pod_labels,
            "annotations": {**dict(spec.annotations), **annotations},
        },
        "spec": _pod(spec, token_secret),
    }


def _pod(spec: GatewaySpec, token_secret: str | None) -> dict[str, Any]:
    security = spec.security
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": spec.rollout.termination_grace,
        "securityContext": {
            "runAsUser": security.user,
            "runAsNonRoot": True,
            "fsGroup": security.fs_group,
            "seccompProfile": {"type": "RuntimeDefault"},
            **_given({"runAsGroup": security.group}),
        },
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
    return found


def _spread(spec: GatewaySpec, key: str) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": spec.placement.when_unsatisfiable,
        "labelSelector": {"matchLabels": selector(spec)},
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
    limits = {"memory": spec.limits.memory or spec.memory, **_given({"cpu": spec.limits.cpu})}
    container: dict[str, Any] = {
        "name": container_name(spec),
        "image": spec.image,
        "imagePullPolicy": spec.pull.policy,
        "ports": [
            {"name": "http", "containerPort": HTTP, "protocol": "TCP"},
            {"name": "https", "containerPort": HTTPS, "protocol": "TCP"},
            {
                "name": "rate-limit-dc",
                "containerPort": spec.discovery.rate_limit,
                "protocol": "UDP",
            },
            {
                "name": "dc-heartbeat",
                "containerPort": spec.discovery.heartbeat,
                "protocol": "UDP",
            },
        ],
    }
    if env := _env(spec, token_secret):
        container["env"] = env
    container |= {
        "envFrom": [{"configMapRef": {"name": config_map_name(spec)}}],
        # Requests as advised. The memory limit keeps a leak from taking the node; a CPU limit
        # would only slow requests down.
        "resources": {
            "requests": {"cpu": spec.cpu, "memory": spec.memory},
            "limits": limits,
        },
        # Ten minutes to load the configuration: with Kubernetes' defaults a gateway that waits for
        # Azure is killed after thirty seconds, for ever (issue 418 of the gateway's repository).
        "startupProbe": _probe(period=5, failures=120),
        "readinessProbe": _probe(period=5, failures=3),
        "livenessProbe": _probe(period=10, failures=6),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    if spec.security.read_only_root:
        container["securityContext"]["readOnlyRootFilesystem"] = True
    if volumes := _volumes(spec):
        container["volumeMounts"] = [mount for _, mount in volumes]
    return container


def _env(spec: GatewaySpec, token_secret: str | None) -> list[dict[str, Any]]:
    """What comes from Secrets; a changed Secret reaches pods only when they are replaced."""
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
        found.append(
            (
                {
                    "name": "config-backup",
                    "persistentVolumeClaim": {"claimName": claim_name(spec)},
                },
                {"name": "config-backup", "mountPath": BACKUP_DIRECTORY},
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


def _probe(*, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": STATUS_PATH, "port": "http", "scheme": "HTTP"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 3,
    }


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
