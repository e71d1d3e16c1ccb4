"""`gateway-bot check` names the fault and the remedy of each of these set-ups, and still proves the rest."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.proofs.results import Result, Status
from bot.sandbox.registry_accounts import Accounts
from bot.sandbox.slack import User, UserGroup
from deploy.kube.rights import BESIDE_CLUSTER_ROLE, cluster_role, role
from tests.deploy.actions.test_durability import Pair
from tests.support import azure
from tests.support.certificates import Authority
from tests.support.check_bed import REPOSITORY, CheckBed, Setup, check_bed
from tests.support.exec_plugins import Answer, Issuer
from tests.support.slack_workspace import ELSEWHERE, SCOPES

FAIL, WARN = Status.FAIL, Status.WARN
CLOSED = "127.0.0.1:1"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CheckBed]:
    with check_bed(tmp_path_factory.mktemp("bed")) as bed:
        yield bed


@pytest.fixture
def bed(shared: CheckBed) -> Iterator[CheckBed]:
    with shared.ends:
        yield shared


@dataclass(frozen=True)
class Broken:
    """A set-up with one fault: the line that names it, with these words in it and in its remedy."""

    says: str
    make: Callable[[CheckBed], Setup]
    name: str
    detail: str
    remedy: str
    status: Status = FAIL
    along: tuple[str, ...] = ()
    """Lines that fail or warn for the same reason."""


def as_user(**lacks: tuple[str, ...]) -> Callable[[CheckBed], Setup]:
    """As somebody with Roles in dev and prod that lack something."""
    return lambda bed: Setup({"clusters": [bed.west(bed.user("dev", "prod", **lacks))]})


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
           "rights on cluster west", "may not patch deployments in namespaces west/dev, west/prod",
           "gateway-bot k8s-manifest --cluster west --user user-"),
    Broken("a namespace has no Role", without_a_role, "rights on cluster west",
           "create, patch or delete deployments", "| kubectl apply --server-side -f -`"),
    Broken("the ClusterRole is not bound", without_the_cluster_role, "rights on cluster west",
           "on the whole of cluster west. It does not see", "k8s-manifest --cluster west"),
    Broken("Secrets are out of reach", as_user(lacks=("secrets",)), "rights on cluster west",
           "may not get, list, create, patch or delete secrets in", "k8s-manifest"),
    Broken("Leases are out of reach", as_user(lacks=("leases",)), "rights on cluster west",
           "may not get, create, update or delete leases in", "k8s-manifest"),
    Broken("logs are out of reach", as_user(lacks=("pods/log",)), "rights on cluster west",
           "may not get pods/log in namespaces west/dev, west/prod", "k8s-manifest", WARN),
    Broken("workloads of others are out of reach", as_user(lacks=("statefulsets", "daemonsets")),
           "rights on cluster west", "list or watch statefulsets or daemonsets on the whole of",
           "k8s-manifest", WARN),
    Broken("quotas are out of reach", as_user(lacks=("resourcequotas",)), "rights on cluster west",
           "may not list resourcequotas on the whole of cluster west", "k8s-manifest", WARN),
    Broken("a listed namespace is missing or has no Role", listed("dev", "gone"),
           "rights on cluster west", "“gone” does not exist", "Create the namespace"),
    Broken("an environment names a missing namespace", a_missing_namespace,
           "rights on cluster west", "no namespace “later” on cluster", "correct `environments`",
           WARN),
    Broken("no namespace that a pattern covers has a Role", only_patterns, "rights on cluster west",
           "may not patch deployments in any namespace of cluster west", "--gateway-namespace"),
    Broken("a Role for tokens alone lacks Leases", tokens_alone, "rights on cluster west",
           "keeps tokens alone, and may not get, create, update or delete leases", "Only tokens"),
    Broken("a plugin for credentials fails", a_plugin_that_fails, "cluster west",
           "AADSTS700016: there is no such application", "Ask whoever"),
    Broken("the token of a kubeconfig is wrong", kubeconfig(token="nobody"), "cluster west",
           "rejected the bot's credentials", "renew them"),
    Broken("the bot may not be whom the kubeconfig says", kubeconfig(**{"token": "bot", "as": "x"}),
           "cluster west", "", ""),
    Broken("the kubeconfig is missing", no_kubeconfig, "cluster west", "missing", ""),
    Broken("the kubeconfig lacks the context", a_missing_context, "cluster west", "elsewhere", ""),
    Broken("a cluster refuses connections", a_cluster_that_is_away, "cluster west", "refused", ""),
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
           "redis memory", "Once it has a maxmemory", "noeviction", WARN),
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
           "redis", "Redis refuses to write (", "docs/redis.md"),
    Broken("a primary would take writes without its replica", a_replicated_redis, "redis replicas",
           "min-replicas-to-write is not set", "Set `min-replicas-to-write 1`", WARN,
           ("redis durability",)),
)  # fmt: skip


def apim(**changes: str) -> Callable[[CheckBed], Setup]:
    return lambda bed: Setup({"apim": [bed.instance(**changes)]})


def azure_with(**changes: str) -> Callable[[CheckBed], Setup]:
    return lambda bed: Setup({"azure": {**bed.usual["azure"], **changes}})


def regenerating(bed: CheckBed) -> Setup:
    return Setup({"rotation": {"regenerate_keys": True}})


def one_of_two_instances(bed: CheckBed) -> Setup:
    other = bed.instance(name="other", service="nowhere")
    return Setup({"apim": [bed.instance(), other]})


AZURE = (
    Broken("the role lacks generateToken", lambda bed: bed.azure_as(azure.READER),
           "rights on API Management contoso",
           "may not generate tokens of contoso: its identity has no role there with the action "
           "Microsoft.ApiManagement/service/gateways/generateToken/action", "`gateway-bot azure-role`"),
    Broken("the role lacks read", lambda bed: bed.azure_as(azure.MINTER), "API Management contoso",
           "may not read gateways of contoso", "gateways/read"[:0]),
    Broken("no role is assigned", lambda bed: bed.azure_as(azure.APP), "API Management contoso",
           "may not read gateways of contoso", "azure-role",
           along=("rights on API Management contoso",)),
    Broken("keys are to be regenerated, and the role does not allow it", regenerating,
           "rights on API Management contoso", "may not regenerate keys of contoso", "azure-role"),
    Broken("the client secret is wrong",
           lambda bed: Setup(secrets={"AZURE_CLIENT_SECRET": "wrong"}), "API Management contoso",
           "rejected the bot's credentials", "AZURE_CLIENT_SECRET"),
    Broken("the application does not exist", azure_with(client_id="nobody"),
           "API Management contoso", "rejected the bot's credentials", "azure.client_id"),
    Broken("the service does not exist", apim(service="nowhere"), "API Management contoso",
           "Azure does not have", "`apim` in the settings"),
    Broken("the resource group does not exist", apim(resource_group="rg-other"),
           "API Management contoso", "rg-other", "`apim` in the settings"),
    Broken("the subscription does not exist",
           apim(subscription="00000000-0000-0000-0000-000000000000"), "API Management contoso",
           "could not be found", "`apim` in the settings"),
    Broken("Azure Resource Manager is away", azure_with(arm_endpoint=f"https://{CLOSED}"),
           "API Management contoso", "", ""),
    Broken("one of two instances does not exist", one_of_two_instances, "API Management other",
           "nowhere", "`apim` in the settings"),
)  # fmt: skip


def secrets(**given: str) -> Callable[[CheckBed], Setup]:
    return lambda bed: Setup(secrets=given)


def scopes(*missing: str) -> Callable[[CheckBed], Setup]:
    left = [scope for scope in SCOPES if scope not in missing]
    return lambda bed: Setup({"slack": bed.slack(scopes=left)})


def without_connections(bed: CheckBed) -> Setup:
    return Setup({"slack": bed.slack(app_token_scopes=())})


def of_another_app(bed: CheckBed) -> Setup:
    token = "xapp-1-A0OTHER-1-aa"
    return Setup({"slack": bed.slack(app_token=token)}, {"SLACK_APP_TOKEN": token})


def channel(name: str) -> Callable[[CheckBed], Setup]:
    return lambda bed: Setup({"warnings": {"channel": name}})


def asked_in(name: str) -> Callable[[CheckBed], Setup]:
    def make(bed: CheckBed) -> Setup:
        development = {"name": "development", "namespaces": ["dev"], "channels": [name]}
        return Setup({"environments": [bed.production(), development]})

    return make


def approvers(**people: object) -> Callable[[CheckBed], Setup]:
    return lambda bed: Setup({"environments": bed.production_of(**people)})


def an_empty_group(bed: CheckBed) -> Setup:
    slack = bed.slack(groups=[UserGroup("S0EMPTY", "empty", "Empty")])
    return Setup({"slack": slack, "environments": bed.production_of(groups=["S0EMPTY"])})


def everybody_has_left(bed: CheckBed) -> Setup:
    slack = bed.slack(users=[User("U0DEE", "dee", "Dee", deleted=True)])
    return Setup({"slack": slack, "environments": bed.production_of(users=["U0DEE"])})


def nobody_may_ask(bed: CheckBed) -> Setup:
    slack = bed.slack(groups=[UserGroup("S0EMPTY", "empty", "Empty")])
    production = bed.production(requesters={"groups": ["S0EMPTY"]})
    return Setup({"slack": slack, "environments": [production]})


def no_approvers(bed: CheckBed) -> Setup:
    production = bed.production()
    del production["approval"]
    return Setup({"environments": [production]})


SLACK = (
    Broken("the bot token is wrong", secrets(SLACK_BOT_TOKEN="xoxb-wrong"), "slack",
           "Slack refused auth.test: invalid_auth.", "copy its token again",
           along=("approvers of production", "channel C0OPS")),
    Broken("the tokens are swapped",
           secrets(SLACK_BOT_TOKEN="xapp-1-app", SLACK_APP_TOKEN="xoxb-1-bot"), "slack",
           "not_allowed_token_type", "SLACK_BOT_TOKEN begins with xoxb-",
           along=("slack Socket Mode", "approvers of production", "channel C0OPS")),
    Broken("the app may not answer", scopes("chat:write"), "slack scopes",
           "The app lacks chat:write (to answer).", "`gateway-bot slack-manifest --mode socket`"),
    Broken("the app may not look for lost requests", scopes("groups:read", "im:read"),
           "slack scopes", "im:read (to find lost requests", "install the app again", WARN),
    Broken("the app may not read user groups", scopes("usergroups:read"), "slack scopes",
           "usergroups:read (to know who approves)", "Add them", along=("approvers of production",)),
    Broken("the app-level token lacks its scope", without_connections, "slack Socket Mode",
           "missing_scope", "an app-level token with the scope connections:write"),
    Broken("the tokens are of two apps", of_another_app, "slack Socket Mode",
           "is of the app A0OTHER, and SLACK_BOT_TOKEN of the app A0APP", "Copy both"),
    Broken("Slack cannot be reached", lambda bed: Setup({"slack": {"api_url": f"http://{CLOSED}/"}}),
           "slack", "", "", along=("slack Socket Mode", "approvers of production", "channel C0OPS")),
    Broken("the bot is not in the channel for warnings", channel(ELSEWHERE), "channel C0ELSE",
           "not a member of that channel", "/invite"),
    Broken("the channel for warnings does not exist", channel("C0NOWHERE"), "channel C0NOWHERE",
           "not a member of that channel", "correct its ID"),
    Broken("the bot is not in a channel for requests", asked_in(ELSEWHERE), "channel C0ELSE",
           "not a member of that channel", "/invite"),
    Broken("production has no approvers", no_approvers, "approvers of production",
           "nobody can change anything there", "Add `approval`"),
    Broken("the group of approvers does not exist", approvers(groups=["S0GONE"]),
           "approvers of production", "The workspace has no user group S0GONE.", "Add people"),
    Broken("one of two groups does not exist", approvers(groups=["S0APP", "S0GONE"]),
           "approvers of production",
           "1 approval needed; 1 person can give it. The workspace has no user group S0GONE.",
           "Correct the settings", WARN),
    Broken("the group of approvers is empty", an_empty_group, "approvers of production",
           "The user group S0EMPTY has nobody in it.", "Add people"),
    Broken("the quorum is out of reach", approvers(groups=["S0APP"], quorum=2),
           "approvers of production", "1 people can approve there, and 2 approvals are needed.",
           "lower the quorum"),
    Broken("an approver does not exist", approvers(users=["U0NOBODY"]), "approvers of production",
           "The workspace has no user U0NOBODY.", "Add people"),
    Broken("the only approver has left", everybody_has_left, "approvers of production",
           "0 people can approve there", "Add people"),
    Broken("nobody may ask", nobody_may_ask, "requesters of production",
           "Nobody can ask for changes there", "requesters"),
    Broken("Slack's clock is another", lambda bed: Setup(
               {"slack": bed.slack(faults={"clock": "3 minutes behind"})}), "clock",
           "s ahead of Slack's. Requests that Slack signed", "NTP"),
)  # fmt: skip


def images(**changes: object) -> Callable[[CheckBed], Setup]:
    return lambda bed: Setup({"images": {**bed.usual["images"], **changes}})


def an_empty_repository(bed: CheckBed) -> Setup:
    return Setup(
        {"images": {"registry_url": bed.registry_of(tags=()).url, "repository": REPOSITORY}}
    )


def a_mirror_that_asks_who_is_there(bed: CheckBed) -> Setup:
    mirror = bed.registry_of(tags=("v2",), accounts=Accounts({"bot": "password"}))
    return Setup({"images": {**bed.usual["images"], "pull_from": mirror.name}})


def a_wrong_login(bed: CheckBed) -> Setup:
    setup = a_mirror_that_asks_who_is_there(bed)
    return Setup(setup.settings, {"REGISTRY_USER": "bot", "REGISTRY_PASSWORD": "wrong"})


REGISTRIES = (
    Broken("the repository does not exist", images(repository="other/gateway"), "image registry",
           "has no repository other/gateway", "Correct the repository"),
    Broken("the registry is away", images(registry_url=f"http://{CLOSED}"), "image registry",
           "does not answer", ""),
    Broken("the repository is empty", an_empty_repository, "image registry", "has no tags", "images",
           WARN),
    Broken("a mirror asks for a sign-in", a_mirror_that_asks_who_is_there, "images ",
           "Plans cannot check whether a tag exists", "", WARN),
    Broken("the password of a mirror is wrong", a_wrong_login, "images ", "rejected", "REGISTRY_",
           WARN),
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
