"""The page that shows every message."""

from tests.pictures.__main__ import page
from tests.support.processes import ROOT


def test_docs_slack_is_what_the_pictures_script_writes() -> None:
    assert (ROOT / "docs" / "slack.md").read_text(encoding="utf-8") == page()
