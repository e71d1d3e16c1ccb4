"""Changes of a gateway whose pods somebody else counts, and how that is watched."""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

from deploy.actions.action import ChangeRequest
from deploy.observed.installed import installed
from deploy.plans.requests import DeployRequest, RestartRequest, RotateRequest
from deploy.tokens.rotation import Rotation
from tests.cluster.rollout_bed import Bed
from tests.support.kube_api import MERGE


def tag(bed: Bed, name: str = "edge-1") -> ChangeRequest:
    ref = dataclasses.replace(bed.spec().ref, name=name)
    return DeployRequest(dataclasses.replace(installed(bed.cluster, ref).spec, tag="2.10.0"))


def restart(bed: Bed, name: str = "edge-1") -> ChangeRequest:
    ref = dataclasses.replace(bed.spec().ref, name=name)
    return RestartRequest(ref, "2026-11-29T12:00:00Z")


def rotate(bed: Bed, name: str = "edge-1") -> ChangeRequest:
    return RotateRequest(dataclasses.replace(bed.spec().ref, name=name), Rotation())


CHANGES: dict[str, tuple[str, Callable[..., ChangeRequest], dict[str, Any]]] = {
    "deployed": ("deploy", tag, {}),
    "restarted": ("restart", restart, {}),
    "rotated": ("rotate", rotate, {}),
    "rotated-automatically": ("rotate", rotate, {"automatic": True, "requester": "bot"}),
}


def scale(bed: Bed, replicas: int) -> None:
    """As an autoscaler does it."""
    query = "?fieldManager=autoscaler"
    wanted = {"spec": {"replicas": replicas}}
    answer = bed.target.api.request("PATCH", f"{bed.path}/scale{query}", wanted, MERGE)
    assert answer.status == 200, answer.body


@contextlib.contextmanager
def sampled(bed: Bed, path: str) -> Iterator[list[int]]:
    """The wanted pods, looked at all the time while the block runs."""
    seen: list[int] = []
    ended = threading.Event()

    def sample() -> None:
        while not ended.is_set():
            seen.append(int(bed.target.api.get(path)["spec"]["replicas"]))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
