"""Which tokens are rotated on their own: in time, spread out, and never more at once than allowed."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.actions.action import State
from deploy.expiry.automatic import (
    ASKED_AT_ONCE,
    REFUSED_AGAIN_SECONDS,
    REFUSED_OFTEN_SECONDS,
    REFUSED_SECONDS,
    RETRY_SECONDS,
    Attempt,
    Automatic,
    Candidate,
    queue,
    room,
    spread,
    turn_at,
)
from deploy.gateway import GatewayRef
from deploy.health.heartbeat import _STILL
from deploy.health.levels import PERIOD

DAY = 86_400.0
NOW = 1_800_000_000.0
AUTO = Automatic("auto")
SECOND = GatewayRef("west", "dev", "edge-2")
FIRST = GatewayRef("west", "dev", "edge-1")
names = st.integers(0, 400).map(lambda n: GatewayRef("west", "dev", f"edge-{n}"))
states = st.sampled_from([None, *State])


@st.composite
def candidates(draw: st.DrawFn) -> list[Candidate]:
    found = []
    for ref in draw(st.lists(names, unique=True, max_size=12)):
        expires_at = NOW + draw(st.floats(-DAY, 30 * DAY))
        attempt = None
        if draw(st.booleans()):
            same = draw(st.booleans())
            attempt = Attempt(
                expires_at if same else expires_at - DAY,
                1,
                NOW - draw(st.floats(0, 3 * DAY)),
                draw(states),
            )
        found.append(Candidate(ref, expires_at, attempt))
    return found


@given(candidates(), st.integers(1, 5))
def test_never_more_at_once_than_allowed_and_only_what_is_due(
    found: list[Candidate], at_once: int
) -> None:
    rule = Automatic("auto", at_once=at_once)
    going_on = [
        c.attempt
        for c in found
        if c.attempt is not None
        and c.attempt.state in (State.PENDING, State.APPROVED, State.RUNNING)
    ]
    rotating = sum(not attempt.asking for attempt in going_on)
    assert rotating + room(found, rule) <= max(at_once, rotating)
    due = queue(found, rule, NOW)
    assert not due or room(found, rule)
    for one in due:
        assert turn_at(one.ref, one.expires_at, rule.before) <= NOW
        assert one.attempt is None or one.attempt.state not in (
            State.PENDING,
            State.APPROVED,
            State.RUNNING,
        )


@given(candidates())
def test_those_of_which_nothing_came_keep_none_of_the_others_from_their_turn(
    found: list[Candidate],
) -> None:
    def in_vain(one: Candidate) -> bool:
        tried = one.attempt
        same = tried is not None and tried.expires_at == one.expires_at
        return same and tried is not None and tried.state in (None, State.SUPERSEDED)

    due = queue(found, AUTO, NOW)
    first, last = [c for c in due if not in_vain(c)], [c for c in due if in_vain(c)]
    assert list(due) == first + last
    assert first == sorted(first, key=lambda c: (c.expires_at, c.ref))
    waited = [c.attempt.at for c in last if c.attempt]
    assert waited == sorted(waited)


@given(names, st.floats(3600, 25 * DAY), st.floats(0, 60 * DAY))
def test_a_turn_is_before_it_must_be_by_a_day_at_most_and_the_same_for_every_bot(
    ref: GatewayRef, before: float, left: float
) -> None:
    moment = turn_at(ref, NOW + left, before)
    assert NOW + left - before - DAY <= moment <= NOW + left - before
    assert moment == turn_at(ref, NOW + left, before)


def test_tokens_that_were_made_together_are_not_rotated_together() -> None:
    refs = [GatewayRef("west", "dev", f"edge-{n}") for n in range(200)]
    hours = {int(spread(ref, 7 * DAY) // 3600) for ref in refs}
    assert len(hours) > 20


def test_several_are_asked_about_at_a_time_for_no_more_run_than_allowed_anyway() -> None:
    asked = Candidate(FIRST, NOW + DAY, Attempt(NOW + DAY, 1, NOW, State.PENDING))
    assert room([asked], Automatic("ask")) == ASKED_AT_ONCE - 1
    assert room([asked], Automatic("ask", at_once=20)) == 19
    assert room([asked] * 12, Automatic("ask")) == 0
    assert room([asked], AUTO) == 0


def test_nothing_is_begun_where_it_is_off() -> None:
    assert queue([Candidate(FIRST, NOW)], Automatic("off"), NOW) == ()


def test_what_failed_is_tried_again_later_and_what_a_person_denied_is_not() -> None:
    def begun(state: State | None, ago: float) -> int:
        attempt = Attempt(NOW + DAY, 1, NOW - ago, state)
        return len(queue([Candidate(FIRST, NOW + DAY, attempt)], AUTO, NOW))

    assert begun(State.FAILED, RETRY_SECONDS - 1) == 0
    assert begun(State.FAILED, RETRY_SECONDS) == 1
    assert begun(None, RETRY_SECONDS) == 1
    assert begun(State.SUPERSEDED, 0) == 1
    assert begun(State.EXPIRED, DAY) == 1
    for state in (State.DENIED, State.CANCELLED, State.STOPPED):
        assert begun(state, 30 * DAY) == 0
    assert begun(State.SUCCEEDED, 30 * DAY) == 0


def test_a_token_that_azure_refuses_is_renewed_first_once_that_has_lasted() -> None:
    def due(since: float | None, tried: Attempt | None = None) -> list[GatewayRef]:
        found = Candidate(FIRST, NOW + 25 * DAY, tried, since)
        return [c.ref for c in queue([Candidate(SECOND, NOW + DAY), found], AUTO, NOW)]

    assert due(None) == [SECOND]
    assert due(NOW - REFUSED_SECONDS + 1) == [SECOND]
    assert due(NOW - REFUSED_SECONDS) == [FIRST, SECOND]
    renewed = Attempt(NOW - DAY, 1, NOW - RETRY_SECONDS + 1, State.SUCCEEDED)
    assert due(NOW - DAY, renewed) == [SECOND]
    assert due(NOW - DAY, dataclasses.replace(renewed, at=NOW - RETRY_SECONDS)) == [FIRST, SECOND]
    denied = Attempt(NOW + 25 * DAY, 1, NOW - DAY, State.DENIED)
    assert due(NOW - DAY, denied) == [SECOND]
    refused = Candidate(FIRST, NOW + 25 * DAY, None, NOW - DAY)
    assert queue([refused], Automatic("off"), NOW) == ()


def test_one_refusal_that_is_known_of_for_minutes_renews_nothing() -> None:
    # A refusal counts for a while, and its look is kept until the next ones.
    known_of_for = _STILL + 2 * PERIOD + 30
    assert known_of_for < REFUSED_SECONDS
    once = Candidate(FIRST, NOW + 25 * DAY, None, NOW - known_of_for)
    assert queue([once], AUTO, NOW) == ()


def test_a_token_that_is_refused_again_and_again_is_renewed_within_a_minute() -> None:
    def due(since: float, *, often: bool) -> bool:
        found = Candidate(FIRST, NOW + 25 * DAY, None, since, refused_often=often)
        return bool(queue([found], AUTO, NOW))

    # It is looked at every PERIOD, and the scan and the turn are each of a few seconds.
    assert REFUSED_OFTEN_SECONDS + PERIOD < 60
    assert due(NOW - REFUSED_OFTEN_SECONDS, often=True)
    assert not due(NOW - REFUSED_OFTEN_SECONDS + 1, often=True)
    assert not due(NOW - 60, often=False)


@pytest.mark.parametrize("state", [State.FAILED, State.UNKNOWN])
def test_a_refused_token_that_a_new_one_did_not_mend_is_not_tried_every_hour(state: State) -> None:
    def due(ago: float, expires_at: float = NOW + 25 * DAY) -> bool:
        tried = Attempt(NOW + 25 * DAY, 1, NOW - ago, state)
        return bool(queue([Candidate(FIRST, expires_at, tried, NOW - 3 * DAY)], AUTO, NOW))

    assert not due(REFUSED_AGAIN_SECONDS - 1)
    assert due(REFUSED_AGAIN_SECONDS)
    # Another token since, or one that is about to expire anyway.
    assert due(RETRY_SECONDS, NOW + 26 * DAY)


def test_what_is_under_way_keeps_others_from_being_begun() -> None:
    going = Candidate(FIRST, NOW + DAY, Attempt(NOW + DAY, 1, NOW, State.RUNNING))
    assert queue([going, Candidate(SECOND, NOW + DAY)], AUTO, NOW) == ()
    two = Automatic("auto", at_once=2)
    assert [c.ref for c in queue([going, Candidate(SECOND, NOW + DAY)], two, NOW)] == [SECOND]
