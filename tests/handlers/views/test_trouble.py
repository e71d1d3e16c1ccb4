"""What the status of a gateway in trouble says: its cause once, and what to do."""

import dataclasses
from typing import Any

import pytest

from deploy.health.attention import BROKEN, WRONG, Attention, Sign
from deploy.health.heartbeat import Heartbeat, PodHeartbeat
from deploy.observed.history import Revision
from handlers.views import status as view
from handlers.views.text import date
from tests.support.shown import check_blocks
from tests.support.statuses import (
    DETAIL,
    DOWN,
    GONE,
    LINK,
    NOW,
    PULL,
    REFUSED,
    SUPPORTED,
    broken,
    sections_of,
    summary,
)


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
    assert sections_of(broken(2))[-1].startswith("*What to do:* Check that the tag exists")
    crashing = Attention(WRONG, Sign.CRASHING, "2 pods crash repeatedly.")
    told = sections_of(broken(2, DOWN, crashing))
    assert told[0].startswith("🔴 *down*: 2 pods crash repeatedly. No pod serves traffic.")
    assert told[-1] == (
        "*What to do:* Read the log from before the last restart: "
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
    assert told[-1] == ("*What to do:* Request less, or have the quota raised, then deploy again.")


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
    assert told[-1] == f"*What to do:* {remedy}"
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
    assert told[-1] == "*What to do:* Renew its token: `/gateway rotate west/dev/edge-1`."
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
        ({"managed_by": "Helm"}, "*What to do:* Restore the Secret.", ""),
        ({"managed_by": "Helm", "token_kept": True}, "*What to do:* Restore the Secret.", ""),
        ({"kind": "StatefulSet", "managed_by": "x"}, "*What to do:* Restore the Secret.", ""),
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
