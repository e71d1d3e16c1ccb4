import dataclasses
import datetime
from typing import Any

import pytest

from deploy.access import (
    UNLISTED,
    Approval,
    Environment,
    Freeze,
    environment_of,
    policy_for,
)
from deploy.errors import InvalidInput, Refused
from deploy.gateway import GatewayRef
from deploy.policy import People, Policy, Requirement

NOW = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC)

ENVIRONMENTS = (
    Environment("production", namespaces=("prod", "prod-*"), production=True),
    Environment("west-only", clusters=("west",)),
)


def decided(place: str, *environments: Environment, **more: Any) -> Policy:
    """Who decides on a change of `place` that concerns those environments, by default NOW."""
    fields: dict[str, Any] = {"freezing": environments[:1], "now": NOW}
    return policy_for(environments, GatewayRef.parse(place), **(fields | more))


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
    with pytest.raises(Refused, match="no approvers"):
        decided("west/prod/a", ENVIRONMENTS[0])
    with pytest.raises(Refused, match="belongs to no environment"):
        decided("west/prod/a", UNLISTED)
    assert decided("west/dev/a", ENVIRONMENTS[1]) == Policy()


def test_who_decides_follows_from_the_environment_and_the_window() -> None:
    approvers = People(groups=("S1",))
    two = Environment("p", production=True, approval=Approval(approvers, quorum=2))
    assert decided("west/prod/a", two) == Policy((Requirement("p", approvers, 2),))
    one = dataclasses.replace(two, approval=Approval(approvers))
    inside = decided("west/prod/a", one, windows={"p": "w1"})
    assert (inside.by, inside.windows) == ("requester", ("w1",))
    never = dataclasses.replace(one, windows=False)
    assert decided("west/prod/a", never, windows={"p": "w1"}).by == "approvers"


def test_a_window_stands_in_for_no_more_than_one_approver() -> None:
    two = Environment("p", production=True, approval=Approval(People(groups=("S1",)), quorum=2))
    inside = decided("west/prod/a", two, windows={"p": "w1"})
    assert (inside.by, inside.windows) == ("approvers", ())


def test_everybody_whom_a_change_concerns_decides_on_it_each_for_themselves() -> None:
    approvers, others = People(groups=("S1",)), People(users=("U9",))
    production = Environment("p", production=True, approval=Approval(approvers))
    staging = Environment("s", approval=Approval(others, quorum=2))
    policy = decided("west/prod/a", production, staging, Environment("d"))
    assert policy.requirements == (Requirement("p", approvers), Requirement("s", others, 2))
    assert policy.approvers == People(("U9",), ("S1",))
    covered = decided("west/prod/a", production, staging, windows={"p": "w1"})
    assert [each.environment for each in covered.open] == ["s"]
    with pytest.raises(Refused, match="no approvers"):
        decided("west/prod/a", Environment("d"), ENVIRONMENTS[0])


def test_a_freeze_is_gone_through_only_with_a_reason_and_still_needs_its_approvals() -> None:
    freeze = Freeze("Black Friday", NOW, NOW + datetime.timedelta(hours=1))
    frozen = Environment(
        "p", production=True, approval=Approval(People(("U9",))), freezes=(freeze,)
    )
    place = "west/prod/a"
    with pytest.raises(Refused, match="Black Friday"):
        decided(place, frozen)
    with pytest.raises(Refused, match="frozen"):
        decided(place, frozen, now=freeze.ends - datetime.timedelta(seconds=1))
    through = decided(place, frozen, break_glass="it is down")
    assert (through.by, through.break_glass) == ("approvers", "it is down")
    later = decided(place, frozen, now=freeze.ends, break_glass="it is down")
    assert later.break_glass == "", "outside the freeze nothing is broken"
    other = dataclasses.replace(frozen, name="q", freezes=())
    assert decided(place, other, frozen).break_glass == "", "another's freeze forbids nothing here"
    with pytest.raises(Refused, match="Black Friday"):
        decided(place, other, frozen, freezing=(other, frozen))


def test_the_end_of_a_freeze_is_told_in_utc_whatever_zone_it_was_written_in() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    ends = datetime.datetime(2026, 12, 1, 1, 30, tzinfo=zone)
    frozen_until = Environment("d", freezes=(Freeze("x", NOW, ends),))
    with pytest.raises(Refused, match="until 2026-11-30 23:30 UTC"):
        decided("west/dev/a", frozen_until)


@pytest.mark.parametrize("text", ["", "a", "a/b", "a/b/c/d", "A/b/c", "a/b/" + "c" * 254, "a/../c"])
def test_what_does_not_say_where_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        GatewayRef.parse(text)
