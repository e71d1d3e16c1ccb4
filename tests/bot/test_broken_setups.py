"""`gateway-bot check` names the fault and the remedy of each of these set-ups, and still proves the rest."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from bot.install.redis_acl import acl
from bot.proofs import kubernetes
from bot.proofs.results import Result, Status
from bot.settings import Settings
from deploy.errors import GatewayBotError, Unavailable
from deploy.kube.api_errors import NamespaceEnds
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.kube.rights import BESIDE_CLUSTER_ROLE, cluster_role, role
from tests.deploy.actions.test_durability import Pair
from tests.support import azure
from tests.support.broken_services import AZURE, CLOSED, REGISTRIES, SLACK, Broken
from tests.support.certificates import Authority
from tests.support.check_bed import CheckBed, Setup
from tests.support.exec_plugins import Answer, Issuer
from tests.support.slack_workspace import ELSEWHERE, SCOPES

FAIL, WARN = Status.FAIL, Status.WARN


def as_user(lacks: tuple[str, ...], verbs: tuple[str, ...] = ()) -> Callable[[CheckBed], Setup]:
    """As somebody with Roles in dev and prod that lack something."""
    return lambda bed: Setup(
        {"clusters": [bed.west(bed.user("dev", "prod", lacks=lacks, verbs=verbs))]}
    )


def listed(*namespaces: str) -> Callable[[CheckBed], Setup]:
    """Namespaces that are listed, as somebody with a Role in dev alone."""
    return lambda bed: Setup(
        {"clusters": [bed.west(bed.user("dev", everywhere=False), namespaces=[*namespaces])]}
    )


def without_a_role(bed: CheckBed) -> Setup:
    return Setup({"clusters": [bed.west(bed.user("dev"))]})


def without_the_cluster_role(bed: CheckBed) -> Setup:
    name = f"user-{bed.number()}"
    bed.bind(name, [role(n, BESIDE_CLUSTER_ROLE, name) for n in ("dev", "prod")])
    return Setup({"clusters": [bed.west(name)]})


def only_patterns(bed: CheckBed) -> Setup:
    environments = [{"name": "all", "namespaces": ["prod*"]}]
    return Setup({"clusters": [bed.west(bed.user("dev"))], "environments": environments})


def covered_by(*namespaces: str, clusters: str = "*") -> Callable[[CheckBed], Setup]:
    """An environment of its own, as somebody without a Role."""

    def make(bed: CheckBed) -> Setup:
        environment = {"name": "all", "clusters": [clusters], "namespaces": [*namespaces]}
        return Setup({"clusters": [bed.west(bed.user())], "environments": [environment]})

    return make


def tokens_alone(bed: CheckBed) -> Setup:
    """The Role of docs/install.md, “Only tokens”, without Leases."""
    user = bed.user("dev")
    named = {"resourceNames": ["edge-1"], "verbs": ["get", "patch"]}
    rules = [{"apiGroups": ["apps"], "resources": ["deployments"], **named},
             {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}]  # fmt: skip
    bed.bind(user, [{**role("prod", (), user), "rules": rules}, cluster_role(user)])
    return Setup({"clusters": [bed.west(user)]})


def a_plugin_that_fails(bed: CheckBed) -> Setup:
    answer = Answer(stderr="AADSTS700016: there is no such application", status=1)
    issuer = bed.ends.enter_context(Issuer(bed.directory, lambda _: answer))
    return Setup({"clusters": [bed.west("", kubeconfig=str(bed.kubeconfig_of(issuer.user())))]})


def kubeconfig(**user: str) -> Callable[[CheckBed], Setup]:
    return lambda bed: Setup(
        {"clusters": [{"name": "west", "kubeconfig": str(bed.kubeconfig_of(dict(user)))}]}
    )


def no_kubeconfig(bed: CheckBed) -> Setup:
    return Setup({"clusters": [{"name": "west", "kubeconfig": str(bed.directory / "missing")}]})


def a_missing_context(bed: CheckBed) -> Setup:
    return Setup({"clusters": [bed.west("bot", context="elsewhere")]})


def a_cluster_that_is_away(bed: CheckBed) -> Setup:
    path = bed.kubeconfig("bot")
    path.write_text(path.read_text().replace(bed.cluster.cluster.url, f"https://{CLOSED}"))
    return Setup({"clusters": [{"name": "west", "kubeconfig": str(path)}]})


def one_of_two_clusters(bed: CheckBed) -> Setup:
    east = {"name": "east", "kubeconfig": str(bed.directory / "missing")}
    return Setup({"clusters": [bed.west(bed.user("dev", "prod")), east]})


def a_missing_namespace(bed: CheckBed) -> Setup:
    environments = [*bed.usual["environments"], {"name": "later", "namespaces": ["later"]}]
    return Setup({"environments": environments})


CLUSTERS = (
    Broken("the Role lacks a verb", as_user(lacks=("deployments",), verbs=("patch",)),
           "rights on cluster west", "is not allowed to patch deployments in namespaces west/dev, west/prod",
           "gateway-bot k8s-manifest --cluster west --user user-"),
    Broken("a namespace has no Role", without_a_role, "rights on cluster west",
           "has none of its rights in namespace west/prod. It cannot deploy",
           "| kubectl apply --server-side -f -`"),
    Broken("a user has no rights at all", lambda bed: Setup({"clusters": [bed.west("stranger")]}),
           "rights on cluster west", "has none of its rights in namespaces west/dev, west/prod",
           "--user stranger"),
    Broken("the ClusterRole is not bound", without_the_cluster_role, "rights on cluster west",
           "on the whole of cluster west. It does not see", "k8s-manifest --cluster west"),
    Broken("Secrets are out of reach", as_user(lacks=("secrets",)), "rights on cluster west",
           "is not allowed to get, list, create, patch or delete secrets in", "k8s-manifest"),
    Broken("Leases are out of reach", as_user(lacks=("leases",)), "rights on cluster west",
           "is not allowed to get, create, update or delete leases in", "k8s-manifest"),
    Broken("logs are out of reach", as_user(lacks=("pods/log",)), "rights on cluster west",
           "is not allowed to get pods/log in namespaces west/dev, west/prod", "k8s-manifest", WARN),
    Broken("workloads of others are out of reach", as_user(lacks=("statefulsets", "daemonsets")),
           "rights on cluster west", "list or watch statefulsets or daemonsets on the whole of",
           "k8s-manifest", WARN),
    Broken("quotas are out of reach", as_user(lacks=("resourcequotas",)), "rights on cluster west",
           "is not allowed to list resourcequotas on the whole of cluster west", "k8s-manifest", WARN),
    Broken("a listed namespace is missing or has no Role", listed("dev", "gone"),
           "rights on cluster west", "“gone” does not exist", "Create the namespace"),
    Broken("an environment names a missing namespace", a_missing_namespace,
           "rights on cluster west", "no namespace “later” on cluster", "correct `environments`",
           WARN),
    Broken("no namespace that a pattern covers has a Role", only_patterns, "rights on cluster west",
           "is not allowed to patch deployments in any namespace of cluster west", "--gateway-namespace"),
    Broken("no namespace matches a pattern yet", covered_by("later-*"), "rights on cluster west",
           "(later-*), so there is no namespace to prove", "Create one", WARN),
    Broken("no environment covers a cluster", covered_by("*", clusters="east"),
           "rights on cluster west", "No environment covers cluster west", "`clusters`", WARN),
    Broken("a Role for tokens alone lacks Leases", tokens_alone, "rights on cluster west",
           "only keeps tokens valid, but is not allowed to get, create, update or delete leases", "Only tokens"),
    Broken("a plugin for credentials fails", a_plugin_that_fails, "cluster west",
           "AADSTS700016: there is no such application", "Ask whoever"),
    Broken("the token of a kubeconfig is wrong", kubeconfig(token="nobody"), "cluster west",
           "rejected the bot's credentials", "renew them"),
    Broken("the bot may not be whom the kubeconfig says", kubeconfig(**{"token": "bot", "as": "x"}),
           "cluster west", "is not allowed to impersonate the user", "remove `as`"),
    Broken("the kubeconfig is missing", no_kubeconfig, "cluster west", "there is no file",
           "Check the path"),
    Broken("the kubeconfig lacks the context", a_missing_context, "cluster west",
           "it has no context “elsewhere”", "the context in the settings"),
    Broken("a cluster refuses connections", a_cluster_that_is_away, "cluster west", "it refuses connections", ""),
    Broken("one of two clusters cannot be used", one_of_two_clusters, "cluster east", "missing", ""),
)  # fmt: skip


def redis_url(*rules: str) -> Callable[[CheckBed], Setup]:
    return lambda bed: Setup({"redis": {"url": bed.redis_user(*rules)}})


def redis_set(production: bool = True, **given: str) -> Callable[[CheckBed], Setup]:
    def make(bed: CheckBed) -> Setup:
        bed.redis_set(**given)
        return Setup({} if production else {"environments": [{"name": "development"}]})

    return make


def little_memory(bed: CheckBed) -> Setup:
    used = bed.redis().info("memory")["used_memory"]
    # What the check itself takes, some buffers, is a part of it.
    bed.redis_set(maxmemory=str(int(used * 1.12)))
    return Setup()


def a_replica(bed: CheckBed) -> Setup:
    client = bed.redis()
    client.replicaof("127.0.0.1", 1)
    bed.ends.callback(client.replicaof, "NO", "ONE")
    return Setup()


def a_wrong_password(bed: CheckBed) -> Setup:
    return Setup({"redis": {"url": bed.redis_user().replace(":secret@", ":wrong@")}})


def a_replicated_redis(bed: CheckBed) -> Setup:
    directory = bed.directory / f"pair-{bed.number()}"
    directory.mkdir()
    pair = Pair(directory)
    bed.ends.callback(pair.stop)
    return Setup({"redis": {"url": pair.url}, "environments": [{"name": "development"}]})


def redis_at(url: str) -> Callable[[CheckBed], Setup]:
    return lambda bed: Setup({"redis": {"url": url}})


REDIS = (
    Broken("the ACL forbids scripts", redis_url("-eval", "-evalsha", "-script"), "redis rights",
           "does not let the bot call EVAL, SCRIPT LOAD, EVALSHA", "`gateway-bot redis-acl`"),
    Broken("the ACL forbids TIME", redis_url("-time"), "redis rights", "call TIME.", "redis-acl"),
    Broken("the ACL forbids a command of streams", redis_url("-xrevrange"), "redis rights",
           "call XREVRANGE.", "redis-acl"),
    Broken("the ACL has other keys", redis_url("resetkeys", "~other:*"), "redis rights",
           "use the keys gateway-bot:*", "docs/install.md"),
    Broken("the ACL lets the bot only read", redis_url("resetkeys", "%R~gateway-bot:*"),
           "redis rights", "use the keys gateway-bot:*", "redis-acl"),
    Broken("the ACL forbids INFO", redis_url("-info"), "redis rights", "call INFO.", "redis-acl"),
    Broken("the password is wrong", a_wrong_password, "redis",
           "rejected the user name or password", "Compare them with those of the server"),
    Broken("Redis refuses connections", redis_at(f"redis://{CLOSED}"), "redis",
           "it refuses connections", "Check that it runs"),
    Broken("the host of Redis does not exist", redis_at("redis://redis.invalid:6379"), "redis",
           "its host name cannot be resolved", "DNS"),
    Broken("Redis evicts what it has", redis_set(maxmemory="64mb", maxmemory_policy="allkeys-lru"),
           "redis memory", "maxmemory-policy is allkeys-lru. When its memory is full",
           "Set `maxmemory-policy noeviction`"),
    Broken("Redis would evict, had it a limit", redis_set(maxmemory_policy="volatile-lru"),
           "redis memory", "Once it has a maxmemory, and that is full, Redis deletes leases and answers.",
           "noeviction", WARN),
    Broken("little memory is left", little_memory, "redis memory", "MB in use", "Raise maxmemory",
           WARN),
    Broken("the memory of Redis is full", redis_set(maxmemory="1"), "redis",
           "its memory is full", "Raise maxmemory", along=("redis memory",)),
    Broken("Redis keeps nothing, in production", redis_set(appendonly="no"), "redis durability",
           "A restart of Redis loses every pending request", "Set `appendonly yes`"),
    Broken("Redis keeps nothing, outside production", redis_set(False, appendonly="no"),
           "redis durability", "appendonly is no.", "Set `appendonly yes`", WARN),
    Broken("Redis leaves it to the system when to write", redis_set(appendfsync="no"),
           "redis durability", "A power cut loses", "Set `appendfsync everysec`"),
    Broken("Redis is a read-only replica", a_replica, "redis", "read-only replica", "Name the primary"),
    Broken("Redis has too few replicas to take writes", redis_set(min_replicas_to_write="1"),
           "redis", "Redis refuses to write (NOREPLICAS", "docs/redis.md"),
    Broken("a primary would take writes without its replica", a_replicated_redis, "redis replicas",
           "min-replicas-to-write is not set", "Set `min-replicas-to-write 1`", WARN,
           ("redis durability",)),
)  # fmt: skip


BROKEN = (*CLUSTERS, *REDIS, *AZURE, *SLACK, *REGISTRIES)
ELSEWHERE_TOO = ("slack", "approvers", "requesters", "channel", "redis", "API", "image", "clock")
"""All but the clusters, which are asked a hundred questions."""


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.says)
def test_the_fault_and_its_remedy_are_named_where(broken: Broken, bed: CheckBed) -> None:
    of_clusters = broken in CLUSTERS
    results = bed.check(broken.make(bed), *(("cluster",) if of_clusters else ELSEWHERE_TOO))
    named = [r for r in results if r.name.startswith(broken.name) and r.status is not Status.OK]
    assert any(_names(broken, result) for result in named), results
    others = [r for r in results if r.status is not Status.OK and r not in named]
    assert {result.name for result in others} <= set(broken.along), others
    # What has nothing to do with it is still proved.
    assert of_clusters or sum(result.status is Status.OK for result in results) >= 4


def _names(broken: Broken, result: Result) -> bool:
    return (
        broken.detail in result.detail
        and broken.remedy in result.remedy
        and bool(result.remedy)
        and result.status is broken.status
    )


def test_where_more_namespaces_match_than_are_asked_about_no_right_is_no_failure(
    bed: CheckBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "_MOST", 2)
    results = bed.check(covered_by("*")(bed), "cluster")
    (warned,) = [result for result in results if result.status is not Status.OK]
    assert warned.status is WARN
    assert "in any of the first 2 of " in warned.detail
    assert "--gateway-namespace" in warned.remedy


def test_where_namespaces_cannot_be_listed_only_that_is_a_failure(bed: CheckBed) -> None:
    user = bed.user(lacks=("namespaces",))
    environments = [{"name": "all", "namespaces": ["prod*"]}]
    setup = Setup({"clusters": [bed.west(user)], "environments": environments})
    failed, warned = sorted(
        (r for r in bed.check(setup, "cluster") if r.status is not Status.OK),
        key=lambda result: result.status.value,
    )
    assert failed.status is FAIL
    assert "get or list namespaces on the whole of" in failed.detail
    assert warned.status is WARN
    assert "there is no namespace to prove" in warned.detail
    assert "NAMESPACE" not in failed.remedy + warned.remedy


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (Unavailable("The cluster does not answer."), "Try again in a minute."),
        (NamespaceEnds("west", "prod"), "wait until this one has been created again"),
    ],
)
def test_only_a_namespace_that_is_not_there_is_to_be_created(
    error: GatewayBotError, remedy: str, bed: CheckBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(self: Cluster, namespace: str) -> Manifest:
        if namespace == "prod":
            raise error
        return {}

    monkeypatch.setattr(Cluster, "check_namespace", read)
    (failed,) = [r for r in bed.check(Setup(), "cluster") if r.status is not Status.OK]
    assert failed.status is FAIL
    assert failed.detail.startswith(error.happened)
    assert remedy in failed.remedy


def test_one_right_that_is_not_answered_leaves_the_others_proved(
    bed: CheckBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = Cluster.can_i

    def sometimes(self: Cluster, verb: str, group: str, resource: str, *more: Any) -> bool:
        if resource == "events":
            raise Unavailable("The cluster did not answer an access review.")
        return asks(self, verb, group, resource, *more)

    monkeypatch.setattr(Cluster, "can_i", sometimes)
    results = bed.check(as_user(lacks=("secrets",))(bed), "cluster")
    assert {r.name for r in results if r.status is FAIL} == {
        "cluster west",
        "rights on cluster west",
    }
    assert any("did not answer an access review" in r.detail for r in results)
    assert any(
        "is not allowed to get, list, create, patch or delete secrets" in r.detail for r in results
    )


def test_too_many_rights_for_the_time_are_said_to_be_that(bed: CheckBed) -> None:
    settings = Settings.model_validate(bed.usual)
    (said,) = kubernetes.proofs(settings, Path("x.yaml"), seconds=0)["cluster west"]()
    assert said.status is FAIL
    assert (
        "rights on cluster west were not proved within 0 s: it has too many namespaces"
        in said.detail
    )


def test_in_many_namespaces_only_the_needed_rights_are_proved(
    bed: CheckBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "_MANY", 2)
    (said,) = bed.check(as_user(lacks=("pods/log",))(bed), "cluster")
    assert said.status is Status.OK
    assert said.detail.endswith("optional rights were not checked")


@pytest.mark.parametrize(
    ("executable", "status", "remedy"),
    [
        ("-", WARN, "Ask your provider how it keeps writes"),
        ("", WARN, "Ask your provider how it keeps writes"),
        ("/usr/bin/redis-server", FAIL, "Set `appendonly yes`"),
    ],
)
def test_only_of_a_server_of_ones_own_no_append_only_file_is_a_failure(
    executable: str,
    status: Status,
    remedy: str,
    bed: CheckBed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tells = redis.Redis.info
    monkeypatch.setattr(redis.Redis, "info", lambda self: tells(self) | {"executable": executable})
    setup = redis_set(appendonly="no")(bed)
    setup.settings["redis"] = {"url": bed.redis_user()}
    (said,) = [r for r in bed.check(setup, "redis") if r.name == "redis durability"]
    assert said.status is status
    assert remedy in said.remedy


def test_a_users_name_is_not_taken_for_what_it_may_not_do(bed: CheckBed) -> None:
    name = f"access-{bed.number()}"
    words = acl(password=">secret").split()[2:]
    bed.redis().execute_command("ACL", "SETUSER", name, *words, "-time")
    url = bed.valkey.url.replace("unix://", f"unix://{name}:secret@")
    (said,) = [
        r for r in bed.check(Setup({"redis": {"url": url}}), "redis") if r.status is not Status.OK
    ]
    assert said.detail.startswith("The ACL of its user does not let the bot call TIME.")


def test_a_replica_that_does_not_know_the_bots_user_is_named(bed: CheckBed, tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    try:
        primary = redis.Redis.from_url(pair.url, decode_responses=True)
        primary.config_set("min-replicas-to-write", 1)
        words = acl(replicas=True, password=">secret").split()[1:]
        primary.execute_command("ACL", "SETUSER", *words)
        url = pair.url.replace("redis://", "redis://gateway-bot:secret@")
        setup = Setup({"redis": {"url": url}})

        def replicas() -> Result:
            (said,) = [r for r in bed.check(setup, "redis") if r.name == "redis replicas"]
            return said

        port = primary.info("replication")["slave0"]["port"]
        assert replicas().status is FAIL
        assert replicas().detail.startswith(f"The replica 127.0.0.1:{port} refuses the bot's user")
        assert "docs/install.md#several-redis-servers" in replicas().remedy
        redis.Redis(port=port).execute_command("ACL", "SETUSER", *words)
        assert replicas().status is Status.OK
    finally:
        pair.stop()


def test_there_are_thirty_at_least_and_each_is_another() -> None:
    assert len({broken.says for broken in BROKEN}) == len(BROKEN) >= 30


def test_all_that_is_broken_at_once_is_named_at_once(bed: CheckBed) -> None:
    setup = Setup(
        {
            "redis": {"url": bed.redis_user("-eval")},
            "clusters": [
                bed.west(bed.user("dev", "prod", lacks=("leases", "events"))),
                {"name": "east", "kubeconfig": str(bed.directory / "missing")},
            ],
            "apim": [bed.instance(), bed.instance(name="other", service="nowhere")],
            "azure": bed.azure_as(azure.READER).settings["azure"],
            "warnings": {"channel": ELSEWHERE},
            "environments": bed.production_of(groups=["S0GONE"]),
            "images": {"registry_url": bed.registry.url, "repository": "other/gateway"},
            "slack": bed.slack(scopes=[each for each in SCOPES if each != "files:read"]),
        },
        {"AZURE_CLIENT_SECRET": f"{azure.READER}-secret"},
    )
    failed = {r.name for r in bed.check(setup) if r.status is FAIL}
    assert failed == {
        "redis rights",
        "rights on cluster west",
        "cluster east",
        "rights on API Management contoso",
        "API Management other",
        "channel C0ELSE",
        "approvers of production",
        "image registry",
        "slack scopes",
    }


def test_a_certificate_that_nobody_trusts_is_named(bed: CheckBed, tmp_path: Path) -> None:
    path = bed.kubeconfig("bot")
    config = json.loads(path.read_text())
    stranger = base64.b64encode(Authority(tmp_path).file.read_bytes()).decode()
    config["clusters"][0]["cluster"]["certificate-authority-data"] = stranger
    path.write_text(json.dumps(config))
    results = bed.check(Setup({"clusters": [{"name": "west", "kubeconfig": str(path)}]}), "cluster")
    (found,) = results
    assert found.status is FAIL
    assert "certificate" in found.detail
