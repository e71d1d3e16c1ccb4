"""Whose action made a revision, though a later one wrote its name on it."""

import pytest

from deploy.actions.audit import AuditEntry
from deploy.actions.makers import credited
from deploy.observed.history import Revision


def entry(at: float, event: str, action: str, who: str = "") -> AuditEntry:
    return AuditEntry(1, at, event, who, action, "deploy", "west/dev/edge-1", "", "")


def ran(action: str, who: str, began: float, ended: float | None) -> list[AuditEntry]:
    end = [entry(ended, "succeeded", action)] if ended is not None else []
    return [entry(began - 9, "pending", action, who), entry(began, "running", action), *end]


FIRST, SCALE = ran("AAAAAA", "U1", 100.0, 130.0), ran("BBBBBB", "U2", 500.0, 510.0)


def maker(*entries: AuditEntry, at: float = 105.0, again: bool = False) -> tuple[str, str]:
    noted = Revision(1, "gateway:2.11.1", at, 2, True, action="BBBBBB", requester="U2", again=again)
    (found,) = credited([noted], entries)
    return found.action, found.requester


def test_a_revision_is_credited_to_the_action_that_ran_when_it_was_made() -> None:
    assert maker(*FIRST, *SCALE) == ("AAAAAA", "U1")
    assert maker(*reversed([*FIRST, *SCALE])) == ("AAAAAA", "U1"), "in whatever order they are read"
    assert maker(*ran("AAAAAA", "U1", 100.0, None), *SCALE) == ("AAAAAA", "U1"), "it still runs"


def test_an_action_that_began_only_later_made_no_revision_even_if_nobody_knows_who_did() -> None:
    assert maker(*SCALE) == ("", "")


@pytest.mark.parametrize("at", [496.0, 505.0, 514.0])
def test_the_action_that_is_noted_made_it_where_it_ran_then_by_either_clock(at: float) -> None:
    assert maker(*FIRST, *SCALE, at=at) == ("BBBBBB", "U2")


def test_what_the_trail_does_not_know_stays_as_it_is_noted() -> None:
    assert maker() == ("BBBBBB", "U2")
    assert maker(*FIRST) == ("BBBBBB", "U2")


def test_a_revision_that_was_brought_back_is_that_of_whoever_brought_it_back() -> None:
    assert maker(*FIRST, *SCALE, again=True) == ("BBBBBB", "U2")
