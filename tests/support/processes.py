"""Looking at processes from outside, and Python programs to look at."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    done = subprocess.run(
        ["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()[:1] not in ("", "Z")


def python(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Run a Python program from the project's root; it prints what its test waits for."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line a program prints. AssertionError when it ends without one."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"it ended with {process.wait()}"
    return line.strip()
