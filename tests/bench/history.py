"""The history of one gateway out of 160,000 entries of the audit trail, beside a look through it.

The trail is that of two hundred gateways, one of them much busier than the others, as an older bot
left it: without an index, which the bot then makes in the background.
"""

import statistics
import tempfile
import time
from pathlib import Path

from bot.sandbox.valkey import Valkey
from deploy.actions.audit import AuditEntry, AuditLog, seal
from deploy.actions.connection import connect
from deploy.gateway import GatewayRef

ENTRIES = 160_000
REACH_SECONDS = 0.05
_GATEWAYS = 200
_LIMIT = 51
"""As many as `history` asks for."""
_TIMES = 20
_EVENTS = ("pending", "approved", "running", "step plan", "step apply", "step follow", "succeeded")


def measure() -> tuple[float, float, float, float, float]:
    """Medians in seconds: of a busy gateway, of a quiet one by its name alone, of both by a look
    through the trail; what the index took to make; and the longest time of one turn at that."""
    with tempfile.TemporaryDirectory(prefix="bench-history-") as name:
        server = Valkey(Path(name))
        server.start()
        try:
            return _measured(AuditLog(connect(server.url)), server.url)
        finally:
            server.stop()


def _measured(log: AuditLog, url: str) -> tuple[float, float, float, float, float]:
    _fill(url)
    busy, quiet = "west/prod/edge-0", "edge-199"
    scanned = statistics.median(_seconds(log, name) for name in (busy, quiet))
    turns = []
    while _left(url):
        began = time.perf_counter()
        log.file()
        turns.append(time.perf_counter() - began)
    found = [statistics.median(_seconds(log, n) for _ in range(_TIMES)) for n in (busy, quiet)]
    return found[0], found[1], scanned, sum(turns), max(turns)


def _seconds(log: AuditLog, name: str) -> float:
    began = time.perf_counter()
    assert log.of(name, _LIMIT)
    return time.perf_counter() - began


def _left(url: str) -> bool:
    client = connect(url)
    (last, _), *_ = client.xrevrange("gateway-bot:{audit}:log", count=1)
    return bool(client.get("gateway-bot:{audit}:filed") != last)


def _fill(url: str) -> None:
    client = connect(url)
    prev = ""
    for start in range(0, ENTRIES, 1000):
        with client.pipeline(transaction=False) as pipe:
            for number in range(start, start + 1000):
                gateway = 0 if number % 2 else number // 2 % _GATEWAYS
                # The quiet one has its entries at the beginning alone.
                if gateway == _GATEWAYS - 1 and number > ENTRIES / 100:
                    gateway = 1
                ref = str(GatewayRef("west", "prod", f"edge-{gateway}"))
                event = _EVENTS[number // 2 % len(_EVENTS)]
                entry = AuditEntry(number, 1.7e9, event, "U0ANA", "7K3MAB", "scale", ref, "d", prev)
                sealed = seal(entry)
                prev = sealed.hash
                pipe.xadd("gateway-bot:{audit}:log", {"entry": sealed.text, "hash": sealed.hash})
            pipe.execute()


def main() -> None:
    """Print the row."""
    busy, quiet, scanned, made, turn = measure()
    reached = "reached" if max(busy, quiet) < REACH_SECONDS else "NOT reached"
    print(
        f"history of a gateway, {ENTRIES} entries: busy {busy * 1000:.1f} ms, quiet "
        f"{quiet * 1000:.1f} ms   a look through all {scanned * 1000:.0f} ms   "
        f"{max(busy, quiet) / scanned:.4f}×   (reach < {REACH_SECONDS * 1000:.0f} ms: {reached}); "
        f"the index was made in {made:.1f} s, {turn:.2f} s a turn at most"
    )


if __name__ == "__main__":
    main()
