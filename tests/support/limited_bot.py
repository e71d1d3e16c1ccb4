"""A bot with the rights that it is installed with, and what a cluster's audit log says of it."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from bot.install.installation import Installation
from bot.sandbox.world import DEFAULT
from tests.bot.install import settings_of
from tests.support.control_plane import ControlPlane
from tests.support.kube_api import KubeApi, Obj
from tests.support.waiting import until

_RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
_PATHS = {
    "ServiceAccount": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "Role": f"{_RBAC}/roles",
    "RoleBinding": f"{_RBAC}/rolebindings",
}
ACCOUNT, HOME = "gateway-bot", "bot"
USER = f"system:serviceaccount:{HOME}:{ACCOUNT}"

Granted = tuple[str, str, str]
"""API group, resource and verb."""


def installed(namespaces: Sequence[str], home: str = HOME) -> list[Obj]:
    """What `gateway-bot k8s-manifest` prints for a bot that lists these namespaces of its cluster."""
    changes = {"clusters": [{"name": "west", "in_cluster": True, "namespaces": [*namespaces]}]}
    return settings_of.installed(Installation(settings_of.IMAGE, namespace=home), **changes)


def grant(api: KubeApi, objects: Sequence[Obj], home: str = HOME) -> str:
    """Make the namespaces and the account and rights that are among these objects; the bot's token."""
    mine = [each for each in objects if each["kind"] in _PATHS]
    for name in dict.fromkeys((home, *(each["metadata"]["namespace"] for each in mine))):
        if api.gone(f"/api/v1/namespaces/{name}"):
            api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    for each in mine:
        namespace = each["metadata"]["namespace"]
        api.create(_PATHS[each["kind"]].format(namespace=namespace), each)
    for each in mine:
        if each["kind"] == "RoleBinding":
            _await(api, each["metadata"]["namespace"], home)
    lasting = {"spec": {"expirationSeconds": 86_400}}
    accounts = _PATHS["ServiceAccount"].format(namespace=home)
    made = api.create(f"{accounts}/{ACCOUNT}/token", lasting)
    return str(made["status"]["token"])


def _await(api: KubeApi, namespace: str, home: str) -> None:
    """Wait until the Role there counts."""
    user = f"system:serviceaccount:{home}:{ACCOUNT}"
    # Asked of somebody else's rights, so that nothing of it is in the log as the bot's.
    review = {"spec": {"user": user, "resourceAttributes": {
        "verb": "list", "group": "apps", "resource": "deployments", "namespace": namespace,
    }}}  # fmt: skip
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    until(lambda: api.create(path, review)["status"]["allowed"], "the Role")


def kubeconfig(plane: ControlPlane, token: str, path: Path) -> Path:
    """The cluster as the context `west` of the bot."""
    config = yaml.safe_load(plane.kubeconfig.read_text())
    (context,) = [c for c in config["contexts"] if c["name"] == plane.context]
    limited = {"name": "west", "context": {**context["context"], "user": ACCOUNT}}
    path.touch(0o600)
    users = [{"name": ACCOUNT, "user": {"token": token}}]
    told = {"users": users, "contexts": [limited], "current-context": "west"}
    path.write_text(yaml.safe_dump({**config, **told}))
    return path


def world(path: Path, settings: Obj, gateways: Sequence[str]) -> Path:
    """A world of one cluster, `west`, whose bot has these settings beside the usual ones."""
    found: dict[str, Any] = yaml.safe_load(DEFAULT.read_text())
    found |= {
        "clusters": [{"name": "west", "namespaces": ["dev", "prod"]}],
        "production": [each for each in found["production"] if each["cluster"] == "west"],
        "legacy": None,
        "settings": settings,
    }
    found["azure"]["gateways"] = [{"name": name, "location": "North"} for name in gateways]
    path.write_text(yaml.safe_dump(found))
    return path


def asked(audit_log: Path) -> list[Obj]:
    """Every request of the bot, as the audit log has it; one line may be half written."""
    entries = []
    for line in audit_log.read_text().splitlines():
        if USER in line:
            try:
                entries.append(json.loads(line))
            except ValueError:
                continue
    return [each for each in entries if each["user"]["username"] == USER]


def refused(entries: Iterable[Obj]) -> list[str]:
    """Those that the cluster's access control said no to."""
    return [
        f"{each['verb']} {each['requestURI']}"
        for each in entries
        if (each.get("responseStatus") or {}).get("code") in (401, 403)
    ]


def used(entries: Iterable[Obj], namespaces: Sequence[str]) -> set[Granted]:
    """The rights of a Role there that they took. An apply that makes an object takes two."""
    found: set[Granted] = set()
    for each in entries:
        at = each.get("objectRef") or {}
        if at.get("namespace") not in namespaces:
            continue
        resource = "/".join(filter(None, (at["resource"], at.get("subresource"))))
        group, verb = at.get("apiGroup", ""), each["verb"]
        found.add((group, resource, verb))
        if verb == "patch" and (each.get("responseStatus") or {}).get("code") == 201:
            found.add((group, resource, "create"))
    return found


def granted(role: Obj) -> set[Granted]:
    """What a Role allows, one by one."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
