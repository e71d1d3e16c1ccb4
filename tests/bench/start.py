"""What it takes to start and to be there: `--help`, start to ready, memory idle and with 500 gateways.

A whole bot in the sandbox, as the image runs it, beside an empty Bolt app on the same transport. The
500 gateways are on the real control plane where one was built, else on the sandbox's cluster. Memory
is resident memory some seconds after the bot is ready or has counted the gateways.
"""

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.beds import Bed, Bot, bed, of_the_lock, sees
from tests.bench.filling import fill
from tests.bench.results import Result, milliseconds
from tests.bench.status import median, plane_in
from tests.support.control_plane import ControlPlane
from tests.support.processes import ROOT

GATEWAYS = 500
HELP_SECONDS, READY_SECONDS, IDLE_MIB, FULL_MIB = 0.1, 2.0, 120.0, 200.0
_TIMES = 5
_SETTLING_SECONDS = 15.0


def main() -> list[Result]:
    """Print the rows."""
    shown = median(lambda: _python("-m", "bot", "--help"), 2 * _TIMES)
    bare = median(lambda: _python("-c", "pass"), 2 * _TIMES)
    with bed() as place:
        starts, peers = _started(place.bot), _started(place.peer)
        idle, idle_peer = _idle(place, ours=True), _idle(place, ours=False)
        with (
            tempfile.TemporaryDirectory(prefix="bench-start-") as name,
            plane_in(Path(name)) as plane,
        ):
            fill(plane, GATEWAYS, 1)
            full = _full(place, plane)
    ready, peer = (statistics.median(each.took for each in some) for some in (starts, peers))
    processor = statistics.median(each.processor for each in starts)
    results = [
        Result(
            "--help",
            "peer: an interpreter that does nothing",
            milliseconds(shown),
            f"< {HELP_SECONDS * 1000:.0f} ms",
            shown < HELP_SECONDS,
            milliseconds(bare),
            shown / bare,
        ),
        Result(
            "start to ready",
            f"{processor:.1f} s of a processor; peer: an empty Bolt app",
            milliseconds(ready),
            f"< {READY_SECONDS:.0f} s",
            ready < READY_SECONDS,
            milliseconds(peer),
            ready / peer,
        ),
        _memory("idle memory", idle, idle_peer, IDLE_MIB),
        _memory(f"memory, {GATEWAYS} gateways", full, idle_peer, FULL_MIB),
    ]
    for each in results:
        print("   ".join(each.cells()), flush=True)
    return results


def _memory(what: str, ours: float, peer: float, most: float) -> Result:
    case, said = "peer: an empty Bolt app", f"{ours:.0f} MiB"
    return Result(
        what, case, said, f"< {most:.0f} MiB", ours < most, f"{peer:.0f} MiB", ours / peer
    )


def _python(*arguments: str) -> None:
    done = subprocess.run([of_the_lock(), *arguments], cwd=ROOT, capture_output=True, check=True)
    assert done.returncode == 0


def _started(start: Callable[[], Bot]) -> list[Bot]:
    """Several, one after the other."""
    found = []
    for _ in range(_TIMES):
        found.append(start())
        found[-1].end()
    return found


def _idle(place: Bed, *, ours: bool) -> float:
    bot = place.bot() if ours else place.peer()
    time.sleep(_SETTLING_SECONDS)
    mib = bot.mib()
    bot.end()
    return mib


def _full(place: Bed, plane: ControlPlane) -> float:
    def there(settings: dict[str, Any]) -> None:
        west = settings["clusters"][0]
        west |= {"kubeconfig": str(plane.kubeconfig), "context": plane.context}

    settings = place.settings_with("full", there)
    bot = place.bot(settings)
    sees(settings, GATEWAYS)
    time.sleep(_SETTLING_SECONDS)
    mib = bot.mib()
    bot.end()
    return mib


if __name__ == "__main__":
    main()
