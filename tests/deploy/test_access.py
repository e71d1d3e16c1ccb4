import dataclasses
import datetime

import pytest

from deploy.access import (
    UNLISTED,
    Approval,
    Environment,
    Freeze,
    Verdict,
    environment_of,
    may_approve,
    may_request,
    policy_for,
)
from deploy.errors import InvalidInput, Refused
from deploy.gateway import GatewayRef
from deploy.policy import People, Policy

NOW = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC)

ENVIRONMENTS = (
    Environment("production", namespaces=("prod", "prod-*"), production=True),
    Environment("west-only", clusters=("west",)),
)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("west/prod/a", "production"),
        ("east/prod-eu/a", "production"),
        ("west/dev/a", "west-only"),
        ("east/dev/a", "unlisted"),
        ("west/production/a", "west-only"),
    ],
)
def test_the_first_environment_that_matches_holds(place: str, name: str) -> None:
    assert environment_of(GatewayRef.parse(place), ENVIRONMENTS).name == name


def test_production_that_nobody_approves_and_what_nobody_listed_are_refused_in_words() -> None:
    ref = GatewayRef.parse("west/prod/a")
    with pytest.raises(Refused, match="nobody who approves"):
        policy_for(ENVIRONMENTS[0], ref, now=NOW)
    with pytest.raises(Refused, match="belongs to no environment"):
        policy_for(UNLISTED, ref, now=NOW)
    assert policy_for(ENVIRONMENTS[1], ref, now=NOW) == Policy()


def test_who_decides_follows_from_the_environment_and_the_window() -> None:
    ref = GatewayRef.parse("west/prod/a")
    approvers = People(groups=("S1",))
    environment = Environment("p", production=True, approval=Approval(approvers, quorum=2))
    assert policy_for(environment, ref, now=NOW) == Policy("approvers", 2, approvers)
    inside = policy_for(environment, ref, now=NOW, window="w1")
    assert (inside.by, inside.window) == ("requester", "w1")
    never = dataclasses.replace(environment, windows=False)
    assert policy_for(never, ref, now=NOW, window="w1").by == "approvers"


def test_a_freeze_is_gone_through_only_with_a_reason_and_still_needs_its_approvals() -> None:
    ref = GatewayRef.parse("west/prod/a")
    freeze = Freeze("Black Friday", NOW, NOW + datetime.timedelta(hours=1))
    environment = Environment(
        "p", production=True, approval=Approval(People(("U9",))), freezes=(freeze,)
    )
    with pytest.raises(Refused, match="Black Friday"):
        policy_for(environment, ref, now=NOW)
    with pytest.raises(Refused, match="frozen"):
        policy_for(environment, ref, now=freeze.ends - datetime.timedelta(seconds=1))
    through = policy_for(environment, ref, now=NOW, break_glass="it is down")
    assert (through.by, through.break_glass) == ("approvers", "it is down")
    later = policy_for(environment, ref, now=freeze.ends, break_glass="it is down")
    assert later.break_glass == "", "outside the freeze nothing is broken"


def test_the_end_of_a_freeze_is_told_in_utc_whatever_zone_it_was_written_in() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    ends = datetime.datetime(2026, 12, 1, 1, 30, tzinfo=zone)
    frozen_until = Environment("d", freezes=(Freeze("x", NOW, ends),))
    with pytest.raises(Refused, match="until 2026-11-30 23:30 UTC"):
        policy_for(frozen_until, GatewayRef.parse("west/dev/a"), now=NOW)


@pytest.mark.parametrize(
    ("user", "groups", "allowed"),
    [("U1", set(), True), ("U2", {"S1"}, True), ("U2", {"S2"}, False), ("U3", set(), False)],
)
def test_an_approver_is_named_or_in_a_named_group(
    user: str, groups: set[str], allowed: bool
) -> None:
    policy = Policy("approvers", 1, People(("U1",), ("S1",)))
    assert may_approve(policy, user, frozenset(groups)).allowed is allowed
    assert not may_approve(Policy(), user, frozenset(groups)).allowed


def test_requests_may_be_kept_to_people_and_channels() -> None:
    environment = Environment("p", requesters=People(("U1",)), channels=("C1",))
    assert may_request(environment, "U1", "C1", frozenset()).allowed
    assert "<#C1>" in may_request(environment, "U1", "C2", frozenset()).why
    assert not may_request(environment, "U2", "C1", frozenset()).allowed
    assert may_request(Environment("d"), "U2", "C2", frozenset()).allowed


@pytest.mark.parametrize("text", ["", "a", "a/b", "a/b/c/d", "A/b/c", "a/b/" + "c" * 45, "a/../c"])
def test_what_does_not_say_where_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        GatewayRef.parse(text)


@pytest.mark.parametrize(
    ("why", "sentence"),
    [
        ("member of a group", "Member of a group."),
        ("Nobody approves changes there.", "Nobody approves changes there."),
    ],
)
def test_a_reason_that_stands_alone_is_a_sentence(why: str, sentence: str) -> None:
    assert Verdict(False, why).sentence == sentence
