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


def decided(environment: Environment, now: datetime.datetime = NOW, **more: Any) -> Policy:
    """Who decides on a change there."""
    ref = GatewayRef.parse("west/prod/a")
    return policy_for((environment,), ref, freezing=(environment,), now=now, **more)


def test_production_that_nobody_approves_and_what_nobody_listed_are_refused_in_words() -> None:
    with pytest.raises(Refused, match="nobody who approves"):
        decided(ENVIRONMENTS[0])
    with pytest.raises(Refused, match="belongs to no environment"):
        decided(UNLISTED)
    assert decided(ENVIRONMENTS[1]) == Policy()


def test_who_decides_follows_from_the_environment_and_the_window() -> None:
    approvers = People(groups=("S1",))
    environment = Environment("p", production=True, approval=Approval(approvers))
    assert decided(environment) == Policy((Requirement("p", approvers),))
    inside = decided(environment, windows={"p": "w1"})
    assert (inside.by, inside.windows) == ("requester", ("w1",))
    never = dataclasses.replace(environment, windows=False)
    two = dataclasses.replace(environment, approval=Approval(approvers, quorum=2))
    for other in (never, two):
        assert not other.allows_windows
        assert decided(other, windows={"p": "w1"}).by == "approvers"


def test_a_freeze_is_overridden_only_with_a_reason_and_still_needs_its_approvals() -> None:
    freeze = Freeze("Black Friday", NOW, NOW + datetime.timedelta(hours=1))
    environment = Environment(
        "p", production=True, approval=Approval(People(("U9",))), freezes=(freeze,)
    )
    with pytest.raises(Refused, match="Black Friday"):
        decided(environment)
    with pytest.raises(Refused, match="frozen"):
        decided(environment, freeze.ends - datetime.timedelta(seconds=1))
    through = decided(environment, break_glass="it is down")
    assert (through.by, through.break_glass) == ("approvers", "it is down")
    later = decided(environment, freeze.ends, break_glass="it is down")
    assert later.break_glass == "", "outside the freeze nothing is broken"


def test_the_end_of_a_freeze_is_told_in_utc_whatever_zone_it_was_written_in() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    ends = datetime.datetime(2026, 12, 1, 1, 30, tzinfo=zone)
    frozen_until = Environment("d", freezes=(Freeze("x", NOW, ends),))
    with pytest.raises(Refused, match="until 2026-11-30 23:30 UTC"):
        decided(frozen_until)


@pytest.mark.parametrize("text", ["", "a", "a/b", "a/b/c/d", "A/b/c", "a/b/" + "c" * 45, "a/../c"])
def test_what_does_not_say_where_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        GatewayRef.parse(text)
