"""Of a Secret that a gateway takes whole: whether it is gone, may not be read, or may be missing."""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from deploy.errors import NotGranted
from deploy.health.sources import Sources
from deploy.kube.objects import Manifest
from deploy.observed.token_facts import TokenFacts, read_all

DENIED = NotGranted("The bot is not allowed to get secrets in dev.")
TOKEN = base64.b64encode(b"GatewayKey edge-1&203001010000&c2ln").decode()
HELD: Manifest = {
    "kind": "Secret",
    "metadata": {"name": "t", "namespace": "dev", "uid": "u"},
    "data": {"config.service.auth.key": TOKEN},
}


class Objects:
    """A cluster that has these, or raises for them."""

    def __init__(self, held: Mapping[str, Manifest | NotGranted]) -> None:
        self._held = held

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        found = self._held.get(name)
        if isinstance(found, NotGranted):
            raise found
        return found

    def at_once(self, calls: Sequence[Callable[[], Any]]) -> tuple[Any, ...]:
        return tuple(call() for call in calls)


def whole(name: str, *, optional: bool = False) -> Manifest:
    return {"secretRef": {"name": name, "optional": optional}}


def told(held: Mapping[str, Manifest | NotGranted], *sources: Manifest) -> TokenFacts:
    """What is known of the token of a gateway with these sources."""
    container = {"image": "mcr.microsoft.com/azure-api-management/gateway:2", "envFrom": sources}
    deployment = {
        "metadata": {"name": "gw", "namespace": "dev"},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    cluster: Any = Objects(held)
    known = Sources(cluster)
    known.read([deployment])
    signing = known.sign_in(deployment)
    if signing.secret is None:
        assert signing.told is not None
        return signing.told
    return read_all(cluster, [signing.secret], {})[signing.secret]


def test_one_that_is_gone_is_missing_where_no_pod_starts_without_it() -> None:
    facts = told({}, whole("t"))
    assert (facts.missing, facts.error) == (True, "there is no Secret t")
    facts = told({}, whole("t", optional=True))
    assert not facts.missing
    assert facts.error == "nothing in its pods' configuration sets config.service.auth"


@pytest.mark.parametrize("optional", [True, False])
def test_one_that_may_not_be_read_is_not_called_missing(optional: bool) -> None:
    facts = told({"t": DENIED}, whole("t", optional=optional))
    assert (facts.missing, facts.refused) == (False, True)
    assert "is not allowed to get secrets" in facts.error
    beside = told({"t": DENIED}, whole("t", optional=optional), whole("z", optional=True))
    assert (beside.missing, beside.refused) == (False, True)


def test_one_beside_the_token_that_may_not_be_read_hides_nothing_of_it() -> None:
    facts = told({"t": HELD, "z": DENIED}, whole("t"), whole("z", optional=True))
    assert facts.facts is not None
    assert facts.facts.gateway == "edge-1"
