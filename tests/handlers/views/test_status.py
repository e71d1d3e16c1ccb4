"""What a person sees of gateways: a table of any length, and one gateway in depth."""

import dataclasses
import datetime
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.sandbox.slack.blocks import check_view
from deploy.access import Environment
from deploy.actions.action import State
from deploy.errors import Unavailable
from deploy.gateway import GatewayRef
from deploy.health.attention import BROKEN, SOON, WRONG, Attention, Sign
from deploy.health.belongings import EventSummary, ServiceSummary
from deploy.health.fleet import Row, Selection, rows_of
from deploy.health.heartbeat import Heartbeat, Level, PodHeartbeat
from deploy.health.levels import Seen
from deploy.health.replica_courses import ReplicaCount
from deploy.health.status import ConditionSummary, GatewayDetail, GatewaySummary, PodStatus
from deploy.images.support import Support
from deploy.observed.history import Revision
from deploy.observed.managers import ARGO_CD, HELM, Manager
from deploy.observed.other_rotation import Rotator
from deploy.observed.pods import PodProgress
from handlers.views import fleet, status_more
from handlers.views import status as view
from handlers.views.renewals import MANAGE, ROTATE
from handlers.views.reply import Reply
from handlers.views.text import date
from handlers.views.words import evidence
from tests.support.actions import plan_of
from tests.support.shown import check_blocks, shown_action

NOW = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC).timestamp()
TAGS = ("2.9.0", "2.10.0", "2.11.1", "2.12.1")
ENVIRONMENTS = (
    Environment("production", namespaces=("prod",), production=True),
    Environment("development"),
)


def summary(where: str, *findings: Attention, **more: Any) -> GatewaySummary:
    base = GatewaySummary(
        ref=GatewayRef.parse(where),
        gateway=where.rpartition("/")[2],
        tag="2.11.1",
        desired=2,
        ready=2,
        updated=2,
        available=2,
        created_at=NOW - 86_400,
        managed_by="gateway-bot",
        findings=findings,
        token_secret="t",
        token_expires_at=NOW + 20 * 86_400,
        token_source="annotation",
        as_of=NOW - 5,
    )
    return dataclasses.replace(base, **more)


DOWN = Attention(BROKEN, Sign.DOWN, "It is down: 0 of 2 pods are ready.")


def rows(*summaries: GatewaySummary, **levels: Level) -> tuple[Row, ...]:
    seen = {
        s.ref: Seen(
            Heartbeat(levels.get(s.ref.name.replace("-", "_"), "no trouble seen"), "so it is"), NOW
        )
        for s in summaries
    }
    return rows_of(summaries, seen, TAGS, ENVIRONMENTS)


def shown(reply: Reply) -> str:
    check_blocks(list(reply.blocks))
    return json.dumps(reply.blocks, ensure_ascii=False)


def entries_of(reply: Reply) -> list[str]:
    """The entries of the gateways, each of them with its lines."""
    texts = [b["text"]["text"] for b in reply.blocks if b["type"] == "section"]
    entries = [entry for text in texts for entry in text.split("\n\n")]
    return [entry for entry in entries if entry[:1] in "🟢🔵⚪🟡🟠🔴"]


def names_of(reply: Reply) -> list[str]:
    return [entry.split("*")[1] for entry in entries_of(reply)]


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
    assert said.endswith("Nothing serves yet: its first pods are not ready.")


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


NOT_RUNNING = Attention(
    WRONG, Sign.NOT_RUNNING, "1 of 3 pods not running: ImagePullBackOff: no such tag"
)


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


DETAIL = GatewayDetail(
    summary=summary("west/dev/edge-1"),
    heartbeat=Heartbeat("denied", "1 of 2 pods: Azure refuses the gateway: x", NOW - 90),
    pods=(
        PodStatus(
            PodProgress("edge-1-a", "Running", True, 3, "n1", last_exit="exit code 134"),
            "edge-1-token-x",
            PodHeartbeat("edge-1-a", "denied", "Azure refuses the gateway: x"),
        ),
        PodStatus(
            PodProgress("edge-1-b", "Running", True, 0, "n2"),
            "edge-1-token-old",
            PodHeartbeat("edge-1-b", "no trouble seen", "ready"),
        ),
    ),
    ended=(PodProgress("edge-1-c", "Evicted", False),),
    services=(),
    conditions=(
        ConditionSummary("Available", "True", "MinimumReplicasAvailable", ""),
        ConditionSummary("Progressing", "False", "ProgressDeadlineExceeded", "timed out"),
    ),
    events=(),
    replicas=(ReplicaCount(NOW - 1800, 2, 2), ReplicaCount(NOW - 600, 0, 2)),
)
SUPPORTED = Support("supported", "newest")
REFUSED = Attention(BROKEN, Sign.TOKEN_REFUSED, "Azure refuses its token.")
GONE = Attention(BROKEN, Sign.TOKEN_MISSING, "Its token is missing: there is no Secret t.")
LINK = "https://portal.azure.com/#@/resource/x"


def test_one_gateway_shows_each_pods_level_and_its_evidence() -> None:
    said = shown(view.detail(DETAIL, SUPPORTED, LINK, NOW))
    assert "Ended, and counted nowhere: edge-1-c (Evicted)." in said
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


PRODUCTION = Environment("live", production=True)


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


PULL = "ImagePullBackOff: no such tag"
AWAY = (
    ConditionSummary("Available", "False", "MinimumReplicasUnavailable", "below", NOW - 600),
    ConditionSummary("Progressing", "False", "ProgressDeadlineExceeded", "timed out"),
)


def broken(count: int, *found: Attention, **more: Any) -> GatewayDetail:
    """A gateway of which no pod is ready, because its image cannot be pulled."""
    one = count == 1
    down = Attention(
        BROKEN, Sign.DOWN, f"It is down: 0 of {count} {'pod is' if one else 'pods are'} ready."
    )
    pulling = Attention(
        WRONG,
        Sign.NOT_RUNNING,
        f"{count} of {count} {'pod' if one else 'pods'} not running: {PULL}",
    )
    rollout = Attention(WRONG, Sign.ROLLOUT_FAILED, "Its last rollout did not finish.")
    said = PodHeartbeat("p", "unknown", "not running")
    pods = tuple(
        PodStatus(PodProgress(f"edge-1-{n}", "ImagePullBackOff", False, 0, f"n{n}"), "t", said)
        for n in range(count)
    )
    s = summary(
        "west/dev/edge-1", *(found or (down, pulling, rollout)), ready=0, available=0, desired=count,
        updated=count,
    )  # fmt: skip
    heartbeat = Heartbeat("unknown", f"{count} of {count} pods: not running", pods=(said,) * count)
    fields: dict[str, Any] = {
        "summary": s,
        "heartbeat": heartbeat,
        "pods": pods,
        "conditions": AWAY,
    }
    return dataclasses.replace(DETAIL, **(fields | {"ended": ()} | more))


def sections_of(detail: GatewayDetail) -> list[str]:
    reply = view.detail(detail, SUPPORTED, LINK, NOW)
    check_blocks(list(reply.blocks))
    found: list[str] = []
    for block in reply.blocks:
        if block["type"] == "section":
            found.append(block["text"]["text"])
        if block["type"] == "context":
            found += [each["text"] for each in block["elements"]]
    return found


@pytest.mark.parametrize("count", [1, 3])
def test_the_status_of_a_broken_gateway_begins_with_its_cause_and_says_each_fact_once(
    count: int,
) -> None:
    headline, *others = sections_of(broken(count))
    assert headline == (
        f"🔴 *down*: The image cannot be pulled. No pod serves traffic. Since {date(NOW - 600)}."
    )
    said = "\n".join([headline, *others])
    assert said.count(PULL) == 1
    assert said.count(f"0 of {count} ready") == 1
    for again in ("It is down", f"0 of {count} pod", "did not finish", "Available", "Progressing"):
        assert again not in said
    assert "*unknown*" not in said, "of pods that do not run nothing can be known of their link"
    assert said.count("cannot be pulled") == 1


def test_what_to_do_comes_last_with_the_whole_command_and_the_logs_are_one_click_away() -> None:
    assert sections_of(broken(2))[-1].startswith("*What to do*  Check that the tag exists")
    crashing = Attention(WRONG, Sign.CRASHING, "2 pods crash repeatedly.")
    told = sections_of(broken(2, DOWN, crashing))
    assert told[0].startswith("🔴 *down*: 2 pods crash repeatedly. No pod serves traffic.")
    assert told[-1] == (
        "*What to do*  Read the log from before the last restart: "
        "`/gateway logs west/dev/edge-1 --previous`."
    )
    (row,) = [
        block["elements"]
        for block in view.detail(broken(2, DOWN, crashing), SUPPORTED, LINK, NOW).blocks
        if block["type"] == "actions"
    ]
    assert row[0]["value"] == "logs west/dev/edge-1 --previous"


def test_pods_that_do_not_run_are_rolled_back_where_there_is_a_version_before() -> None:
    def way_out(*tags: str, said: str = PULL, **more: Any) -> tuple[bool, bool]:
        past = tuple(
            Revision(9 - n, f"gateway:{tag}", NOW, 2, current=not n, spec={"image": {"tag": tag}})
            for n, tag in enumerate(tags)
        )
        pods = Attention(WRONG, Sign.NOT_RUNNING, f"2 of 2 pods not running: {said}")
        detail = broken(2, DOWN, pods, actions=past)
        detail = dataclasses.replace(detail, summary=dataclasses.replace(detail.summary, **more))
        reply = view.detail(detail, SUPPORTED, LINK, NOW)
        check_blocks(list(reply.blocks))
        names = [
            e["text"]["text"] for b in reply.blocks for e in b.get("elements", ()) if "value" in e
        ]
        return "`/gateway rollback west/dev/edge-1`" in sections_of(detail)[
            -1
        ], "Roll back…" in names

    assert way_out("2.11.1", "2.10.0") == (True, True)
    assert way_out("2.11.1", "2.11.1", "2.10.0") == (True, True), "restarted since"
    assert way_out("2.11.1") == (False, False), "its first version"
    assert way_out("2.11.1", "2.11.1") == (False, False), "a restart or a rotation alone"
    assert way_out("2.11.1", "2.10.0", managed_by="Helm") == (False, False)
    for said in ("OOMKilled: Error", "CreateContainerError: bad", "CrashLoopBackOff: exit code 1"):
        assert way_out("2.11.1", "2.10.0", said=said) == (True, True)
    for said in (
        "Unschedulable: 0/3 nodes are available: 3 Insufficient cpu.",
        'CreateContainerConfigError: secret "t" not found',
        "Odd: nobody knows",
    ):
        assert way_out("2.11.1", "2.10.0", said=said) == (False, False)


def test_pods_that_a_quota_keeps_from_being_created_have_a_cause_and_no_logs_to_read() -> None:
    says = 'pods "edge-1-x" is forbidden: exceeded quota: q, requested: cpu=2'
    none = Attention(WRONG, Sign.NO_NEW_PODS, f"Pods cannot be created: {says}")
    told = sections_of(broken(2, DOWN, none, pods=()))
    assert told[0].startswith(
        "🔴 *down*: The namespace's quota is used up. No pod serves traffic. Since "
    )
    assert told[1].endswith("requested: cpu=2")
    assert told[-1] == ("*What to do*  Request less, or have the quota raised, then deploy again.")


def test_what_nothing_is_known_of_is_a_sentence_too() -> None:
    odd = Attention(WRONG, Sign.NOT_RUNNING, "2 of 2 pods not running: Odd: nobody knows")
    said = sections_of(broken(2, DOWN, odd))[0]
    assert "Odd: nobody knows. No pod serves traffic." in said


@pytest.mark.parametrize(
    ("found", "remedy"),
    [
        ((REFUSED,), "Renew its token: `/gateway rotate west/dev/edge-1`."),
        ((), "Read what its pods say: `/gateway logs west/dev/edge-1`."),
    ],
)
def test_of_a_gateway_that_is_down_and_denied_the_refusal_is_said_once_with_what_to_do(
    found: tuple[Attention, ...], remedy: str
) -> None:
    beat = Heartbeat("denied", "2 of 2 pods: Azure refuses the gateway: x", NOW - 90)
    told = sections_of(broken(2, DOWN, *found, heartbeat=beat, pods=()))
    assert told[-1] == f"*What to do*  {remedy}"
    assert "\n".join(told).count("Azure refuses its token.") == len(found)
    assert "\n".join(told).count("Azure refuses the gateway: x") == 1


def test_a_gateway_whose_pods_show_no_cause_says_so_and_where_to_look() -> None:
    quiet = broken(2, DOWN, heartbeat=Heartbeat("unknown", "no pod was looked at"))
    told = sections_of(quiet)
    assert told[0].startswith("🔴 *down*: Nothing shows why yet. No pod serves traffic.")
    assert told[-1].endswith("`/gateway logs west/dev/edge-1`.")


def test_a_gateway_that_is_cut_off_says_what_that_means_since_when_and_what_to_do() -> None:
    pod = PodHeartbeat("edge-1-a", "cut off", "Azure cannot be reached: refused")
    beat = Heartbeat(
        "cut off", "2 of 2 pods: Azure cannot be reached: refused", NOW - 90, (pod, pod)
    )
    pods = tuple(dataclasses.replace(each, heartbeat=pod) for each in DETAIL.pods)
    told = sections_of(dataclasses.replace(DETAIL, heartbeat=beat, pods=pods, conditions=()))
    assert told[0] == (
        "🔴 *cut off*: Azure cannot be reached: refused. Running pods keep serving with "
        f"their last configuration, and get no changes from Azure. Since {date(NOW - 90)}."
    )
    assert "\n".join(told).count("Azure cannot be reached") == 1
    assert "Check DNS, proxy and firewall" in told[-1]
    assert "`/gateway logs west/dev/edge-1 --level warn`" in told[-1]


def test_what_one_of_several_pods_says_is_not_repeated_where_it_is_the_gateways_evidence() -> None:
    beats = tuple(each.heartbeat for each in DETAIL.pods if each.heartbeat)
    whole = Heartbeat("denied", "1 of 2 pods: Azure refuses the gateway: x", NOW - 90, beats)
    said = "\n".join(sections_of(dataclasses.replace(DETAIL, heartbeat=whole)))
    assert said.count("Azure refuses the gateway: x") == 1
    assert "🔵 no trouble seen: ready (edge-1-b)" in said


def test_a_refused_token_is_the_cause_and_the_evidence_stands_below_it() -> None:
    refused = summary("west/dev/edge-1", REFUSED)
    told = sections_of(dataclasses.replace(DETAIL, summary=refused))
    assert told[0] == f"🔴 *denied*: Azure refuses its token. Since {date(NOW - 90)}."
    assert told[1] == "Seen: 1 of 2 pods: Azure refuses the gateway: x."
    assert told[-1] == "*What to do*  Renew its token: `/gateway rotate west/dev/edge-1`."
    assert "\n".join(told).count("Azure refuses its token.") == 1


def test_what_breaks_a_gateway_without_touching_its_pods_comes_first_too() -> None:
    expired = Attention(BROKEN, Sign.TOKEN_EXPIRED, "Its token has expired.")
    fine = Heartbeat("no trouble seen", "2 of 2 pods: ready")
    told = sections_of(
        dataclasses.replace(DETAIL, summary=summary("west/dev/edge-1", expired), heartbeat=fine)
    )
    assert told[0] == "🔴 Its token has expired."
    assert told[1].startswith("🔵 *no trouble seen*")
    assert "\n".join(told).count("Its token has expired.") == 1
    assert "`/gateway rotate west/dev/edge-1`" in told[-1]


@pytest.mark.parametrize(
    ("finding", "headline", "called"),
    [
        (
            Attention(BROKEN, Sign.TOKEN_EXPIRED, "Its token has expired."),
            "🔴 Its token has expired.",
            "token expired",
        ),
        (
            Attention(BROKEN, Sign.SCALED_TO_ZERO, "It is scaled to zero: nothing serves traffic."),
            "🔴 It is scaled to zero: nothing serves traffic.",
            "scaled to zero",
        ),
        (
            Attention(BROKEN, Sign.SCALED_TO_ZERO, "No node fits its DaemonSet: so it is."),
            "🔴 No node fits its DaemonSet: so it is.",
            "scaled to zero",
        ),
        (
            Attention(BROKEN, Sign.TOKEN_OF_ANOTHER, "Its token belongs to gateway a, not to b."),
            "🔴 *token of another gateway*: Its token belongs to gateway a, not to b.",
            "token of another gateway",
        ),
    ],
)
def test_what_the_sentence_says_is_no_label_before_it_and_is_what_a_notification_says(
    finding: Attention, headline: str, called: str
) -> None:
    fine = Heartbeat("connected", "2 of 2 pods: connected")
    detail = dataclasses.replace(
        DETAIL, summary=summary("west/dev/edge-1", finding), heartbeat=fine
    )
    assert sections_of(detail)[0] == headline
    text = view.detail(detail, SUPPORTED, LINK, NOW).text
    assert text.endswith(f"2 of 2 pods ready, {called}")


@pytest.mark.parametrize(
    ("more", "secret", "scale"),
    [
        ({}, "Restore the Secret, or run `/gateway deploy", "`/gateway scale west/dev/edge-1"),
        ({"managed_by": "Helm"}, "*What to do*  Restore the Secret.", ""),
        ({"managed_by": "Helm", "token_kept": True}, "*What to do*  Restore the Secret.", ""),
        ({"kind": "StatefulSet", "managed_by": "x"}, "*What to do*  Restore the Secret.", ""),
    ],
)
def test_what_others_deploy_is_neither_deployed_nor_scaled_by_what_there_is_to_do(
    more: dict[str, Any], secret: str, scale: str
) -> None:
    def to_do(finding: Attention, **fields: Any) -> str:
        fine = Heartbeat("no trouble seen", "2 of 2 pods: ready")
        given = summary("west/dev/edge-1", finding, **more)
        detail = dataclasses.replace(DETAIL, summary=given, heartbeat=fine, **fields)
        return next((each for each in sections_of(detail) if "What to do" in each), "")

    zero = Attention(BROKEN, Sign.SCALED_TO_ZERO, "It is scaled to zero: nothing serves traffic.")
    assert secret in to_do(GONE)
    assert ("/gateway deploy" in to_do(GONE)) == bool(scale)
    assert (scale in to_do(zero)) if scale else to_do(zero) == ""
    assert to_do(zero, autoscalers=("KEDA ScaledObject edge-1",)) == "", "it sets the replicas"


def test_a_gateway_in_order_has_nothing_to_do() -> None:
    fine = Heartbeat("no trouble seen", "2 of 2 pods: ready")
    told = sections_of(dataclasses.replace(DETAIL, heartbeat=fine, conditions=()))
    assert told[0] == "🔵 *no trouble seen*: 2 of 2 pods: ready."
    assert "What to do" not in "\n".join(told)


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
