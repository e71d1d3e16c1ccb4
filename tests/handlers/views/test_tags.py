"""The image's tags: what can be used, what has no support any more, and what gateways run."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deploy.images import support
from handlers.views.reply import Reply
from handlers.views.tags import TagRow, listing
from tests.support.shown import check_blocks

TAGS = ("2.9.0", "2.10.0", "2.11.1", "2.12.1", "v2", "v2-preview")
RUNNING = {"2.11.1": 2, "2.8.0": 1, "sha256:0123": 1, "": 1}


def said(tags: tuple[str, ...] = TAGS, *, silent: tuple[str, ...] = (), whole: bool = False) -> str:
    rows = [
        TagRow(tag, support(tag, tags), RUNNING.get(tag, 0), tag in tags)
        for tag in {*tags, *RUNNING}
    ]
    return text(listing(rows, silent, "mcr.microsoft.com/gateway", "/gateway", whole))


def text(reply: Reply) -> str:
    check_blocks(list(reply.blocks))
    return json.dumps([reply.text, *reply.blocks], ensure_ascii=False)


def line(shown: str, tag: str) -> str:
    return next(line for line in shown.split("\\n") if line.startswith(f"{tag} "))


def test_each_tag_has_its_support_and_how_many_gateways_run_it() -> None:
    shown = said()
    assert shown.index("2.12.1") < shown.index("2.11.1 ") < shown.index("v2 ")
    assert "newest" in line(shown, "2.12.1")
    assert line(shown, "2.11.1").split()[1:] == ["supported,", "superseded", "by", "2.11.2", "2"]
    assert "not for production" in line(shown, "v2")
    assert "preview, unsupported" in line(shown, "v2-preview")


def test_what_runs_is_told_also_where_the_registry_has_it_no_more() -> None:
    shown = said()
    assert "1 gateway without support" in shown
    assert "no longer supported, not in the registry" in line(shown, "2.8.0")
    assert "pinned by a digest" in line(shown, "sha256:0123")
    assert "latest, not for production" in line(shown, "(none)")


def test_versions_without_support_that_nobody_runs_are_shown_when_asked_for() -> None:
    assert "2.9.0 " not in said()
    assert "1 version without support left out: `/gateway tags --all`" in said()
    assert "no longer supported" in line(said(whole=True), "2.9.0")
    assert "left out" not in said(whole=True)


def test_a_cluster_that_cannot_be_read_is_named() -> None:
    assert "west cannot be read now, so more gateways may run these" in said(silent=("west",))


@given(st.lists(st.text(max_size=200), max_size=400), st.booleans())
def test_any_tags_are_a_message_that_slack_takes(tags: list[str], whole: bool) -> None:
    rows: list[Any] = [TagRow(tag, support(tag, tags), 1, listed=True) for tag in set(tags)]
    check_blocks(list(listing(rows, ["<west>"] * 3, "r", "/gateway", whole).blocks))
