import re
from pathlib import Path
from typing import Any

import yaml

from bot.sandbox.rights import rights

_GUIDE = Path(__file__).parents[3] / "docs" / "install.md"


def test_the_guide_gives_the_rights_that_the_sandbox_gives() -> None:
    block = next(b for b in re.findall(r"```yaml\n(.*?)```", _GUIDE.read_text(), re.DOTALL))
    told = {item["kind"]: _granted(item) for item in yaml.safe_load_all(block)}
    given = {item["kind"]: _granted(item) for item in rights(["dev"]) if "rules" in item}
    assert told == given


def _granted(role: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
