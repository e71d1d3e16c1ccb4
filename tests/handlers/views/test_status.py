"""What a person sees of one gateway in depth."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.sandbox.slack.blocks import check_view
from deploy.actions.action import State
from deploy.health.attention import SOON, Attention, Sign
from deploy.health.belongings import EventSummary, ServiceSummary
from deploy.health.heartbeat import Heartbeat, PodHeartbeat
from deploy.health.replica_courses import ReplicaCount
from deploy.health.status import PodStatus
from deploy.observed.history import Revision
from deploy.observed.managers import ARGO_CD, HELM, Manager
from deploy.observed.other_rotation import Rotator
from deploy.observed.pods import PodProgress
from handlers.views import fleet, status_more
from handlers.views import status as view
from handlers.views.renewals import MANAGE, ROTATE
from handlers.views.text import date
from tests.support.actions import plan_of
from tests.support.shown import shown_action
from tests.support.statuses import (
    DETAIL,
    GONE,
    LINK,
    NOW,
    PRODUCTION,
    REFUSED,
    SUPPORTED,
    entries_of,
    rows,
    shown,
    summary,
)


def test_one_gateway_shows_each_pods_level_and_its_evidence() -> None:
    said = shown(view.detail(DETAIL, SUPPORTED, LINK, NOW))
    assert "Ended pods, not counted: edge-1-c (Evicted)." in said
    for word in ("🔴 *denied*", "exit code 134", "edge-1-token-old", "🔵 no trouble seen: ready"):
        assert word in said
    assert LINK in said
    assert ":warning: Progressing False (ProgressDeadlineExceeded: timed out)" in said
    assert "Available" not in said, "what is as it should be is behind More"


def test_what_only_informs_is_behind_more() -> None:
    service = ServiceSummary(
        "edge-1-live", "LoadBalancer", "10.0.0.1", "203.0.113.9", "80/TCP", NOW
    )
    event = EventSummary(NOW - 60, "Warning", "BackOff", "it ends", "edge-1-a")
    revision = Revision(3, "gateway:2.11.1", NOW, 2, current=True, requester="U1")
    deep = dataclasses.replace(DETAIL, services=(service,), events=(event,), actions=(revision,))
    message = view.detail(deep, SUPPORTED, LINK, NOW)
    assert view.MORE in shown(message)
    more = status_more.modal(deep, NOW)
    assert check_view(more) == []
    for said in ("203.0.113.9", "it ends", "3: `2.11.1` by <@U1>", "Available True"):
        assert said not in shown(message)
        assert said in json.dumps(more)


def test_colours_of_a_terminal_never_show() -> None:
    red = Heartbeat("denied", "\x1b[31mAzure\x1b[0m refuses \x1b]0;x\x07it", NOW - 90)
    said = shown(view.detail(dataclasses.replace(DETAIL, heartbeat=red), SUPPORTED, LINK, NOW))
    assert "Azure refuses it" in said


def test_one_gateway_shows_who_else_manages_it_and_what_rotates_its_token() -> None:
    others = dataclasses.replace(
        DETAIL,
        manager=Manager(ARGO_CD, "application", "edge"),
        rotators=(Rotator("default", "rotate", True),),
    )
    said = shown(view.detail(others, SUPPORTED, LINK, NOW))
    assert "Argo CD (application edge) will undo changes that are made here." in said
    assert "also rotated by: CronJob default/rotate." in said
    unsure = dataclasses.replace(DETAIL, manager=Manager(HELM, certain=False))
    said = shown(view.detail(unsure, SUPPORTED, LINK, NOW))
    assert "perhaps Helm" in said
    assert "will undo" not in said
    assert "Managed by" not in shown(view.detail(DETAIL, SUPPORTED, LINK, NOW))


def test_a_refused_token_offers_to_rotate_it_in_the_table_and_in_depth() -> None:
    refused = summary("west/dev/edge-1", REFUSED)
    reply = fleet.overview(rows(refused, summary("west/dev/edge-2", GONE)), {}, NOW)
    first, second = entries_of(reply)
    assert ("*token refused*" in first, "*token missing*" in second) == (True, True)
    said = shown(reply)
    assert "Azure refuses its token. Renew it: `/gateway rotate west/dev/edge-1`." in said
    assert "rotate west/dev/edge-2" not in said
    deep = dataclasses.replace(DETAIL, summary=refused)
    assert ROTATE in shown(view.detail(deep, SUPPORTED, LINK, NOW))
    assert ROTATE not in shown(view.detail(DETAIL, SUPPORTED, LINK, NOW))


def test_a_refused_token_of_a_gateway_that_others_deploy_is_offered_to_be_managed() -> None:
    others = dataclasses.replace(summary("west/dev/edge-1", REFUSED), managed_by="Helm")
    said = shown(fleet.overview(rows(others), {}, NOW))
    assert "Keep its token valid: `/gateway manage-token west/dev/edge-1`." in said
    deep = shown(view.detail(dataclasses.replace(DETAIL, summary=others), SUPPORTED, LINK, NOW))
    assert (MANAGE in deep, ROTATE in deep) == (True, False)
    kept = dataclasses.replace(others, token_kept=True)
    deep = shown(view.detail(dataclasses.replace(DETAIL, summary=kept), SUPPORTED, LINK, NOW))
    assert (MANAGE in deep, ROTATE in deep) == (False, True)


def test_what_is_old_says_so_before_anything_else_is_believed() -> None:
    stale = summary("west/dev/edge-1", as_of=NOW - 300, stale="Cluster “west” does not answer.")
    old = dataclasses.replace(
        DETAIL, summary=stale, unread=(stale.stale, "Its Events are not told.")
    )
    said = shown(view.detail(old, SUPPORTED, "", NOW))
    assert f"This is as of {date(NOW - 300)}." in said
    assert "Its Events are not told." in said
    assert said.count("does not answer") == 1


def test_an_autoscaler_is_named() -> None:
    counted = dataclasses.replace(DETAIL, autoscalers=("KEDA ScaledObject edge-1",))
    assert "KEDA ScaledObject edge-1 sets the replicas." in shown(
        view.detail(counted, SUPPORTED, "", NOW)
    )


def test_a_gateway_with_very_many_pods_still_fits_a_message() -> None:
    pod = DETAIL.pods[0]
    many = dataclasses.replace(
        DETAIL,
        pods=tuple(
            dataclasses.replace(
                pod,
                progress=dataclasses.replace(pod.progress, name=f"edge-1-{'x' * 50}-{n}"),
                heartbeat=PodHeartbeat(str(n), "cut off", f"{'e' * 190}{n}"),
            )
            for n in range(100)
        ),
    )
    assert "more pods" in shown(view.detail(many, SUPPORTED, LINK, NOW))


def on_nodes(*nodes: str, state: str = "Running") -> str:
    """The status of a gateway whose pods are on these nodes."""
    pods = tuple(
        PodStatus(PodProgress(f"edge-1-{n}", state, True, 0, node)) for n, node in enumerate(nodes)
    )
    return shown(view.detail(dataclasses.replace(DETAIL, pods=pods), SUPPORTED, LINK, NOW))


def test_pods_that_are_all_on_one_node_are_remarked_on() -> None:
    assert "Both pods are on node n1: if it fails, none is left." in on_nodes("n1", "n1")
    assert "All 3 pods are on node n1: if it fails, none is left." in on_nodes("n1", "n1", "n1")


@pytest.mark.parametrize("nodes", [("n1",), ("n1", "n2"), ("n1", "n1", "n2"), ("n1", ""), ("", "")])
def test_pods_on_several_nodes_or_on_one_that_is_not_known_are_not(nodes: tuple[str, ...]) -> None:
    assert "none is left" not in on_nodes(*nodes)


def test_a_pod_that_is_being_deleted_counts_for_no_node() -> None:
    leaving = PodStatus(PodProgress("edge-1-old", "Terminating", False, 0, "n2"))
    running = [PodStatus(PodProgress(f"edge-1-{n}", "Running", True, 0, "n1")) for n in range(2)]
    together = dataclasses.replace(DETAIL, pods=(leaving, *running))
    assert "Both pods are on node n1" in shown(view.detail(together, SUPPORTED, LINK, NOW))
    last = dataclasses.replace(DETAIL, pods=(leaving, running[0]))
    assert "none is left" not in shown(view.detail(last, SUPPORTED, LINK, NOW))


def test_a_dip_is_drawn_though_it_was_short() -> None:
    course = [ReplicaCount(NOW - 3000, 2, 2), ReplicaCount(NOW - 1500, 0, 2)]
    course.append(ReplicaCount(NOW - 1499, 2, 2))
    line = view.replica_course(course, NOW)
    assert line.count("▁") == 1
    assert line.endswith("2 of 2")
    assert view.replica_course(course[:1], NOW) == ""


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 7200), st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_a_course_of_any_shape_is_one_line(course: list[tuple[float, int, int]]) -> None:
    ordered = sorted(course, key=lambda count: -count[0])
    counts = [ReplicaCount(NOW - ago, ready, desired) for ago, ready, desired in ordered]
    assert "\n" not in view.replica_course(counts, NOW)


def test_one_gateway_says_whether_it_is_production_in_title_and_text() -> None:
    reply = view.detail(DETAIL, SUPPORTED, LINK, NOW, environment=PRODUCTION)
    assert reply.blocks[0]["text"]["text"] == "🔶 edge-1 on west/dev (live, production)"
    assert reply.text.startswith("west/dev/edge-1 (🔶 live, production): ")


@given(st.integers(0, 8))
def test_one_gateway_shows_what_is_asked_of_it_now(count: int) -> None:
    asked = [shown_action(State.PENDING, id=f"AAAA{n:02}", plan=plan_of()) for n in range(count)]
    reply = view.detail(DETAIL, SUPPORTED, LINK, NOW, requests=asked)
    said = shown(reply)
    assert said.count("replicas 1 → 2") == said.count("action_show") == min(count, 3)
    assert (f"… and {count - 3} more open request" in said) is (count > 3)
    assert ("1 more open request:" in said) is (count == 4)


def test_a_status_says_that_nothing_is_to_be_done_only_where_nothing_is_wrong() -> None:
    well = dataclasses.replace(
        DETAIL,
        summary=summary("west/dev/edge-1"),
        heartbeat=Heartbeat("no trouble seen", "2 of 2 pods: ready"),
        conditions=(),
        unread=(),
    )
    assert "No action is needed." in shown(view.detail(well, SUPPORTED, LINK, NOW))
    soon = Attention(SOON, Sign.TOKEN_EXPIRES, "Its token expires in 2 days.")
    for wrong in (
        dataclasses.replace(well, summary=summary("west/dev/edge-1", soon)),
        dataclasses.replace(well, summary=summary("west/dev/edge-1", stale="It does not answer.")),
        dataclasses.replace(well, unread=("Its Events are not told.",)),
        dataclasses.replace(well, heartbeat=Heartbeat("cut off", "1 of 2 pods: x")),
    ):
        assert "No action is needed" not in shown(view.detail(wrong, SUPPORTED, LINK, NOW))
