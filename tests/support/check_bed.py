"""Services of which `gateway-bot check` is green, and what it says of settings that differ from these."""

import contextlib
import dataclasses
import functools
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from bot.checks import proofs
from bot.install.redis_acl import acl
from bot.proofs.results import Result, all_of
from bot.sandbox.registry import Registry
from bot.sandbox.slack import Channel, SlackWorkspace, User, UserGroup
from bot.sandbox.valkey import Valkey
from bot.settings import Secrets, Settings
from deploy.kube.rights import BESIDE_CLUSTER_ROLE, IN_NAMESPACE, RBAC, cluster_role, role
from tests.support import azure
from tests.support.azure import AzureBed, azure_bed
from tests.support.loops import running as running_part
from tests.support.running_cluster import RunningCluster
from tests.support.slack_workspace import (
    ANA,
    APP_TOKEN,
    BEN,
    BOT,
    BOT_TOKEN,
    DAN,
    OPS,
    SECRET,
    app_config,
    workspace,
)
from tests.support.slack_workspace import running as running_slack

Obj = dict[str, Any]
NAMESPACES = ("dev", "prod", "prod-eu", "tools")
REPOSITORY = "azure-api-management/gateway"
SECONDS = 60.0


@dataclass
class Setup:
    """What a person has set up: parts of the settings, and secrets, instead of the usual ones."""

    settings: Obj = field(default_factory=dict)
    secrets: Obj = field(default_factory=dict)


class CheckBed:
    """Shared by the tests of a module: a cluster, an Azure, a Valkey, a registry and a Slack."""

    def __init__(
        self,
        directory: Path,
        cluster: RunningCluster,
        arm: AzureBed,
        valkey: Valkey,
        registry: Registry,
        slack_url: str,
    ) -> None:
        self.directory = directory
        self.cluster = cluster
        self.arm = arm
        self.valkey = valkey
        self.registry = registry
        self.slack_url = slack_url
        self.ends = contextlib.ExitStack()
        """What a test ends after itself."""
        self._numbers = itertools.count()

    @property
    def usual(self) -> Obj:
        """Settings with which all is well."""
        user = self.user("dev", "prod")
        return {
            "slack": {"api_url": self.slack_url},
            "redis": {"url": self.valkey.url},
            "azure": {
                "authority": self.arm.azure.url,
                "arm_endpoint": self.arm.azure.url,
                "tenant_id": azure.TENANT,
                "client_id": azure.BOT,
            },
            "apim": [self.instance()],
            "clusters": [self.west(user)],
            "environments": [
                self.production(),
                {"name": "development", "namespaces": ["dev"]},
            ],
            "images": {"registry_url": self.registry.url, "repository": REPOSITORY},
            "warnings": {"channel": OPS},
        }

    def production(self, **changes: Any) -> Obj:
        """An environment with people who decide."""
        return {
            "name": "production",
            "namespaces": ["prod"],
            "production": True,
            "approval": {"approvers": {"groups": ["S0APP"]}},
            **changes,
        }

    def instance(self, **changes: Any) -> Obj:
        """The API Management instance."""
        return {
            "name": "contoso",
            "subscription": azure.SUBSCRIPTION,
            "resource_group": "rg-apim",
            "service": "contoso",
            **changes,
        }

    def west(self, user: str, **changes: Any) -> Obj:
        """The cluster, as that user."""
        return {"name": "west", "kubeconfig": str(self.kubeconfig(user)), **changes}

    def kubeconfig(self, user: str) -> Path:
        """One that impersonates the user, who has no more rights than roles give."""
        return self.kubeconfig_of({"token": "admin", "as": user})

    def kubeconfig_of(self, entry: Obj) -> Path:
        """One for any user's entry."""
        return self.cluster.kubeconfig_of(entry, f"kubeconfig-{self.number()}")

    def number(self) -> int:
        """One that nothing else has."""
        return next(self._numbers)

    def user(
        self,
        *namespaces: str,
        everywhere: bool = True,
        lacks: Sequence[str] = (),
        verbs: Sequence[str] = (),
    ) -> str:
        """A new user with a Role in those namespaces, and the ClusterRole; without rights on the
        resources that it `lacks`, or without `verbs` on them where some are given."""
        name = f"user-{self.number()}"
        rights = BESIDE_CLUSTER_ROLE if everywhere else IN_NAMESPACE
        made = [role(n, rights, name) for n in namespaces]
        if everywhere:
            made.append(cluster_role(name))
        for each in made:
            each["rules"] = [r for rule in each["rules"] for r in _less(rule, lacks, verbs)]
        self.bind(name, made)
        return name

    def bind(self, user: str, roles: Sequence[Obj]) -> None:
        """Give a user those Roles and ClusterRoles."""
        for each in roles:
            binding = {
                "apiVersion": f"{RBAC}/v1",
                "kind": f"{each['kind']}Binding",
                "metadata": each["metadata"],
                "roleRef": {
                    "apiGroup": RBAC,
                    "kind": each["kind"],
                    "name": each["metadata"]["name"],
                },
                "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
            }
            self.cluster.wait(self.cluster.cluster.apply([each, binding]))

    def redis_user(self, *rules: str, **options: bool) -> str:
        """The URL of a new user of Redis with the documented ACL, and those rules after it."""
        name = f"user-{self.number()}"
        words = acl(**options, password=">secret").split()[2:]
        self.redis().execute_command("ACL", "SETUSER", name, *words, *rules)
        return self.valkey.url.replace("unix://", f"unix://{name}:secret@")

    def redis(self) -> Any:
        """A client that may do everything."""
        client = redis.Redis.from_url(self.valkey.url, decode_responses=True)
        self.ends.callback(client.close)
        return client

    def redis_set(self, **given: str) -> None:
        """Set parameters until the test ends."""
        client = self.redis()
        for name, value in given.items():
            parameter = name.replace("_", "-")
            before = client.config_get(parameter)[parameter]
            client.config_set(parameter, value)
            self.ends.callback(client.config_set, parameter, before)

    def slack(
        self,
        *,
        users: Sequence[User] = (),
        groups: Sequence[UserGroup] = (),
        channels: Sequence[Channel] = (),
        faults: Mapping[str, Any] | None = None,
        **app: Any,
    ) -> Obj:
        """The `slack` settings of a workspace of the test's own, with those beside the usual ones; `app`
        are fields of its app."""
        person = self.ends.enter_context(
            running_slack(
                SlackWorkspace(
                    team={"id": "T0TEAM", "name": "Contoso", "domain": "contoso"},
                    users=[User(id, id.lower(), id) for id in (ANA, BEN, DAN)] + list(users),
                    usergroups=[UserGroup("S0APP", "approvers", "Approvers", (BEN,)), *groups],
                    channels=[Channel(OPS, "gateway-ops", members=(BEN, BOT)), *channels],
                    app=dataclasses.replace(app_config(), **app),
                )
            )
        )
        for name, value in (faults or {}).items():
            person.call(functools.partial(person.slack.faults.set, name, value))
        return {"api_url": person.slack.api_url}

    def production_of(self, **approvers: Any) -> list[Obj]:
        """Environments of which production has those approvers."""
        quorum = approvers.pop("quorum", 1)
        approval = {"approvers": approvers, "quorum": quorum}
        return [self.production(approval=approval), {"name": "development", "namespaces": ["dev"]}]

    def azure_as(self, client: str) -> Setup:
        """Signed in as another application."""
        usual = {**self.usual["azure"], "client_id": client}
        return Setup({"azure": usual}, {"AZURE_CLIENT_SECRET": f"{client}-secret"})

    def registry_of(self, **options: Any) -> Registry:
        """A registry of the test's own."""
        registry = Registry(repository=REPOSITORY, **options)
        self.ends.enter_context(running_part(registry))
        return registry

    def check(self, setup: Setup, *services: str) -> list[Result]:
        """What it says of that; of those services alone where some are named."""
        settings = Settings.model_validate({**self.usual, **setup.settings})
        secrets = Secrets.model_validate(
            {
                "SLACK_BOT_TOKEN": BOT_TOKEN,
                "SLACK_APP_TOKEN": APP_TOKEN,
                "SLACK_SIGNING_SECRET": SECRET,
                "AZURE_CLIENT_SECRET": f"{azure.BOT}-secret",
                **setup.secrets,
            }
        )
        chosen = {
            name: prove
            for name, prove in proofs(settings, secrets).items()
            if not services or name.startswith(services)
        }
        return all_of(chosen, SECONDS)


def _less(rule: Mapping[str, Any], lacks: Sequence[str], verbs: Sequence[str]) -> list[Obj]:
    """A rule of RBAC without something."""
    kept = [each for each in rule["resources"] if each not in lacks]
    some = [each for each in rule["resources"] if each in lacks]
    left = [verb for verb in rule["verbs"] if verb not in verbs] if verbs else []
    return [
        {**rule, "resources": resources, "verbs": its}
        for resources, its in ((kept, rule["verbs"]), (some, left))
        if resources and its
    ]


@contextlib.contextmanager
def check_bed(directory: Path) -> Iterator[CheckBed]:
    """The bed, whose authority everything in this process trusts meanwhile."""
    with contextlib.ExitStack() as stack:
        arm = stack.enter_context(azure_bed(directory))
        cluster = RunningCluster(directory, namespaces=NAMESPACES, with_kubelet=False)
        stack.enter_context(cluster)
        valkey = Valkey(directory / "valkey")
        valkey.start()
        stack.callback(valkey.stop)
        registry = Registry(repository=REPOSITORY, tags=("2.11.1", "2.12.1", "v2"))
        stack.enter_context(running_part(registry))
        slack = stack.enter_context(running_slack(workspace(app_config())))
        before = os.environ.get("REQUESTS_CA_BUNDLE")
        os.environ["REQUESTS_CA_BUNDLE"] = str(arm.authority.ca_pem_path)
        try:
            yield CheckBed(directory, cluster, arm, valkey, registry, slack.slack.api_url)
        finally:
            if before is None:
                del os.environ["REQUESTS_CA_BUNDLE"]
            else:
                os.environ["REQUESTS_CA_BUNDLE"] = before
