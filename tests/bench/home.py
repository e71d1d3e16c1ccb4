"""The Home tab of somebody among 500 gateways, with 40 open requests, beside `kubectl get` of the gateways.

Drawn from the caches and Redis as the bot does it when a tab is opened; what Slack takes is not in it.
kubectl's figures include its process start, the bot's do not: it is already running.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bot.run import collect_less
from bot.sandbox.valkey import Valkey
from deploy.actions.audit import AuditLog
from deploy.actions.connection import connect
from deploy.gateway import GatewayRef
from deploy.health.levels import Levels
from handlers import home
from tests.bench.filling import fill
from tests.bench.status import FACTS, Row, cached, median, plane_in
from tests.support import actions
from tests.support.actions import by_approvers
from tests.support.changes import Changes
from tests.support.kubectl import Kubectl
from tests.support.needs import needs

GATEWAYS = 500
REACH_SECONDS = 0.3
_REQUESTS, _ENTRIES = 40, 300
_APPROVER = "U2"


def measured() -> tuple[Row, int]:
    """The row, and how many requests to the cluster the draws took."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-home-") as name,
        plane_in(Path(name)) as plane,
        _redis(Path(name)) as client,
    ):
        collect_less()
        fill(plane, GATEWAYS, 1)
        kubectl = Kubectl(plane.kubeconfig, Path(name))
        kubectl(*FACTS)
        peer = median(lambda: kubectl(*FACTS), 3)
        with cached(plane) as (cache, connection):
            cache.read(wait=60)
            given = needs_of(client, {"west": cache})
            home.drawn(given, _APPROVER)
            connection.lists = connection.others = 0
            ours = median(lambda: home.drawn(given, _APPROVER), 20)
            asked = connection.lists + connection.others
    what = f"home of {GATEWAYS} gateways"
    return Row(what, ours, "kubectl " + " ".join(FACTS), peer, REACH_SECONDS), asked


@contextmanager
def _redis(directory: Path) -> Iterator[Any]:
    server = Valkey(directory / "redis")
    server.start()
    try:
        yield connect(server.url)
    finally:
        server.stop()


def needs_of(client: Any, caches: Any) -> home.Needs:
    """What the tab is drawn from, with requests that wait and a trail."""
    changes = Changes(client)
    audit = AuditLog(client)
    for number in range(_REQUESTS):
        ref = GatewayRef("west", "bench", f"edge-{number}")
        name = f"{'ABCDEFGH'[number // 8]}{'ABCDEFGH'[number % 8]}" * 3
        actions.ask(changes.store, name, ref=ref, policy=by_approvers(), ttl=3600)
    for number in range(_ENTRIES):
        audit.append(
            "succeeded", "U1", '{"happened": "1 of 1 pod ready after 3 s"}',
            ref=GatewayRef("west", "bench", f"edge-{number}"), subject="ABCDEF", kind="deploy",
            version=number + 1, at=float(number),
        )  # fmt: skip
    return needs(
        home.Needs,
        store=changes.store,
        decider=changes.decider,
        authority=changes.authority,
        caches=caches,
        levels=Levels(caches),
        environments=changes.environments,
        windows=changes.windows,
        audit=audit,
        rotations={},
    )


def main() -> None:
    """Print the row."""
    row, asked = measured()
    reached = "reached" if row.ours < REACH_SECONDS else "NOT reached"
    print(
        f"{row.what:34} {row.ours * 1000:8.1f} ms   (reach {REACH_SECONDS * 1000:.0f} ms: {reached})   "
        f"{row.peer_name} {row.peer * 1000:.0f} ms: {row.ratio:.3f}×   {asked} requests"
    )


if __name__ == "__main__":
    main()
