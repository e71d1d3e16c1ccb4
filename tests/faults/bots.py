"""Bots as processes of their own, which die where a test says.

A bot here is a runner with real executors on a real Redis and a cluster's own protocol, without
Slack. One process imports everything once; each bot is forked from it, so starting one takes no time.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import requests
from azure.identity import ClientSecretCredential

from deploy.access import Environment
from deploy.actions.action import Action, Outcome
from deploy.actions.connection import connect as connect_redis
from deploy.actions.executor import Executor, Run
from deploy.actions.fencing import Fences
from deploy.actions.leases import GatewayLeases
from deploy.actions.runner import Runner
from deploy.actions.store import ActionStore
from deploy.azure import ApimInstance, ArmClient
from deploy.changes.kinds import KINDS, Means, Workings, codec_of
from deploy.health.cache import ClusterCache
from deploy.kube.cluster import Cluster, connect
from deploy.kube.connection import Connection, Timeouts
from deploy.plans.planning import Planner
from deploy.rollouts.applying import Applier
from deploy.rollouts.minting import Minter
from deploy.rollouts.stopped import Leftovers, stopped
from deploy.rollouts.verification import Observing
from deploy.tokens.token import KeyType
from tests.faults.pressing import BYSTANDER, StopButton, line_up_behind
from tests.faults.stamping import STAMPING
from tests.support import rotation_bed
from tests.support.annotating.kind import ANNOTATING
from tests.support.azure import OWNER, TENANT
from tests.support.custody import LocalCustody
from tests.support.gateway_bed import INSTANCE, Mint
from tests.support.processes import ROOT
from tests.support.runners import runner_of

LEASE_SECONDS = 3.0
"""Short, since whoever takes over waits for it, and long enough for a machine that is busy."""
REGENERATED = "regenerateKey"
ACTION = "ACTION"
"""The action that a bot here is about."""
STOPPED = "--- stopped"
"""The line of a journal after which nothing may be written."""
TABLE = (*KINDS, ANNOTATING, STAMPING)
CODEC = codec_of(TABLE)
"""What reads and writes actions of the kinds in `TABLE`."""


@dataclass(frozen=True)
class Job:
    """One bot. It dies at the point of that number, counted from 1; at none with 0.

    At the point `stop_at` those of `pressed_by` press Stop on the action's message, one after the other.
    Such a bot writes one thing at a time, so that nothing else is on its way then. With `next` somebody has
    another action of the gateway confirmed right before, and with `bystander` somebody who may not stop it
    tries to at each point.
    """

    owner: str
    redis: str
    prefix: str
    kubeconfig: str
    journal: str
    die_at: int = 0
    stop_at: int = 0
    pressed_by: Sequence[str] = ()
    next: bool = False
    bystander: bool = False
    lease_seconds: float = LEASE_SECONDS
    azure: str = ""
    """Where Resource Manager is, for those that regenerate keys."""
    authority: str = ""
    """The file with the certificate authority of that."""


class Points:
    """Counts what a bot has done, writes it down, and ends the process at one of them."""

    def __init__(self, job: Job, people: ActionStore) -> None:
        self._die_at = job.die_at
        self._stop_at = job.stop_at
        self._job = job
        self._people = people
        self._button = StopButton(people, ACTION, heard_in(job.journal))
        self._journal = os.open(job.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = threading.Lock()
        self._count = 0

    def passed(self, name: str) -> None:
        """Something is done that nobody else knows of yet."""
        with self._lock:
            self._count += 1
            os.write(self._journal, f"{name}\n".encode())
            if self._job.bystander:
                self._button.press(BYSTANDER)
            if self._count == self._stop_at:
                if self._job.next:
                    line_up_behind(self._people, ACTION)
                self._button.press(*self._job.pressed_by)
                os.write(self._journal, f"{STOPPED}\n".encode())
            if self._count == self._die_at:
                os._exit(9)


class TappedConnection:
    """A connection whose writes are points; the Lease's renewals are not, for they come by time."""

    def __init__(self, inner: Any, points: Points) -> None:
        self._inner = inner
        self._points = points

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def request(self, method: str, path: str, **options: Any) -> bytes:
        """Pass it on."""
        answer: bytes = self._inner.request(method, path, **options)
        dry = (options.get("query") or {}).get("dryRun")
        renewal = method == "PUT" and "/leases/" in path
        # What the next in line does was decided on its own.
        counts = "selfsubject" not in path and "/stamps-" not in path
        if method != "GET" and not dry and not renewal and counts:
            self._points.passed(f"{method} {path.rpartition('/namespaces/dev/')[2]}")
        return answer


class TappedStore(ActionStore):
    """A store whose claims and ends are points."""

    points: Points

    def claim(self, *args: Any, **kwargs: Any) -> Action | None:
        """Pass it on."""
        claimed = super().claim(*args, **kwargs)
        if claimed is not None and claimed.id == ACTION:
            self.points.passed("claim")
        return claimed

    def finish(self, *args: Any, **kwargs: Any) -> bool:
        """Pass it on."""
        done = super().finish(*args, **kwargs)
        if args[0] == ACTION:
            self.points.passed("finish")
        return done


class TappedMint(Mint):
    """Tokens whose minting is a point."""

    points: Points

    def generate_token(self, *args: Any) -> Any:
        """Pass it on."""
        token = super().generate_token(*args)
        self.points.passed("mint")
        return token


class TappedKeys:
    """Keys whose regeneration is a point."""

    def __init__(self, inner: ArmClient, points: Points) -> None:
        self._inner = inner
        self._points = points

    def regenerate_key(self, instance: ApimInstance, gateway: str, key: KeyType) -> None:
        """Pass it on."""
        self._inner.regenerate_key(instance, gateway, key)
        self._points.passed(REGENERATED)


class TappedRun:
    """A run whose steps are points."""

    def __init__(self, inner: Run, points: Points) -> None:
        self._inner = inner
        self._points = points
        self.lost = inner.lost
        self.guard = inner.guard
        self.progress = inner.progress
        self.unconfirmed = inner.unconfirmed

    def step(self, name: str, detail: str = "") -> None:
        """Pass it on."""
        self._inner.step(name, detail)
        self._points.passed(f"step {name}")


class Tapped:
    """An executor whose run is tapped."""

    def __init__(self, inner: Executor, points: Points) -> None:
        self._inner = inner
        self._points = points

    def execute(self, action: Action, run: Run) -> Outcome:
        """Pass it on."""
        tapped = TappedRun(run, self._points) if action.id == ACTION else run
        return self._inner.execute(action, tapped)


def heard_in(journal: str | Path) -> Path:
    """Where it is written what was said to those who pressed Stop, beside the journal of that path."""
    return Path(f"{journal}-heard")


def run_bot(job: Job) -> Runner:
    """A started bot in this process."""
    client = connect_redis(job.redis, timeout=10.0, retries=3)
    people = ActionStore(client, CODEC, prefix=job.prefix)
    points = Points(job, people)
    store = TappedStore(client, CODEC, prefix=job.prefix)
    store.points = points
    limits = Timeouts(connect=30.0, read=60.0, repeat=0.3)
    plain = connect("west", kubeconfig=Path(job.kubeconfig), timeouts=limits)
    tapped: Connection = TappedConnection(plain._connection, points)
    clusters = {"west": Cluster("west", tapped)}
    if job.stop_at:
        clusters["west"]._pool = ThreadPoolExecutor(1)
    mint = TappedMint()
    mint.points = points
    cache = ClusterCache(clusters["west"])
    workings = workings_of(
        clusters,
        cache,
        mint=mint,
        keys=TappedKeys(_azure(job), points) if job.azure else None,
        instance=rotation_bed.INSTANCE if job.azure else INSTANCE,
    )
    if job.azure:
        cache.start()
    made = runner_of(
        store,
        GatewayLeases(client, prefix=job.prefix),
        Fences(clusters),
        {kind: Tapped(each.executor, points) for kind, each in workings.items()},
        owner=job.owner,
        report=lambda action, ended: stopped(workings[action.kind].left(action), ended),
        lease_seconds=job.lease_seconds,
        heartbeat_seconds=job.lease_seconds / 4,
        poll_seconds=0.05,
    )
    made.start()
    return made


def workings_of(
    clusters: Mapping[str, Cluster],
    cache: ClusterCache,
    *,
    mint: Mint,
    keys: Any = None,
    instance: ApimInstance = INSTANCE,
) -> Mapping[str, Workings]:
    """How every kind works here; nobody but the target decides."""
    instances = {"contoso": instance}
    planner = Planner(clusters.__getitem__, list, instances=instances)
    means = Means(
        planner=planner,
        clusters=clusters,
        caches={"west": cache},
        applier=Applier(clusters, Minter(mint, instances, LocalCustody())),
        keys=keys,
        custody=LocalCustody(),
        authorize=lambda action: frozenset(),
        # Many bots share one machine here.
        left=Leftovers(clusters, 60.0).of,
        instances=instances,
        environments=(Environment("development"),),
        observing=Observing(quiet=1.0, patience=20.0, look=0.2),
        regenerate_keys=True,
        rotations_at_once=lambda environment: 100,
    )
    return {kind.name: kind.workings(means) for kind in TABLE}


def _azure(job: Job) -> ArmClient:
    session = requests.Session()
    # Else requests gives REQUESTS_CA_BUNDLE priority over the session's own setting.
    session.trust_env = False
    session.verify = job.authority
    credential = ClientSecretCredential(
        TENANT,
        OWNER,
        f"{OWNER}-secret",
        authority=job.azure,
        disable_instance_discovery=True,
        connection_verify=job.authority,
    )
    return ArmClient(session, credential, endpoint=job.azure).asking_once()


def serve() -> None:
    """Fork a bot for each line of standard input; its process id is the answer."""
    for line in sys.stdin:
        job = Job(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            os.close(0)
            run_bot(job)
            threading.Event().wait()
        print(pid, flush=True)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue


class Nursery:
    """Where bots are forked; every one of them ends with it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.faults.bots import serve; serve()"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # A group of their own: the process id of a bot that died may be somebody else's by the end.
            process_group=0,
        )
        self._lock = threading.Lock()

    def start(self, job: Job) -> int:
        """Start a bot; its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(asdict(job)) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())

    def kill(self, pid: int) -> None:
        """kill -9."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)

    def close(self) -> None:
        """End them all."""
        os.killpg(self._process.pid, 9)
        self._process.wait()
