"""`gateway-bot check` is green on each of these set-ups, which are right, though few have them so."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from bot.install.redis_acl import acl
from bot.proofs.results import Status
from bot.sandbox.registry_accounts import Accounts
from bot.sandbox.slack import Channel, User, UserGroup
from deploy.kube.rights import RBAC
from tests.support import azure
from tests.support.certificates import Authority
from tests.support.check_bed import REPOSITORY, CheckBed, Setup
from tests.support.exec_plugins import Issuer, credential
from tests.support.redis_servers import redis_cluster
from tests.support.sentinels import Sentinels
from tests.support.slack_workspace import BEN, BOT, DAN, OPS, SCOPES
from tests.support.tls_redis import PASSWORD, QUOTED, tls_servers

Make = Callable[[CheckBed], Setup]


@dataclass(frozen=True)
class Right:
    """A set-up, and what is said of the service that it is about."""

    says: str
    make: Make
    name: str
    detail: str


def clusters(*make: Callable[[CheckBed], dict[str, Any]]) -> Make:
    return lambda bed: Setup({"clusters": [each(bed) for each in make]})


def entry(bed: CheckBed, **user: Any) -> dict[str, Any]:
    return {"name": "west", "kubeconfig": str(bed.kubeconfig_of(user))}


def with_a_token_file(bed: CheckBed) -> dict[str, Any]:
    path = bed.directory / "token"
    path.write_text("admin\n")
    return entry(bed, tokenFile=str(path), **{"as": bed.user("dev", "prod")})


def with_a_plugin(bed: CheckBed) -> dict[str, Any]:
    issuer = Issuer(bed.directory, lambda _: credential({"token": "admin"}))
    bed.ends.enter_context(issuer)
    return {"name": "west", "kubeconfig": str(bed.kubeconfig_of(issuer.user()))}


def with_a_certificate(bed: CheckBed) -> dict[str, Any]:
    certificate, key = bed.cluster.authority.client_pair(bed.user("dev", "prod"), (), 600)
    files = {"client-certificate": certificate, "client-key": key}
    for name, text in files.items():
        (bed.directory / name).write_text(text)
    return entry(bed, **{name: str(bed.directory / name) for name in files})


def as_a_service_account(bed: CheckBed) -> dict[str, Any]:
    name = f"bot-{bed.number()}"
    user = f"system:serviceaccount:tools:{name}"
    given = bed.user("dev", "prod")
    for item in bed.cluster.get(f"/apis/{RBAC}/v1/rolebindings")["items"]:
        if item["metadata"]["name"] == given:
            item["subjects"].append({"apiGroup": RBAC, "kind": "User", "name": user})
            item["metadata"].pop("managedFields", None)
            bed.cluster.wait(bed.cluster.cluster.apply([_bare(item, "RoleBinding")]))
    whole = bed.cluster.get(f"/apis/{RBAC}/v1/clusterrolebindings/{given}")
    whole["subjects"].append({"apiGroup": RBAC, "kind": "User", "name": user})
    bed.cluster.wait(bed.cluster.cluster.apply([_bare(whole, "ClusterRoleBinding")]))
    return bed.west(user)


def _bare(item: dict[str, Any], kind: str) -> dict[str, Any]:
    kept = {key: item[key] for key in ("roleRef", "subjects")}
    metadata = {k: v for k, v in item["metadata"].items() if k in ("name", "namespace")}
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata, **kept}


def everything_by_wildcard(bed: CheckBed) -> dict[str, Any]:
    name = f"user-{bed.number()}"
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    kind = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}}
    bed.bind(name, [{**kind, "rules": rules}])
    return bed.west(name)


def listed(bed: CheckBed) -> dict[str, Any]:
    return bed.west(bed.user("dev", "prod", everywhere=False), namespaces=["dev", "prod"])


def one_listed(bed: CheckBed) -> dict[str, Any]:
    return bed.west(bed.user("tools", everywhere=False), namespaces=["tools"])


def without_argo(bed: CheckBed) -> dict[str, Any]:
    return bed.west(bed.user("dev", "prod", lacks=("rollouts",)))


def environments(*namespaces: str, roles: tuple[str, ...]) -> Make:
    def make(bed: CheckBed) -> Setup:
        every = [{"name": "all", "namespaces": [*namespaces]}]
        return Setup({"clusters": [bed.west(bed.user(*roles))], "environments": every})

    return make


def east_too(bed: CheckBed) -> dict[str, Any]:
    return {**bed.west(bed.user("tools", everywhere=False), namespaces=["tools"]), "name": "east"}


def of_one_cluster(bed: CheckBed) -> Setup:
    """An environment that is on another cluster alone names a namespace that this one lacks."""
    east = {"name": "elsewhere", "clusters": ["east"], "namespaces": ["far-away"]}
    every = [bed.production(), {"name": "development", "namespaces": ["dev"]}, east]
    return Setup({"environments": every})


CLUSTERS = (
    Right("namespaces are listed, with Roles alone", clusters(listed), "cluster west",
          "namespaces dev, prod; may change gateways in dev, prod"),
    Right("one namespace is listed", clusters(one_listed), "cluster west", "namespace tools; may"),
    Right("the token is in a file", clusters(with_a_token_file), "cluster west", "in dev, prod"),
    Right("a plugin signs in", clusters(with_a_plugin), "cluster west", "in dev, prod"),
    Right("a client certificate signs in", clusters(with_a_certificate), "cluster west",
          "in dev, prod"),
    Right("a ServiceAccount of another name signs in", clusters(as_a_service_account),
          "cluster west", "in dev, prod"),
    Right("one rule allows everything", clusters(everything_by_wildcard), "cluster west",
          "may change gateways in dev, prod"),
    Right("Argo Rollouts is neither installed nor in the rules", clusters(without_argo),
          "cluster west", "in dev, prod"),
    Right("environments have patterns, and one namespace a Role",
          environments("prod*", "dev-*", roles=("prod-eu",)), "cluster west",
          "may change gateways in prod-eu"),
    Right("an environment covers everything", environments("*", roles=("tools",)), "cluster west",
          "may change gateways in tools"),
    Right("names and patterns stand side by side",
          environments("dev", "prod*", roles=("dev", "prod-eu")), "cluster west",
          "may change gateways in dev, prod-eu"),
    Right("of two clusters one has its namespaces listed",
          clusters(lambda bed: bed.west(bed.user("dev", "prod")), east_too), "cluster east",
          "may change gateways in tools"),
    Right("an environment is on another cluster", of_one_cluster, "cluster west", "in dev, prod"),
)  # fmt: skip


def redis_at(make: Callable[[CheckBed], str]) -> Make:
    return lambda bed: Setup({"redis": {"url": make(bed)}})


def by_password(bed: CheckBed) -> str:
    bed.redis().config_set("requirepass", "secret")
    admin = redis.Redis.from_url(bed.valkey.url.replace("://", "://:secret@"))
    bed.ends.callback(admin.config_set, "requirepass", "")
    return bed.valkey.url.replace("unix://", "unix://:secret@")


def redis_set(**given: str) -> Make:
    def make(bed: CheckBed) -> Setup:
        bed.redis_set(**given)
        return Setup()

    return make


def a_cluster(bed: CheckBed) -> str:
    directory = bed.directory / f"cluster-{bed.number()}"
    directory.mkdir()
    url = bed.ends.enter_context(redis_cluster(directory))
    nodes = redis.RedisCluster.from_url(url.replace("redis+cluster", "redis"))
    everyone = redis.RedisCluster.ALL_NODES
    line = acl(cluster=True, password=">secret").split()[1:]
    nodes.execute_command("ACL SETUSER", *line, target_nodes=everyone)
    nodes.close()
    return url.replace("//", f"//{line[0]}:secret@", 1)


def sentinels(bed: CheckBed) -> str:
    servers = Sentinels(bed.directory / f"sentinels-{bed.number()}")
    bed.ends.callback(servers.stop)
    servers.start()
    return servers.url


def by_tls(bed: CheckBed) -> str:
    directory = bed.directory / f"tls-{bed.number()}"
    authority = Authority(directory)
    signed = authority.signs("localhost", "127.0.0.1")
    more = ("--appendonly", "yes")
    servers = tls_servers(directory, authority, signed, 1, *more)
    (server,) = bed.ends.enter_context(servers)
    assert PASSWORD != QUOTED
    return f"rediss://:{QUOTED}@localhost:{server.port}/1?ssl_ca_certs={authority.file}"


def a_cluster_outside_production(bed: CheckBed) -> Setup:
    return Setup({"redis": {"url": a_cluster(bed)}, "environments": [{"name": "development"}]})


REDIS = (
    Right("Redis has the documented user", redis_at(lambda bed: bed.redis_user()), "redis rights",
          "every command that the bot sends is allowed"),
    Right("Redis has a password", redis_at(by_password), "redis", "Valkey"),
    Right("Redis has another database", redis_at(lambda bed: f"{bed.valkey.url}?db=3"), "redis",
          "Valkey"),
    Right("a user of Redis has another database",
          redis_at(lambda bed: f"{bed.redis_user()}?db=5"), "redis durability", "appendonly yes"),
    Right("Redis has Sentinels and replicas", redis_at(sentinels), "redis replicas",
          "2 replicas, min-replicas-to-write is set"),
    Right("Redis is reached by TLS, with a password", redis_at(by_tls), "redis durability",
          "appendonly yes, appendfsync everysec"),
    Right("Redis has much memory", redis_set(maxmemory="256mb"), "redis memory", "of 256 MB in use"),
    Right("Redis writes each command to disk", redis_set(appendfsync="always"), "redis durability",
          "appendfsync always"),
    Right("the user of Redis may do everything", redis_at(lambda bed: bed.redis_user("+@all", "~*")),
          "redis rights", "every command"),
)  # fmt: skip


def azure_of(**changes: Any) -> Make:
    return lambda bed: Setup({"azure": {**bed.usual["azure"], **changes}})


def two_instances(bed: CheckBed) -> Setup:
    return Setup({"apim": [bed.instance(), bed.instance(name="fabrikam", service="fabrikam")]})


def a_contributor(bed: CheckBed) -> Setup:
    setup = bed.azure_as(azure.OWNER)
    return Setup({**setup.settings, "rotation": {"regenerate_keys": True}}, setup.secrets)


AZURE = (
    Right("the identity may do more than it needs", a_contributor, "API Management contoso",
          "may generate tokens and regenerate keys"),
    Right("there are two instances", two_instances, "API Management fabrikam",
          "1 self-hosted gateway: edge-1; may generate tokens"),
    Right("names are written in other letter case",
          lambda bed: Setup({"apim": [bed.instance(service="Contoso", resource_group="RG-APIM")]}),
          "API Management contoso", "5 self-hosted gateways"),
    Right("the cloud is Azure Government", azure_of(cloud="usgov"), "API Management contoso",
          "may generate tokens"),
    Right("the cloud is Azure China", azure_of(cloud="china"), "API Management contoso",
          "may generate tokens"),
    Right("gateways have a configuration endpoint of their own",
          lambda bed: Setup({"apim": [bed.instance(configuration_endpoint="apim.example.com")]}),
          "API Management contoso", "5 self-hosted gateways"),
)  # fmt: skip


def http_mode(bed: CheckBed) -> Setup:
    http = {"mode": "http", "http": {"path": "/deliver"}}
    return Setup({"slack": {**bed.slack(app_token_scopes=()), **http}})


def a_private_channel(bed: CheckBed) -> Setup:
    private = Channel("G0PRIV", "private", is_private=True, members=(BEN, BOT))
    return Setup({"slack": bed.slack(channels=[private]), "warnings": {"channel": "G0PRIV"}})


def no_channel(bed: CheckBed) -> Setup:
    return Setup({"warnings": {}})


def own_channels(bed: CheckBed) -> Setup:
    more = Channel("C0PROD", "production", members=(BEN, BOT))
    production = bed.production(channels=["C0PROD"], warnings={"channel": "C0PROD"})
    every = [production, {"name": "development", "namespaces": ["dev"], "channels": [OPS]}]
    return Setup({"slack": bed.slack(channels=[more]), "environments": every})


def people(*users: User, many: tuple[str, ...] = (BEN,), **approvers: Any) -> Make:
    """Production with those approvers; the group S0MANY has `many`."""
    return lambda bed: Setup(
        {
            "slack": bed.slack(users=users, groups=[UserGroup("S0MANY", "many", "Many", many)]),
            "environments": bed.production_of(**approvers),
        }
    )


def requesters(bed: CheckBed) -> Setup:
    return Setup({"environments": [bed.production(requesters={"groups": ["S0APP"]})]})


LEFT, GUEST = (
    User("U0DEE", "dee", "Dee", deleted=True),
    User("U0GUS", "gus", "Gus", is_restricted=True),
)
SLACK = (
    Right("Slack delivers over HTTP", http_mode, "slack HTTP mode", "four URLs that end in /deliver"),
    Right("warnings go to a private channel", a_private_channel, "channel G0PRIV", "warnings can be"),
    Right("nobody is warned", no_channel, "slack", "signed in to Contoso"),
    Right("an environment has channels of its own", own_channels, "channel C0PROD", "warnings can"),
    Right("two people are named, and both must approve",
          people(users=[BEN, DAN], quorum=2), "approvers of production", "2 people can give"),
    Right("people are named beside a group", people(users=[DAN], groups=["S0APP"]),
          "approvers of production", "1 approval needed; 2 people can give it"),
    Right("somebody of a group has left, and enough are left",
          people(LEFT, many=("U0DEE", BEN, DAN), groups=["S0MANY"], quorum=2),
          "approvers of production", "2 people can give"),
    Right("a guest is named", people(GUEST, users=["U0GUS"]), "approvers of production",
          "1 approval needed; 1 person can give it"),
    Right("requesters are a group", requesters, "requesters of production", "1 person can ask"),
    Right("the app has more scopes than it needs",
          lambda bed: Setup({"slack": bed.slack(scopes=[*SCOPES, "reactions:read"])}),
          "slack scopes", "the app has all 14"),
    Right("the command has another name",
          lambda bed: Setup({"slack": {**bed.usual["slack"], "command": "/apim"}}), "slack", "signed"),
)  # fmt: skip


def mirror(accounts: Accounts | None, **secrets: str) -> Make:
    def make(bed: CheckBed) -> Setup:
        registry = bed.registry_of(tags=("2.12.1", "v2"), accounts=accounts)
        return Setup({"images": {**bed.usual["images"], "pull_from": registry.name}}, secrets)

    return make


def by_docker_configuration(bed: CheckBed) -> Setup:
    registry = bed.registry_of(tags=("v2",), accounts=Accounts({"bot": "password"}))
    path = bed.directory / "docker.json"
    host = registry.name.partition("/")[0]
    login = {"username": "bot", "password": "password"}
    path.write_text(json.dumps({"auths": {host: login}}))
    images = {**bed.usual["images"], "docker_config": str(path), "repositories": [registry.name]}
    return Setup({"images": images})


def many_pages(bed: CheckBed) -> Setup:
    registry = bed.registry_of(tags=[f"2.{n}.0" for n in range(25)], page=10)
    return Setup({"images": {"registry_url": registry.url, "repository": REPOSITORY}})


LOGIN = {"REGISTRY_USER": "bot", "REGISTRY_PASSWORD": "password"}
REGISTRIES = (
    Right("images come from an open mirror", mirror(None), "images ", "2 tags"),
    Right("images come from a mirror that asks for a sign-in",
          mirror(Accounts({"bot": "password"}), **LOGIN), "images ", "2 tags"),
    Right("a mirror asks for a sign-in by Basic",
          mirror(Accounts({"bot": "password"}, scheme="basic"), **LOGIN), "images ", "2 tags"),
    Right("a mirror gives everybody a token", mirror(Accounts({}, anonymous=True)), "images ",
          "2 tags"),
    Right("the sign-in to a mirror is in a Docker configuration", by_docker_configuration,
          "images ", "1 tags"),
    Right("tags are listed on several pages", many_pages, "image registry", "25 tags"),
)  # fmt: skip

RIGHT = (*CLUSTERS, *REDIS, *AZURE, *SLACK, *REGISTRIES)
OTHERS = ("slack", "approvers", "requesters", "channel", "redis", "API", "image", "clock")
"""All but the clusters, which are asked a hundred questions."""


@pytest.mark.parametrize("right", RIGHT, ids=lambda right: right.says)
def test_all_is_well_where(right: Right, bed: CheckBed) -> None:
    services = ("cluster",) if right in CLUSTERS else OTHERS
    results = bed.check(right.make(bed), *services)
    assert [result for result in results if result.status is not Status.OK] == []
    said = [result.detail for result in results if result.name.startswith(right.name)]
    assert any(right.detail in detail for detail in said), results


def test_there_are_thirty_at_least_and_each_is_another() -> None:
    assert len({right.says for right in RIGHT}) == len(RIGHT) >= 30


def test_a_cluster_of_redis_is_proved_node_by_node(bed: CheckBed) -> None:
    results = {r.name: r for r in bed.check(a_cluster_outside_production(bed), "redis")}
    assert results["redis rights"].status is Status.OK
    assert results["redis rights"].detail.endswith("(2 nodes)")
    # Each node that keeps no file is named.
    assert len([name for name in results if name.startswith("redis durability at 127.0.0.1:")]) == 2


@pytest.mark.parametrize("covered", ["prod", "pro?"])
def test_where_the_bot_keeps_tokens_alone_is_said_as_a_warning(covered: str, bed: CheckBed) -> None:
    user = bed.user("dev") if covered == "prod" else bed.user()
    token = ["edge-1-managed-token", "edge-1-managed-token-previous"]
    leases = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    rules = [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": token, "verbs": ["get"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["edge-1"],
         "verbs": ["get", "patch"]},
        {**leases, "verbs": ["get", "create", "update", "delete"]},
    ]  # fmt: skip
    metadata = {"name": f"{user}-tokens", "namespace": "prod"}
    bed.bind(
        user, [{"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": rules}]
    )
    environments = bed.usual["environments"]
    if covered != "prod":
        environments = [bed.production(namespaces=[covered])]
    setup = Setup({"clusters": [bed.west(user)], "environments": environments})
    results = bed.check(setup, "cluster")
    (warned,) = [result for result in results if result.status is not Status.OK]
    assert warned.status is Status.WARN
    assert "In namespace west/prod the bot may change only edge-1" in warned.detail
