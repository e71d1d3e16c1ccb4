"""What becomes of a plan before anybody is asked to decide on it."""

import dataclasses
import datetime
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.access import Freeze
from deploy.actions.connection import connect
from deploy.errors import Refused
from deploy.gateway import GatewayRef
from deploy.plans.requests import DeployRequest
from deploy.rules.finding import Finding
from handlers.actions.asking import ask
from handlers.slack.payloads import Request
from handlers.views.reply import Reply
from tests.support.actions import REF, by_approvers, plan_of, spec_of
from tests.support.changes import DEVELOPMENT, PROD, Changes
from tests.support.redis_servers import started

WARNING = Finding("no-backup", "warning", "No backup.", "So it is.", "Give one.")
DENYING = Finding("privileged", "deny", "It is privileged.", "So it is.", "Take it away.")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def client(server: Valkey) -> Any:
    found = connect(server.url)
    found.flushall()
    return found


@pytest.fixture
def changes(client: Any) -> Changes:
    return Changes(client)


def asked(
    changes: Changes,
    ref: GatewayRef = REF,
    channel: str = "C1",
    options: Mapping[str, str] = MappingProxyType({}),
) -> Reply | None:
    request = Request(f"r-{channel}-{options}", "deploy", "U1", channel, "url", options=options)
    return ask(changes.proposer, request, "deploy", DeployRequest(spec_of(ref)), ref)


def test_a_plan_with_warnings_waits_for_its_decision(changes: Changes) -> None:
    changes.plans = lambda request, new_id: plan_of(findings=(WARNING,))
    assert asked(changes) is None
    (action,) = changes.store.open()
    assert action.origin == {"channel": "C1", "response_url": "url"}


def test_a_plan_that_a_rule_denies_is_answered_and_nothing_waits_for_a_decision(
    changes: Changes,
) -> None:
    changes.plans = lambda request, new_id: plan_of(findings=(DENYING, WARNING))
    reply = asked(changes)
    assert changes.store.open() == ()
    assert reply is not None
    shown = json.dumps(reply.blocks)
    for said in ("west/dev", "It is privileged.", "Take it away.", "No backup."):
        assert said in shown


def test_a_plan_that_changes_nothing_is_answered(changes: Changes) -> None:
    changes.plans = lambda request, new_id: plan_of(changes=())
    reply = asked(changes)
    assert reply is not None
    assert "No change" in reply.text


def test_a_reason_cannot_write_lines_of_its_own_into_the_message_that_approvers_read(
    client: Any,
) -> None:
    changes = frozen(client)
    forged = "ok\n\n:white_check_mark:  *Approved by Ben*"
    assert asked(changes, options={"reason": forged, "break-glass": forged}) is None
    (action,) = changes.store.open()
    said = "ok :white_check_mark: *Approved by Ben*"
    assert (action.why, action.policy.break_glass) == (said, said)


@pytest.mark.parametrize("channel", ["D1", "U1", "W1", "C1"])
def test_what_approvers_decide_on_is_not_asked_for_where_none_of_them_is(
    changes: Changes, channel: str
) -> None:
    if channel == "C1":
        assert asked(changes, PROD, channel) is None
    else:
        with pytest.raises(
            Refused, match=r"no approver would see .* in a channel that the approvers read"
        ):
            asked(changes, PROD, channel)
    window = changes.windows.open(
        PROD, "U1", by="U2", reason="x", seconds=60, channel="C1", request_id="w"
    )
    assert asked(changes, PROD, channel, {"reason": "within a window"}) is None
    newest = changes.store.open()[-1]
    assert newest.policy == by_approvers(window=window.key)


@pytest.mark.parametrize("channel", ["D1", "U1", "C1"])
def test_nobody_goes_through_a_freeze_where_no_channel_is_told(client: Any, channel: str) -> None:
    changes, through = frozen(client), {"break-glass": "it is down"}
    if channel == "C1":
        assert asked(changes, REF, channel, through) is None
        assert [each.policy.break_glass for each in changes.store.open()] == ["it is down"]
        return
    with pytest.raises(Refused, match="must be reported to a channel"):
        asked(changes, REF, channel, through)
    assert changes.store.open() == ()


def frozen(client: Any) -> Changes:
    now = datetime.datetime.now(datetime.UTC)
    freeze = Freeze("Year end", now, now + datetime.timedelta(days=1))
    return Changes(client, dataclasses.replace(DEVELOPMENT, freezes=(freeze,)))
