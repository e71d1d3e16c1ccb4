"""What is done on another thread ends in a result that is read, or in the log."""

import ast
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.pool import Pool
from deploy.background import begin, reported
from deploy.deadline import Deadline
from deploy.errors import Unavailable
from tests.support.processes import ROOT

STARTING = {"submit", "create_task", "ensure_future", "run_coroutine_threadsafe"}


def sources() -> Iterator[Path]:
    for package in ("bot", "handlers", "deploy"):
        yield from (p for p in (ROOT / package).rglob("*.py") if "sandbox" not in p.parts)


def test_what_starts_work_keeps_its_future_or_has_it_logged() -> None:
    """A call whose value is thrown away; `begin` of `deploy.background` gives none."""
    dropped = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr in STARTING
    ]
    assert not dropped, "use deploy.background.begin"


def fail() -> None:
    raise RuntimeError("nobody reads this")


def late() -> None:
    raise Unavailable("Azure does not answer.")


def test_what_fails_in_the_background_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with ThreadPoolExecutor(1) as pool:
        begin(pool, fail)
    assert "nobody reads this" in caplog.text


def test_of_what_may_be_left_behind_only_surprises_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "deploy")
    pool = Pool(1, "work")
    pool.submit(late)
    assert not caplog.text
    pool.submit(fail)
    done = threading.Event()
    pool.submit(done.set)
    assert done.wait(60)
    pool.stop(Deadline.after(10))
    assert "nobody reads this" in caplog.text
    assert "Azure" not in caplog.text


def test_a_future_that_is_reported_is_the_same_one() -> None:
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(int)
        assert reported(future) is future
