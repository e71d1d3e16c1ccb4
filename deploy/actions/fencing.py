"""The last guard of a gateway: a Lease object in its own namespace, where its objects are.

Redis gives the right to change a gateway out, but in a failover it can give one right to two holders
(redis.io, "Distributed Locks with Redis"; Kleppmann 2016, "How to do distributed locking"). The
cluster's own store cannot: every write of the Lease names the resourceVersion that it was read at.
So whoever is to change a gateway holds both, and looks at the Lease again before each write.
"""

import datetime
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.actions.audit_heads import Head, newer
from deploy.annotations import ACTION_ANNOTATION, MANAGER, PART_OF_LABEL
from deploy.errors import Conflict, GatewayBotError, NotFound, Unavailable
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.rendering.labels import EARLIER_LABEL, MANAGED_BY, short_value
from deploy.times import epoch

FENCE_ANNOTATION = "gateway-bot.io/fence"
_KIND = "Lease"
_TRIES = 20
"""Each lost race is somebody else's write, and only the holder writes at length."""


def lease_name(ref: GatewayRef) -> str:
    """What the Lease of a gateway is called."""
    return f"{MANAGER}-{ref.name}"


class FenceLost(Exception):
    """Somebody else holds the gateway's Lease: whoever meets this must not write any longer."""


class FenceTooLow(Conflict):
    """The Lease has seen a fence as high as this one: Redis has lost its own.

    `fence` is the one seen.
    """

    def __init__(self, ref: GatewayRef, fence: int) -> None:
        super().__init__(
            f"The Lease of {ref} has a higher fence than Redis.",
            meaning="Redis has lost data.",
            remedy="The bot continues with a higher fence.",
        )
        self.fence = fence


class FenceHeld(Conflict):
    """Another bot still holds the Lease, for `action_id`, and for `seconds` if it does not renew it."""

    def __init__(self, ref: GatewayRef, held: "HeldLease", seconds: float) -> None:
        super().__init__(
            f"The bot {held.holder} is still working on {ref}.",
            meaning=("Only one bot may work on a gateway at a time."),
        )
        self.holder = held.holder
        self.action_id = held.action_id
        self.seconds = seconds


@dataclass(frozen=True)
class HeldLease:
    """What a Lease tells: who has it, with which fence, for which action, and until when."""

    holder: str
    fence: int
    action_id: str
    until: float
    transitions: int

    def belongs_to(self, owner: str, fence: int, action_id: str) -> bool:
        """Whether this is the hold of exactly that run."""
        return (self.holder, self.fence, self.action_id) == (owner, fence, action_id)


def held_of(lease: Manifest) -> HeldLease:
    """What the Lease tells; what is missing or unreadable counts as nothing. Pure."""
    spec = lease.get("spec") or {}
    noted = lease["metadata"].get("annotations") or {}
    fence = str(noted.get(FENCE_ANNOTATION, ""))
    renewed = epoch(spec.get("renewTime")) or 0.0
    return HeldLease(
        holder=str(spec.get("holderIdentity") or ""),
        fence=int(fence) if fence.isdecimal() else 0,
        action_id=str(noted.get(ACTION_ANNOTATION, "")),
        until=renewed + float(spec.get("leaseDurationSeconds") or 0),
        transitions=int(spec.get("leaseTransitions") or 0),
    )


class Fences:
    """The Leases of every gateway."""

    def __init__(
        self,
        clusters: Mapping[str, Cluster],
        newest: Callable[[], str] = lambda: "",
        annotation: str = "",
    ) -> None:
        """`newest` is how far the audit trail has come, which each Lease notes in that `annotation`
        (`audit_heads`), the trail's own; without one nothing is noted."""
        self._clusters = clusters
        self._newest = newest
        self._annotation = annotation

    def seen(self, ref: GatewayRef) -> int:
        """The highest fence that the gateway's Lease has seen; 0 where there is none.

        NotFound when the settings no longer have the cluster.
        """
        cluster = self._cluster(ref)
        lease = cluster.get(_KIND, ref.namespace, lease_name(ref))
        return held_of(lease).fence if lease else 0

    def take(
        self, ref: GatewayRef, action_id: str, owner: str, fence: int, seconds: float
    ) -> "Fence":
        """Hold the gateway's Lease for `seconds`, with a fence higher than any before.

        Taking what this run has already is not an error, so it may be repeated. FenceHeld while
        another has it, FenceTooLow where the fence is none, NotFound without the namespace.
        """
        cluster, noted = self._cluster(ref), self._noted()
        for _ in range(_TRIES):
            lease = cluster.get(_KIND, ref.namespace, lease_name(ref))
            now = cluster.now()
            wanted = _taken(lease, ref, action_id, owner, fence, seconds, now)
            _note(wanted, self._annotation, noted)
            try:
                if lease is None:
                    cluster.create(wanted)
                else:
                    cluster.replace(wanted)
            except (Conflict, NotFound) as error:
                if isinstance(error, NotFound) and lease is None:
                    raise
                continue
            return Fence(cluster, ref, action_id, owner, fence, seconds)
        raise Unavailable(f"The Lease of {ref} keeps changing.")

    def head(self, ref: GatewayRef) -> Head | None:
        """How far the audit trail had come when the gateway was last changed; None where that is not
        known."""
        lease = self._cluster(ref).get(_KIND, ref.namespace, lease_name(ref))
        noted = ((lease or {}).get("metadata") or {}).get("annotations") or {}
        return Head.parse(str(noted.get(self._annotation, "")))

    def held(self, ref: GatewayRef) -> HeldLease | None:
        """Who has the gateway's Lease; None where there is none."""
        lease = self._cluster(ref).get(_KIND, ref.namespace, lease_name(ref))
        return held_of(lease) if lease else None

    def _noted(self) -> str:
        if not self._annotation:
            return ""
        try:
            return self._newest()
        except GatewayBotError:
            # The run itself sees what Redis has; the note is a later run's.
            return ""

    def _cluster(self, ref: GatewayRef) -> Cluster:
        found = self._clusters.get(ref.cluster)
        if found is None:
            raise NotFound(f"Cluster “{ref.cluster}” is no longer in the bot's settings.")
        return found


class Fence:
    """One hold of a gateway's Lease, from many threads."""

    def __init__(
        self,
        cluster: Cluster,
        ref: GatewayRef,
        action_id: str,
        owner: str,
        fence: int,
        seconds: float,
    ) -> None:
        self._cluster = cluster
        self._ref = ref
        self._mine = (owner, fence, action_id)
        self._seconds = seconds
        self._lock = threading.Lock()
        self._renewed = time.monotonic()

    def guard(self) -> None:
        """Raise FenceLost unless this hold is the newest still; it lasts on from here.

        Unavailable when the cluster cannot be asked.
        """
        if time.monotonic() - self._renewed > self._seconds / 2:
            self.renew()
        else:
            self._read()

    def renew(self) -> None:
        """Hold it on. FenceLost and Unavailable as above."""
        with self._lock:
            for _ in range(_TRIES):
                lease = self._read()
                began = time.monotonic()
                renewed = {**lease["spec"], "renewTime": _moment(self._cluster.now())}
                try:
                    self._cluster.replace({**lease, "spec": renewed})
                except (Conflict, NotFound):
                    continue
                self._renewed = began
                return
        raise Unavailable(f"The Lease of {self._ref} keeps changing.")

    def release(self) -> None:
        """Let go of it, so that another need not wait; no error when it is lost or gone."""
        with self._lock:
            for _ in range(_TRIES):
                try:
                    lease = self._read()
                    self._cluster.replace(
                        {**lease, "spec": {**lease["spec"], "holderIdentity": ""}}
                    )
                except FenceLost:
                    return
                except (Conflict, NotFound):
                    continue
                return

    def _read(self) -> Manifest:
        lease = self._cluster.get(_KIND, self._ref.namespace, lease_name(self._ref))
        if lease is None or not held_of(lease).belongs_to(*self._mine):
            raise FenceLost
        return lease


def _taken(
    lease: Manifest | None,
    ref: GatewayRef,
    action_id: str,
    owner: str,
    fence: int,
    seconds: float,
    now: float,
) -> Manifest:
    """The Lease as it is when this run has it."""
    before = held_of(lease) if lease else HeldLease("", 0, "", 0.0, 0)
    again = before.belongs_to(owner, fence, action_id)
    if not again and before.holder not in ("", owner) and before.until > now:
        raise FenceHeld(ref, before, before.until - now)
    if not again and before.fence >= fence:
        raise FenceTooLow(ref, before.fence)
    metadata: dict[str, Any] = dict(lease["metadata"]) if lease else {}
    noted = metadata.get("annotations") or {}
    metadata |= {
        "name": lease_name(ref),
        "namespace": ref.namespace,
        "labels": {
            **{k: v for k, v in (metadata.get("labels") or {}).items() if k != EARLIER_LABEL},
            MANAGED_BY: MANAGER,
            PART_OF_LABEL: short_value(ref.name),
        },
        "annotations": {
            **noted,
            FENCE_ANNOTATION: str(fence),
            ACTION_ANNOTATION: action_id,
        },
    }
    known = (lease or {}).get("spec") or {}
    changed = lease is not None and before.holder != owner
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": _KIND,
        "metadata": metadata,
        "spec": {
            **known,
            "holderIdentity": owner,
            "leaseDurationSeconds": max(1, math.ceil(seconds)),
            "acquireTime": known.get("acquireTime") if again else _moment(now),
            "renewTime": _moment(now),
            "leaseTransitions": before.transitions + int(changed),
        },
    }


def _note(lease: Manifest, annotation: str, newest: str) -> None:
    """Note in a Lease how far the audit trail has come, unless it has a further one."""
    noted = lease["metadata"]["annotations"]
    if head := newer(str(noted.get(annotation, "")), newest):
        noted[annotation] = head


def _moment(seconds: float) -> str:
    """A MicroTime."""
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
