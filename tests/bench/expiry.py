"""A tick over 10,000 tracked gateways of which none is due, beside one PING of the same Valkey."""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.expiry.thresholds import DEFAULT
from deploy.expiry.tracked import ExpiryFacts
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from tests.bench.results import Result, milliseconds

GATEWAYS = 10_000
_TICKS = 200
_DAY = 86_400.0
REACH = 3.0


@dataclass(frozen=True)
class Measured:
    """Seconds: the median and the 99th percentile of a tick, and the median of a PING."""

    median: float
    p99: float
    ping: float


def measure(gateways: int = GATEWAYS) -> Measured:
    """Fill a Valkey by the tracker's own door, then tick."""
    with tempfile.TemporaryDirectory(prefix="bench-expiry-") as name:
        server = Valkey(Path(name))
        server.start()
        try:
            client = connect(server.url)
            tracker = Tracker(client, "bench")
            _fill(tracker, client, gateways)
            if tracker.tick():
                raise AssertionError("something was due")
            ticks = _timed(tracker.tick)
            pings = _timed(client.ping)
        finally:
            server.stop()
    return Measured(
        statistics.median(ticks), ticks[int(len(ticks) * 0.99)], statistics.median(pings)
    )


def _fill(tracker: Tracker, client: Any, gateways: int) -> None:
    now = float(client.time()[0])
    for number in range(gateways):
        ref = GatewayRef(f"cluster-{number % 7}", "prod", f"edge-{number}")
        left = (20 + number / 1000) * _DAY
        facts = ExpiryFacts(
            ref, ref.name, "production", now + left, "annotation", DEFAULT, ("C0ALERTS",)
        )
        tracker.note(facts)


def _timed(work: Callable[[], object]) -> list[float]:
    taken = []
    for _ in range(_TICKS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return sorted(taken)


def main() -> list[Result]:
    """Print the row."""
    found = measure()
    ratio = found.median / found.ping
    print(
        f"expiry tick, {GATEWAYS} gateways, nothing due: median {found.median * 1000:.2f} ms, "
        f"p99 {found.p99 * 1000:.2f} ms   one PING {found.ping * 1000:.2f} ms   "
        f"{ratio:.2f}× (reach < {REACH:.0f}×: {'reached' if ratio < REACH else 'NOT reached'})"
    )
    ours, ping = milliseconds(found.median), milliseconds(found.ping)
    case = f"{GATEWAYS:,} gateways, nothing due"
    return [Result("expiry tick", case, ours, f"< {REACH:.0f}×", ratio < REACH, ping, ratio)]


if __name__ == "__main__":
    main()
