"""The version before this one, out of the history, to run beside it."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.processes import ROOT

RECORDED = ROOT / "tests" / "data" / "previous-version"
"""The commit that was released last, or that this version is upgraded from."""


def previous_version(directory: Path) -> Path:
    """Where that version lies, so that `python -m bot` there runs it. A copy without that history
    skips the test."""
    commit = RECORDED.read_text(encoding="utf-8").strip()
    archive = subprocess.run(
        ["git", "archive", "--format=tar", commit, "bot", "handlers", "deploy"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        pytest.skip(
            f"{commit} of {RECORDED.name} is not in this copy: upgrades are tried against it. "
            "Fetch the whole history (git fetch --unshallow)."
        )
    found = directory / "previous"
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
        packed.extractall(found, filter="data")
    return found
