"""How many pods each workload has had since the bot started."""

import time
from collections import deque
from dataclasses import dataclass

from deploy.kube.objects import Manifest
from deploy.observed.workloads import workload_kind

_REMEMBERED = 240
"""Changes of a gateway's replicas that are remembered."""


@dataclass(frozen=True)
class ReplicaCount:
    """How many pods a gateway had from a moment on (epoch seconds)."""

    at: float
    ready: int
    desired: int


class ReplicaCourses:
    """Of one cluster; for one thread at a time."""

    def __init__(self) -> None:
        self._courses: dict[tuple[str, str, str], deque[ReplicaCount]] = {}

    def note(self, kind: str, workload: Manifest) -> None:
        """It is as it is now."""
        course = self._courses.setdefault(_place(kind, workload), deque(maxlen=_REMEMBERED))
        ready = int((workload.get("status") or {}).get("readyReplicas", 0))
        desired = int(workload["spec"].get("replicas", 1))
        if not course or (course[-1].ready, course[-1].desired) != (ready, desired):
            course.append(ReplicaCount(time.time(), ready, desired))

    def forget(self, kind: str, workload: Manifest) -> None:
        """It is gone."""
        self._courses.pop(_place(kind, workload), None)

    def of(self, workload: Manifest) -> tuple[ReplicaCount, ...]:
        """Oldest first."""
        return tuple(self._courses.get(_place(workload_kind(workload), workload), ()))


def _place(kind: str, workload: Manifest) -> tuple[str, str, str]:
    return kind, workload["metadata"]["namespace"], workload["metadata"]["name"]
