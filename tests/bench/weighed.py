"""The bot, and the demo around it, which writes down how much memory the bot takes.

Each second a line of JSON goes to the file that GATEWAY_BOT_WEIGHED names: seconds since the start,
resident memory, what malloc holds and what of it is in use, and how many objects the collector
knows; each `_TYPES_EVERY` lines also their number by type, after a collection.
"""

import ctypes
import gc
import json
import os
import sys
import tempfile
import threading
import time
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bot.demo import demo
from bot.run import run

_TYPES_EVERY = 30
_MOST = 60


def malloc() -> dict[str, int]:
    """What malloc took of the system in all its arenas, how many there are, and what of it is free
    (man 3 malloc_info)."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_info"):  # another libc
        return {}
    libc.fopen.restype = ctypes.c_void_p
    with tempfile.NamedTemporaryFile() as file:
        stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
        libc.malloc_info(0, stream)
        libc.fclose(stream)
        root = ElementTree.fromstring(file.read())
    taken = root.find("system[@type='current']")
    free = [each for each in root.findall("total") if each.get("type") in ("fast", "rest")]
    return {
        "arenas": len(root.findall("heap")),
        "malloc": int(taken.get("size", 0)) if taken is not None else 0,
        "free": sum(int(each.get("size", 0)) for each in free),
    }


def _rss() -> int:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def _weigh(path: Path) -> None:
    began = time.monotonic()
    lines = 0
    frames = os.environ.get("GATEWAY_BOT_TRACED")
    with path.open("a") as file:
        while True:
            time.sleep(1)
            if frames and lines == _TYPES_EVERY - 1:
                # What is allocated while it starts is not asked about.
                tracemalloc.start(int(frames))
            told: dict[str, Any] = {"at": round(time.monotonic() - began, 1), "rss": _rss()}
            told["blocks"] = sys.getallocatedblocks()
            told["threads"] = threading.active_count()
            if lines % _TYPES_EVERY == 0:
                gc.collect()
                told |= malloc()
                told["rss_collected"] = _rss()
                told["blocks_collected"] = sys.getallocatedblocks()
                objects = gc.get_objects()
                told["objects"] = len(objects)
                types = Counter(type(each).__qualname__ for each in objects)
                del objects
                told["types"] = dict(types.most_common(_MOST))
                if tracemalloc.is_tracing():
                    snapshot = tracemalloc.take_snapshot()
                    told["traced"] = tracemalloc.get_traced_memory()[0]
                    told["lines"] = {
                        " < ".join(f"{f.filename}:{f.lineno}" for f in reversed(stat.traceback)): [
                            stat.size,
                            stat.count,
                        ]
                        for stat in snapshot.statistics("traceback")[:_MOST]
                    }
                    del snapshot
            lines += 1
            file.write(json.dumps(told) + "\n")
            file.flush()


def main() -> None:
    """`run --config PATH …`, or `demo --data PATH …` as tests/support/demo.py starts it."""
    command, options = sys.argv[1], sys.argv[2:]
    if command == "run":
        path = os.environ.get("GATEWAY_BOT_WEIGHED")
        if path:
            threading.Thread(target=_weigh, args=(Path(path),), daemon=True).start()
        sys.exit(run(Path(options[options.index("--config") + 1]), "warning"))
    world = options[options.index("--world") + 1] if "--world" in options else None
    demo(
        port=0,
        data=Path(options[options.index("--data") + 1]),
        open_browser=False,
        kubeconfig=None,
        slack_mode="socket",
        world=Path(world) if world else None,
        program="tests.bench.weighed",
    )


if __name__ == "__main__":
    main()
