"""Runners with executors that do as a test says, and the actions they carry out."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from deploy.actions.action import Action, Outcome, State
from deploy.actions.executor import Executor, Run
from deploy.actions.fencing import Fences
from deploy.actions.leases import GatewayLeases
from deploy.actions.pauses import Pause
from deploy.actions.runner import Runner
from deploy.actions.runs import Runs
from deploy.actions.store import ActionStore
from deploy.gateway import GatewayRef
from deploy.retry import PATIENCE, RunLost
from tests.support import actions
from tests.support.actions import CODEC
from tests.support.waiting import until


class Work:
    """An executor that waits to be let go, and counts."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.go = threading.Event()
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def execute(self, action: Action, run: Run) -> Outcome:
        """Wait for `go`, unless the run is lost before."""
        with self._lock:
            self.ran.append(action.id)
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            run.step("work")
            while not self.go.wait(0.02):
                if run.lost.is_set():
                    raise RunLost
            return Outcome(State.SUCCEEDED, "done")
        finally:
            with self._lock:
                self._now -= 1


class Fails:
    """An executor that raises."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def execute(self, action: Action, run: Run) -> Outcome:
        """Raise it."""
        raise self.error


def report(action: Action, ended: Outcome | None) -> Outcome:
    """What these tests' runners say of what was stopped."""
    return Outcome(State.STOPPED, "stopped", ended.happened if ended else "")


def runner_of(
    store: ActionStore,
    leases: GatewayLeases,
    fences: Fences,
    executors: Mapping[str, Executor],
    *,
    owner: str = "bot-1",
    report: Callable[[Action, Outcome | None], Outcome] = report,
    ready: Callable[[Action], object] = lambda action: None,
    paused: Callable[[Action], Pause | None] = lambda action: None,
    on_change: Callable[[str], None] = lambda action_id: None,
    per_cluster: int = 8,
    poll_seconds: float = 0.05,
    **more: Any,
) -> Runner:
    """One that is not started yet, and its runs."""
    runs = Runs(store, leases, fences, executors, owner=owner, report=report, paused=paused, **more)
    return Runner(
        store,
        runs,
        ready=ready,
        paused=paused,
        on_change=on_change,
        per_cluster=per_cluster,
        poll_seconds=poll_seconds,
    )


def runner(
    client: Any,
    fences: Fences,
    executor: Any,
    owner: str = "bot-1",
    rooms: int = 0,
    patience: float = PATIENCE,
    per_cluster: int = 8,
    lease_seconds: float = 15,
) -> Runner:
    """A started one that has little patience. Another goes on once `lease_seconds` are over."""
    made = runner_of(
        ActionStore(client, CODEC),
        GatewayLeases(client),
        fences,
        {"deploy": executor},
        owner=owner,
        report=report,
        rooms=lambda action: [f"room:{number}" for number in range(rooms)],
        lease_seconds=lease_seconds,
        heartbeat_seconds=0.3,
        patience=patience,
        per_cluster=per_cluster,
    )
    made.start()
    return made


def ask(
    store: ActionStore,
    name: str,
    *,
    confirm: bool = True,
    ttl: int = 60,
    namespace: str = "dev",
    gateway: str = "edge-1",
    cluster: str = "west",
) -> None:
    """Ask for an action, and have it decided unless `confirm` is false."""
    actions.ask(store, name, ref=GatewayRef(cluster, namespace, gateway), ttl=ttl)
    if confirm:
        actions.confirm(store, name)


def ended(store: ActionStore, name: str) -> Action:
    """The action of that name once it is final."""

    def look() -> Action | None:
        action = store.get(name)
        return action if action is not None and action.final else None

    return until(look, f"the end of {name}")
