"""A token that Azure refuses is one fact: every view, warning and sibling knows it."""

import dataclasses
import datetime
import json
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.annotations import SPEC_ANNOTATION
from deploy.gateway import GatewayRef
from deploy.health.attention import of_refusal
from deploy.health.cache import CachedGateway, ClusterCache, Snapshot
from deploy.health.evidence import Asked, _refusal
from deploy.health.heartbeat import (
    Evidence,
    Heartbeat,
    Level,
    PodEvidence,
    PodHeartbeat,
    Refusal,
    heartbeat_of,
)
from deploy.health.incidents import (
    DENIED,
    LASTS,
    MISSING,
    REFUSED,
    SUSPECTED,
    WatchedIncident,
    health_of,
    step,
)
from deploy.health.killers import Killers
from deploy.health.levels import Levels, Seen
from deploy.health.refusals import RefusedKey
from deploy.health.refused_keys import OwnRefusedKeys, SharedRefusedKeys
from deploy.health.sources import Sources
from deploy.health.status import Renewal, summaries
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.token_facts import TokenFacts
from deploy.tokens.token import KeyType, SecretFacts
from handlers.views import incidents as view
from handlers.views.renewals import MANAGE, ROTATE
from tests.support.redis_servers import started
from tests.support.running_cluster import RunningCluster
from tests.support.shown import check_blocks
from tests.support.waiting import until

NOW = time.time()
HIDDEN = Heartbeat("unknown", "its log would not show a link warning")


def gateway(
    name: str,
    *,
    resource: str = "edge",
    key: KeyType | None = "primary",
    days: float = 29,
    made_at: float = NOW - 3600,
    instance: str = "contoso",
    missing: bool = False,
    secret: str = "",
) -> CachedGateway:
    """One that runs, with a token of that gateway resource and key; `secret` is the uid of a Secret
    that is written over."""
    spec = json.dumps({"gateway": resource, "apim": {"instance": instance}})
    reference = {"secretKeyRef": {"name": f"{name}-token", "key": "value"}}
    container = {"name": name, "env": [{"name": "config.service.auth", "valueFrom": reference}]}
    deployment = {
        "metadata": {
            "name": name,
            "namespace": "dev",
            "annotations": {SPEC_ANNOTATION: spec} if instance else {},
        },
        "spec": {"replicas": 1, "template": {"spec": {"containers": [container]}}},
        "status": {"availableReplicas": 1, "readyReplicas": 1},
    }
    expires_at = datetime.datetime.fromtimestamp(NOW + days * 86_400, datetime.UTC)
    facts = SecretFacts(
        f"{name}-token",
        resource,
        expires_at,
        "annotation",
        not secret,
        key,
        secret or f"uid-{name}-{made_at}",
    )
    token = TokenFacts(facts, made_at=made_at)
    if missing:
        token = TokenFacts(None, error=f"there is no Secret {name}-token", missing=True)
    return CachedGateway(GatewayRef("west", "dev", name), deployment, (), token)


def refused(of: CachedGateway, since: float = NOW - 60) -> Heartbeat:
    assert of.token is not None
    token = of.token.facts.identity if of.token.facts else ""
    refusal = Refusal(True, "Azure refuses its token", since, token)
    return Heartbeat("denied", "Azure refuses the gateway: Unauthorized", since, refusal=refusal)


def known(levels: Levels, of: CachedGateway, heartbeat: Heartbeat) -> Refusal | None:
    return levels.judged(of, heartbeat).refusal


@pytest.mark.parametrize("secret", ["", "one that is written over"])
def test_a_sibling_of_the_same_key_is_suspected_until_it_has_a_new_token(secret: str) -> None:
    first, second = gateway("edge-1", days=20, secret=secret), gateway("edge-2")
    levels = Levels({})
    assert known(levels, second, HIDDEN) is None
    levels.judged(first, refused(first))
    found = known(levels, second, HIDDEN)
    assert found is not None
    assert not found.proven
    assert "token of west/dev/edge-1, which was made with the same key" in found.why
    assert levels.last(second).heartbeat.refusal == found
    # The first one is renewed with the other key; the sibling's key is dead all the same.
    renewed = gateway("edge-1", key="secondary", made_at=NOW, secret=secret)
    levels.judged(renewed, Heartbeat("no trouble seen", "fine"))
    assert known(levels, second, HIDDEN) == found
    assert known(levels, gateway("edge-2", key="secondary", made_at=NOW), HIDDEN) is None
    assert known(levels, gateway("edge-2", made_at=NOW), HIDDEN) is None


@pytest.mark.parametrize(
    "other",
    [
        gateway("edge-2", key="secondary"),
        gateway("edge-2", resource="store"),
        gateway("edge-2", instance="fabrikam"),
        gateway("edge-2", days=-1),
    ],
)
def test_a_token_of_another_key_gateway_or_instance_is_not_suspected(other: CachedGateway) -> None:
    first, levels = gateway("edge-1"), Levels({})
    levels.judged(first, refused(first))
    assert known(levels, other, HIDDEN) is None


@pytest.mark.parametrize("level", ["connected", "no trouble seen", "cut off"])
def test_a_sibling_of_whose_link_something_is_seen_is_not_suspected(level: Level) -> None:
    first, levels = gateway("edge-1"), Levels({})
    levels.judged(first, refused(first))
    assert known(levels, gateway("edge-2"), Heartbeat(level, "it is seen")) is None


def test_a_key_that_is_not_known_is_said_so() -> None:
    first, levels = gateway("edge-1", key=None), Levels({})
    levels.judged(first, refused(first))
    found = known(levels, gateway("edge-2"), HIDDEN)
    assert found is not None
    assert "which key made this token is unknown" in found.why


def test_a_refusal_because_of_its_expiry_makes_nobody_suspect() -> None:
    first, levels = gateway("edge-1", days=-1), Levels({})
    levels.judged(first, refused(first))
    assert known(levels, gateway("edge-2"), HIDDEN) is None


def test_who_is_accepted_with_that_key_clears_the_others() -> None:
    first, second, third = gateway("edge-1"), gateway("edge-2"), gateway("edge-3")
    levels = Levels({})
    levels.judged(first, refused(first))
    levels.judged(third, Heartbeat("connected", "a poll", NOW - 300))
    assert known(levels, second, HIDDEN) is not None
    levels.judged(third, Heartbeat("connected", "a poll", NOW))
    assert known(levels, second, HIDDEN) is None
    levels.judged(first, refused(first))
    levels.judged(first, Heartbeat("no trouble seen", "fine"))
    assert known(levels, second, HIDDEN) is None


def test_a_refused_token_beside_an_accepted_one_of_its_key_leaves_the_others_as_they_are_judged() -> (
    None
):
    # Its key was made anew an hour ago, which its gateway noticed when it started a minute ago.
    refused_one = gateway("edge-1", made_at=NOW - 7200)
    accepted = gateway("edge-2", made_at=NOW - 3000)
    older, newer = gateway("edge-3", made_at=NOW - 7000), gateway("edge-4", made_at=NOW - 2000)
    levels = Levels({})
    for _ in range(3):
        levels.judged(refused_one, refused(refused_one))
        levels.judged(accepted, Heartbeat("connected", "a poll", NOW))
        assert known(levels, older, HIDDEN) is not None
        assert known(levels, newer, HIDDEN) is None
        levels.judged(refused_one, refused(refused_one))
        assert known(levels, older, HIDDEN) is not None
        assert known(levels, newer, HIDDEN) is None
    levels.judged(refused_one, Heartbeat("no trouble seen", "fine"))
    assert known(levels, older, HIDDEN) is None


WELL = Heartbeat("no trouble seen", "fine")


def often(of: CachedGateway, since: float = NOW - 60) -> Heartbeat:
    """Refused again and again."""
    heartbeat = refused(of, since)
    assert heartbeat.refusal is not None
    return dataclasses.replace(heartbeat, refusal=dataclasses.replace(heartbeat.refusal, times=5))


def test_a_service_that_refuses_every_gateway_at_once_is_said_to_and_no_token_is_blamed() -> None:
    first, second = gateway("edge-1", resource="a"), gateway("edge-2", resource="b")
    levels = Levels({})
    levels.judged(first, often(first))
    levels.judged(second, often(second))
    for one in (first, second):
        heartbeat = levels.last(one).heartbeat
        assert (heartbeat.level, heartbeat.refusal) == ("denied", None)
        assert "refuses every gateway of contoso at once" in heartbeat.evidence
        assert set(health_of(one, Seen(heartbeat, NOW)).troubles) == {DENIED}
    # One is accepted again: the other's token is what is wrong.
    levels.judged(second, WELL)
    heartbeat = levels.last(first).heartbeat
    assert heartbeat.refusal is not None
    assert heartbeat.refusal.proven
    assert "at once" not in heartbeat.evidence


@pytest.mark.parametrize(
    "second",
    [
        # The same resource runs twice: its one key is dead.
        gateway("edge-2", resource="edge"),
        gateway("edge-2", resource="b", instance="fabrikam"),
    ],
)
def test_tokens_of_one_key_or_of_two_services_are_refused_for_themselves(
    second: CachedGateway,
) -> None:
    first, levels = gateway("edge-1"), Levels({})
    levels.judged(first, often(first))
    levels.judged(second, often(second))
    for one in (first, second):
        refusal = levels.last(one).heartbeat.refusal
        assert refusal is not None
        assert refusal.times == 5


def test_that_a_token_is_refused_often_counts_once_the_others_were_looked_at_since() -> None:
    first, second = gateway("edge-1", resource="a"), gateway("edge-2", resource="b")
    levels = Levels({})
    levels.judged(second, WELL)
    later = time.time() + 1
    levels.judged(first, often(first, later))
    refusal = levels.last(first).heartbeat.refusal
    assert refusal is not None
    assert (refusal.proven, refusal.times) == (True, 0)
    until(lambda: time.time() > later)
    levels.judged(second, WELL)
    refusal = levels.last(first).heartbeat.refusal
    assert refusal is not None
    assert refusal.times == 5


def test_a_refused_token_is_said_with_the_job_that_ran_right_before(
    running: RunningCluster, cluster: Cluster
) -> None:
    run(running, cluster, "rotate", "edge", NOW - 100)
    first, levels = gateway("edge-1"), Levels({"west": ClusterCache(cluster)})
    heartbeat = levels.judged(first, refused(first))
    assert heartbeat.refusal is not None
    said = "CronJob dev/rotate, which rotates it or its keys, ran 4"
    assert said in of_refusal(heartbeat.refusal).text
    assert said in health_of(first, Seen(heartbeat, NOW)).troubles[REFUSED]


def test_a_job_that_ran_after_the_jobs_were_listed_is_named_once_they_are_listed_again(
    running: RunningCluster, cluster: Cluster
) -> None:
    """Which is a moment later: what kills a token runs before Azure refuses it."""
    now, first = time.time(), gateway("store-7", resource="store")
    refusal = Refusal(True, "Azure refuses its token", now, "one")
    clock = iter((0.0, 1.0, 10.0, 10.0))
    killers = Killers({"west": ClusterCache(cluster)}, lambda: next(clock))
    assert killers.told(first, refusal) == ""
    run(running, cluster, "later", "store", now - 30)
    assert killers.told(first, refusal) == "", "as of a moment ago"
    assert killers.told(first, refusal).startswith("CronJob dev/later, which rotates it")


def test_jobs_that_were_listed_since_a_token_is_refused_are_not_listed_again_for_a_minute(
    running: RunningCluster, cluster: Cluster
) -> None:
    now, first = time.time(), gateway("store-8", resource="store-8")
    refusal = Refusal(True, "Azure refuses its token", now - 100, "one")
    clock = iter((0.0, 59.0, 61.0, 61.0))
    killers = Killers({"west": ClusterCache(cluster)}, lambda: next(clock))
    assert killers.told(first, refusal) == ""
    run(running, cluster, "later-8", "store-8", now - 130)
    assert killers.told(first, refusal) == ""
    assert killers.told(first, refusal).startswith("CronJob dev/later-8, which rotates it")


def run(running: RunningCluster, cluster: Cluster, name: str, resource: str, at: float) -> None:
    """A job that rotates that gateway's keys began last at that time."""
    pod = {
        "restartPolicy": "Never",
        "containers": [{"name": "r", "image": "apimrotate", "args": ["contoso", resource]}],
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": "dev"},
        "spec": {
            "schedule": "0 2 1,15 * *",
            "jobTemplate": {"spec": {"template": {"spec": pod}}},
        },
    }
    cluster.create(job)
    ran = datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    path = f"/apis/batch/v1/namespaces/dev/cronjobs/{name}/status"
    told = {"status": {"lastScheduleTime": ran}}
    merge = "application/merge-patch+json"
    assert running.request("PATCH", path, told, content_type=merge)[0] == 200


@pytest.mark.parametrize("secret", ["", "one that is written over"])
def test_what_was_seen_of_the_previous_token_is_not_said_of_the_new_one(secret: str) -> None:
    first, levels = gateway("edge-1", days=20, secret=secret), Levels({})
    levels.judged(first, refused(first))
    assert levels.last(first).heartbeat.refusal is not None
    renewed = gateway("edge-1", key="secondary", made_at=NOW, secret=secret)
    assert levels.last(renewed).heartbeat.refusal is None


def test_since_when_a_token_is_refused_does_not_move_with_the_part_of_the_log_that_is_read() -> (
    None
):
    first, levels = gateway("edge-1"), Levels({})
    for since in (NOW - 60, NOW - 30, NOW - 10):
        found = known(levels, first, refused(first, since))
        assert found is not None
        assert found.since == NOW - 60


def test_a_pod_that_still_holds_the_previous_token_says_nothing_of_the_new_one() -> None:
    def pod(name: str, secret: str) -> dict[str, Any]:
        reference = {"secretKeyRef": {"name": secret, "key": "value"}}
        variable = {"name": "config.service.auth", "valueFrom": reference}
        return {
            "metadata": {"name": name},
            "spec": {"containers": [{"name": "g", "env": [variable]}]},
        }

    it = gateway("edge-1")
    pods = [pod("a", "edge-1-token-old1"), pod("b", "edge-1-token")]
    asked = Asked(it.ref, it.deployment, pods, it.token)

    def judged(*denied: str) -> Refusal | None:
        beats = tuple(
            PodHeartbeat(n, "denied" if n in denied else "unknown", "it is") for n in ("a", "b")
        )
        return _refusal(asked, Heartbeat("denied", "it is", NOW, beats), pods, NOW)

    assert judged("a") is None
    assert judged("a", "b") is not None


def test_a_gateway_that_has_nothing_to_ask_azure_with_says_nothing_of_its_token() -> None:
    it = gateway("edge-1")
    pod = {"metadata": {"name": "a"}, "spec": it.deployment["spec"]["template"]["spec"]}
    stamp = datetime.datetime.fromtimestamp(NOW - 5, datetime.UTC).isoformat()

    def judged(entry: str) -> Heartbeat:
        evidence = PodEvidence("a", ready=True, answers=True, log=f"{stamp} [Error] x {entry}\n")
        return heartbeat_of(Evidence((evidence,), NOW))

    asked = Asked(it.ref, it.deployment, [pod], it.token)
    found = judged("[GatewayStartup], message: No valid authentication was configured for the API")
    assert found.level == "denied"
    assert "Azure refuses" not in found.evidence
    assert _refusal(asked, found, [pod], NOW) is None
    answered = judged("[ConfigurationApiV2NotAvailable], exception: StatusCode: Forbidden")
    assert _refusal(asked, answered, [pod], NOW) is not None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


def test_a_bot_that_starts_later_knows_which_keys_are_refused(server: Valkey) -> None:
    first, second = gateway("edge-1"), gateway("edge-2")
    levels = Levels({}, refused=SharedRefusedKeys(connect(server.url)))
    levels.judged(first, refused(first))
    later = Levels({}, refused=SharedRefusedKeys(connect(server.url)))
    assert known(later, second, HIDDEN) is not None
    later.judged(first, Heartbeat("no trouble seen", "fine"))
    third = Levels({}, refused=SharedRefusedKeys(connect(server.url)))
    assert known(third, second, HIDDEN) is None


def test_what_is_accepted_of_a_key_is_known_to_a_bot_that_starts_later(server: Valkey) -> None:
    redis = connect(server.url)
    first = gateway("edge-1", resource="shared", made_at=NOW - 7200)
    second = gateway("edge-2", resource="shared", made_at=NOW - 3000)
    older = gateway("edge-3", resource="shared", made_at=NOW - 7000)
    levels = Levels({}, refused=SharedRefusedKeys(redis))
    levels.judged(first, refused(first))
    levels.judged(second, Heartbeat("connected", "a poll", NOW))
    later = Levels({}, refused=SharedRefusedKeys(redis))
    assert known(later, second, HIDDEN) is None
    assert known(later, older, HIDDEN) is not None


def test_a_redis_that_hangs_lets_only_who_asks_it_wait() -> None:
    asked, answers = threading.Event(), threading.Event()

    class Hanging:
        def hgetall(self, _: str) -> dict[str, str]:
            asked.set()
            answers.wait(60)
            return {}

    keys = SharedRefusedKeys(Hanging())
    waiting = threading.Thread(target=keys.known, daemon=True)
    waiting.start()
    assert asked.wait(30)
    others = ThreadPoolExecutor(1)
    try:
        assert others.submit(keys.known).result(30) == {}
    finally:
        answers.set()
        others.shutdown()
    waiting.join(30)


def test_what_a_newer_bot_wrote_of_a_key_is_left_to_it(server: Valkey) -> None:
    redis = connect(server.url)
    levels = Levels({}, refused=SharedRefusedKeys(redis))
    first = gateway("edge-1", resource="newer")
    levels.judged(first, refused(first))
    hash_key, name = "gateway-bot:{refused-keys}", "contoso/newer/primary"
    text = json.loads(redis.hget(hash_key, name))
    redis.hset(hash_key, name, json.dumps({**text, "version": 2}))
    later = SharedRefusedKeys(redis)
    assert name not in later.known()
    seen = Levels({}, refused=later)
    seen.judged(first, refused(first))
    accepted = gateway("edge-2", resource="newer", made_at=NOW - 3000)
    seen.judged(accepted, Heartbeat("connected", "a poll", NOW))
    assert json.loads(redis.hget(hash_key, name))["version"] == 2


def alert(
    of: CachedGateway, heartbeat: Heartbeat, renewal: Renewal | None = "rotate"
) -> tuple[str, str]:
    """What its incident says: its text, and its blocks."""
    seen, watch = Seen(heartbeat, NOW), WatchedIncident()
    for moment in (NOW, NOW + LASTS + 1):
        watch = step(watch, "west", [health_of(of, seen)], "", moment)
    (incident,) = watch.incidents
    text, blocks = view.message(incident, renewal_of=lambda ref: renewal)
    check_blocks(blocks)
    return text, json.dumps(blocks, ensure_ascii=False)


def test_the_alert_of_a_refused_token_offers_to_rotate_it() -> None:
    it = gateway("edge-1")
    heartbeat = refused(it)
    assert set(health_of(it, Seen(heartbeat, NOW)).troubles) == {REFUSED}
    text, said = alert(it, heartbeat)
    assert text == "edge-1 on west/dev is denied by Azure"
    assert "`/gateway rotate west/dev/edge-1` makes a new token." in said
    assert ROTATE in said
    assert MANAGE not in said


def test_the_alert_of_a_gateway_that_others_deploy_offers_to_manage_its_token() -> None:
    it = gateway("edge-1")
    _, said = alert(it, refused(it), "manage")
    assert "`/gateway manage-token west/dev/edge-1` makes a new token and keeps it valid" in said
    assert "Keep token valid…" in said
    assert MANAGE in said
    assert "/gateway rotate" not in said
    assert ROTATE not in said


def test_an_alert_offers_nothing_where_it_is_not_known_what_would_renew_the_token() -> None:
    it = gateway("edge-1")
    _, said = alert(it, refused(it), None)
    assert MANAGE not in said
    assert ROTATE not in said


def test_the_alert_of_an_identity_that_is_refused_offers_no_rotation() -> None:
    it = dataclasses.replace(gateway("edge-1"), token=None)
    heartbeat = Heartbeat("denied", "Azure refuses the gateway: Forbidden")
    assert set(health_of(it, Seen(heartbeat, NOW)).troubles) == {DENIED}
    text, said = alert(it, heartbeat)
    assert text == "edge-1 on west/dev is denied by Azure"
    assert ROTATE not in said
    assert "show_status" in said


def test_the_alert_of_a_stateful_set_offers_no_rotation_that_it_cannot_have() -> None:
    it = gateway("edge-1")
    it = dataclasses.replace(it, deployment={**it.deployment, "kind": "StatefulSet"})
    heartbeat = refused(it)
    assert set(health_of(it, Seen(heartbeat, NOW)).troubles) == {DENIED}
    text, said = alert(it, heartbeat)
    assert text == "edge-1 on west/dev is denied by Azure"
    assert ROTATE not in said
    assert "/gateway rotate" not in said


def test_a_suspected_token_is_alerted_of_as_such() -> None:
    first, second, levels = gateway("edge-1"), gateway("edge-2"), Levels({})
    levels.judged(first, refused(first))
    heartbeat = levels.judged(second, HIDDEN)
    assert set(health_of(second, Seen(heartbeat, NOW)).troubles) == {SUSPECTED}
    text, said = alert(second, heartbeat)
    assert text == "edge-2 on west/dev is perhaps denied by Azure"
    assert ROTATE in said


def test_a_deleted_secret_is_alerted_of_with_what_restores_it() -> None:
    it = gateway("edge-1", missing=True)
    assert set(health_of(it, Seen(Heartbeat("no trouble seen", ""), NOW)).troubles) == {MISSING}
    text, said = alert(it, Heartbeat("no trouble seen", ""))
    assert text == "edge-1 on west/dev is without its token"
    assert "there is no Secret edge-1-token" in said
    assert "/gateway deploy west/dev/edge-1" in said
    assert ROTATE not in said
    it.deployment["spec"]["replicas"] = 0
    assert health_of(it, Seen(HIDDEN, NOW)).troubles == {}


def test_what_somebody_saw_is_told_though_a_round_forgets_the_gateway_meanwhile() -> None:
    class Meanwhile(OwnRefusedKeys):
        def known(self) -> Mapping[str, RefusedKey]:
            levels._looks = {}
            return super().known()

    levels = Levels({}, refused=Meanwhile())
    seen = Heartbeat("no trouble seen", "ready")
    assert levels.judged(gateway("edge-1"), seen) == seen


@pytest.mark.parametrize(("kind", "mends"), [("Deployment", True), ("StatefulSet", False)])
def test_a_new_token_is_offered_only_where_this_bot_can_give_it(kind: str, mends: bool) -> None:
    held = gateway("edge-1")
    seen = CachedGateway(held.ref, {**held.deployment, "kind": kind}, (), held.token)
    (row,) = summaries(Snapshot("west", (seen,), NOW), NOW)
    weighed = row.weighed(Refusal(True, "Azure refuses its token", NOW - 60))
    assert weighed.renewable is mends


def test_two_workloads_of_one_name_are_each_looked_at_once() -> None:
    deployment: Manifest = {**gateway("edge-1").deployment, "kind": "Deployment"}
    other: Manifest = {**deployment, "kind": "StatefulSet"}
    sources = Sources(cast(Cluster, None))
    first = [sources.sign_in(each) for each in (deployment, other)]
    again = [sources.sign_in(each) for each in (deployment, other)]
    assert all(one is same for one, same in zip(first, again, strict=True))
