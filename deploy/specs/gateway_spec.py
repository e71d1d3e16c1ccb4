"""A whole gateway as a person asks for it. Pure data, validated when it is read."""

from dataclasses import dataclass, field
from typing import Literal

from deploy.gateway import DEFAULT_REPOSITORY, ApimGateway, GatewayRef
from deploy.specs.options import (
    Auth,
    Autoscaling,
    Backup,
    CaSource,
    Discovery,
    Disruption,
    Limits,
    LocalLogs,
    Metrics,
    Network,
    NetworkPolicy,
    Objects,
    Pairs,
    Placement,
    Probes,
    Proxy,
    Pull,
    Rollout,
    Security,
    Service,
)


@dataclass(frozen=True)
class GatewaySpec:
    """A whole gateway as a person asks for it."""

    ref: GatewayRef
    apim: ApimGateway
    tag: str
    repository: str = DEFAULT_REPOSITORY
    digest: str | None = None
    replicas: int | Literal["external"] = 3
    cpu: str = "2"
    memory: str = "2Gi"
    service_type: str = "LoadBalancer"
    http_port: int = 80
    https_port: int = 443
    log_level: str = "info"
    log_format: str = "text"
    rollout: Rollout = field(default_factory=Rollout)
    probes: Probes = field(default_factory=Probes)
    autoscaling: Autoscaling = field(default_factory=Autoscaling)
    limits: Limits = field(default_factory=Limits)
    pull: Pull = field(default_factory=Pull)
    service: Service = field(default_factory=Service)
    authorities: tuple[CaSource, ...] = ()
    network: Network = field(default_factory=Network)
    proxy: Proxy = field(default_factory=Proxy)
    backup: Backup = field(default_factory=Backup)
    local_logs: LocalLogs = field(default_factory=LocalLogs)
    metrics: Metrics = field(default_factory=Metrics)
    discovery: Discovery = field(default_factory=Discovery)
    network_policy: NetworkPolicy = field(default_factory=NetworkPolicy)
    disruption: Disruption = field(default_factory=Disruption)
    placement: Placement = field(default_factory=Placement)
    security: Security = field(default_factory=Security)
    settings: Pairs = ()
    labels: Pairs = ()
    annotations: Pairs = ()
    auth: Auth = field(default_factory=Auth)
    objects: Objects = field(default_factory=Objects)

    @property
    def image(self) -> str:
        """The image reference the pods run."""
        pinned = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}:{self.tag}{pinned}"

    @property
    def adopted(self) -> bool:
        """Whether objects of it were there before this bot came."""
        return self.objects != Objects()

    @property
    def counted(self) -> int | None:
        """How many pods it asks for; None where an autoscaler counts them."""
        by_hand = self.autoscaling.most is None and self.replicas != "external"
        return self.replicas if by_hand and isinstance(self.replicas, int) else None

    @property
    def least_replicas(self) -> int:
        """How many pods there are at least, whoever counts them."""
        if self.autoscaling.most is not None:
            return self.autoscaling.least
        return self.counted or 1
