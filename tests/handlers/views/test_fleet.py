"""What a person sees of all gateways: a table of any length."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import Unavailable
from deploy.health.attention import BROKEN, SOON, WRONG, Attention, Sign
from deploy.health.fleet import Selection
from deploy.health.heartbeat import Heartbeat, Level
from deploy.health.status import GatewaySummary
from handlers.views import fleet
from handlers.views import status as view
from handlers.views.renewals import MANAGE, ROTATE
from handlers.views.text import date
from handlers.views.words import evidence
from tests.support.statuses import (
    DETAIL,
    DOWN,
    LINK,
    NOT_RUNNING,
    NOW,
    SUPPORTED,
    entries_of,
    names_of,
    rows,
    shown,
    summary,
)


def test_the_most_urgent_comes_first_and_says_why() -> None:
    reply = fleet.overview(
        rows(
            summary("west/dev/fine"),
            summary(
                "west/dev/aging",
                Attention(SOON, Sign.TOKEN_EXPIRES, "Its token expires in 5 days."),
            ),
            summary("west/dev/cut"),
            summary("west/dev/down", DOWN),
            cut="cut off",
        ),
        {},
        NOW,
    )
    assert names_of(reply) == ["down", "cut", "aging", "fine"]
    said = shown(reply)
    assert "down · 2 of 2 pods ready" in said
    assert "It is down" not in said, "the figures say so"
    assert "*token expires*" in said
    assert "in 5 days" not in said, "a time that ages is not shown beside one that does not"
    assert "Cut off from Azure: so it is." in said
    assert "🔴 1 down · 🔴 1 cut off · 🟡 1 with a warning · 🔵 1 no trouble seen" in said
    assert reply.text == "4 gateways, 3 need attention"


def test_a_gateway_without_a_ready_pod_is_down_whatever_its_heartbeat_was() -> None:
    expired = Attention(BROKEN, Sign.TOKEN_EXPIRED, "Its token has expired.")
    reply = fleet.overview(
        rows(
            summary("west/dev/a-expired", expired),
            summary("west/dev/a-down", DOWN),
            summary("west/prod/b-down", DOWN),
            summary("west/prod/c-denied"),
            c_denied="denied",
        ),
        {},
        NOW,
    )
    assert names_of(reply) == ["b-down", "a-down", "a-expired", "c-denied"]
    lines = entries_of(reply)[0].splitlines()
    assert lines[0] == "🔴 🔶 *b-down* on west/prod (production)"
    assert lines[1].startswith("down · ")
    assert "🔴 2 down" in shown(reply)
    one = dataclasses.replace(DETAIL, summary=summary("west/prod/edge-1", DOWN))
    said = view.detail(one, SUPPORTED, "", NOW).blocks[1]["text"]["text"]
    assert said == (
        "🔴 *down*: Denied: 1 of 2 pods: Azure refuses the gateway: x. No pod serves traffic."
    )


def test_a_gateway_whose_first_pod_does_not_start_is_red_and_not_unknown() -> None:
    unready = Attention(BROKEN, Sign.NOT_READY, "0 of 1 pod is ready.")
    found = summary("west/dev/edge-1", unready, ready=0, desired=1)
    reply = fleet.overview(rows(found, edge_1="unknown"), {}, NOW)
    lines = entries_of(reply)[0].splitlines()
    assert lines[0].startswith("🔴 *edge-1*")
    assert lines[1].startswith("0 of 1 pod ready")
    assert "So it is." in lines[2]
    one = dataclasses.replace(DETAIL, summary=found)
    said = view.detail(one, SUPPORTED, "", NOW).blocks[1]["text"]["text"]
    assert said.startswith("🔴 *not ready*: Denied: 1 of 2 pods: Azure refuses the gateway: x. ")
    assert said.endswith("Nothing serves traffic yet: its first pods are not ready.")


def test_three_gateways_have_two_lines_each() -> None:
    reply = fleet.overview(rows(*(summary(f"west/dev/edge-{n}") for n in range(3))), {}, NOW)
    assert len(reply.blocks) <= 5
    until = date(NOW + 20 * 86_400, "{date_short_pretty}")
    assert entries_of(reply)[0].splitlines() == [
        "🔵 *edge-0* on west/dev (development)",
        f"no trouble seen · 2 of 2 pods ready · `2.11.1` · token until {until}",
    ]


def test_pods_that_are_old_or_not_available_are_counted_where_they_differ() -> None:
    amid = summary("west/dev/edge-1", ready=2, updated=1, available=0)
    (entry,) = entries_of(fleet.overview(rows(amid), {}, NOW))
    assert "2 of 2 pods ready · 1 up to date · 0 available" in entry


@pytest.mark.parametrize("level", ["unknown", "denied", "cut off", "stale token"])
def test_only_evidence_makes_a_row_green_or_blue(level: Level) -> None:
    reply = fleet.overview(rows(summary("west/dev/edge-1"), edge_1=level), {}, NOW)
    (entry,) = entries_of(reply)
    assert entry[0] not in "🟢🔵"
    assert level in shown(reply).lower()


def test_three_hundred_gateways_are_pages_with_buttons() -> None:
    fleet_rows = rows(
        *(
            summary(
                f"cluster-{'long' * 4}/namespace-{'long' * 4}/gw-{'x' * 30}-{n}",
                Attention(SOON, Sign.RESTARTED, "s" * 300),
            )
            for n in range(300)
        )
    )
    seen: list[str] = []
    page = fleet.Page()
    for _ in range(40):
        reply = fleet.overview(fleet_rows, {}, NOW, page)
        shown(reply)
        seen += names_of(reply)
        following = [
            element["value"]
            for block in reply.blocks
            for element in block.get("elements", [])
            if element.get("action_id") == "status_next"
        ]
        if not following:
            break
        page = fleet.Page.parse(following[0])
    assert len(seen) == 300
    assert page.number == 19


@pytest.mark.parametrize(
    ("level", "state"),
    [("connected", "degraded"), ("unknown", "degraded"), ("denied", "denied")],
)
def test_a_pod_that_does_not_run_beside_healthy_ones_is_trouble_with_its_cause(
    level: Level, state: str
) -> None:
    one = summary("west/dev/edge-1", NOT_RUNNING)
    (row,) = rows(one, edge_1=level)
    assert (row.state, row.urgency) == (state, WRONG)
    table = shown(fleet.overview([row], {}, NOW))
    assert f"{state} · 2 of 2 pods ready" in table
    assert "Not running: the image cannot be pulled." in table
    deep = dataclasses.replace(DETAIL, summary=one, heartbeat=Heartbeat(level, "so"))
    told = view.detail(deep, SUPPORTED, "", NOW)
    assert told.text.endswith(f"2 of 2 pods ready, {state}")
    assert shown(told).count("ImagePullBackOff: no such tag") == 1


def test_rows_are_chosen_by_words_environment_cluster_and_attention() -> None:
    every = rows(
        summary("west/dev/edge-1"),
        summary("west/prod/edge-2", tag="2.9.0"),
        summary(
            "east/prod/store-7", Attention(SOON, Sign.TOKEN_EXPIRES, "Its token expires in 5 days.")
        ),
    )

    def names(**chosen: Any) -> set[str]:
        return {row.summary.ref.name for row in every if Selection(**chosen).takes(row)}

    assert names() == {"edge-1", "edge-2", "store-7"}
    assert names(text="EDGE") == {"edge-1", "edge-2"}
    assert names(text="2.9") == {"edge-2"}
    assert names(text="expires") == {"store-7"}
    assert names(environment="production") == {"edge-2", "store-7"}
    assert names(environment="production", cluster="east") == {"store-7"}
    assert names(attention=True) == {"store-7"}


def test_an_image_without_support_is_marked() -> None:
    reply = fleet.overview(rows(summary("west/dev/edge-1", tag="2.9.0")), {}, NOW)
    assert "`2.9.0` (no longer supported)" in shown(reply)


def test_a_cluster_that_is_away_says_how_old_its_rows_are() -> None:
    old = summary("east/dev/edge-1", as_of=NOW - 300, stale="x")
    away = {"east": Unavailable("Cluster “east” does not answer.")}
    said = shown(fleet.overview(rows(old, summary("west/dev/edge-2")), away, NOW))
    assert "east” does not answer" in said
    assert f"Its 1 gateway below is as of {date(NOW - 300, '{time}')}." in said


@given(st.text(max_size=200))
def test_a_button_that_carries_anything_is_a_page(value: str) -> None:
    page = fleet.Page.parse(value)
    assert fleet.Page.parse(page.value()) == page


def test_the_table_marks_what_is_production_and_counts_it() -> None:
    reply = fleet.overview(rows(summary("west/prod/a"), summary("west/dev/b")), {}, NOW)
    assert "🔶 *a* on west/prod (production)" in shown(reply)
    assert shown(reply).count("(production)") == 1
    assert "🔶 1 in production" in shown(reply)
    alone = fleet.overview(rows(summary("west/dev/b")), {}, NOW)
    assert "production" not in shown(alone)


def test_a_list_says_what_kubernetes_words_mean_and_keeps_exceptions_short() -> None:
    pull = 'ErrImagePull: failed to pull "mcr.example/gateway:2.99.0": not found'
    finding = Attention(WRONG, Sign.NOT_RUNNING, f"1 of 1 pod not running: {pull}")
    assert evidence.brief(finding) == ("Not running: the registry does not have this image.")
    assert evidence.in_full(finding) == f"The registry does not have this image. {finding.text}"
    unknown = Attention(WRONG, Sign.NOT_RUNNING, "1 of 1 pod not running: Odd: nobody knows")
    assert evidence.brief(unknown) == evidence.in_full(unknown) == unknown.text
    said = (
        "Azure cannot be reached: System.Net.Http.HttpRequestException: Connection refused (x:443)"
    )
    assert evidence.of_link("cut off", said) == (
        "Cut off from Azure: Azure cannot be reached: Connection refused (x:443)."
    )


def test_a_table_ends_with_the_gateway_to_look_at_first() -> None:
    crashing = Attention(BROKEN, Sign.CRASHING, "It crashes.")
    found = fleet.overview(
        rows(summary("west/dev/fine"), summary("west/dev/bad", crashing)), {}, NOW
    )
    assert "Start with *bad*: `/gateway status west/dev/bad`" in shown(found)
    well = shown(fleet.overview(rows(summary("west/dev/fine")), {}, NOW))
    assert "In depth: `/gateway status west/dev/fine`" in well
    assert "Start with" not in well
    nothing = fleet.overview(
        rows(summary("west/dev/fine")), {}, NOW, fleet.Page(selection=Selection(attention=True))
    )
    assert "/gateway status" not in shown(nothing)


def test_a_token_that_expires_and_that_nobody_renews_names_the_command_that_keeps_it_valid() -> (
    None
):
    soon = Attention(SOON, Sign.TOKEN_EXPIRES, "Its token expires in 2 days.")
    ours = summary("west/dev/edge-1", soon, token_expires_at=NOW + 2 * 86_400)
    theirs = dataclasses.replace(ours, managed_by="Helm")

    def said(each: GatewaySummary) -> str:
        deep = dataclasses.replace(DETAIL, summary=each)
        table = fleet.overview(rows(each), {}, NOW)
        return shown(table) + shown(view.detail(deep, SUPPORTED, LINK, NOW))

    assert "Keep its token valid: `/gateway manage-token west/dev/edge-1`." in said(theirs)
    assert MANAGE in said(theirs)
    # How it is renewed is for its environment to say, and perhaps automatic.
    assert "/gateway rotate" not in said(ours)
    assert ROTATE not in said(ours)
