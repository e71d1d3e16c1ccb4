"""Children that end with their parent, whatever ended that."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from bot.sandbox.processes import KeptProcess, spawn
from tests.support.processes import alive, line_of, python
from tests.support.waiting import until

CHILD_AND_GRANDCHILD = """
import subprocess, sys, time
from bot.sandbox.processes import {how}
inner = "from bot.sandbox.processes import {how}; import time;" \\
    "print({how}(['sleep', '600']).pid, flush=True); time.sleep(600)"
child = {how}([sys.executable, "-c", inner], stdout=subprocess.PIPE, text=True)
print(child.pid, child.stdout.readline().strip(), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", ["spawn", "KeptProcess"])
def test_kill_9_of_a_parent_ends_its_children_and_theirs(how: str) -> None:
    parent = python(CHILD_AND_GRANDCHILD.format(how=how))
    child, grandchild = map(int, line_of(parent).split())
    assert alive(child)
    assert alive(grandchild)
    parent.kill()
    parent.wait()
    until(lambda: not alive(child), "the end of the child")
    until(lambda: not alive(grandchild), "the end of the grandchild")


@pytest.mark.parametrize("start", [spawn, KeptProcess])
def test_a_child_lives_while_its_parent_does(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    child = start([sys.executable, "-c", "print('here', flush=True); input()"], **_PIPES)
    assert child.stdout is not None
    assert child.stdout.readline() == "here\n"
    assert child.poll() is None
    child.communicate("go on\n", timeout=60)
    assert child.returncode == 0


def test_a_keeper_goes_home_with_the_child_it_was_kept_for() -> None:
    child = KeptProcess(["true"], stdout=subprocess.DEVNULL)
    assert child.wait(60) == 0
    assert not _keepers_of(child.pid)


def test_a_child_has_a_session_of_its_own_so_that_ctrl_c_passes_it_by() -> None:
    child = spawn([sys.executable, "-c", "import os; print(os.getsid(0))"], **_PIPES)
    printed, _ = child.communicate(timeout=60)
    assert int(printed) == child.pid


def test_a_child_can_be_ended_in_good_order() -> None:
    child = spawn(["sleep", "600"])
    child.terminate()
    assert child.wait(60) == -signal.SIGTERM


_PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}


def _keepers_of(pid: int) -> list[str]:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if re.search(rf"kill -TERM {pid}\b", line)]
