"""Automatic rotation on a real Valkey: begun once, counted once, and stopped after failures."""

import dataclasses
import datetime
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.access import Approval, Environment, Freeze
from deploy.actions.action import Action, State
from deploy.actions.audit import AuditLog
from deploy.errors import Conflict, Unavailable
from deploy.expiry.automatic import Automatic
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from deploy.plans.plan import OwnershipConflict, Plan
from deploy.plans.requests import RotateRequest
from deploy.policy import People
from deploy.rules.finding import Finding
from deploy.tokens.rotation import Rotation
from tests.support import actions
from tests.support.autopilot_bed import BOT, DEV, AutopilotBed, plan_of
from tests.support.records import restore
from tests.support.redis_servers import started

DAY = 86_400.0
FIRST = GatewayRef("west", "dev", "edge-1")
SECOND = GatewayRef("west", "dev", "edge-2")


TRIES = f"gateway-bot:{{automatic:{DEV.name}}}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def bed(server: Valkey) -> AutopilotBed:
    return AutopilotBed(server)


def test_a_token_near_its_expiry_is_rotated_by_the_standing_approval(bed: AutopilotBed) -> None:
    bed.note(FIRST, 2 * DAY)
    bed.note(SECOND, 20 * DAY)
    bot = bed.bot(Automatic("auto"))
    assert bot.turn() == 1
    (action,) = bed.open()
    assert (action.ref, action.kind, action.state) == (FIRST, "rotate", State.APPROVED)
    assert (action.requester, action.policy.standing) == (BOT, "Ben, 2026-11-01")
    assert action.automatic
    assert action.request == RotateRequest(FIRST, Rotation())
    assert action.origin == {"channel": "C0ALERTS"}
    assert [e.event for e in bed.audit.of(str(FIRST))] == ["automatic rotation"]


def test_a_token_killed_from_outside_is_renewed_by_the_same_authority(bed: AutopilotBed) -> None:
    bed.note(FIRST, 29 * DAY, refused_for=600)
    bed.note(SECOND, 29 * DAY)
    assert bed.bot(Automatic("auto")).turn() == 1
    (action,) = bed.open()
    assert (action.ref, action.kind, action.state) == (FIRST, "rotate", State.APPROVED)
    assert action.policy.standing == "Ben, 2026-11-01"


def test_a_token_that_is_refused_again_and_again_is_renewed_at_once(bed: AutopilotBed) -> None:
    bed.note(FIRST, 29 * DAY, refused_for=45, often=True)
    bed.note(SECOND, 29 * DAY, refused_for=45)
    assert bed.bot(Automatic("auto")).turn() == 1
    assert [action.ref for action in bed.open()] == [FIRST]


def test_a_gateway_that_this_bot_cannot_change_is_never_planned_for(bed: AutopilotBed) -> None:
    bed.note(FIRST, 2 * DAY, kind="StatefulSet")
    bed.note(SECOND, 29 * DAY, refused_for=600, often=True, kind="DaemonSet")

    def plans(request: Any, new_id: str) -> Plan:
        raise AssertionError(request)

    bed.plans = plans
    assert bed.bot(Automatic("auto")).turn() == 0
    assert bed.open() == []
    assert bed.unrotated(FIRST) == ""


def test_a_token_killed_from_outside_is_asked_about_where_people_decide(bed: AutopilotBed) -> None:
    bed.note(FIRST, 29 * DAY, refused_for=600)
    approval = Approval(People(groups=("S0APPROVE",)))
    bed.bot(Automatic("ask"), Environment(DEV.name, production=True, approval=approval)).turn()
    (action,) = bed.open()
    assert (action.ref, action.state, action.policy.by) == (FIRST, State.PENDING, "approvers")


def test_a_standing_approval_is_enough_in_production_without_approvers(bed: AutopilotBed) -> None:
    bed.note(FIRST, 2 * DAY)
    bare = Environment(DEV.name, production=True)
    assert bed.bot(Automatic("auto"), bare).turn() == 1
    assert [action.state for action in bed.open()] == [State.APPROVED]


def test_looking_again_and_by_other_bots_begins_nothing_twice(bed: AutopilotBed) -> None:
    bed.note(FIRST, 2 * DAY)
    bed.note(SECOND, 3 * DAY)
    one, two = bed.bot(), bed.bot(name="two")
    assert [one.turn(), two.turn(), one.turn(), two.turn()] == [1, 0, 0, 0]
    assert [a.ref for a in bed.open()] == [FIRST]


def test_where_it_asks_the_approvers_decide_and_not_the_bot(bed: AutopilotBed) -> None:
    bed.note(FIRST, 2 * DAY)
    approval = Approval(People(groups=("S0APPROVE",)), quorum=2)
    bed.bot(Automatic("ask"), Environment(DEV.name, production=True, approval=approval)).turn()
    (action,) = bed.open()
    assert (action.state, action.policy.by) == (State.PENDING, "approvers")
    assert [(each.environment, each.quorum) for each in action.policy.open] == [(DEV.name, 2)]
    assert actions.approve(bed.store, BOT, action.id, digest=action.digest).result == "self"


def test_a_request_that_nobody_decides_on_keeps_no_other_from_being_asked(
    bed: AutopilotBed,
) -> None:
    refs = [GatewayRef("west", "dev", f"edge-{n:02}") for n in range(12)]
    for number, ref in enumerate(refs):
        bed.note(ref, (2 + number / 100) * DAY)
    people = Environment(DEV.name, requesters=People(("U1",)))
    bot = bed.bot(Automatic("ask"), people)
    assert [bot.turn(), bot.turn()] == [10, 0]
    assert sorted(a.ref for a in bed.open()) == refs[:10]
    first = bed.open()[0]
    assert first.policy.approvers == People(("U1",))
    assert actions.deny(bed.store, "U1", first.id, digest=first.digest).counted
    assert bot.turn() == 1


def test_nothing_is_begun_in_a_freeze(bed: AutopilotBed) -> None:
    bed.note(FIRST, 2 * DAY)
    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=1)
    frozen = Environment(DEV.name, freezes=(Freeze("Year end", now - hour, now + hour),))
    assert bed.bot(environment=frozen).turn() == 0
    assert bed.open() == []


def test_it_stops_after_failures_in_a_row_says_so_and_goes_on_when_resumed(
    bed: AutopilotBed,
) -> None:
    bed.note(FIRST, 2 * DAY)
    bed.note(SECOND, 3 * DAY)
    bot = bed.bot(Automatic("auto", failures=2))
    for ref in (FIRST, SECOND):
        assert bot.turn() == 1
        (action,) = bed.open()
        assert action.ref == ref
        bed.finish(action, State.FAILED)
    assert bot.turn() == 0
    assert bot.turn() == 0
    assert {s.number for s in bed.stops} == {1}
    assert "west/dev/edge-2 ended failed" in bed.stops[0].last
    bed.later()
    assert bot.turn() == 0
    assert bot.resume(DEV.name, by="U1", at=1.0)
    assert not bot.resume(DEV.name, by="U1", at=1.0)
    assert bot.turn() == 1
    events = [e.event for e in bed.audit.read()][::-1]
    assert "automatic rotation stopped" in events
    assert "automatic rotation resumed" in events
    assert events.count("automatic rotation stopped") == 1


def test_every_channel_that_heard_of_a_stop_hears_of_its_end(bed: AutopilotBed) -> None:
    bed.note(FIRST, 2 * DAY)
    bot = bed.bot(Automatic("auto", failures=1))
    bot.turn()
    bed.finish(bed.open()[0], State.FAILED)
    bot.turn()
    assert bot.resume(DEV.name, by="U1", at=float(bed.redis.time()[0]))
    for name in ("one", "two"):
        bed.bot(Automatic("auto", failures=1), name=name).turn()
        bed.redis.delete("gateway-bot:{lease:autopilot}")
    assert [(s.number, s.resumed_by) for s in bed.stops] == [(1, ""), *[(1, "U1")] * 3]
    kept = json.loads(bed.redis.hget(TRIES, "stop:1"))
    bed.redis.hset(TRIES, "stop:1", json.dumps(kept | {"resumed_at": 1.0}))
    bot.turn()
    assert len(bed.stops) == 4, "a day later everybody has heard of it"


def test_a_stop_of_a_newer_bot_lasts_and_is_left_to_it(bed: AutopilotBed) -> None:
    bed.note(FIRST, 2 * DAY)
    bot = bed.bot(Automatic("auto", failures=1))
    bot.turn()
    bed.finish(bed.open()[0], State.FAILED)
    bot.turn()
    kept = json.loads(bed.redis.hget(TRIES, "stop:1"))
    bed.redis.hset(TRIES, "stop:1", json.dumps(kept | {"version": 2}))
    bed.note(SECOND, 2 * DAY)
    assert bot.turn() == 0
    assert len(bed.stops) == 1
    bed.redis.hdel(TRIES, "stopped")
    assert bot.turn() == 1


class Once(AuditLog):
    """The trail of a bot that loses its Redis once, as it writes of this event."""

    event = ""

    def append(self, event: str, *more: Any, **named: Any) -> None:
        if event == self.event:
            self.event = ""
            raise Unavailable("Redis cannot be used now.")
        super().append(event, *more, **named)


def test_a_stop_and_its_end_are_on_record_whatever_happens_as_they_are_written_down(
    bed: AutopilotBed,
) -> None:
    bed.audit = audit = Once(bed.redis)
    bed.note(FIRST, 2 * DAY)
    bot = bed.bot(Automatic("auto", failures=1))
    bot.turn()
    bed.finish(bed.open()[0], State.FAILED)
    audit.event = "automatic rotation stopped"
    with pytest.raises(Unavailable):
        bot.turn()
    for _ in range(2):
        bot.turn()
    assert {s.number for s in bed.stops} == {1}
    audit.event = "automatic rotation resumed"
    with pytest.raises(Unavailable):
        bot.resume(DEV.name, by="U1", at=1.0)
    assert bot.resume(DEV.name, by="U1", at=2.0)
    events = [e.event for e in audit.read() if e.event.startswith("automatic rotation ")][::-1]
    assert events == ["automatic rotation stopped", "automatic rotation resumed"]


class Meanwhile(AuditLog):
    """The trail of a bot that is overtaken by another one as it writes that somebody resumed it."""

    overtake: Callable[[], object] = staticmethod(lambda: None)

    def append(self, event: str, *more: Any, **named: Any) -> None:
        super().append(event, *more, **named)
        overtake, self.overtake = self.overtake, lambda: None
        overtake()


def test_of_two_who_resume_at_once_one_is_told_of(bed: AutopilotBed) -> None:
    bed.audit = audit = Meanwhile(bed.redis)
    bed.note(FIRST, 2 * DAY)
    bot = bed.bot(Automatic("auto", failures=1))
    bot.turn()
    bed.finish(bed.open()[0], State.FAILED)
    bot.turn()
    now = float(bed.redis.time()[0])
    resumed = []
    audit.overtake = lambda: resumed.append(bot.resume(DEV.name, by="U2", at=now))
    resumed.append(bot.resume(DEV.name, by="U1", at=now))
    assert resumed == [True, False]
    bot.turn()
    assert bed.stops[-1].resumed_by == "U2"


def test_a_success_between_failures_begins_the_count_anew(bed: AutopilotBed) -> None:
    third = GatewayRef("west", "dev", "edge-3")
    for number, ref in enumerate((FIRST, SECOND, third)):
        bed.note(ref, (2 + number / 10) * DAY)
    bot = bed.bot(Automatic("auto", failures=2))
    for state in (State.FAILED, State.SUCCEEDED, State.FAILED):
        assert bot.turn() == 1
        bed.finish(bed.open()[0], state)
    bot.turn()
    assert bed.stops == []


def test_hundreds_that_cannot_be_planned_take_few_turns_from_the_others(bed: AutopilotBed) -> None:
    planned: list[GatewayRef] = []

    def plans(request: RotateRequest, new_id: str) -> Plan:
        planned.append(request.ref)
        if request.ref != SECOND:
            raise Conflict("It was not deployed by this bot.")
        return plan_of(request, new_id)

    bed.plans = plans
    by_hand = [GatewayRef("west", "dev", f"by-hand-{n:02}") for n in range(25)]
    for number, ref in enumerate(by_hand):
        bed.note(ref, (1 + number / 100) * DAY)
    bed.note(SECOND, 3 * DAY)
    bot = bed.bot()
    assert [bot.turn(), bot.turn()] == [0, 1]
    assert planned == [*by_hand, SECOND]


def test_what_a_freeze_postponed_is_no_failure_and_is_begun_again(bed: AutopilotBed) -> None:
    bed.note(FIRST, 2 * DAY)
    bot = bed.bot(Automatic("auto", failures=2))
    for _ in range(3):
        assert bot.turn() == 1
        bed.finish(bed.open()[0], State.SUPERSEDED)
    assert bot.turn() == 1
    assert bed.stops == []


def test_a_gateway_that_cannot_be_planned_keeps_no_other_from_its_turn(bed: AutopilotBed) -> None:
    def plans(request: RotateRequest, new_id: str) -> Plan:
        if request.ref == FIRST:
            raise Conflict("It was not deployed by this bot.", remedy="Adopt it.")
        return plan_of(request, new_id)

    bed.plans = plans
    bed.note(FIRST, 2 * DAY)
    bed.note(SECOND, 3 * DAY)
    bot = bed.bot()
    assert bot.turn() == 1
    assert [a.ref for a in bed.open()] == [SECOND]
    assert bed.stops == []
    assert [bed.unrotated(ref) for ref in (FIRST, SECOND)] == [
        "It was not deployed by this bot. Adopt it.", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"findings": (Finding("r", "deny", "It is privileged.", "", "Take it away."),)},
            "A rule forbids it: It is privileged. Take it away.",
        ),
        (
            {"conflicts": (OwnershipConflict("Deployment", "edge-1", "argocd", ".spec"),)},
            "This would change fields of west/dev/edge-1 that others own. argocd owns "
            "Deployment .spec. To change them anyway, run the command again with `--take-over`. "
            "If something else deployed the gateway, adopt it first with `/gateway adopt "
            "west/dev/edge-1`, which keeps what runs.",
        ),
    ],
)
def test_what_keeps_a_token_from_being_rotated_is_told_with_its_warning(
    bed: AutopilotBed, changes: dict[str, Any], why: str
) -> None:
    bed.plans = lambda *asked: dataclasses.replace(plan_of(*asked), **changes)
    bed.note(FIRST, 2 * DAY)
    assert bed.bot().turn() == 0
    assert bed.unrotated(FIRST) == why
    bed.plans = plan_of
    bed.later()
    assert bed.bot().turn() == 1
    assert bed.unrotated(FIRST) == ""


def test_a_cluster_that_is_away_is_no_reason_to_tell(bed: AutopilotBed) -> None:
    def plans(*_: Any) -> Plan:
        raise Unavailable("Cluster “west” does not answer.")

    bed.plans = plans
    bed.note(FIRST, 2 * DAY)
    assert bed.bot().turn() == 0
    assert bed.unrotated(FIRST) == ""


def left_unconfirmed(bed: AutopilotBed) -> None:
    """A bot dies before it notes that the settings approve what it has begun."""
    bed.note(FIRST, 2 * DAY)

    def dies(action: Action) -> None:
        raise SystemExit

    dying = bed.bot(Automatic("auto"), decider=SimpleNamespace(standing=dies))
    with pytest.raises(SystemExit):
        dying.turn()
    assert [a.state for a in bed.open()] == [State.PENDING]


def test_a_bot_that_died_before_the_standing_approval_was_noted_leaves_it_to_the_next(
    bed: AutopilotBed,
) -> None:
    left_unconfirmed(bed)
    assert bed.bot(Automatic("auto")).turn() == 0
    assert [a.state for a in bed.open()] == [State.APPROVED]


def test_a_standing_approval_is_for_where_a_gateway_is_by_todays_settings(
    bed: AutopilotBed,
) -> None:
    bed.note(FIRST, 2 * DAY)
    production = Environment(
        "production", namespaces=("dev",), production=True,
        approval=Approval(People(groups=("S0APPROVE",))),
    )  # fmt: skip
    moved = bed.bot(None, DEV, "one", production)
    assert moved.turn() == 0
    assert bed.open() == []


@pytest.mark.parametrize("why", ["freeze", "stop", "settings"])
def test_a_standing_approval_is_not_noted_later_where_nothing_may_begin_any_more(
    bed: AutopilotBed, why: str
) -> None:
    left_unconfirmed(bed)
    environment, mode = DEV, "auto"
    if why == "freeze":
        now, hour = datetime.datetime.now(datetime.UTC), datetime.timedelta(hours=1)
        environment = Environment(DEV.name, freezes=(Freeze("Year end", now, now + hour),))
    elif why == "stop":
        bed.redis.hset(f"gateway-bot:{{automatic:{DEV.name}}}", mapping={"stopped": 1, "stops": 1})
    else:
        mode = "ask"
    bed.bot(Automatic(mode), environment).turn()  # type: ignore[arg-type]  # one of two literals
    assert [a.state for a in bed.open()] == [State.PENDING]


def test_what_was_tried_before_versions_counts(bed: AutopilotBed) -> None:
    restore(bed.redis, "automatic_rotation")
    bed.note(FIRST, 2 * DAY)
    assert bed.bot().turn() == 1
    kept = json.loads(bed.redis.hget(TRIES, f"try:{FIRST}"))
    assert (kept["version"], kept["number"]) == (1, 1)


@pytest.mark.parametrize("newer", ["try", "action", "record"])
def test_what_a_newer_bot_tried_is_left_to_it_and_the_others_are_rotated(
    bed: AutopilotBed, newer: str, caplog: pytest.LogCaptureFixture
) -> None:
    bed.note(FIRST, 2 * DAY)
    older = bed.bot(name="older")
    assert older.turn() == 1
    (action,) = bed.open()
    if newer == "try":
        kept = json.loads(bed.redis.hget(TRIES, f"try:{FIRST}")) | {"version": 2}
        bed.redis.hset(TRIES, f"try:{FIRST}", json.dumps(kept))
    elif newer == "action":
        bed.redis.hset(f"gateway-bot:{{a:{action.id}}}:act", "format", 2)
        body = json.loads(bed.redis.hget(f"gateway-bot:{{a:{action.id}}}:act", "body"))
        newer_body = json.dumps(body | {"version": 2})
        bed.redis.hset(f"gateway-bot:{{a:{action.id}}}:act", "body", newer_body)
    else:
        bed.redis.hset(f"gateway-bot:{{w:{FIRST}}}:gw", "format", 3)
    before = bed.redis.hget(TRIES, f"try:{FIRST}")
    bed.note(SECOND, 3 * DAY)
    assert older.turn() == 1
    assert older.turn() == 0
    assert SECOND in {action.ref for action in bed.open()}
    assert bed.redis.hget(TRIES, f"try:{FIRST}") == before
    said = [r.getMessage() for r in caplog.records if "cannot be read" in r.getMessage()]
    assert len(said) == 1
    assert Tracker(bed.redis, "newer").hold("autopilot", 60), "the next turn is another bot's"
