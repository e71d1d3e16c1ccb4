"""The Role for listed namespaces is the one that the documentation gives."""

import yaml

from deploy.kube.rights import role
from tests.support.processes import ROOT


def test_the_documented_role_for_listed_namespaces_is_the_one_that_is_checked() -> None:
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    section = page.partition("### Listed namespaces")[2].partition("\n### ")[0]
    block = section.partition("```yaml\n")[2].partition("```")[0]
    assert yaml.safe_load(block) == role("dev")
