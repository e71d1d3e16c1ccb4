"""What the count of gateways says of their tokens."""

import dataclasses
from typing import Any

import pytest

from bot.metrics.gateways import Rotating, late
from deploy.expiry.automatic import Automatic, turn_at
from deploy.health.status import GatewaySummary
from tests.support.statuses import NOW, summary

HOUR, DAY = 3600.0, 86_400.0


def expiring(seconds: float, **more: Any) -> GatewaySummary:
    return summary("west/prod/edge-1", token_expires_at=NOW + seconds, **more)


def auto(before: float, *, frozen: bool = False) -> Rotating:
    return Rotating(Automatic(mode="auto", before=before), frozen)


@pytest.mark.parametrize("rotating", [None, auto(7 * DAY), Rotating(Automatic(mode="off"), False)])
def test_a_token_that_has_expired_is_late_and_one_that_is_valid_for_long_is_not(
    rotating: Rotating | None,
) -> None:
    assert late(expiring(-1), rotating, NOW)
    assert not late(expiring(4 * DAY), rotating, NOW)
    assert not late(dataclasses.replace(expiring(0), token_expires_at=None), rotating, NOW)


def test_a_token_that_nobody_rotates_is_late_three_days_before_its_end() -> None:
    assert late(expiring(2 * DAY), None, NOW)
    assert late(expiring(2 * DAY), Rotating(Automatic(mode="off"), False), NOW)
    others = expiring(2 * DAY, managed_by="Helm")
    assert others.renewal != "rotate"
    assert late(others, auto(DAY), NOW)


def test_one_that_is_rotated_automatically_is_late_an_hour_after_its_turn() -> None:
    token = expiring(2 * DAY)
    assert token.token_expires_at is not None
    rotating = auto(DAY)
    turn = turn_at(token.ref, token.token_expires_at, DAY)
    assert not late(token, rotating, turn - 1)
    assert not late(token, rotating, turn + HOUR - 1)
    assert late(token, rotating, turn + HOUR + 1)
    assert not late(token, auto(DAY, frozen=True), turn + HOUR + 1)
    assert late(token, auto(DAY, frozen=True), token.token_expires_at), "whatever postponed it"
