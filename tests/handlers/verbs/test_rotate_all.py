"""Which gateways one command rotates, and why others are left out."""

from types import SimpleNamespace
from typing import Any

from deploy.gateway import GatewayRef
from deploy.health.cache import CachedGateway, Snapshot
from deploy.health.levels import Levels
from deploy.observed.token_facts import TokenFacts
from deploy.tokens.token import SecretFacts
from deploy.waits import Waits
from handlers.slack.payloads import Request
from handlers.verbs import rotate
from tests.support.needs import needs


def gateway(name: str, kind: str) -> CachedGateway:
    workload: dict[str, Any] = {
        "kind": kind,
        "metadata": {"name": name, "namespace": "dev"},
        "spec": {"replicas": 1, "template": {}},
    }
    token = TokenFacts(SecretFacts("s", "edge-1"))
    return CachedGateway(GatewayRef("west", "dev", name), workload, (), token)


def test_all_leaves_out_what_the_bot_cannot_change_and_says_so() -> None:
    found = Snapshot("west", (gateway("edge-1", "Deployment"), gateway("sts", "StatefulSet")), 0.0)
    cache = SimpleNamespace(read=lambda: found, cluster=SimpleNamespace(waits=Waits()))
    store = SimpleNamespace(open=tuple)
    request = Request("r", "rotate", "U1", "C1", options={"all": True})
    made = needs(rotate.Needs, caches={"west": cache}, store=store, levels=Levels({}))
    chosen = rotate._chosen(made, request)
    assert [str(ref) for ref in chosen.refs] == ["west/dev/edge-1"]
    (left_out,) = chosen.unplanned
    assert "It is a StatefulSet" in str(left_out)
