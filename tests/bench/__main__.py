"""`make bench`: every benchmark of this folder, or those that are named, and one table of the goals."""

import importlib
import os
import sys

from tests.bench.results import Result, table

BENCHMARKS = (
    "start",
    "acks",
    "calls",
    "decisions",
    "expiry",
    "growth",
    "growth_bots",
    "growth_waiting",
    "growth_follows",
    "history",
    "home",
    "logs",
    "memory",
    "plan",
    "status",
)
"""Modules with a `main()` that prints its rows and gives the results of goals, if it has any."""
ONLY_NAMED = ("large", "many", "profiles")
"""Those that run only where they are named: two take long to be filled, and one is for reading."""


def run(names: list[str]) -> None:
    """Print the rows of each, then the table."""
    # The image has its modules compiled; a bot that compiles them at each start is slower and larger.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    results: list[Result] = []
    for name in names or BENCHMARKS:
        print(f"── {name}", flush=True)
        results += importlib.import_module(f"tests.bench.{name}").main() or ()
    if results or not names:
        print(f"── goals\n{table(results)}", flush=True)


if __name__ == "__main__":
    run(sys.argv[1:])
