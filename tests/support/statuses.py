"""Gateways as they stand, and what of their views people read."""

import dataclasses
import datetime
import json
from typing import Any

from deploy.access import Environment
from deploy.gateway import GatewayRef
from deploy.health.attention import BROKEN, WRONG, Attention, Sign
from deploy.health.fleet import Row, rows_of
from deploy.health.heartbeat import Heartbeat, Level, PodHeartbeat
from deploy.health.levels import Seen
from deploy.health.replica_courses import ReplicaCount
from deploy.health.status import ConditionSummary, GatewayDetail, GatewaySummary, PodStatus
from deploy.images.support import Support
from deploy.observed.pods import PodProgress
from handlers.views import status as view
from handlers.views.reply import Reply
from tests.support.shown import check_blocks

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


NOT_RUNNING = Attention(
    WRONG, Sign.NOT_RUNNING, "1 of 3 pods not running: ImagePullBackOff: no such tag"
)


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


PRODUCTION = Environment("live", production=True)


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
