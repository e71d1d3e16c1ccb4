"""The NetworkPolicy of a gateway: what reaches its pods, and what they reach. Pure.

Kubernetes' policies know addresses, no names, so Azure is every address on port 443. Ports are those of
Microsoft's overview of the self-hosted gateway (reference/azure, "Egress needed"), and of what the spec
names: a proxy, and where logs and metrics go.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from deploy.kube.objects import Manifest
from deploy.rendering.labels import metadata, selector
from deploy.rendering.pod_template import HTTP, HTTPS
from deploy.specs.gateway_spec import GatewaySpec

_AZURE = 443
_DNS = (53, 5353)
"""OpenShift's DNS pods listen on 5353, and a policy sees a Service's traffic where it arrives
(scod.hpedev.io, hpe-csi-driver-network-policy.yaml, opened 2026-11-30)."""
_USUAL = {"http": 80, "https": 443}


def network_policy(spec: GatewaySpec) -> Manifest:
    """The policy; what it does not open is closed."""
    own = [{"podSelector": {"matchLabels": selector(spec)}}]
    shared = [_port("UDP", spec.discovery.rate_limit), _port("UDP", spec.discovery.heartbeat)]
    outside = dict.fromkeys([("TCP", _AZURE), *_named(spec)])
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(spec, spec.ref.name),
        "spec": {
            "podSelector": own[0]["podSelector"],
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"ports": [_port("TCP", HTTP), _port("TCP", HTTPS)]},
                {"from": own, "ports": shared},
                *map(json.loads, spec.network_policy.ingress),
            ],
            "egress": [
                {"to": own, "ports": shared},
                {"ports": [_port(protocol, n) for n in _DNS for protocol in ("UDP", "TCP")]},
                {"ports": [_port(*each) for each in outside]},
                *map(json.loads, spec.network_policy.egress),
            ],
        },
    }


def _named(spec: GatewaySpec) -> Iterator[tuple[str, int]]:
    """Where else the spec sends the pods; addresses in Secrets are not known."""
    for url in (spec.proxy.http, spec.proxy.https, spec.metrics.collector):
        if url is not None:
            parts = urlsplit(url)
            yield "TCP", parts.port or _USUAL.get(parts.scheme, _AZURE)
    # Syslog is spoken over either.
    for endpoint, protocols in (
        (spec.metrics.statsd, ("UDP",)),
        (spec.local_logs.endpoint, ("UDP", "TCP")),
    ):
        # A sink of this machine is a path.
        _, colon, port = (endpoint or "").rpartition(":")
        if colon and port.isdecimal():
            yield from ((protocol, int(port)) for protocol in protocols)


def _port(protocol: str, number: int) -> dict[str, Any]:
    return {"protocol": protocol, "port": number}
