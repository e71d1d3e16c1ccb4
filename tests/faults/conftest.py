"""Prints the counts of every scenario, whoever wants to see that they are zero."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.bots import Nursery
from tests.faults.judging import FAULTS, Tally


@pytest.fixture
def record(record_property: Callable[[str, object], None]) -> Callable[[str, Tally], None]:
    """Note the counts of a scenario, and fail where one is not zero."""

    def note(name: str, tally: Tally) -> None:
        record_property(FAULTS, tally.told(name))
        assert (tally.lost, tally.twice, tally.unapproved) == (0, 0, 0), "\n".join(tally.wrong)
        assert tally.runs > 0

    return note


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Where bots are processes."""
    found = Nursery()
    yield found
    found.close()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line for each scenario."""
    rows = [
        value
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, value in report.user_properties
        if name == FAULTS
    ]
    if rows:
        terminalreporter.write_sep("-", "faults")
        for row in sorted(set(rows)):
            terminalreporter.write_line(row)
