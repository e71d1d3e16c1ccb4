"""Fields of a spec that say how requests reach the gateway, and how it reaches others."""

from deploy.specs.forms import (
    ADDRESS,
    BYPASS,
    CIDR,
    FREE_TEXT,
    HOSTNAME,
    LABEL_KEY,
    OPEN_PORT,
    PORT,
    URL,
)
from deploy.specs.nested_fields import ALIAS, DNS_OPTION, KEY_REF
from deploy.specs.record import Field
from deploy.specs.values import Flag, Many, MapOf, OneOf, Raw

SERVICE_TYPES = ("LoadBalancer", "ClusterIP", "NodePort")

SERVICE = (
    Field(
        "service.type",
        "service_type",
        OneOf(SERVICE_TYPES),
        "ClusterIP behind an ingress.",
    ),
    Field("service.httpPort", "http_port", PORT, "The port for HTTP."),
    Field("service.httpsPort", "https_port", PORT, "The port for HTTPS."),
    Field("service.only", "service.only", OneOf(("http", "https")), "Opens that port alone."),
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
        "service.allocateLoadBalancerNodePorts",
        "service.allocate_node_ports",
        Flag(),
        "Whether a load balancer goes through node ports; some need none.",
    ),
    Field(
        "service.internalTrafficPolicy",
        "service.internal_traffic_policy",
        OneOf(("Cluster", "Local")),
        "Local keeps requests of the cluster on their node.",
    ),
    Field(
        "service.ipFamilyPolicy",
        "service.ip_family_policy",
        OneOf(("SingleStack", "PreferDualStack", "RequireDualStack")),
        "Whether the Service has an address of both families; the cluster's default.",
    ),
    Field(
        "service.ipFamilies",
        "service.ip_families",
        Many(OneOf(("IPv4", "IPv6")), 0, 2),
        "Which families, the first one first.",
    ),
)
DNS = (
    Field(
        "dns.policy",
        "network.dns_policy",
        OneOf(("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")),
        "How pods resolve names; Default asks the node's servers.",
    ),
    Field("dns.nameservers", "network.nameservers", Many(ADDRESS, 0, 3), "Further servers."),
    Field("dns.searches", "network.searches", Many(HOSTNAME, 0, 32), "Search domains."),
    Field("dns.options", "network.options", Many(DNS_OPTION), "Options of resolv.conf."),
)
HOST_NETWORK = (
    Field("hostNetwork", "network.host_network", Flag(), "Whether pods use the node's network."),
)
HOST_ALIASES = (Field("hostAliases", "network.host_aliases", Many(ALIAS), "Lines of /etc/hosts."),)
PROXY = (
    Field("proxy.http", "proxy.http", URL, "The proxy for HTTP."),
    Field("proxy.https", "proxy.https", URL, "The proxy for HTTPS, Azure's too."),
    Field("proxy.httpSecret", "proxy.http_secret", KEY_REF, "Its URL, when it has a password."),
    Field("proxy.httpsSecret", "proxy.https_secret", KEY_REF, "The same for HTTPS."),
    Field("proxy.bypass", "proxy.bypass", Many(BYPASS), "Hosts that are asked directly."),
)
DISCOVERY = (
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
)
NETWORK_POLICY = (
    Field(
        "networkPolicy.enabled",
        "network_policy.enabled",
        Flag(),
        "Whether a NetworkPolicy opens what a gateway needs and closes everything else.",
    ),
    Field(
        "networkPolicy.ingress",
        "network_policy.ingress",
        Many(Raw((), lists=("from", "ports"))),
        "What else may reach pods, as a sidecar's port: Kubernetes' own ingress rules, passed on.",
    ),
    Field(
        "networkPolicy.egress",
        "network_policy.egress",
        Many(Raw((), lists=("to", "ports"))),
        "What else pods may reach, as backends: Kubernetes' own egress rules, passed on.",
    ),
)
