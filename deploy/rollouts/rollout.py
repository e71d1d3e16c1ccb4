"""Apply a plan in a safe order and follow the rollout to its end."""

import contextlib
import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from deploy.annotations import REWRITTEN_ANNOTATION
from deploy.errors import Conflict, GatewayBotError, InvalidInput, NotFound
from deploy.gateway import GatewayRef
from deploy.kube.api_errors import OwnershipConflicts
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.kube.watching import Change, Watch
from deploy.log_context import carried
from deploy.masking import mask_secrets
from deploy.observed.pods import PodProgress
from deploy.observed.progress import Progress, progress_of
from deploy.observed.rewritten import rewriting
from deploy.plans.counting import is_count, keeping_count
from deploy.plans.handover import noting_idle
from deploy.plans.ownership import apply_alone
from deploy.plans.partial import partly
from deploy.plans.plan import Plan
from deploy.plans.ports import take_back_ports
from deploy.plans.token_decision import key_of
from deploy.rendering.manifests import with_action
from deploy.rollouts.policies import widened
from deploy.specs.gateway_spec import GatewaySpec

IMAGES_MANAGER = "gateway-bot-images"
_KINDS = ("Deployment", "ReplicaSet", "Pod")
_SILENCE = 30.0
"""A rollout is watched closely: a connection that says nothing for so long is asked anew."""
_LOOK = 0.25
"""How often, in seconds, the reasons to stop that are not events are looked at."""
_SETTLE = 0.5
"""How long the pods' own watch may lag behind the Deployment that says all are ready."""
_EXPLAINED = 5
_TRIES = 10
_LOG_LINES = 20
_LOG_LENGTH = 2000


class StopSignal(Protocol):
    """Why to look no further, whatever the rollout does."""

    def is_set(self) -> bool:
        """Whether to stop."""


def apply_plan(
    cluster: Cluster, plan: Plan, *, action_id: str, requester: str, force: bool = False
) -> None:
    """Apply the plan's objects, the Deployment last: its pods read what the others hold.

    Every object is applied whole, so doing it twice is doing it once; one that the plan has found
    settled is left alone. With `force` what others own is taken over. What the spec no longer has is
    deleted before the Deployment, so that no autoscaler of an earlier version counts its pods. What a
    NetworkPolicy opened for the pods that run stays open until `narrow`.
    """
    if plan.partial:
        apply_partly(
            cluster,
            plan.spec,
            plan.token.secret,
            action_id=action_id,
            requester=requester,
            force=force,
        )
        return
    ref = plan.spec.ref
    objects = with_action(plan.objects, action_id, requester)
    if force:
        take_back_ports(cluster, objects, plan.changes)
    others = [o for o in objects if o["kind"] != "Deployment" and key_of(o) not in plan.settled]
    if plan.live is not None:
        read = _given(plan.live)
    else:
        # Beside the other writes: the guard looks again before that of the Deployment.
        read = cluster.begin(lambda: cluster.get("Deployment", ref.namespace, ref.name)).result
    cluster.apply_all(widened(cluster, others), force=force)
    if force:
        apply_alone(cluster, [o for o in objects if o["kind"] == "Service"])
    for change in plan.changes:
        if change.change == "delete":
            cluster.delete(change.kind, ref.namespace, change.name)
    for deployment in (o for o in objects if o["kind"] == "Deployment"):
        _put(cluster, ref, _whole(deployment), force=force, read=read)


def apply_partly(
    cluster: Cluster,
    spec: GatewaySpec,
    token_secret: str | None,
    *,
    action_id: str,
    requester: str,
    force: bool = False,
) -> None:
    """Give the pods of the live Deployment that Secret and the spec's mark of a restart, and leave
    the rest as it runs. NotFound where it is gone."""

    def onto(live: Manifest | None) -> Manifest:
        (noted,) = with_action((partly(live, spec, token_secret),), action_id, requester)
        return noted

    _put(cluster, spec.ref, onto, force=force)


def _given(live: Manifest) -> Callable[[], Manifest | None]:
    return lambda: live


def _whole(deployment: Manifest) -> Callable[[Manifest | None], Manifest]:
    return lambda live: deployment


def _put(
    cluster: Cluster,
    ref: GatewayRef,
    onto: Callable[[Manifest | None], Manifest],
    *,
    force: bool,
    read: Callable[[], Manifest | None] | None = None,
) -> None:
    """Apply what is wanted `onto` the very state that was read before the guard looked; `read` gives
    what somebody has read already.

    A run that was overtaken between its guard and its write, however long it paused there, finds
    another resource version and writes nothing.
    """
    for left in reversed(range(_TRIES)):
        live = read() if read else cluster.get("Deployment", ref.namespace, ref.name)
        read = None
        deployment = onto(live)
        try:
            admitted = _apply(cluster, _at_version(deployment, live), force=force)
        except OwnershipConflicts:
            raise
        except Conflict:
            # Its controller writes its status as well: what counts is that the guard looks anew.
            if not left:
                raise
        else:
            note_rewriting(cluster, deployment, admitted)
            return


def note_rewriting(cluster: Cluster, wanted: Manifest, admitted: Manifest) -> None:
    """Note with the Deployment what a webhook made of its image, by which its revision is known to
    be this bot's. With a manager of its own, the note is all that this writes."""
    note = rewriting(wanted, admitted)
    if not note:
        return
    metadata = wanted["metadata"]
    holder = {
        "apiVersion": wanted["apiVersion"],
        "kind": wanted["kind"],
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "annotations": {REWRITTEN_ANNOTATION: note},
        },
    }
    try:
        cluster.apply(holder, force=True, manager=IMAGES_MANAGER)
    except InvalidInput:
        # It was deleted in that moment, and a note is not a Deployment. Whoever follows says so.
        return


def _apply(cluster: Cluster, deployment: Manifest, *, force: bool) -> Manifest:
    """Apply it, a number of pods also where that is somebody else's: it was asked for."""
    try:
        return cluster.apply(deployment, force=force)
    except OwnershipConflicts as conflict:
        if not all(is_count(deployment["kind"], path) for _, path in conflict.owners):
            raise
    return cluster.apply(deployment, force=True)


def _at_version(wanted: Manifest, live: Manifest | None) -> Manifest:
    if live is None:
        return noting_idle(wanted, wanted)
    noted = keeping_count(noting_idle(wanted, live), live)
    version = live["metadata"]["resourceVersion"]
    return {**noted, "metadata": {**noted["metadata"], "resourceVersion": version}}


def follow(
    cluster: Cluster,
    ref: GatewayRef,
    *,
    chosen: str,
    deadline: float,
    on_progress: Callable[[Progress], None],
    stop: StopSignal,
    on_look: Callable[[], None] = lambda: None,
) -> Progress:
    """Watch the rollout until it is complete, has failed, or has not got on for `deadline` seconds.

    `chosen` is the label selector of its pods. `on_progress` is called for each change, `on_look` a few
    times a second. While the
    cluster cannot be asked, what was last known stays, with `stale_since` set. Returns early with
    what is known when `stop` is set. NotFound when the Deployment is deleted meanwhile; Refused
    when it may not be watched.
    """
    with _watching(cluster, ref, chosen) as news:
        view = _View()
        last: Progress | None = None
        moved = time.monotonic()
        settled_by: float | None = None
        while not stop.is_set():
            on_look()
            if news.take(view) and view.synced:
                progress = view.progress(ref)
                if _advanced(last, progress):
                    moved = time.monotonic()
                if progress.complete and not _agree(progress):
                    settled_by = settled_by or time.monotonic() + _SETTLE
                elif progress != last:
                    on_progress(progress)
                    last = progress
                    settled_by = None
                if last is progress and (progress.complete or progress.failed):
                    return progress
            if settled_by is not None and time.monotonic() > settled_by:
                progress = view.progress(ref)
                if progress.complete:
                    on_progress(progress)
                    return progress
                settled_by = None
            if time.monotonic() - moved > deadline:
                break
        return last or view.progress(ref, lost=True)


def explain(cluster: Cluster, ref: GatewayRef, progress: Progress) -> Progress:
    """The same progress with the newest event and last log lines of pods that are not ready."""
    bad = [pod for pod in progress.pods if pod.updated and not pod.ready][:_EXPLAINED]
    if not bad:
        return progress
    told = cluster.at_once([_explaining(cluster, ref, pod) for pod in bad])
    by_name = {pod.name: pod for pod in told}
    return dataclasses.replace(
        progress, pods=tuple(by_name.get(pod.name, pod) for pod in progress.pods)
    )


@dataclass
class _View:
    """What the watches have told so far."""

    objects: dict[str, dict[str, Manifest]] = field(
        default_factory=lambda: {kind: {} for kind in _KINDS}
    )
    told: set[str] = field(default_factory=set)
    lost: dict[str, float] = field(default_factory=dict)

    @property
    def synced(self) -> bool:
        return len(self.told) == len(_KINDS)

    def take(self, kind: str, change: Change, item: Manifest) -> None:
        if change is Change.SYNCED:
            self.told.add(kind)
            self.lost.pop(kind, None)
        elif change is Change.LOST:
            self.lost[kind] = time.time()
        elif change is Change.DELETED:
            self.objects[kind].pop(item["metadata"]["name"], None)
        else:
            self.objects[kind][item["metadata"]["name"]] = item

    def progress(self, ref: GatewayRef, *, lost: bool = False) -> Progress:
        since = min(self.lost.values(), default=time.time() if lost else None)
        deployment = self.objects["Deployment"].get(ref.name)
        if deployment is None:
            if lost or self.lost:
                return Progress(0, 0, 0, 0, 0, complete=False, failed=False, stale_since=since)
            raise NotFound(
                f"The Deployment “{ref.name}” is gone from {ref.cluster}/{ref.namespace}.",
            )
        progress = progress_of(
            deployment, self.objects["ReplicaSet"].values(), self.objects["Pod"].values()
        )
        return dataclasses.replace(progress, stale_since=since) if since else progress


class _News:
    """What three watches tell, in one queue."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[str, Change, Manifest] | GatewayBotError] = (
            queue.SimpleQueue()
        )

    def read(self, kind: str, watch: Watch) -> None:
        try:
            for change, item in watch:
                self._queue.put((kind, change, item))
        except GatewayBotError as error:
            self._queue.put(error)

    def take(self, view: _View) -> bool:
        """Everything that has come, after waiting a moment for the first; whether there was any."""
        try:
            news = self._queue.get(timeout=_LOOK)
        except queue.Empty:
            return False
        while True:
            if isinstance(news, GatewayBotError):
                raise news
            view.take(*news)
            try:
                news = self._queue.get_nowait()
            except queue.Empty:
                return True


@contextlib.contextmanager
def _watching(cluster: Cluster, ref: GatewayRef, chosen: str) -> Iterator[_News]:
    news = _News()
    watches = {
        kind: cluster.watch(
            kind,
            ref.namespace,
            field_selector=f"metadata.name={ref.name}" if kind == "Deployment" else "",
            label_selector="" if kind == "Deployment" else chosen,
            silence=_SILENCE,
        )
        for kind in _KINDS
    }
    threads = [
        threading.Thread(
            target=carried(news.read),
            args=(kind, watch),
            name=f"follow-{ref.name}-{kind}",
            daemon=True,
        )
        for kind, watch in watches.items()
    ]
    for thread in threads:
        thread.start()
    try:
        yield news
    finally:
        for watch in watches.values():
            watch.close()
        for thread in threads:
            # One that waits for a server that is away ends automatically; nobody waits for it.
            thread.join(timeout=0.5)


def _advanced(before: Progress | None, now: Progress) -> bool:
    """Whether the rollout has got on: what Kubernetes' own progress deadline counts from."""
    if before is None:
        return True
    return (now.updated, now.ready, now.available, -now.old) != (
        before.updated,
        before.ready,
        before.available,
        -before.old,
    )


def _agree(progress: Progress) -> bool:
    return sum(pod.ready and pod.updated for pod in progress.pods) >= progress.desired


def _explaining(cluster: Cluster, ref: GatewayRef, pod: PodProgress) -> Callable[[], PodProgress]:
    return lambda: dataclasses.replace(
        pod, event=_last_event(cluster, ref, pod), log=_last_lines(cluster, ref, pod)
    )


def _last_event(cluster: Cluster, ref: GatewayRef, pod: PodProgress) -> str:
    try:
        events = cluster.list(
            "Event",
            ref.namespace,
            field_selector=f"involvedObject.kind=Pod,involvedObject.name={pod.name}",
        )
    except GatewayBotError:
        return ""
    newest = max(events, key=_when, default=None)
    if newest is None:
        return ""
    return mask_secrets(f"{newest.get('reason', '')}: {newest.get('message', '')}")


def _when(event: Manifest) -> tuple[bool, str]:
    """Warnings before anything else: they say what is wrong."""
    at = event.get("lastTimestamp") or event.get("eventTime") or ""
    return event.get("type") == "Warning", at


def _last_lines(cluster: Cluster, ref: GatewayRef, pod: PodProgress) -> str:
    """Of the run that ended where there was one, else of the present one; empty where none is."""
    for previous in (True, False) if pod.restarts else (False,):
        try:
            text = cluster.logs(
                ref.namespace, pod.name, pod.container, tail=_LOG_LINES, previous=previous
            )
        except GatewayBotError:
            continue
        if text.strip():
            return mask_secrets(text.rstrip())[-_LOG_LENGTH:]
    return ""
