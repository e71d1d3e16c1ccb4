"""The lies test of tokens: what one view knows of a token, every view and warning says.

On the sandbox's cluster and on a real control plane; undisturbed, nothing is said. `make test-cluster`
runs it.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect as redis_at
from deploy.deadline import Deadline
from deploy.expiry.scanner import Rules, Scanner, scans_of
from deploy.expiry.tracker import Tracker
from deploy.health.cache import CachedGateway, ClusterCache
from deploy.health.incidents import MISSING, REFUSED, Health, health_of
from deploy.health.levels import Levels
from deploy.kube.objects import Manifest
from handlers.slack.payloads import Request
from handlers.verbs import expiring
from tests.cluster import test_lies as lies
from tests.cluster.conftest import Target
from tests.support.needs import needs
from tests.support.redis_servers import started
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers", "whole_run")

bed, whole_run = lies.bed, lies.whole_run
SECONDS = 120


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


class Views:
    """What the views of one gateway say."""

    def __init__(self, bed: lies.Bed, redis: Valkey) -> None:
        assert bed.cache is not None
        self._bed = bed
        self.cache: ClusterCache = bed.cache
        self.levels = Levels({"west": self.cache})
        self._tracker = Tracker(redis_at(redis.url), "one")

    def gateway(self) -> CachedGateway:
        found = self.cache.read().find(self._bed.ref)
        assert found is not None
        return found

    def look(self) -> Health:
        """One more look at its heartbeat, and the troubles that an incident would have."""
        found = self.gateway()
        return health_of(found, self.levels.look([found])[self._bed.ref])

    def expiring(self) -> str:
        caches = {"west": self.cache}
        rules = Rules("development", (7 * 86_400.0,), ("C0ALERTS",))
        scans = Scanner(
            self._tracker, lambda: scans_of(caches, self.levels.last), lambda ref: rules, ["west"]
        )
        scans.scan()
        made = needs(expiring.Needs, caches=caches, tracker=self._tracker)
        asked = Request("r", "expiring", "U1", "C1", gateway=str(self._bed.ref))
        reply = expiring.run(made, asked)
        assert reply is not None
        return str(reply.blocks)


@pytest.fixture
def views(bed: lies.Bed, redis: Valkey) -> Views:
    return Views(bed, redis)


def secrets_of(target: Target, ns: str) -> tuple[str, str]:
    path = f"/api/v1/namespaces/{ns}/secrets"
    assert target.api.get(f"{path}/edge-1-token")
    return path, f"{path}/edge-1-token"


def test_a_token_that_nothing_is_wrong_with_is_said_so_by_all(bed: lies.Bed, views: Views) -> None:
    bed.deploy()
    bed.is_shown_good()
    until(lambda: views.look().troubles == {} and bed.attention() == "", "nothing to look at")
    said = views.expiring()
    assert f"*{bed.ref.name}* on {bed.ref.cluster}/{bed.ref.namespace}" in said
    assert "refuses" not in said


def test_a_key_that_was_made_anew_elsewhere_is_known_to_all(bed: lies.Bed, views: Views) -> None:
    bed.deploy()
    bed.endpoint(401)
    until(lambda: REFUSED in views.look().troubles, "the refusal", seconds=SECONDS)
    assert "Azure refuses its token" in views.expiring()
    assert "/gateway manage-token" in views.expiring(), "others deployed it"


def test_an_immutable_secret_that_somebody_deleted_is_missed_by_all(
    bed: lies.Bed, views: Views
) -> None:
    bed.deploy()
    path, token = secrets_of(bed.target, bed.ns)
    secret: Manifest = bed.target.api.get(token)
    bed.target.api.request("DELETE", token)
    secret = {"metadata": {"name": "edge-1-token"}, "data": secret["data"], "immutable": True}
    bed.target.api.create(path, secret)
    # Read again after seconds, not after a minute: the rest is as in a running bot.
    views.cache = bed.cache = ClusterCache(views.cache.cluster, again=2.0)
    bed.stack.callback(views.cache.stop, Deadline.after(60))
    until(lambda: (t := views.gateway().token) and t.settled, "what cannot change", seconds=SECONDS)
    bed.target.api.request("DELETE", token)
    until(lambda: MISSING in views.look().troubles, "the loss", seconds=SECONDS)
    assert "there is no Secret edge-1-token" in bed.attention()
    assert "edge-1-token" in views.expiring()


def test_a_secret_that_comes_after_its_deployment_is_known_within_seconds(
    bed: lies.Bed, views: Views, tmp_path: Path
) -> None:
    bed.deploy()
    path, token = secrets_of(bed.target, bed.ns)
    secret: Manifest = bed.target.api.get(token)
    bed.target.api.request("DELETE", token)
    views.cache = bed.cache = ClusterCache(views.cache.cluster)
    bed.stack.callback(views.cache.stop, Deadline.after(60))
    until(lambda: MISSING in views.look().troubles, "the loss")
    bed.target.api.create(path, {"metadata": {"name": "edge-1-token"}, "data": secret["data"]})
    # A minute is how often what no watch shows is read otherwise.
    until(lambda: views.look().troubles == {}, "the Secret", seconds=40)
