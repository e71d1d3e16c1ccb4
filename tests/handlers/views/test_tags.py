"""The image's tags: what can be used, what has no support any more, and what gateways run."""

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deploy.images.support import support
from handlers.views.reply import Reply
from handlers.views.tags import Mirror, Shown, TagRow, digests, listing
from tests.support.shown import check_blocks

TAGS = ("2.9.0", "2.10.0", "2.11.1", "2.12.1", "v2", "v2-preview")
RUNNING = {"2.11.1": 2, "2.8.0": 1, "sha256:0123": 1, "": 1}


def said(
    tags: tuple[str, ...] = TAGS,
    *,
    silent: tuple[str, ...] = (),
    whole: bool = False,
    mirrors: tuple[Mirror, ...] = (),
    trouble: str = "",
) -> str:
    rows = [
        TagRow(tag, support(tag, tags), RUNNING.get(tag, 0), tag in tags)
        for tag in {*tags, *RUNNING}
    ]
    shown = Shown(rows, mirrors, silent, "mcr.microsoft.com/gateway", trouble)
    return text(listing(shown, "/gateway", whole=whole))


def text(reply: Reply) -> str:
    check_blocks(list(reply.blocks))
    return json.dumps([reply.text, *reply.blocks], ensure_ascii=False)


def line(shown: str, tag: str) -> str:
    """The line of a tag, in blocks as JSON."""
    found = re.search(rf'`{re.escape(tag)}`[^"\\]*', shown)
    assert found is not None
    return found[0]


def test_each_tag_has_its_support_and_how_many_gateways_run_it() -> None:
    shown = said()
    assert shown.index("`2.12.1`") < shown.index("`2.11.1`") < shown.index("`v2`")
    assert "newest" in line(shown, "2.12.1")
    assert line(shown, "2.11.1") == "`2.11.1`  supported, 2.11.2 is newer · *2 gateways*"
    assert "not for production" in line(shown, "v2")
    assert "preview, unsupported" in line(shown, "v2-preview")


def test_what_runs_is_told_also_where_the_registry_has_it_no_more() -> None:
    shown = said()
    assert "1 gateway without support" in shown
    assert "no longer supported, not in the registry" in line(shown, "2.8.0")
    assert "pinned by a digest" in line(shown, "sha256:0123")
    assert "latest, not for production" in line(shown, "(none)")


def test_versions_without_support_that_nobody_runs_are_shown_when_asked_for() -> None:
    assert "`2.9.0`" not in said()
    assert "1 version without support left out: `/gateway tags --all`" in said()
    assert "no longer supported" in line(said(whole=True), "2.9.0")
    assert "left out" not in said(whole=True)


def test_a_cluster_that_cannot_be_read_is_named() -> None:
    assert "west cannot be read now, so the gateway counts may be too low" in said(silent=("west",))


def test_a_mirror_is_told_beside_the_support_that_microsoft_gives() -> None:
    own, silent = "registry.contoso.com/gateway", "silent.contoso.com/gateway"
    mirrors = (
        Mirror(own, frozenset({"2.11.1"})),
        Mirror(silent, None, "It does not accept the password of “ana”."),
    )
    shown = said(mirrors=mirrors)
    assert line(shown, "2.11.1").endswith("*2 gateways* · mirror 1: yes · mirror 2: unknown")
    assert line(shown, "2.12.1").endswith("mirror 1: no · mirror 2: unknown")
    assert f"Mirror 1: `{own}`" in shown
    assert f"Mirror 2: `{silent}` :warning: It does not accept the password of “ana”." in shown


def test_without_microsofts_list_support_is_said_to_be_unknown() -> None:
    assert "Support is not known: mcr does not answer." in said(trouble="mcr does not answer.")


def test_a_digest_is_shown_as_it_is_written_to_pin_a_tag() -> None:
    digest = f"sha256:{'a' * 64}"
    shown = text(digests("2.11.1", {"r.example/gw": digest}, ["Another does not answer."]))
    assert f"r.example/gw:2.11.1@{digest}" in shown
    assert f"`--tag 2.11.1@{digest}`" in shown
    assert ":warning: Another does not answer." in shown


@given(st.lists(st.text(max_size=200), max_size=400), st.booleans())
def test_any_tags_are_a_message_that_slack_takes(tags: list[str], whole: bool) -> None:
    rows: list[Any] = [TagRow(tag, support(tag, tags), 1, listed=True) for tag in set(tags)]
    mirrors = [Mirror(f"<m{n}>", frozenset(tags[:n]) if n else None, "<x>" * n) for n in range(5)]
    shown = Shown(rows, mirrors, ["<west>"] * 3, "r", "<y>")
    check_blocks(list(listing(shown, "/gateway", whole=whole).blocks))
