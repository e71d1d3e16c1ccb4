"""What may be asked for beyond the essentials of a gateway: small groups, each at its default.

Frozen data alone. What values are taken is said in `deploy.specs.fields`, which values contradict
each other in `deploy.specs.together`.
"""

from dataclasses import dataclass, field
from typing import Literal

Pairs = tuple[tuple[str, str], ...]
"""A mapping of text to text, sorted by key, so that equal mappings are equal."""

IMAGE_USER = 1001
"""The image's own user; local CA certificates need it, and the backup directory its group
(Microsoft, "Reference: Self-hosted gateway container configuration settings")."""


@dataclass(frozen=True)
class KeyRef:
    """A key of a Secret or ConfigMap in the gateway's namespace."""

    name: str
    key: str


@dataclass(frozen=True)
class Rollout:
    """How pods are replaced. Values as in a Deployment's RollingUpdate; times in seconds.

    With the strategy `Recreate` every pod is stopped before a new one starts.
    `restarted_at` is part of the pods' template, so another value replaces them all. With
    `automatic_rollback` the previous version comes back when a rollout does not finish.
    """

    strategy: str = "RollingUpdate"
    max_unavailable: str = "0"
    max_surge: str = "25%"
    progress_deadline: int = 600
    termination_grace: int = 60
    min_ready: int = 0
    history_limit: int = 10
    restarted_at: str | None = None
    automatic_rollback: bool = False
    pre_stop: int | None = None


@dataclass(frozen=True)
class StartupProbe:
    """Ten minutes to load the configuration. Seconds, and how many failures end the pod."""

    period: int = 5
    failures: int = 120
    timeout: int = 3


@dataclass(frozen=True)
class ReadinessProbe:
    """When a pod gets requests. Seconds, and after how many failures it gets none."""

    period: int = 5
    failures: int = 3
    timeout: int = 3


@dataclass(frozen=True)
class LivenessProbe:
    """When a pod is restarted. Seconds, and after how many failures."""

    period: int = 10
    failures: int = 6
    timeout: int = 3


@dataclass(frozen=True)
class Probes:
    """How often the kubelet asks the gateway's status path."""

    startup: StartupProbe = field(default_factory=StartupProbe)
    readiness: ReadinessProbe = field(default_factory=ReadinessProbe)
    liveness: LivenessProbe = field(default_factory=LivenessProbe)


@dataclass(frozen=True)
class Autoscaling:
    """A HorizontalPodAutoscaler; off while `most` is None. Utilisation in percent of requests.

    With no target and no other metric it is 80 % of the CPU. `metrics` and `behavior` are Kubernetes'
    own objects, as canonical JSON.
    """

    least: int = 3
    most: int | None = None
    cpu: int | None = None
    memory: int | None = None
    metrics: tuple[str, ...] = ()
    behavior: str | None = None


@dataclass(frozen=True)
class Limits:
    """Limits of the container; memory's is what is requested unless said, CPU has none. `none`
    removes the limit."""

    cpu: str | None = None
    memory: str | None = None


@dataclass(frozen=True)
class Pull:
    """How the image is pulled; `secrets` are names of Secrets with registry credentials."""

    policy: str = "IfNotPresent"
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Service:
    """The Service of live traffic, beyond its type and ports; `only` names the one that it has."""

    only: str | None = None

    external_traffic_policy: str | None = None
    annotations: Pairs = ()
    load_balancer_class: str | None = None
    source_ranges: tuple[str, ...] = ()
    http_node_port: int | None = None
    https_node_port: int | None = None
    ip_family_policy: str | None = None
    ip_families: tuple[str, ...] = ()
    internal_traffic_policy: str | None = None
    allocate_node_ports: bool = True


@dataclass(frozen=True)
class CaSource:
    """One certificate authority's certificate (PEM), in a Secret or in a ConfigMap."""

    key: str
    secret: str | None = None
    config_map: str | None = None


@dataclass(frozen=True)
class HostAlias:
    """A line of the pods' /etc/hosts."""

    ip: str
    hostnames: tuple[str, ...]


@dataclass(frozen=True)
class DnsOption:
    """An option of the pods' resolv.conf."""

    name: str
    value: str | None = None


@dataclass(frozen=True)
class Network:
    """How pods resolve names and which network they are on."""

    dns_policy: str = "ClusterFirst"
    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[DnsOption, ...] = ()
    host_network: bool = False
    host_aliases: tuple[HostAlias, ...] = ()


@dataclass(frozen=True)
class Proxy:
    """The proxy towards Azure and backends. A URL with a password is in a Secret, never here."""

    http: str | None = None
    https: str | None = None
    http_secret: KeyRef | None = None
    https_secret: KeyRef | None = None
    bypass: tuple[str, ...] = ()


@dataclass(frozen=True)
class Backup:
    """Where the configuration is kept for a start without Azure; off while neither is given."""

    size: str | None = None
    storage_class: str | None = None
    access_mode: str = "ReadWriteMany"
    existing_claim: str | None = None

    @property
    def on(self) -> bool:
        """Whether there is a volume for it."""
        return self.size is not None or self.existing_claim is not None


@dataclass(frozen=True)
class LocalLogs:
    """Where logs go beside the container's output."""

    sink: str = "auto"
    endpoint: str | None = None
    facility: int | None = None


@dataclass(frozen=True)
class Metrics:
    """Where metrics go; StatsD and OpenTelemetry are off while they have no address."""

    cloud: bool = True
    statsd: str | None = None
    statsd_sampling: str | None = None
    statsd_tag_format: str | None = None
    collector: str | None = None
    system_metrics: bool = False
    buckets: tuple[int, ...] = ()


@dataclass(frozen=True)
class Discovery:
    """UDP ports between the pods: rate-limit counters and heartbeats among themselves."""

    rate_limit: int = 4290
    heartbeat: int = 4291


@dataclass(frozen=True)
class NetworkPolicy:
    """Whether a NetworkPolicy closes the pods to all but what a gateway needs. `ingress` is what else
    may reach them, `egress` what else they may reach, Kubernetes' own rules as canonical JSON."""

    enabled: bool = False
    ingress: tuple[str, ...] = ()
    egress: tuple[str, ...] = ()


@dataclass(frozen=True)
class Disruption:
    """The PodDisruptionBudget; at most one pod at a time unless said."""

    enabled: bool = True
    max_unavailable: str | None = None
    min_available: str | None = None


@dataclass(frozen=True)
class Toleration:
    """A taint that pods bear."""

    key: str | None = None
    operator: str = "Equal"
    value: str | None = None
    effect: str | None = None
    seconds: int | None = None


@dataclass(frozen=True)
class Placement:
    """On which nodes pods run. `affinity` is Kubernetes' own object, as canonical JSON."""

    spread: bool = True
    when_unsatisfiable: str = "ScheduleAnyway"
    affinity: str | None = None
    tolerations: tuple[Toleration, ...] = ()
    node_selector: Pairs = ()
    priority_class: str | None = None
    runtime_class: str | None = None


@dataclass(frozen=True)
class Security:
    """The security context, as Microsoft's production guidance advises unless said. With `none` the
    cluster chooses, as OpenShift's security context constraints do."""

    user: int | Literal["none"] = IMAGE_USER
    group: int | None = None
    fs_group: int | Literal["none"] = IMAGE_USER
    read_only_root: bool = False


@dataclass(frozen=True)
class Auth:
    """How the gateway proves to Azure who it is: by `token`, `entraApp` or `workloadIdentity`.

    `certificate` names a Secret's key with the app's certificate; `secret_expires` is the last day
    of either, ISO 8601, as somebody wrote it down.
    """

    kind: str = "token"
    client_id: str | None = None
    tenant_id: str | None = None
    client_secret: KeyRef | None = None
    secret_expires: str | None = None
    certificate: KeyRef | None = None
    authority: str | None = None
    audience: str | None = None
    service_account: str | None = None


@dataclass(frozen=True)
class Source:
    """A ConfigMap or a Secret that the container takes in whole."""

    config_map: str | None = None
    secret: str | None = None
    prefix: str | None = None
    optional: bool | None = None


@dataclass(frozen=True)
class Objects:
    """What is otherwise than this bot makes it: objects that were there before it came.

    `selector` are labels that select the pods; `label_selector` is the Deployment's own, as canonical
    JSON, where it selects by more: that can never change. `sources` are all that the container takes
    in whole, in order. `keeps` are the parts of the Deployment that the bot does not write. The names
    and targets are those of the ports of the Service of live traffic.
    """

    selector: Pairs = ()
    label_selector: str | None = None
    sources: tuple[Source, ...] = ()
    keeps: tuple[str, ...] = ()
    service_selector: Pairs = ()
    http_name: str | None = None
    http_target: str | None = None
    https_name: str | None = None
    https_target: str | None = None
    backup_volume: str | None = None
    container: str | None = None
    config_map: str | None = None
    service: str | None = None
    discovery_service: str | None = None
    disruption_budget: str | None = None
