"""`make bench`: every benchmark of this folder, or those that are named."""

import importlib
import sys

BENCHMARKS = (
    *(
        "acks",
        "calls",
        "decisions",
        "expiry",
        "history",
        "home",
        "logs",
        "memory",
        "plan",
        "status",
    ),
)
"""Modules with a `main()` that prints its rows; `large` has one too, and takes long to be filled."""


def run(names: list[str]) -> None:
    """Print the rows of each."""
    for name in names or BENCHMARKS:
        print(f"── {name}", flush=True)
        importlib.import_module(f"tests.bench.{name}").main()


if __name__ == "__main__":
    run(sys.argv[1:])
