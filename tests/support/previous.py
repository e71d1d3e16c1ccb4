"""The version before this one, out of the history, to run beside it."""

import io
import subprocess
import tarfile
from pathlib import Path

from tests.support.processes import ROOT

RECORDED = ROOT / "tests" / "data" / "previous-version"
"""The commit that was released last, or that this version is upgraded from."""


def previous_version(directory: Path) -> Path:
    """Where that version lies, so that `python -m bot` there runs it. AssertionError where the
    history does not reach back to it."""
    commit = RECORDED.read_text(encoding="utf-8").strip()
    archive = subprocess.run(
        ["git", "archive", "--format=tar", commit, "bot", "handlers", "deploy"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert archive.returncode == 0, (
        f"{commit} of {RECORDED.name} is not in this clone: upgrades are tried against it. "
        f"Fetch the whole history (git fetch --unshallow).\n{archive.stderr.decode()}"
    )
    found = directory / "previous"
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
        packed.extractall(found, filter="data")
    return found
