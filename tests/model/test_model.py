"""The protocol, checked by Spin in every order of events; and what goes wrong without its pieces."""

import functools
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

MODEL = Path(__file__).with_name("action.pml")
MEGABYTES = 2000
"""What one run of the verifier may use."""
EVENTUAL = "stop_ends"
"""The property that something happens at last: it supposes that no process is held up for ever."""
MISSING = [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]

pytestmark = [
    pytest.mark.skipif(
        bool(MISSING), reason=f"no {' and no '.join(MISSING)} here; .ci/run installs it"
    ),
    pytest.mark.timeout(900),
]


Verifier = Callable[..., Path]
"""Builds the verifier of one part of the model, with what else is defined, once."""


@pytest.fixture(scope="session")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    @functools.cache
    def build(part: str, *defined: str) -> Path:
        directory = tmp_path_factory.mktemp(part)
        # To optimise takes seconds, which pays where every state is visited.
        optimise = "-O0" if defined else "-O1"
        run(directory, "spin", *(f"-D{name}" for name in (part, *defined)), "-a", str(MODEL))
        run(
            directory,
            "gcc",
            optimise,
            "-w",
            "-DCOLLAPSE",
            f"-DMEMLIM={MEGABYTES}",
            "-opan",
            "pan.c",
        )
        return directory / "pan"

    return build


def run(directory: Path, *command: str) -> str:
    """What the command writes; it must succeed."""
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def check(directory: Path, pan: Path, claim: str) -> str:
    """What the verifier says of one property; a counterexample is written to the directory."""
    fair = ["-f"] if claim == EVENTUAL else []
    return run(directory, str(pan), "-a", *fair, "-m100000", "-N", claim)


def errors(said: str) -> int:
    """How many counterexamples were found."""
    found = re.search(r"errors: (\d+)", said)
    assert found, said
    return int(found[1])


def assert_holds(said: str) -> None:
    """Fail unless every state was visited and none is a counterexample."""
    assert errors(said) == 0, said
    assert "max search depth too small" not in said
    assert "Search not completed" not in said


@pytest.mark.parametrize(
    ("part", "claim"),
    [
        ("RUNNING", "terminal_stays"),
        ("RUNNING", "once_per_fence"),
        ("RUNNING", "no_write_after_stop"),
        ("RUNNING", "nothing_lands_after_end"),
        ("MINTING", "minted_as_required"),
        ("MINTING", "terminal_stays"),
        ("STOPPING", "terminal_stays"),
        ("STOPPING", "once_per_fence"),
        ("STOPPING", "no_write_after_stop"),
        ("STOPPING", "stop_is_the_only_end"),
        ("STOPPING", "stop_ends"),
        ("STOPPING", "nothing_lands_after_end"),
        ("DECIDING", "quorum_and_no_self"),
        ("DECIDING", "terminal_stays"),
    ],
)
def test_it_holds_in_every_order_of_events(
    tmp_path: Path, verifier: Verifier, part: str, claim: str
) -> None:
    assert_holds(check(tmp_path, verifier(part), claim))


@pytest.mark.parametrize(
    ("without", "part", "claim"),
    [
        ("NO_FENCE", "RUNNING", "once_per_fence"),
        ("NO_SELF_CHECK", "DECIDING", "quorum_and_no_self"),
        ("NO_VOTE_CHECK", "DECIDING", "quorum_and_no_self"),
        ("NO_SET", "DECIDING", "quorum_and_no_self"),
        ("NO_TODAY", "DECIDING", "quorum_and_no_self"),
        ("NO_EDGES", "DECIDING", "terminal_stays"),
        ("NO_SET", "MINTING", "minted_as_required"),
        ("NO_TODAY", "MINTING", "minted_as_required"),
        ("NO_RECHECK", "MINTING", "minted_as_required"),
        ("NO_MINT_LEASE", "MINTING", "minted_as_required"),
        ("NO_RENEWAL", "MINTING", "minted_as_required"),
        ("NO_STOP_CHECK", "STOPPING", "no_write_after_stop"),
        ("NO_STOP_AT_END", "STOPPING", "stop_is_the_only_end"),
        ("NO_STOP_END", "STOPPING", "stop_ends"),
        ("NO_STOP_HOLD", "STOPPING", "nothing_lands_after_end"),
    ],
)
def test_without_this_piece_a_counterexample_is_found(
    tmp_path: Path, verifier: Verifier, without: str, part: str, claim: str
) -> None:
    assert errors(check(tmp_path, verifier(part, without), claim)) == 1
    assert list(tmp_path.glob("*.trail"))


@pytest.mark.parametrize(
    ("part", "state"),
    [
        ("DECIDING", "approved"),
        ("DECIDING", "denied"),
        ("DECIDING", "expired"),
        ("DECIDING", "cancelled"),
        ("DECIDING", "superseded"),
        ("RUNNING", "succeeded"),
        ("RUNNING", "stopped"),
        ("MINTING", "succeeded"),
        ("MINTING", "superseded"),
        ("STOPPING", "succeeded"),
        ("STOPPING", "stopped"),
    ],
)
def test_every_end_is_reached_so_that_nothing_holds_idly(
    tmp_path: Path, verifier: Verifier, part: str, state: str
) -> None:
    assert errors(check(tmp_path, verifier(part), f"never_{state}")) == 1
