"""The protocol, checked by Spin in every order of events; and what goes wrong without its parts."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

MODEL = Path(__file__).with_name("action.pml")
PROPERTIES = (
    "quorum_and_no_self",
    "once_per_fence",
    "nothing_after_a_stop",
    "terminal_stays",
)
MISSING = [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]

pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"no {' and no '.join(MISSING)} here; .ci/run installs it"
)


def check(directory: Path, claim: str, *without: str) -> str:
    """What Spin's verifier says of one property of the model."""
    steps = (
        ["spin", *(f"-D{part}" for part in without), "-a", str(MODEL)],
        ["gcc", "-O2", "-DCOLLAPSE", "-DNOFAIR", "-o", "pan", "pan.c"],
        ["./pan", "-a", "-m200000", "-N", claim],
    )
    said = ""
    for step in steps:
        done = subprocess.run(step, cwd=directory, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
    return said


def errors(said: str) -> int:
    """How many counterexamples were found."""
    found = re.search(r"errors: (\d+)", said)
    assert found, said
    return int(found[1])


@pytest.mark.parametrize("claim", PROPERTIES)
def test_it_holds_in_every_order_of_events(tmp_path: Path, claim: str) -> None:
    said = check(tmp_path, claim)
    assert errors(said) == 0, said
    assert "max search depth too small" not in said
    assert "Search not completed" not in said


@pytest.mark.parametrize(
    ("part", "claim"),
    [
        ("NO_FENCE", "once_per_fence"),
        ("NO_SELF_CHECK", "quorum_and_no_self"),
        ("NO_VOTE_CHECK", "quorum_and_no_self"),
        ("NO_STOP_CHECK", "nothing_after_a_stop"),
        ("NO_EDGES", "terminal_stays"),
    ],
)
def test_without_this_part_a_counterexample_is_found(tmp_path: Path, part: str, claim: str) -> None:
    assert errors(check(tmp_path, claim, part)) == 1
    assert list(tmp_path.glob("*.trail"))
