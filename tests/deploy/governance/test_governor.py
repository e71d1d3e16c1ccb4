"""B1 of issue 12 on a cluster and a Valkey: every way to another place's token takes its approval."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.access import Environment
from deploy.actions.connection import connect as connect_redis
from deploy.azure import ApimInstance, resource_of
from deploy.deadline import Deadline
from deploy.gateway import ApimGateway, GatewayRef
from deploy.governance.admitted import AdmittedTokens, TokenInUse
from deploy.governance.governor import Governor
from deploy.governance.placements import PlacementRecord
from deploy.governance.requirements import GovernedBy, GoverningReason
from deploy.governance.sightings import Sightings
from deploy.health.cache import ClusterCache
from deploy.kube.cluster import Cluster, connect
from deploy.plans.plan import FieldChange, HeldToken, ObjectChange, Plan, ReplacedSecret
from deploy.specs.options import Auth
from deploy.tokens.token_plan import TokenPlan
from tests.support.gateway_bed import HOST, SPEC, TIMEOUTS
from tests.support.portal import IMAGE, portal
from tests.support.redis_servers import started
from tests.support.running_cluster import RunningCluster
from tests.support.waiting import until

CONTOSO = ApimInstance("contoso", "sub", "group", "contoso", HOST)
AGAIN = ApimInstance("again", "SUB", "Group", "Contoso", HOST)
FABRIKAM = ApimInstance(
    "fabrikam", "sub", "group", "fabrikam", "fabrikam.configuration.azure-api.net"
)
INSTANCES = {each.name: each for each in (CONTOSO, AGAIN, FABRIKAM)}
EDGE = resource_of(CONTOSO, "edge-1")
DEV = Environment("development", namespaces=("dev",))
PROD = Environment("production", namespaces=("prod",), production=True)
TARGET = GatewayRef("west", "dev", "edge-1")
MINT = TokenPlan("edge-1-token-new", True, None, "")
KEEP = TokenPlan("edge-1-token-old", False, None, "")
SENT_ELSEWHERE = ObjectChange(
    "ConfigMap",
    "edge-1-env",
    "update",
    (FieldChange('data["config.service.endpoint"]', HOST, "eu.contoso.example"),),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


class World:
    """Two clusters, `east` without gateways, and what governs their gateways' tokens."""

    def __init__(self, west: RunningCluster, east: RunningCluster, server: Valkey) -> None:
        self.servers = {"west": west, "east": east}
        self.clusters: dict[str, Cluster] = {}
        self.caches: dict[str, ClusterCache] = {}
        for name, running in self.servers.items():
            kubeconfig = running.kubeconfig()
            self.clusters[name] = connect(name, kubeconfig=kubeconfig, context="west", timeouts=TIMEOUTS)  # fmt: skip
            self.caches[name] = ClusterCache(self.clusters[name])
        self.redis = connect_redis(server.url)
        self.redis.flushall()
        self.record, self.admitted = PlacementRecord(self.redis), AdmittedTokens(self.redis)
        self.sightings = Sightings(self.caches, INSTANCES)

    def governor(self, *rules: GovernedBy, sightings: Sightings | None = None) -> Governor:
        return Governor(
            sightings or self.sightings,
            self.record,
            self.admitted,
            INSTANCES,
            (DEV, PROD),
            rules,
        )

    def required(self, plan: Plan, *rules: GovernedBy, **more: Any) -> tuple[str, ...]:
        return self.governor(*rules).required(plan, **more).environments

    def install(
        self, namespace: str, name: str = "edge-1", *, cluster: str = "west", **shape: Any
    ) -> GatewayRef:
        """A gateway that somebody installed, once the caches show it as it is."""
        objects = portal(namespace, name, **shape)
        for item in objects:
            self.clusters[cluster].create(item)
        ref = GatewayRef(cluster, namespace, name)
        until(lambda: self.shows(ref), "the cache shows it with its token")
        return ref

    def shows(self, ref: GatewayRef) -> bool:
        found = self.caches[ref.cluster].read().find(ref)
        return found is not None and (found.token is None or found.token.error != "not read yet")

    def remove(self, ref: GatewayRef) -> None:
        self.remove_rest(ref)
        until(lambda: self.caches[ref.cluster].read().find(ref) is None, "the cache forgets it")

    def remove_rest(self, ref: GatewayRef) -> None:
        cluster = self.clusters[ref.cluster]
        for kind, name in (
            ("Deployment", ref.name),
            ("ConfigMap", f"{ref.name}-env"),
            ("Secret", f"{ref.name}-token-old"),
        ):
            if cluster.get(kind, ref.namespace, name) is not None:
                cluster.delete(kind, ref.namespace, name)

    def in_place(self, ref: GatewayRef) -> ReplacedSecret | None:
        """What a plan reads of the token that a new one would replace."""
        cluster = self.clusters[ref.cluster]
        secret = cluster.get("Secret", ref.namespace, f"{ref.name}-token-old")
        if secret is None or cluster.get("Deployment", ref.namespace, ref.name) is None:
            return None
        return ReplacedSecret(secret["metadata"]["name"], secret["metadata"]["uid"])

    def admit(self, ref: GatewayRef, *decided_by: str) -> None:
        """An action on which those environments decided put the token there."""
        cluster = self.clusters[ref.cluster]
        secret = cluster.get("Secret", ref.namespace, f"{ref.name}-token-old")
        assert secret is not None
        metadata = secret["metadata"]
        token = TokenInUse(ref, cluster.uid(ref.namespace), metadata["name"], metadata["uid"])
        self.admitted.admit(token, EDGE, "ABC234", frozenset(decided_by))


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningCluster]]:
    with (
        RunningCluster(
            tmp_path_factory.mktemp("west"),
            namespaces=("dev", "prod", "nobody"),
            with_kubelet=False,
        ) as west,
        RunningCluster(
            tmp_path_factory.mktemp("east"), namespaces=("prod",), with_kubelet=False
        ) as east,
    ):
        yield [west, east]


@pytest.fixture
def world(clusters: list[RunningCluster], server: Valkey) -> Iterator[World]:
    made = World(clusters[0], clusters[1], server)
    for cache in made.caches.values():
        cache.read()
    yield made
    for name, cache in made.caches.items():
        for gateway in cache.read().gateways:
            made.remove(gateway.ref)
        cache.stop(Deadline.after(5))
        made.clusters[name].close()


def planned(
    world: World,
    token: TokenPlan = MINT,
    *changes: ObjectChange,
    ref: GatewayRef = TARGET,
    instance: str = "contoso",
    gateway: str = "edge-1",
) -> Plan:
    spec = dataclasses.replace(SPEC, ref=ref, apim=ApimGateway(instance, gateway, HOST))
    uid, replaces = world.clusters[ref.cluster].uid(ref.namespace), world.in_place(ref)
    return Plan(spec, uid, (), changes, token, replaces=replaces if token.mint else None)


BOTH = ("development", "production")


def test_a_gateway_that_runs_nowhere_else_follows_its_target(world: World) -> None:
    assert world.required(planned(world)) == ("development",)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param({}, id="by the portal's YAML"),
        pytest.param({"gateway": "EDGE-1"}, id="in upper case"),
        pytest.param({"name": "other"}, id="under another name"),
        pytest.param({"name": "edge.1"}, id="under a name with a dot"),
        pytest.param({"name": f"{'long-' * 10}1"}, id="under a name longer than this bot gives"),
        pytest.param({"endpoint": "10.0.0.9"}, id="at an endpoint nobody knows"),
        pytest.param({"token": "unreadable"}, id="with a token that cannot be read"),
        pytest.param({"token": None}, id="with a Secret that is gone"),
        pytest.param({"inline": True}, id="with its token in plain text"),
        pytest.param({"cluster": "east"}, id="on another cluster"),
        pytest.param(
            {"spec": '{"gateway": "Edge-1", "apim": {"instance": "again"}}', "token": None},
            id="by another entry of the same service",
        ),
    ],
)
def test_a_token_of_a_gateway_that_production_runs_takes_productions_approval(
    world: World, shape: dict[str, Any]
) -> None:
    assert world.required(planned(world)) == ("development",)
    world.install("prod", **shape)
    assert world.required(planned(world)) == BOTH
    assert world.required(planned(world, instance="again")) == BOTH
    assert world.required(planned(world, gateway="EDGE-1")) == BOTH
    copied = GatewayRef("west", "dev", "edge-1-copy")
    assert world.required(planned(world, ref=copied)) == BOTH


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param({"gateway": "edge-2"}, id="another gateway"),
        pytest.param({"endpoint": FABRIKAM.configuration_endpoint}, id="another service"),
        pytest.param({"token": "workloadIdentity", "inline": True}, id="a gateway that signs in"),
    ],
)
def test_what_production_runs_of_others_asks_nobody(world: World, shape: dict[str, Any]) -> None:
    world.install("prod", **shape)
    assert world.required(planned(world)) == ("development",)


def test_a_gateway_that_was_deleted_or_renamed_still_takes_productions_approval(
    world: World,
) -> None:
    ref = world.install("prod")
    world.governor().scan()
    world.remove(ref)
    assert world.required(planned(world)) == BOTH


def test_production_that_appears_after_a_decision_makes_the_requirements_grow(
    world: World,
) -> None:
    decided = world.governor().required(planned(world))
    world.install("prod")
    now = world.governor().required(planned(world)).governing
    (more,) = [each for each in now if each.environment not in decided.environments]
    assert more.environment == "production"
    assert more.reasons == (GoverningReason("seen", "west/prod/edge-1"),)


def test_a_look_alike_in_an_unlisted_namespace_locks_nobody_out_and_is_reported(
    world: World,
) -> None:
    look_alike = world.install("nobody")
    found = world.governor().required(planned(world))
    assert found.environments == ("development",)
    assert found.unlisted == (look_alike,)


def test_what_the_settings_say_counts_instead_of_what_is_seen(world: World) -> None:
    world.install("prod")
    rule = GovernedBy(AGAIN.arm_id, "edge-*", ("development",))
    assert world.required(planned(world), rule) == ("development",)


def test_scaling_and_deploying_with_the_same_secret_follow_the_target(world: World) -> None:
    world.install("prod")
    image = "spec.template.spec.containers[edge-1].image"
    change = ObjectChange(
        "Deployment", "edge-1", "update", (FieldChange(image, IMAGE, IMAGE[:-1] + "0"),)
    )
    assert world.required(planned(world, KEEP, change)) == ("development",)


def test_sending_a_kept_token_elsewhere_takes_productions_approval(world: World) -> None:
    world.install("prod")
    assert world.required(planned(world, KEEP, SENT_ELSEWHERE)) == BOTH


def signing_in(world: World, *held: HeldToken) -> Plan:
    """edge-1 is to sign in and to ask another host, while its pods hold those tokens."""
    plan = planned(world, TokenPlan(None, False, None, ""), SENT_ELSEWHERE)
    spec = dataclasses.replace(plan.spec, auth=Auth(kind="workloadIdentity"))
    return dataclasses.replace(plan, spec=spec, held=held)


def test_a_gateway_that_is_to_sign_in_sends_the_token_of_its_pods_with_productions_approval(
    world: World,
) -> None:
    world.install("prod")
    held = HeldToken("again", "edge-1")
    assert world.required(signing_in(world)) == ("development",), "no pod holds one"
    assert world.required(signing_in(world, HeldToken("contoso", "edge-2"))) == ("development",)
    assert world.required(signing_in(world, HeldToken("fabrikam", "edge-1"))) == ("development",)
    assert world.required(signing_in(world, HeldToken("", "edge-1"))) == BOTH, "of any service"
    assert world.required(signing_in(world, held)) == BOTH
    rule = GovernedBy(CONTOSO.arm_id, "edge-*", ("development",))
    assert world.required(signing_in(world, held), rule) == ("development",)
    stays = dataclasses.replace(signing_in(world, held), changes=())
    assert world.required(stays) == ("development",), "it goes nowhere else"


def test_every_token_that_is_sent_elsewhere_takes_its_own_approvals(world: World) -> None:
    world.install("prod", gateway="edge-2")
    plan = planned(world, MINT, SENT_ELSEWHERE)
    assert world.required(plan) == ("development",)
    held = (HeldToken("contoso", "edge-1"), HeldToken("contoso", "edge-2"))
    assert world.required(dataclasses.replace(plan, held=held)) == BOTH


def test_a_key_made_anew_takes_productions_approval(world: World) -> None:
    world.install("prod")
    assert world.required(planned(world, KEEP), regenerates=True) == BOTH


def test_a_gateway_that_signs_in_follows_its_target(world: World) -> None:
    world.install("prod")
    plan = planned(world, TokenPlan(None, False, None, ""))
    signs_in = dataclasses.replace(plan.spec, auth=Auth(kind="workloadIdentity"))
    assert world.required(dataclasses.replace(plan, spec=signs_in)) == ("development",)


def test_a_token_is_replaced_by_the_targets_decision_where_everybody_decided_on_it(
    world: World,
) -> None:
    world.install("prod")
    here = world.install("dev")
    assert world.required(planned(world)) == BOTH, "somebody else put it there"
    world.admit(here, "development")
    assert world.required(planned(world)) == BOTH, "production did not decide on it"
    world.admit(here, *BOTH)
    assert world.required(planned(world)) == ("development",)
    assert world.required(planned(world), regenerates=True) == BOTH
    world.redis.flushall()
    assert world.required(planned(world)) == BOTH, "an emptied Redis admits nothing"


def test_a_secret_of_the_same_name_that_others_made_again_is_not_admitted(world: World) -> None:
    world.install("prod")
    here = world.install("dev")
    world.admit(here, *BOTH)
    world.remove(here)
    world.install("dev")
    assert world.required(planned(world)) == BOTH


def test_a_gateway_that_is_made_anew_replaces_no_token_whatever_the_cache_still_shows(
    world: World,
) -> None:
    world.install("prod")
    here = world.install("dev")
    world.admit(here, *BOTH)
    assert world.required(planned(world)) == ("development",)
    world.caches["west"].stop(Deadline.after(5))
    world.clusters["west"].delete("Deployment", here.namespace, here.name)
    assert world.caches["west"].read().find(here) is not None
    created = ObjectChange("Deployment", here.name, "create")
    assert world.required(planned(world, MINT, created)) == BOTH
    # What the cache did not see go, the fixture would wait for.
    world.caches["west"] = ClusterCache(world.clusters["west"])
    world.remove_rest(here)


def test_a_cluster_that_cannot_be_read_counts_as_what_was_seen_there(
    world: World, server: Valkey
) -> None:
    world.governor().scan()
    silent = Sightings({**world.caches, "east": _Silent(world.clusters["east"])}, INSTANCES)
    governor = world.governor(sightings=silent)
    assert governor.required(planned(world)).environments == ("development",)
    world.redis.flushall()
    found = governor.required(planned(world))
    assert found.environments == BOTH
    assert found.governing[1].reasons == (GoverningReason("never_read", "east"),)


@pytest.mark.parametrize(
    ("listed", "asked"), [(("dev", "prod"), ("development",)), (("dev",), BOTH)]
)
def test_production_outside_the_listed_namespaces_of_a_cluster_is_asked(
    world: World, listed: tuple[str, ...], asked: tuple[str, ...]
) -> None:
    kubeconfig = world.servers["west"].kubeconfig()
    cluster = connect("west", kubeconfig=kubeconfig, namespaces=listed, timeouts=TIMEOUTS)
    cache = ClusterCache(cluster)
    try:
        until(lambda: not cache.read().blind, "each namespace")
        governor = world.governor(sightings=Sightings({"west": cache}, INSTANCES))
        assert governor.required(planned(world)).environments == asked
    finally:
        cache.stop(Deadline.after(5))
        cluster.close()


class _Silent(ClusterCache):
    """A cluster that does not answer."""

    def start(self) -> None:
        """Nothing is ever read."""


def test_every_production_plan_names_the_less_protected_places(world: World) -> None:
    here = world.install("dev")
    plan = planned(world, KEEP, ref=GatewayRef("west", "prod", "edge-1"))
    found = world.governor().required(plan)
    assert [(p.ref, p.environment) for p in found.less_protected] == [(here, "development")]
