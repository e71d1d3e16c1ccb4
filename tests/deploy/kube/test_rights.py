"""The rights that the documentation gives are those of the table that installs and checks."""

import yaml

from deploy.kube.rights import BESIDE_CLUSTER_ROLE, cluster_role, role
from tests.support.processes import ROOT


def block(heading: str) -> str:
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    section = page.partition(f"\n{heading}\n")[2].partition("\n### ")[0]
    return section.partition("```yaml\n")[2].partition("```")[0]


def test_the_documented_role_for_listed_namespaces_is_the_one_that_is_checked() -> None:
    assert yaml.safe_load(block("### Listed namespaces")) == role("dev")


def test_the_documented_rights_on_a_whole_cluster_are_those_that_are_installed() -> None:
    told = list(yaml.safe_load_all(block("## Kubernetes")))
    assert told == [cluster_role(), role("dev", BESIDE_CLUSTER_ROLE)]
