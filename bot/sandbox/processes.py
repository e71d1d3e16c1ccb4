"""Children that die with their parent, also when the parent is killed with SIGKILL."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_PR_SET_PDEATHSIG = 1


def spawn(arguments: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a process, as subprocess.Popen does, that ends when this one ends.

    Linux sends it SIGTERM itself (prctl(2), PR_SET_PDEATHSIG) when the thread that started it ends,
    so call this from one that lives as long as the process. Elsewhere a shell holds a pipe from
    here and kills the child when the pipe breaks.
    """
    if sys.platform == "linux":
        parent = os.getpid()
        libc = ctypes.CDLL(None, use_errno=True)

        def follow() -> None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                # The parent died before it could be followed.
                os._exit(1)

        return subprocess.Popen(arguments, preexec_fn=follow, start_new_session=True, **options)
    child = subprocess.Popen(arguments, start_new_session=True, **options)
    keeper(child.pid)
    return child


def keeper(pid: int) -> subprocess.Popen[bytes]:
    """A shell that sends SIGTERM to `pid` when this process is gone."""
    return subprocess.Popen(
        ["/bin/sh", "-c", f"cat >/dev/null; kill {pid}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
