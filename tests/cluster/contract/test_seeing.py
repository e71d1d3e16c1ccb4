"""Every gateway is seen with the rights of docs/install.md, and a key is not regenerated beside one that
may hold a token of it."""

import base64
import contextlib
import dataclasses
import datetime
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.sandbox.rights import BOT, rights
from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect as connect_redis
from deploy.deadline import Deadline
from deploy.errors import Conflict, GatewayBotError, NotGranted, Unavailable
from deploy.expiry.scanner import Rules, Scanner, scans_of
from deploy.expiry.tracker import Tracker
from deploy.gateway import ApimGateway, GatewayRef
from deploy.health.cache import CachedGateway, ClusterCache
from deploy.health.heartbeat import Heartbeat
from deploy.health.incidents import DENIED, health_of
from deploy.health.levels import Levels, Seen
from deploy.images.registry import Registry
from deploy.kube.cluster import Cluster, connect
from deploy.plans.planning import Planner
from deploy.rendering.manifests import token_secret
from deploy.rollouts.regeneration import plan_regeneration
from deploy.rollouts.rollout import apply_plan
from deploy.rollouts.survey import Survey
from deploy.tokens.token import TOKEN_KEY, Token
from handlers.slack.payloads import Request
from handlers.verbs import expiring, status
from tests.cluster.conftest import Target
from tests.cluster.contract.test_stuck import spec_for
from tests.support.authority import authority
from tests.support.gateway_bed import INSTANCES, PATIENT
from tests.support.kube_api import KubeApi, Obj
from tests.support.needs import needs
from tests.support.node_bed import CONFIGURATION_HOST, gateway_container
from tests.support.redis_servers import started
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers")

LONG = "contoso-production-eu-west-azure-api-management-gateway-main"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"


def text_of(days: float, gateway: str) -> str:
    """A token of the gateway that expires after so many days."""
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    return f"GatewayKey {gateway}&{moment:%Y%m%d%H%M}&c2lnbmF0dXJlLW9mLWEtdG9rZW4="


@dataclass
class World:
    """A namespace where the bot may read Secrets, one where it may not, and the bot's client."""

    target: Target
    api: KubeApi
    ns: str
    hidden: str
    cluster: Cluster
    cache: ClusterCache

    @property
    def gateway(self) -> str:
        """A resource of this test's own: others leave gateways on the same cluster."""
        return f"edge-{self.ns}"

    def install(
        self,
        ns: str,
        name: str,
        kind: str = "Deployment",
        *,
        replicas: int = 1,
        inline: bool = False,
        key: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        """A gateway that somebody else made, with a token of the resource: of that `key`, where it is
        noted. With `env` it has these settings instead of a token."""
        if not inline and not env:
            data = {"value": base64.b64encode(text_of(5, self.gateway).encode()).decode()}
            noted = {TOKEN_KEY: key} if key else {}
            body = {"metadata": {"name": f"{name}-t", "annotations": noted}, "data": data}
            self.api.create(f"/api/v1/namespaces/{ns}/secrets", body)
        container = gateway_container()
        reference = {"valueFrom": {"secretKeyRef": {"name": f"{name}-t", "key": "value"}}}
        auth = {"value": text_of(5, self.gateway)} if inline else reference
        container["env"][0] = {"name": "config.service.auth", **auth}
        if env:
            container["env"][:1] = [{"name": n, "value": value} for n, value in env.items()]
        labels = {"app": secrets.token_hex(4)}
        more: Obj = {"serviceName": name} if kind == "StatefulSet" else {}
        more |= {} if kind == "DaemonSet" else {"replicas": replicas}
        spec = {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], **self.target.placed},
            },
        }
        path = f"/apis/apps/v1/namespaces/{ns}/{kind.lower()}s"
        self.api.create(path, {"metadata": {"name": name}, "spec": {**spec, **more}})

    def reads(self, ns: str, secret: str) -> None:
        """Let the bot read that one Secret there."""
        rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
        where = f"{_RBAC}/namespaces/{ns}"
        role = {"metadata": {"name": BOT}, "rules": [{**rule, "resourceNames": [secret]}]}
        self.api.create(f"{where}/roles", role)
        of = {"kind": "ServiceAccount", "name": BOT, "namespace": self.ns}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": BOT}
        binding = {"metadata": {"name": BOT}, "subjects": [of], "roleRef": reference}
        self.api.create(f"{where}/rolebindings", binding)

    def installed_by_the_bot(self) -> GatewayRef:
        """edge-1, with a token of the secondary key."""
        apim = ApimGateway("contoso", self.gateway, CONFIGURATION_HOST)
        spec = dataclasses.replace(spec_for(self.target, self.ns), apim=apim)
        planner = Planner(lambda name: self.cluster, lambda: ("2.11.1",), instances=INSTANCES)
        plan = planner.plan(spec, "ABC234")
        expires_at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=29)
        text = text_of(29, self.gateway).removeprefix("GatewayKey ")
        token = Token(self.gateway, expires_at, text)
        self.cluster.create(
            token_secret(spec, plan.token.secret or "", token, "ABC234", "secondary")
        )
        apply_plan(self.cluster, plan, action_id="ABC234", requester="U1")
        return spec.ref

    def find(self, ref: GatewayRef) -> CachedGateway | None:
        """What the bot has seen there, also while the cluster has not told it anything yet: for that
        a read waits some seconds only."""
        with contextlib.suppress(Unavailable):
            return self.cache.read().find(ref)
        return None

    def shows(self, *refs: GatewayRef) -> None:
        """Wait until the bot has seen these, with a pod each."""
        until(
            lambda: all((g := self.find(ref)) and g.pods for ref in refs),
            f"{refs} with their pods",
            60,
        )

    def refused(self, ref: GatewayRef) -> str:
        """What is said when the resource's primary key is to be regenerated, once all is read."""

        def said() -> str:
            with pytest.raises(GatewayBotError) as refusal:
                plan_regeneration(Survey({"west": self.cache}), self.cluster, ref, "primary")
            # A kind may not be read yet, or ConfigMaps that another test's workload begins to use.
            return "" if isinstance(refusal.value, Unavailable) else str(refusal.value)

        return until(said, "a look at the whole cluster")


@pytest.fixture
def world(target: Target, api: KubeApi, ns: str, tmp_path: Path) -> Iterator[World]:
    hidden = f"{ns}-h"
    api.create("/api/v1/namespaces", {"metadata": {"name": hidden}})
    until(lambda: not api.gone(f"/api/v1/namespaces/{hidden}/serviceaccounts/default"), "it")
    kubeconfig = bot_kubeconfig(target, ns, tmp_path)
    context = yaml.safe_load(kubeconfig.read_text())["current-context"]
    cluster = connect("west", kubeconfig=kubeconfig, context=context, timeouts=PATIENT)
    # An API server takes a moment to know of a new Role, and another for a ClusterRole.
    until(lambda: cluster.can_i("create", "", "secrets", ns), "the rights")
    until(lambda: cluster.can_i("list", "apps", "statefulsets", None), "those on the whole cluster")
    cache = ClusterCache(cluster)
    yield World(target, api, ns, hidden, cluster, cache)
    cache.stop(Deadline.after(5))
    cluster.close()
    api.request("DELETE", f"/api/v1/namespaces/{hidden}")
    for plural in ("clusterroles", "clusterrolebindings"):
        api.request("DELETE", f"{_RBAC}/{plural}/{BOT}-{ns}")


def bot_kubeconfig(target: Target, ns: str, tmp_path: Path, *, whole: bool = True) -> Path:
    """A kubeconfig of a service account with the rights of docs/install.md; without those on the
    whole cluster where `whole` is False."""
    api = target.api
    accounts = f"/api/v1/namespaces/{ns}/serviceaccounts"
    api.create(accounts, {"metadata": {"name": BOT}})
    for right in rights([ns]):
        inside = right["metadata"].get("namespace")
        if not whole and not inside:
            continue
        if not inside:
            right["metadata"]["name"] = f"{BOT}-{ns}"
        if "subjects" in right:
            right["subjects"] = [{"kind": "ServiceAccount", "name": BOT, "namespace": ns}]
            right["roleRef"]["name"] = right["metadata"]["name"]
        where = f"{_RBAC}/namespaces/{inside}" if inside else _RBAC
        api.create(f"{where}/{right['kind'].lower()}s", right)
    asked = api.request("POST", f"{accounts}/{BOT}/token", {"spec": {"expirationSeconds": 3600}})
    config = yaml.safe_load(target.kubeconfig.read_text())
    token = asked.body["status"]["token"]
    config["users"] = [{"name": u["name"], "user": {"token": token}} for u in config["users"]]
    path = tmp_path / "kubeconfig-bot"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    server: Valkey
    for server in started("valkey", tmp_path / "redis"):
        yield Tracker(connect_redis(server.url), "one")


def test_each_gateway_is_listed_its_token_tracked_and_its_key_left_alone(
    world: World, tracker: Tracker
) -> None:
    own = world.installed_by_the_bot()
    world.install(world.ns, LONG)
    world.install(world.ns, "stateful", "StatefulSet")
    world.install(world.ns, "inline.gw", inline=True)
    world.install(world.hidden, "hidden")
    places = [(world.ns, LONG), (world.ns, "stateful"), (world.ns, "inline.gw")]
    refs = [GatewayRef("west", *place) for place in (*places, (world.hidden, "hidden"))]
    world.shows(own, *refs)

    def read() -> bool:
        found = world.cache.read()
        return all(
            (g := found.find(r)) and g.token and g.token.read_at for r in refs if r.name[0] != "i"
        )

    until(read, "their Secrets")
    said = world.refused(own)
    assert "The bot cannot determine which key made the token" in said
    for ref in refs:
        assert str(ref) in said
    # Others' tests may have gateways on the same control plane.
    assert re.search(rf"This bot cannot change [^:]*{re.escape(str(refs[1]))}", said)
    listed = str(shown(world).blocks)
    for ref in refs:
        assert ref.name in listed
        where = f"*{ref.name}* on {ref.cluster}/{ref.namespace}"
        assert where in listing(world, tracker, str(ref))
    assert f"not manageable here: `{refs[1]}` (StatefulSet)" in listed
    assert "is not allowed to get secrets" in listing(world, tracker, str(refs[3]))
    unread = world.cache.read().find(refs[3])
    assert unread is not None
    troubles = health_of(unread, Seen(Heartbeat("unknown", ""), time.time())).troubles
    assert "is not allowed to get secrets" in troubles["token unreadable"]
    for ref in refs:
        seen = world.cache.read().find(ref)
        assert seen is not None
        assert DENIED in health_of(seen, Seen(Heartbeat("denied", "it is"), time.time())).troubles
    for ref in refs[:3]:
        tracker.tick()
        warned = tracker.find(ref)
        assert warned is not None
        assert warned.places() == ("C0ALERTS",)


@pytest.mark.parametrize("kind", ["StatefulSet", "Deployment"])
def test_a_key_is_not_regenerated_beside_a_workload_that_has_no_pod_now(
    world: World, kind: str
) -> None:
    own = world.installed_by_the_bot()
    world.shows(own)
    world.install(world.ns, "asleep", kind, replicas=0)
    ref = GatewayRef("west", world.ns, "asleep")
    until(lambda: world.cache.read().find(ref), "it")
    said = world.refused(own)
    assert "The bot cannot determine which key made the token" in said
    assert str(ref) in said
    world.api.delete(f"/apis/apps/v1/namespaces/{world.ns}/{kind.lower()}s/asleep")
    until(lambda: world.cache.read().find(ref) is None, "its end")

    def it_stops_nothing() -> bool:
        try:
            plan_regeneration(Survey({"west": world.cache}), world.cluster, own, "primary")
        except GatewayBotError as error:
            # Gateways of other tests on the same control plane may hold anything.
            return str(ref) not in str(error)
        return True

    until(it_stops_nothing, "a refusal without it, or a plan")


def test_a_key_is_left_alone_while_secrets_that_may_keep_a_token_of_it_cannot_be_read(
    world: World,
) -> None:
    own = world.installed_by_the_bot()
    entra = {"config.service.auth": "workloadIdentity", "gateway.name": world.gateway}
    world.install(world.hidden, "entra", env=entra)
    world.install(world.hidden, "named", key="secondary")
    world.install(world.hidden, "inline", inline=True)
    world.reads(world.hidden, "named-t")
    refs = [GatewayRef("west", world.hidden, name) for name in ("entra", "named", "inline")]
    world.shows(own, *refs)

    def listed() -> bool:
        """Gateways of other tests, which are on their way out, may be said beside them."""
        said = world.refused(own)
        unread = said.partition("Secrets that may keep a token of ")[2].partition(" cannot")[0]
        return {str(ref) for ref in refs} <= set(unread.split(", "))

    until(listed, "each of them")
    said = world.refused(own)
    assert f"The bot is not allowed to get secrets in namespace “{world.hidden}”" in said
    assert "Add the verb “get” on “secrets” to the bot's Role there" in said


def test_a_change_to_what_is_no_deployment_is_refused_with_its_kind(world: World) -> None:
    world.install(world.ns, "stateful", "StatefulSet")
    ref = GatewayRef("west", world.ns, "stateful")
    with pytest.raises(Conflict, match=f"{ref} is a StatefulSet"):
        plan_regeneration(Survey({"west": world.cache}), world.cluster, ref, "primary")


def test_pods_of_a_daemon_set_are_counted_and_found_alone_after_their_owner_is_orphaned(
    world: World,
) -> None:
    world.install(world.ns, "everywhere", "DaemonSet")
    ref = GatewayRef("west", world.ns, "everywhere")
    world.shows(ref)
    path = f"/apis/apps/v1/namespaces/{world.ns}/daemonsets/everywhere"
    world.api.delete(path, "?propagationPolicy=Orphan")
    until(lambda: world.api.gone(path), "the end of its owner")

    def alone() -> list[str]:
        every = world.cache.read().gateways
        return [str(g.deployment["kind"]) for g in every if g.ref.namespace == world.ns]

    until(lambda: set(alone()) == {"Pod"}, "its pods by themselves")


def test_an_argo_rollout_is_seen_where_its_kind_is_served_and_forgotten_with_it(
    world: World,
) -> None:
    if world.target.sandbox is not None:
        pytest.skip("the sandbox serves no custom resources")
    kinds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{world.ns}/rollouts"
    world.api.create(kinds, ROLLOUTS)
    try:
        until(lambda: world.api.request("GET", path).status == 200, "the kind to be served")
        own = world.installed_by_the_bot()
        container = gateway_container()
        labels = {"app": "canary"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
        body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}
        metadata = {"name": "canary"}
        world.api.create(path, {**body, "metadata": metadata, "spec": spec})
        ref = GatewayRef("west", world.ns, "canary")
        until(lambda: world.find(ref), "it")
        world.shows(own)
        found = world.cache.read().find(ref)
        assert found is not None
        assert found.deployment["kind"] == "Rollout"
        assert str(ref) in world.refused(own)
        with pytest.raises(Conflict, match=f"{ref} is a Rollout"):
            plan_regeneration(Survey({"west": world.cache}), world.cluster, ref, "primary")
    finally:
        world.api.delete(f"{kinds}/rollouts.argoproj.io")

    def forgotten() -> bool:
        now = world.cache.read()
        return now.find(ref) is None and not any("Rollout" in said for said in now.unseen)

    until(forgotten, "its end")


ROLLOUTS: Obj = {
    "metadata": {"name": "rollouts.argoproj.io"},
    "spec": {
        "group": "argoproj.io",
        "names": {"kind": "Rollout", "listKind": "RolloutList", "plural": "rollouts"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
"""Argo Rollouts' kind, as far as a server needs it."""


def test_with_rights_in_one_namespace_only_nothing_is_said_to_be_none(
    target: Target, ns: str, tmp_path: Path, tracker: Tracker
) -> None:
    kubeconfig = bot_kubeconfig(target, ns, tmp_path, whole=False)
    context = yaml.safe_load(kubeconfig.read_text())["current-context"]
    cluster = connect("west", kubeconfig=kubeconfig, context=context, timeouts=PATIENT)
    cache = ClusterCache(cluster)
    try:
        world = World(target, target.api, ns, "", cluster, cache)
        with pytest.raises(NotGranted, match="is not allowed to list deployments"):
            until(lambda: world.find(GatewayRef("west", ns, "edge-1")), "a first answer")
        reply, expires = shown(world), listing(world, tracker)
        for said in (str(reply.blocks), expires):
            assert "is not allowed to list deployments" in said
            assert "It shows no gateways there and sends no warnings for them." in said
            assert "No self-hosted gateway runs" not in said
            assert "No gateway is known" not in said
            assert "none needs attention" not in said
        assert reply.text == "What runs on west is not known"
    finally:
        cache.stop(Deadline.after(5))
        cluster.close()


class _Tags(Registry):
    def __init__(self) -> None:
        """No registry is asked."""

    def tags(self) -> tuple[str, ...]:
        return ("2.11.1",)


def shown(world: World) -> Any:
    """What `list` shows."""
    caches = {"west": world.cache}
    made = needs(
        status.Needs,
        caches=caches,
        levels=Levels(caches),
        registry=_Tags(),
        environments=(),
        authority=authority(),
    )
    return status.shown(made, Request("r", "list", "U1", "C1", options={"filter": world.ns}))


def listing(world: World, tracker: Tracker, gateway: str = "") -> str:
    """What `expiring` shows, of one or of all, once the bot has scanned."""
    caches = {"west": world.cache}
    rules = Rules("development", (7 * 86_400.0,), ("C0ALERTS",))
    Scanner(
        tracker, lambda: scans_of(caches, Levels(caches).last), lambda ref: rules, ["west"]
    ).scan()
    made = needs(expiring.Needs, caches=caches, tracker=tracker)
    reply = expiring.run(made, Request("r", "expiring", "U1", "C1", gateway=gateway))
    assert reply is not None
    return str(reply.blocks)
