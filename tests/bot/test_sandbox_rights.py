"""The sandbox gives its bot the rights that the product's table says it needs, and no other."""

from bot.sandbox.rights import rights
from deploy.kube.rights import BESIDE_CLUSTER_ROLE, cluster_role, role
from tests.support.limited_bot import granted


def test_the_sandbox_gives_the_rights_that_an_installation_has() -> None:
    told = {"ClusterRole": cluster_role(), "Role": role("dev", BESIDE_CLUSTER_ROLE)}
    given = {item["kind"]: granted(item) for item in rights(["dev"]) if "rules" in item}
    assert {kind: granted(item) for kind, item in told.items()} == given
