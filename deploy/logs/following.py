"""Follows the logs of a gateway's pods, those that come and go included, in bounded memory."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deploy.errors import GatewayBotError, NotFound, Unavailable
from deploy.kube.cluster import Cluster
from deploy.kube.connection import Silent, Stream
from deploy.kube.objects import Manifest
from deploy.kube.watching import Change
from deploy.logs.filters import Filter
from deploy.logs.lines import Line, read_lines
from deploy.logs.previous import without_previous
from deploy.logs.seam import Seam
from deploy.observed.pods import never_started, pod_progress, state_of

log = logging.getLogger(__name__)

PODS = 30
"""Of so many pods at once logs are followed."""
_HELD = 5000
_SILENCE = 60.0
"""After so many seconds without a line the log is opened anew: the connection may be dead."""
_PAUSE = 1.0
_LONGEST_LINE = 64 * 1024
_MOST = 4 * 1024 * 1024
"""Bytes: of one line, and of one pod's log that is read at once."""
_WATCH, _MANY = "(watch)", "(many)"
"""What is in trouble when it is not a pod; no pod has such a name."""


@dataclass(frozen=True)
class Pods:
    """Whose logs: the pods of a label selector, or one of them; `container` may be empty."""

    namespace: str
    selector: str
    container: str = ""
    only: str = ""


@dataclass(frozen=True)
class Batch:
    """Everything new since it was asked last, in the order of time, and how much was let go of; `waiting`
    are the pods whose container has not started, with what Kubernetes says of each."""

    lines: tuple[Line, ...]
    skipped: int
    pods: tuple[str, ...]
    trouble: tuple[str, ...]
    waiting: tuple[tuple[str, str], ...] = ()


class Following:
    """A watch of the pods, and a thread for each pod's log."""

    def __init__(
        self,
        cluster: Cluster,
        pods: Pods,
        wanted: Filter,
        *,
        tail: int = 10,
        since_seconds: int | None = None,
        held: int = _HELD,
        silence: float = _SILENCE,
    ) -> None:
        """`tail` lines of each pod's past come first; a pod that comes later is read whole."""
        self._cluster = cluster
        self._pods = pods
        self._wanted = wanted
        self._tail = tail
        self._since = since_seconds
        self._silence = silence
        self._lines: deque[Line] = deque(maxlen=held)
        self._skipped = 0
        self._readers: dict[str, _Reader] = {}
        self._leaving: list[_Reader] = []
        self._waiting: dict[str, bool] = {}
        self._trouble: dict[str, str] = {}
        self._unstarted: dict[str, str] = {}
        self._synced = False
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._watch = cluster.watch("Pod", pods.namespace, label_selector=pods.selector)
        self._thread = threading.Thread(target=self._look, name="logs-pods", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End every stream; nothing is read on after it."""
        self._closed.set()
        self._watch.close()
        for reader in self._all():
            reader.close()

    def alive(self) -> int:
        """How many threads of it still run."""
        return self._thread.is_alive() + sum(reader.alive() for reader in self._all())

    def take(self) -> Batch:
        """Everything new since it was called last."""
        with self._lock:
            lines, self._lines = self._lines, deque(maxlen=self._lines.maxlen)
            skipped, self._skipped = self._skipped, 0
            pods = tuple(sorted(self._readers))
            trouble = tuple(sorted(set(self._trouble.values())))
            waiting = tuple(sorted(self._unstarted.items()))
        ordered = sorted(lines, key=lambda line: line.at)
        return Batch(tuple(ordered), skipped, pods, trouble, waiting)

    def _look(self) -> None:
        try:
            for change, pod in self._watch:
                if self._closed.is_set():
                    return
                if change is Change.SYNCED:
                    self._synced = True
                elif change is Change.DELETED:
                    self._gone(str(pod["metadata"]["name"]))
                elif change is not Change.LOST:
                    self._seen(pod)
        except GatewayBotError as error:
            self._told(_WATCH, error.happened)

    def _all(self) -> list["_Reader"]:
        with self._lock:
            return [*self._readers.values(), *self._leaving]

    def _seen(self, pod: Manifest) -> None:
        name = str(pod["metadata"]["name"])
        if self._pods.only and name != self._pods.only:
            return
        if pod_progress(pod).started_at is None:
            if never_started(pod):
                with self._lock:
                    self._unstarted[name] = state_of(pod)
            return
        with self._lock:
            self._unstarted.pop(name, None)
            if name not in self._readers:
                self._waiting.setdefault(name, self._synced)
        self._begin()

    def _gone(self, name: str) -> None:
        """What it wrote last is still on its way, so its reader ends with the stream."""
        with self._lock:
            self._waiting.pop(name, None)
            self._unstarted.pop(name, None)
            self._trouble.pop(name, None)
            reader = self._readers.pop(name, None)
            self._leaving = [other for other in self._leaving if other.alive()]
            if reader is not None:
                reader.leave()
                self._leaving.append(reader)
        self._begin()

    def _begin(self) -> None:
        """Read the pods that wait, as far as there is room."""
        with self._lock:
            room = 0 if self._closed.is_set() else max(0, PODS - len(self._readers))
            begun = [
                _Reader(self, n, whole=self._waiting.pop(n)) for n in list(self._waiting)[:room]
            ]
            self._readers |= {reader.name: reader for reader in begun}
            if self._waiting:
                self._trouble[_MANY] = f"At most {PODS} pods can be followed at once."
            else:
                self._trouble.pop(_MANY, None)
        for reader in begun:
            reader.start()

    def _came(self, line: Line) -> None:
        if not self._wanted.takes(line):
            return
        with self._lock:
            self._skipped += len(self._lines) == self._lines.maxlen
            self._lines.append(line)

    def _told(self, name: str, trouble: str) -> None:
        with self._lock:
            self._trouble.pop(name, None)
            if trouble and (name in self._readers or name == _WATCH):
                self._trouble[name] = trouble


class _Reader:
    """Reads one pod's log to its end, through whatever interrupts it."""

    def __init__(self, owner: Following, name: str, *, whole: bool) -> None:
        self.name = name
        self._owner = owner
        self._whole = whole
        self._seam = Seam()
        self._closed = threading.Event()
        self._leaving = threading.Event()
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name=f"logs-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def alive(self) -> bool:
        return self._thread.is_alive()

    def leave(self) -> None:
        """Its pod is gone: read on to the end of what is open, and open nothing more."""
        self._leaving.set()

    def close(self) -> None:
        self._closed.set()
        if self._stream is not None:
            self._stream.close()

    def _run(self) -> None:
        before: Line | None = None
        while not (self._closed.is_set() or self._leaving.is_set()):
            try:
                stream = self._open()
                self._stream = stream
                if self._closed.is_set():
                    stream.close()
                # With no line yet the log was empty, so whatever comes by the next time is new.
                self._whole = True
                self._owner._told(self.name, "")
                for raw in stream.lines(_LONGEST_LINE):
                    text = raw.decode("utf-8", "replace")
                    if self._seam.fresh(text):
                        for line in read_lines(self.name, text, before):
                            self._owner._came(before := line)
            except Silent:
                pass
            except NotFound:
                return
            except Unavailable as error:
                self._owner._told(self.name, error.happened)
            except GatewayBotError as error:
                self._owner._told(self.name, error.happened)
                return
            except Exception:  # a reader that was closed meanwhile may fail in any way
                if not self._closed.is_set():
                    log.exception("the log of %s cannot be followed", self.name)
                return
            if not self._leaving.is_set():
                self._closed.wait(_PAUSE)

    def _open(self) -> Stream:
        owner = self._owner
        self._seam.resume()
        first = not self._seam.since
        return owner._cluster.follow_log(
            owner._pods.namespace,
            self.name,
            owner._pods.container,
            tail=owner._tail if first and not self._whole else None,
            since_seconds=owner._since if first else None,
            since_time=self._seam.since,
            silence=owner._silence,
        )


def _reading(
    cluster: Cluster, pods: Pods, name: str, tail: int, since: int | None, previous: bool
) -> Callable[[], str]:
    return lambda: cluster.logs(
        pods.namespace,
        name,
        pods.container,
        tail=tail,
        since_seconds=since,
        previous=previous,
        timestamps=True,
        most=_MOST,
    )


def read_now(
    cluster: Cluster,
    pods: Pods,
    wanted: Filter,
    *,
    tail: int,
    since_seconds: int | None = None,
    previous: bool = False,
) -> Batch:
    """The last `tail` lines of each pod, merged by time; what could not be read is said."""
    found = cluster.list("Pod", pods.namespace, label_selector=pods.selector)
    by_name = {
        name: pod for pod in found if (name := str(pod["metadata"]["name"])) == (pods.only or name)
    }
    names = sorted(by_name)
    waiting = {} if previous else _not_started(by_name)
    if pods.only and not names:
        raise NotFound(f"This gateway has no pod “{pods.only[:80]}”.")
    trouble: list[str] = []
    lines: list[Line] = []
    if previous:
        without, trouble = without_previous([by_name[n] for n in names], pods.container)
        names = [name for name in names if name not in without]
    calls = [_reading(cluster, pods, name, tail, since_seconds, previous) for name in names[:PODS]]
    for name, future in zip(names, [cluster.begin(call) for call in calls], strict=False):
        try:
            text = future.result()
        except GatewayBotError as error:
            if name not in waiting:
                trouble.append(f"{name}: {error.happened}")
            continue
        if text:
            waiting.pop(name, None)
        if len(text.encode()) >= _MOST:
            trouble.append(
                f"{name}: its lines are too long, so the newest are missing. Ask for fewer lines."
            )
        before: Line | None = None
        for stamped in text.splitlines():
            came = read_lines(name, stamped, before)
            before = came[-1]
            lines += filter(wanted.takes, came)
    if len(names) > PODS:
        trouble.append(f"Only {PODS} of {len(names)} pods are shown.")
    lines.sort(key=lambda line: line.at)
    every = tuple(sorted(by_name))
    return Batch(tuple(lines), 0, every, tuple(trouble), tuple(sorted(waiting.items())))


def _not_started(pods: Mapping[str, Manifest]) -> dict[str, str]:
    """The pods whose container has never run, with what Kubernetes says of each: there is no log of them."""
    return {name: state_of(pod) for name, pod in pods.items() if never_started(pod)}
