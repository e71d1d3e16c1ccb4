"""What `make bench` prints: every benchmark can be named, and every goal has a place in its table."""

import importlib
from pathlib import Path

import pytest

from tests.bench import growing
from tests.bench.__main__ import BENCHMARKS, ONLY_NAMED
from tests.bench.results import GOALS, Result, table

BESIDE = {
    "__main__",
    "beds",
    "canned",
    "empty_app",
    "filling",
    "growing",
    "profiled",
    "results",
    "weighed",
}
"""What benchmarks are made of."""


def test_every_module_of_the_folder_is_a_benchmark_or_part_of_one() -> None:
    found = {path.stem for path in (Path(__file__).parent / "bench").glob("*.py")}
    assert found - BESIDE == {*BENCHMARKS, *ONLY_NAMED}


@pytest.mark.parametrize("name", [*BENCHMARKS, *ONLY_NAMED])
def test_each_can_be_started_by_its_name(name: str) -> None:
    assert callable(importlib.import_module(f"tests.bench.{name}").main)


def test_every_goal_is_measured_by_a_benchmark() -> None:
    assert set(GOALS.values()) <= {*BENCHMARKS, *ONLY_NAMED}


def test_the_table_says_what_was_reached_and_what_was_not_measured() -> None:
    reached = Result("decision", "16 at once", "2 ms", "≤ 0.5×", True, "5 ms", 0.4)
    missed = Result("start to ready", "", "3.1 s", "< 2 s", False)
    header, first, second, *rest = table([missed, reached]).splitlines()
    assert header.split() == ["what", "ours", "peer", "ratio", "reach", "reached"]
    assert first.startswith("decision: 16 at once")
    assert first.endswith("yes")
    assert "0.4×" in first
    assert second.startswith("start to ready ")
    assert second.endswith("NO")
    assert '  --help (BENCH="start")' in rest
    assert not any(line.startswith("  decision") for line in rest)


def test_growth_in_proportion_is_linear() -> None:
    assert growing.verdict([(10, 2.0), (100, 20.0), (1_000, 200.0)]) == "linear or better"
    assert growing.verdict([(10, 2.0), (100, 2.1), (1_000, 0.0)]) == "linear or better"


def test_more_than_in_proportion_bends_where_it_begins() -> None:
    said = growing.verdict([(10, 1.0), (100, 10.0), (1_000, 1_000.0)])
    assert said == "bends at 1,000 (exponent 2.00)"
