"""What cannot be asked for together: each contradiction with the path of the value to change."""

from collections.abc import Callable
from dataclasses import dataclass

from deploy.errors import InvalidInput
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import IMAGE_USER, Auth, CaSource, Probes, Toleration
from deploy.specs.quantities import quantity
from deploy.specs.settings import check_settings
from deploy.specs.values import wrong

_NONE = ("0", "0%")
_OURS = (
    *("app", "app.kubernetes.io/name", "app.kubernetes.io/instance"),
    *("app.kubernetes.io/part-of", "app.kubernetes.io/managed-by"),
)
_OUR_PREFIXES = (
    *("gateway-bot.io/", "azure.workload.identity/"),
    *("deployment.kubernetes.io/", "kubectl.kubernetes.io/"),
)


@dataclass(frozen=True)
class Contradiction:
    """One line of the table."""

    field: str
    holds: Callable[[GatewaySpec], bool]
    says: str


CONTRADICTIONS = (
    Contradiction(
        "rollout.maxSurge",
        lambda s: s.rollout.max_unavailable in _NONE and s.rollout.max_surge in _NONE,
        "maxUnavailable and maxSurge cannot both be 0: no pod could ever be replaced.",
    ),
    Contradiction(
        "rollout.minReadySeconds",
        lambda s: s.rollout.min_ready >= s.rollout.progress_deadline,
        "minReadySeconds must be less than progressDeadlineSeconds.",
    ),
    Contradiction(
        "service.httpsPort",
        lambda s: s.http_port == s.https_port and s.service.only is None,
        "httpPort and httpsPort are the same port.",
    ),
    Contradiction(
        "rollout.preStopSleepSeconds",
        lambda s: (s.rollout.pre_stop or 0) >= max(s.rollout.termination_grace, 1),
        "preStopSleepSeconds must be less than terminationGracePeriodSeconds.",
    ),
    Contradiction(
        "probes",
        lambda s: _kept_and_asked(s),
        "Probes that objects.keeps names stay as they are.",
    ),
    Contradiction(
        "service.ipFamilies",
        lambda s: len(set(s.service.ip_families)) < len(s.service.ip_families),
        "Both ipFamilies are the same.",
    ),
    Contradiction(
        "service.ipFamilies",
        lambda s: (
            len(s.service.ip_families) > 1
            and s.service.ip_family_policy not in ("PreferDualStack", "RequireDualStack")
        ),
        "Two ipFamilies need service.ipFamilyPolicy PreferDualStack or RequireDualStack.",
    ),
    Contradiction(
        "service.allocateLoadBalancerNodePorts",
        lambda s: s.service_type != "LoadBalancer" and not s.service.allocate_node_ports,
        "Only a LoadBalancer Service can turn off allocateLoadBalancerNodePorts.",
    ),
    Contradiction(
        "autoscaling.maxReplicas",
        lambda s: s.autoscaling.most is None and s.autoscaling != type(s.autoscaling)(),
        "autoscaling.maxReplicas is missing.",
    ),
    Contradiction(
        "autoscaling.minReplicas",
        lambda s: s.autoscaling.most is not None and s.autoscaling.least > s.autoscaling.most,
        "minReplicas is more than maxReplicas.",
    ),
    Contradiction(
        "resources.limits.cpu",
        lambda s: _is_less(s.limits.cpu, s.cpu),
        "The CPU limit is less than what is requested.",
    ),
    Contradiction(
        "resources.limits.memory",
        lambda s: _is_less(s.limits.memory, s.memory),
        "The memory limit is less than what is requested.",
    ),
    Contradiction(
        "service.externalTrafficPolicy",
        lambda s: s.service_type == "ClusterIP" and s.service.external_traffic_policy is not None,
        "A ClusterIP Service has no external traffic.",
    ),
    Contradiction(
        "service.loadBalancerClass",
        lambda s: s.service_type != "LoadBalancer" and s.service.load_balancer_class is not None,
        "Only a LoadBalancer Service has a loadBalancerClass.",
    ),
    Contradiction(
        "service.loadBalancerSourceRanges",
        lambda s: s.service_type != "LoadBalancer" and bool(s.service.source_ranges),
        "Only a LoadBalancer Service has loadBalancerSourceRanges.",
    ),
    Contradiction(
        "service.nodePorts",
        lambda s: s.service_type == "ClusterIP" and _node_ports(s) != (None, None),
        "A ClusterIP Service has no node ports.",
    ),
    Contradiction(
        "service.nodePorts.https",
        lambda s: None is not _node_ports(s)[0] == _node_ports(s)[1],
        "Both node ports are the same.",
    ),
    Contradiction(
        "security.runAsUser",
        lambda s: bool(s.authorities) and s.security.user != IMAGE_USER,
        f"certificateAuthorities need runAsUser {IMAGE_USER}.",
    ),
    Contradiction(
        "security.fsGroup",
        lambda s: s.backup.on and s.security.fs_group not in (IMAGE_USER, "none"),
        f"A backup needs fsGroup {IMAGE_USER}, which the gateway writes as.",
    ),
    Contradiction(
        "backup.existingClaim",
        lambda s: s.backup.existing_claim is not None and s.backup.size is not None,
        "backup.size makes a claim; existingClaim uses another. Say one of them.",
    ),
    Contradiction(
        "backup.size",
        lambda s: s.backup.size is None and _claim_options(s),
        "backup.size is missing.",
    ),
    Contradiction(
        "dns.nameservers",
        lambda s: s.network.dns_policy == "None" and not s.network.nameservers,
        "dns.policy None needs dns.nameservers.",
    ),
    Contradiction(
        "dns.policy",
        lambda s: s.network.dns_policy == "ClusterFirstWithHostNet" and not s.network.host_network,
        "ClusterFirstWithHostNet is for hostNetwork: true.",
    ),
    Contradiction(
        "proxy.httpSecret",
        lambda s: s.proxy.http is not None and s.proxy.http_secret is not None,
        "Set either proxy.http or proxy.httpSecret, not both.",
    ),
    Contradiction(
        "proxy.httpsSecret",
        lambda s: s.proxy.https is not None and s.proxy.https_secret is not None,
        "Set either proxy.https or proxy.httpsSecret, not both.",
    ),
    Contradiction(
        "discovery.heartbeatPort",
        lambda s: s.discovery.rate_limit == s.discovery.heartbeat,
        "rateLimitPort and heartbeatPort are the same port.",
    ),
    Contradiction(
        "networkPolicy.enabled",
        lambda s: s.network_policy.enabled and s.network.host_network,
        "No NetworkPolicy applies to pods on the node's network (hostNetwork).",
    ),
    Contradiction(
        "networkPolicy.ingress",
        lambda s: bool(s.network_policy.ingress) and not s.network_policy.enabled,
        "networkPolicy.ingress needs networkPolicy.enabled.",
    ),
    Contradiction(
        "networkPolicy.egress",
        lambda s: bool(s.network_policy.egress) and not s.network_policy.enabled,
        "networkPolicy.egress needs networkPolicy.enabled.",
    ),
    Contradiction(
        "disruptionBudget.minAvailable",
        lambda s: (
            s.disruption.min_available is not None and s.disruption.max_unavailable is not None
        ),
        "A disruption budget has minAvailable or maxUnavailable, not both.",
    ),
    Contradiction(
        "disruptionBudget.enabled",
        lambda s: (
            not s.disruption.enabled
            and (s.disruption.min_available or s.disruption.max_unavailable) is not None
        ),
        "The disruption budget is off, so it has no numbers.",
    ),
    Contradiction(
        "logs.local.endpoint",
        lambda s: (
            s.local_logs.sink in ("localsyslog", "rfc5424", "journal")
            and s.local_logs.endpoint is None
        ),
        "logs.local.endpoint is missing.",
    ),
    Contradiction(
        "logs.local.endpoint",
        lambda s: (
            s.local_logs.sink in ("none", "auto", "forward") and s.local_logs.endpoint is not None
        ),
        "logs.local.endpoint needs a logs.local.type that has one.",
    ),
    Contradiction(
        "logs.local.facility",
        lambda s: (
            s.local_logs.facility is not None
            and s.local_logs.sink not in ("localsyslog", "rfc5424")
        ),
        "logs.local.facility requires logs.local.type localsyslog or rfc5424.",
    ),
    Contradiction(
        "metrics.statsd.endpoint",
        lambda s: (
            s.metrics.statsd is None
            and (s.metrics.statsd_sampling or s.metrics.statsd_tag_format) is not None
        ),
        "metrics.statsd.endpoint is missing.",
    ),
    Contradiction(
        "metrics.openTelemetry.collector",
        lambda s: (
            s.metrics.collector is None and (s.metrics.system_metrics or bool(s.metrics.buckets))
        ),
        "metrics.openTelemetry.collector is missing.",
    ),
    Contradiction(
        "metrics.openTelemetry.buckets",
        lambda s: list(s.metrics.buckets) != sorted(set(s.metrics.buckets)),
        "Buckets must be in ascending order, without duplicates.",
    ),
)


def _kept_and_asked(spec: GatewaySpec) -> bool:
    """Whether a probe that the bot does not write is asked for."""
    usual = Probes()
    return any(
        getattr(spec.probes, name) != getattr(usual, name)
        for name in ("startup", "readiness", "liveness")
        if not {"probes", f"{name}Probe"}.isdisjoint(spec.objects.keeps)
    )


def check_together(spec: GatewaySpec) -> None:
    """Raise InvalidInput for the first contradiction."""
    for line in CONTRADICTIONS:
        if line.holds(spec):
            raise InvalidInput(line.says, field=line.field)
    _check_auth(spec.auth)
    for index, source in enumerate(spec.authorities):
        _check_authority(source, f"certificateAuthorities[{index}]")
    for index, toleration in enumerate(spec.placement.tolerations):
        _check_toleration(toleration, f"placement.tolerations[{index}]")
    check_settings(spec.settings)
    for field, pairs in (
        ("labels", spec.labels),
        ("annotations", spec.annotations),
        ("service.annotations", spec.service.annotations),
    ):
        for key, _ in pairs:
            if key in _OURS or key.startswith(_OUR_PREFIXES):
                path = f"{field}.{key}"
                raise InvalidInput(f"{path} is set by the bot or by Kubernetes.", field=path)


def _is_less(limit: str | None, request: str) -> bool:
    if limit is None or "none" in (limit, request):
        return False
    return quantity(limit) < quantity(request)


def _node_ports(spec: GatewaySpec) -> tuple[int | None, int | None]:
    return spec.service.http_node_port, spec.service.https_node_port


def _claim_options(spec: GatewaySpec) -> bool:
    backup = spec.backup
    return backup.storage_class is not None or backup.access_mode != type(backup).access_mode


_WANTED = {
    "token": (),
    "entraApp": ("clientId", "tenantId"),
    "workloadIdentity": ("clientId", "tenantId"),
}
_TAKEN = {
    "token": (),
    "entraApp": (
        *("clientId", "tenantId", "clientSecret", "certificate", "clientSecretExpires"),
        *("authority", "tokenAudience"),
    ),
    "workloadIdentity": ("clientId", "tenantId", "serviceAccount", "tokenAudience"),
}


def _check_auth(auth: Auth) -> None:
    said = {
        "clientId": auth.client_id,
        "tenantId": auth.tenant_id,
        "clientSecret": auth.client_secret,
        "certificate": auth.certificate,
        "clientSecretExpires": auth.secret_expires,
        "authority": auth.authority,
        "tokenAudience": auth.audience,
        "serviceAccount": auth.service_account,
    }
    for key, value in said.items():
        path = f"auth.{key}"
        if value is None and key in _WANTED[auth.kind]:
            raise InvalidInput(f"{path} is missing.", field=path)
        if value is not None and key not in _TAKEN[auth.kind]:
            raise InvalidInput(f"{path} is not used with auth.type {auth.kind}.", field=path)
    if auth.kind == "entraApp" and (auth.client_secret is None) == (auth.certificate is None):
        raise InvalidInput(
            "An Entra app must have either a clientSecret or a certificate.",
            field="auth.clientSecret",
        )


def _check_authority(source: CaSource, path: str) -> None:
    if (source.secret is None) == (source.config_map is None):
        raise InvalidInput(f"{path} must name either a Secret or a ConfigMap.", field=path)


def _check_toleration(toleration: Toleration, path: str) -> None:
    exists = toleration.operator == "Exists"
    if toleration.key is None and not exists:
        raise InvalidInput(f"{path} without a key requires operator Exists.", field=f"{path}.key")
    if exists and toleration.value:
        raise wrong(f"{path}.value", toleration.value, "empty with operator Exists")
    if toleration.seconds is not None and toleration.effect != "NoExecute":
        raise InvalidInput(
            "tolerationSeconds requires effect NoExecute.", field=f"{path}.tolerationSeconds"
        )
