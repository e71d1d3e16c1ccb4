"""Rights as they are at this moment: settings, groups, freezes and windows together."""

import dataclasses
import datetime
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.access import Approval, Environment, Freeze, Identities
from deploy.actions.audit import AuditLog
from deploy.actions.connection import connect
from deploy.actions.executor import Run
from deploy.actions.record import AUTOMATIC, Action, Outcome, State, Step
from deploy.actions.windows import Windows
from deploy.changes.gatekeeper import Gatekeeper, NoFreeze
from deploy.errors import Refused, Unavailable
from deploy.gateway import GatewayRef
from deploy.policy import People, Policy
from tests.support.redis_servers import started

NOW = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC)
PROD, DEV = GatewayRef("west", "prod", "edge-1"), GatewayRef("west", "dev", "edge-1")
APPROVERS = People(groups=("S1",))
FREEZE = Freeze("Year end", NOW, NOW + datetime.timedelta(days=1))


class Groups:
    """Who is in S1, or nobody knows."""

    def __init__(self, *members: str) -> None:
        self.members = members
        self.away = False

    def groups_of(self, user: str, groups: Sequence[str]) -> frozenset[str]:
        if self.away:
            raise Unavailable("Slack does not say.")
        return frozenset(groups) if user in self.members else frozenset()


@pytest.fixture
def windows(tmp_path: Path) -> Iterator[Windows]:
    for server in started("valkey", tmp_path / "redis"):
        assert isinstance(server, Valkey)
        client = connect(server.url)
        yield Windows(client, AuditLog(client))


def keeper(windows: Windows, groups: Groups, *freezes: Freeze) -> Gatekeeper:
    environments = (
        Environment("p", namespaces=("prod",), production=True, approval=Approval(APPROVERS),
                    freezes=freezes),
        Environment("d"),
    )  # fmt: skip
    return Gatekeeper(
        environments, Identities({"U11": "ana", "U1": "ana"}), groups, windows, clock=lambda: NOW
    )


def test_a_window_lets_its_person_confirm_on_its_gateway_and_nobody_else(
    windows: Windows,
) -> None:
    gate = keeper(windows, Groups("U2"))
    window = windows.open(PROD, "U1", by="U2", reason="x", seconds=60, request_id="r")
    inside = gate.policy(PROD, user="U1", channel="C1")
    assert inside == Policy(approvers=APPROVERS, window=window.key)
    assert gate.window_open(inside)
    assert gate.policy(PROD, user="U3", channel="C1").by == "approvers"
    assert gate.policy(DEV, user="U1", channel="C1") == Policy()
    windows.close(window.key, by="U2")
    assert not gate.window_open(inside)
    assert gate.policy(PROD, user="U1", channel="C1").by == "approvers"


def test_a_freeze_holds_for_a_window_too(windows: Windows) -> None:
    gate = keeper(windows, Groups("U2"), FREEZE)
    windows.open(PROD, "U1", by="U2", reason="x", seconds=60, request_id="r")
    with pytest.raises(Refused, match="Year end"):
        gate.policy(PROD, user="U1", channel="C1")
    through = gate.policy(PROD, user="U1", channel="C1", break_glass="it is down")
    assert through.break_glass == "it is down"


@pytest.mark.parametrize(
    ("break_glass", "freezes", "state", "refused"),
    [
        ("", (FREEZE,), State.PENDING, True),
        ("", (FREEZE,), State.APPROVED, True),
        ("it is down", (FREEZE,), State.APPROVED, False),
        ("", (), State.PENDING, False),
    ],
)
def test_a_freeze_that_began_after_the_request_holds_for_it_too(
    windows: Windows, break_glass: str, freezes: tuple[Freeze, ...], state: State, refused: bool
) -> None:
    gate = keeper(windows, Groups(), *freezes)
    policy = Policy("approvers", approvers=APPROVERS, break_glass=break_glass)
    action = acted(state, policy)
    if not refused:
        gate.check_freeze(action)
        assert NoFreeze(Does(), gate).execute(action, Trying()).state is State.SUCCEEDED
        return
    with pytest.raises(Refused, match="Year end") as told:
        gate.check_freeze(action)
    assert "break-glass" in told.value.remedy
    with pytest.raises(Refused):
        NoFreeze(Does(), gate).execute(action, Trying())
    begun = dataclasses.replace(action, steps=(Step("apply", 1.0),))
    assert NoFreeze(Does(), gate).execute(begun, Trying()).state is State.SUCCEEDED


def test_what_nobody_asked_for_is_postponed_by_a_freeze_and_has_not_failed(
    windows: Windows,
) -> None:
    gate = keeper(windows, Groups(), FREEZE)
    automatic = dataclasses.replace(
        acted(State.RUNNING, Policy(standing="Ben")), request={AUTOMATIC: True}
    )
    outcome = NoFreeze(Does(), gate).execute(automatic, Trying())
    assert outcome.state is State.SUPERSEDED
    assert outcome.happened.startswith("Postponed: p is frozen until")
    assert "Nothing was changed." in outcome.meaning
    assert "comes again by itself" in outcome.meaning


class Does:
    """An executor that has it done at once."""

    def execute(self, action: Action, run: Run) -> Outcome:
        return Outcome(State.SUCCEEDED, "done")


class Trying:
    """A run of which nothing is wanted."""

    lost = threading.Event()

    def guard(self) -> None: ...

    def step(self, name: str, detail: str = "") -> None: ...

    def progress(self, state: Mapping[str, Any]) -> None: ...


def acted(state: State, policy: Policy) -> Action:
    return Action(
        id="AAAAAA", kind="deploy", ref=PROD, state=state, version=1, requester="U1", person="U1",
        policy=policy, digest="d", request={}, plan={}, origin={}, created_at=0, expires_at=0,
        updated_at=0,
    )  # fmt: skip


def test_while_nobody_says_who_is_an_approver_nobody_is_one(windows: Windows) -> None:
    groups = Groups("U2")
    gate = keeper(windows, groups)
    assert gate.may_close(PROD, "U2").allowed
    groups.away = True
    with pytest.raises(Unavailable):
        gate.may_close(PROD, "U2")
    assert not gate.may_close(DEV, "U2").allowed, "nothing there needs an approver"


def test_rights_are_told_with_their_reasons(windows: Windows) -> None:
    production, development = keeper(windows, Groups("U2"), FREEZE).rights("U2", "C1")
    assert production.approve.allowed
    assert "<!subteam^S1>" in production.approve.why
    assert production.freeze == FREEZE
    assert development.request.allowed
    assert not development.approve.allowed


def test_two_identities_are_one_person(windows: Windows) -> None:
    gate = keeper(windows, Groups())
    assert gate.person("U1") == gate.person("U11") == "ana"
    assert gate.person("U2") == "U2"


def test_a_run_that_only_waited_has_begun_nothing_and_begins_nothing_in_a_freeze(
    windows: Windows,
) -> None:
    gate = keeper(windows, Groups(), FREEZE)
    waited = dataclasses.replace(
        acted(State.RUNNING, Policy("approvers", approvers=APPROVERS)),
        steps=(Step("wait", 1.0, "Waiting for the bot"),),
    )
    with pytest.raises(Refused, match="Year end"):
        NoFreeze(Does(), gate).execute(waited, Trying())
