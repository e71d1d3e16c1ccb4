"""Children that die with their parent, also when the parent is killed with SIGKILL."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""


def spawn(arguments: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a process, as subprocess.Popen does, that ends when this one ends.

    Linux sends it SIGTERM itself (prctl(2), PR_SET_PDEATHSIG) when the thread that started it ends,
    so call this from one that lives as long as the process. Elsewhere a shell holds a pipe from
    here and sends SIGTERM when the pipe breaks. Either way the child has a session of its own, so
    a Ctrl-C in the terminal reaches this process alone.
    """
    if sys.platform == "linux":
        return _followed(arguments, options)
    return KeptProcess(arguments, start_new_session=True, **options)


def _followed(arguments: Sequence[str], options: dict[str, Any]) -> subprocess.Popen[Any]:
    parent = os.getpid()
    libc = ctypes.CDLL(None, use_errno=True)

    def follow() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            # The parent died before it could be followed.
            os._exit(1)

    return subprocess.Popen(arguments, preexec_fn=follow, start_new_session=True, **options)


class KeptProcess(subprocess.Popen[Any]):
    """A process with a keeper beside it: a shell that ends it when its end of a pipe breaks."""

    def __init__(self, arguments: Sequence[str], **options: Any) -> None:
        super().__init__(arguments, **options)
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", f"read -r _ || kill -TERM {self.pid}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, as Popen does."""
        code = super().wait(timeout)
        self._dismiss()
        return code

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        code = super().poll()
        if code is not None:
            self._dismiss()
        return code

    def _dismiss(self) -> None:
        """Send the keeper home: the process id may soon be somebody else's."""
        if self._keeper.returncode is None and self._keeper.stdin is not None:
            with contextlib.suppress(OSError):
                self._keeper.stdin.write(b"\n")
                self._keeper.stdin.close()
            self._keeper.wait()
