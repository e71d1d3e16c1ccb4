"""Follows the logs of a gateway's pods, those that come and go included, in bounded memory."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from deploy.errors import GatewayBotError, NotFound, Unavailable
from deploy.kube.cluster import Cluster
from deploy.kube.connection import Silent, Stream
from deploy.kube.watching import Change
from deploy.logs.filters import Filter
from deploy.logs.lines import Line, read_line
from deploy.logs.seam import Seam
from deploy.rollouts.pods import pod_progress

log = logging.getLogger(__name__)

PODS = 30
"""Of so many pods at once logs are followed."""
_HELD = 5000
_SILENCE = 60.0
"""After so many seconds without a line the log is opened anew: the connection may be dead."""
_PAUSE = 1.0


@dataclass(frozen=True)
class Pods:
    """Whose logs: the pods of a label selector, or one of them; `container` may be empty."""

    namespace: str
    selector: str
    container: str = ""
    only: str = ""


@dataclass(frozen=True)
class Batch:
    """What came since it was asked last, in the order of time, and how much was let go of."""

    lines: tuple[Line, ...]
    skipped: int
    pods: tuple[str, ...]
    trouble: tuple[str, ...]


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
        self._trouble: dict[str, str] = {}
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
        with self._lock:
            readers = list(self._readers.values())
        for reader in readers:
            reader.close()

    def alive(self) -> int:
        """How many threads of it still run."""
        with self._lock:
            readers = list(self._readers.values())
        return self._thread.is_alive() + sum(reader.alive() for reader in readers)

    def take(self) -> Batch:
        """What came since it was called last."""
        with self._lock:
            lines, self._lines = self._lines, deque(maxlen=self._lines.maxlen)
            skipped, self._skipped = self._skipped, 0
            pods = tuple(sorted(self._readers))
            trouble = tuple(sorted(set(self._trouble.values())))
        ordered = sorted(lines, key=lambda line: line.at)
        return Batch(tuple(ordered), skipped, pods, trouble)

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
                    self._seen(str(pod["metadata"]["name"]), pod_progress(pod).started_at)
        except GatewayBotError as error:
            self._told("pods", error.happened)

    def _seen(self, name: str, started_at: float | None) -> None:
        if started_at is None or (self._pods.only and name != self._pods.only):
            return
        with self._lock:
            if name in self._readers or self._closed.is_set():
                return
            if len(self._readers) >= PODS:
                self._trouble["many"] = f"Only {PODS} pods are followed at once."
                return
            reader = self._readers[name] = _Reader(self, name, whole=self._synced)
        reader.start()

    def _gone(self, name: str) -> None:
        with self._lock:
            reader = self._readers.pop(name, None)
            self._trouble.pop(name, None)
        if reader is not None:
            reader.close()

    def _came(self, line: Line) -> None:
        if not self._wanted.takes(line):
            return
        with self._lock:
            self._skipped += len(self._lines) == self._lines.maxlen
            self._lines.append(line)

    def _told(self, name: str, trouble: str) -> None:
        with self._lock:
            if trouble:
                self._trouble[name] = trouble
            else:
                self._trouble.pop(name, None)


class _Reader:
    """Reads one pod's log to its end, through whatever interrupts it."""

    def __init__(self, owner: Following, name: str, *, whole: bool) -> None:
        self._owner = owner
        self._name = name
        self._whole = whole
        self._seam = Seam()
        self._closed = threading.Event()
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name=f"logs-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        self._closed.set()
        if self._stream is not None:
            self._stream.close()

    def _run(self) -> None:
        before: Line | None = None
        while not self._closed.is_set():
            try:
                stream = self._open()
                self._stream = stream
                if self._closed.is_set():
                    stream.close()
                    return
                self._owner._told(self._name, "")
                for raw in stream.lines():
                    text = raw.decode("utf-8", "replace")
                    if self._seam.fresh(text):
                        before = read_line(self._name, text, before)
                        self._owner._came(before)
            except Silent:
                pass
            except NotFound:
                return
            except Unavailable as error:
                self._owner._told(self._name, error.happened)
            except GatewayBotError as error:
                self._owner._told(self._name, error.happened)
                return
            except Exception:  # a reader that was closed meanwhile may fail in any way
                if not self._closed.is_set():
                    log.exception("the log of %s cannot be followed", self._name)
                return
            self._closed.wait(_PAUSE)

    def _open(self) -> Stream:
        owner = self._owner
        self._seam.resume()
        first = not self._seam.since
        return owner._cluster.follow_log(
            owner._pods.namespace,
            self._name,
            owner._pods.container,
            tail=owner._tail if first and not self._whole else None,
            since_seconds=owner._since if first and not self._whole else None,
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
    names = sorted(
        name for pod in found if (name := str(pod["metadata"]["name"])) == (pods.only or name)
    )
    if pods.only and not names:
        raise NotFound(f"There is no pod “{pods.only[:80]}” of this gateway.")
    trouble: list[str] = []
    lines: list[Line] = []
    calls = [_reading(cluster, pods, name, tail, since_seconds, previous) for name in names[:PODS]]
    for name, future in zip(names, [cluster.begin(call) for call in calls], strict=False):
        try:
            text = future.result()
        except GatewayBotError as error:
            trouble.append(f"{name}: {error.happened}")
            continue
        before: Line | None = None
        for stamped in text.splitlines():
            before = read_line(name, stamped, before)
            if wanted.takes(before):
                lines.append(before)
    if len(names) > PODS:
        trouble.append(f"Only {PODS} of {len(names)} pods are read at once.")
    lines.sort(key=lambda line: line.at)
    return Batch(tuple(lines), 0, tuple(names), tuple(trouble))
