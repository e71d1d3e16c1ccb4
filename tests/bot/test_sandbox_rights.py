"""The sandbox gives its bot the rights that the product's table says it needs, and no other."""

from typing import Any

from bot.sandbox.rights import rights
from deploy.kube.rights import BESIDE_CLUSTER_ROLE, cluster_role, role


def test_the_sandbox_gives_the_rights_that_an_installation_has() -> None:
    told = {"ClusterRole": cluster_role(), "Role": role("dev", BESIDE_CLUSTER_ROLE)}
    given = {item["kind"]: _granted(item) for item in rights(["dev"]) if "rules" in item}
    assert {kind: _granted(item) for kind, item in told.items()} == given


def _granted(role: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
