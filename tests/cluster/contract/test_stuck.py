"""A rollout that cannot get on says why, soon after the cluster knows it."""

import dataclasses
import datetime
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from deploy.gateway import ApimGateway, GatewayRef
from deploy.kube.cluster import connect
from deploy.observed.progress import Progress
from deploy.observed.selecting import labelled
from deploy.plans.planning import Planner
from deploy.rendering.labels import selector
from deploy.rendering.manifests import token_secret
from deploy.rollouts.rollout import apply_plan, follow
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Backup, Placement, Rollout, Toleration
from deploy.tokens.token import Token
from tests.cluster.conftest import Target
from tests.support.gateway_bed import INSTANCES, PATIENT
from tests.support.kube_api import Obj
from tests.support.node_bed import CONFIGURATION_HOST
from tests.support.quotas import enforced_quota
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers")
_WITHIN_SECONDS = 40.0


def spec_for(target: Target, ns: str, **changes: Any) -> GatewaySpec:
    (toleration,) = target.placed["tolerations"]
    placement = Placement(
        node_selector=tuple(target.placed["nodeSelector"].items()),
        tolerations=(Toleration(key=toleration["key"], operator="Exists"),),
    )
    return GatewaySpec(
        ref=GatewayRef("west", ns, "edge-1"),
        apim=ApimGateway("contoso", "edge-1", CONFIGURATION_HOST),
        **{"tag": "2.11.1", "replicas": 1, "cpu": "1", "placement": placement, **changes},
    )


@contextmanager
def _rolling_out(target: Target, spec: GatewaySpec) -> Iterator[list[tuple[float, Progress]]]:
    """Apply the spec and follow it; what is told is added to the list, with its time."""
    cluster = connect(
        "west", kubeconfig=target.kubeconfig, context=target.context, timeouts=PATIENT
    )
    planner = Planner(lambda name: cluster, lambda: ("2.11.1",), instances=INSTANCES)
    plan = planner.plan(spec, "ABC234")
    assert plan.token.secret is not None
    if plan.token.mint:
        expires_at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=29)
        token = Token("edge-1", expires_at, f"edge-1&{expires_at:%Y%m%d%H%M}&c2lnbmF0dXJl")
        cluster.create(token_secret(spec, plan.token.secret, token, "ABC234"))
    apply_plan(cluster, plan, action_id="ABC234", requester="U1")
    told: list[tuple[float, Progress]] = []
    stop = threading.Event()
    thread = threading.Thread(
        target=follow,
        args=(cluster, spec.ref),
        kwargs={
            "chosen": labelled(selector(spec)),
            "deadline": 600.0,
            "on_progress": lambda progress: told.append((time.monotonic(), progress)),
            "stop": stop,
        },
    )
    thread.start()
    try:
        yield told
    finally:
        stop.set()
        thread.join(20)
        cluster.close()


def _pods(target: Target, ns: str) -> list[Obj]:
    return target.api.items(f"/api/v1/namespaces/{ns}/pods")


def _waits(target: Target, ns: str, *reasons: str) -> bool:
    statuses = [s for p in _pods(target, ns) for s in p["status"].get("containerStatuses") or []]
    return any(s.get("state", {}).get("waiting", {}).get("reason") in reasons for s in statuses)


def _unschedulable(target: Target, ns: str) -> bool:
    return any(
        condition.get("reason") == "Unschedulable"
        for pod in _pods(target, ns)
        for condition in pod["status"].get("conditions") or []
    )


def _refused(target: Target, ns: str) -> bool:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments/edge-1"
    conditions = target.api.get(path).get("status", {}).get("conditions") or []
    return any(c["type"] == "ReplicaFailure" for c in conditions)


def _told_in_time(told: list[tuple[float, Progress]], since: float, *words: str) -> None:
    def reason() -> bool:
        return any(all(w in " ".join(p.trouble) for w in words) for _, p in told)

    until(reason, f"{words} being told", _WITHIN_SECONDS)
    assert time.monotonic() - since < _WITHIN_SECONDS


def test_an_image_that_cannot_be_pulled_is_told(target: Target, ns: str) -> None:
    with _rolling_out(target, spec_for(target, ns, tag="9.9.9")) as told:
        until(lambda: _waits(target, ns, "ErrImagePull", "ImagePullBackOff"), "the event")
        _told_in_time(told, time.monotonic(), "ImagePull")


def test_a_crash_loop_is_told(target: Target, ns: str) -> None:
    target.fault("crash_loop", "all")
    try:
        with _rolling_out(target, spec_for(target, ns)) as told:
            until(lambda: _waits(target, ns, "CrashLoopBackOff"), "the event")
            _told_in_time(told, time.monotonic(), "CrashLoopBackOff")
    finally:
        target.fault("crash_loop", "none")


def test_pods_that_fit_nowhere_are_told(target: Target, ns: str) -> None:
    with _rolling_out(target, spec_for(target, ns, cpu="640")) as told:
        until(lambda: _unschedulable(target, ns), "the event")
        _told_in_time(told, time.monotonic(), "Unschedulable", "Insufficient cpu")


def test_a_quota_is_told(target: Target, ns: str) -> None:
    enforced_quota(target.api, f"/api/v1/namespaces/{ns}", pods="0")
    with _rolling_out(target, spec_for(target, ns)) as told:
        until(lambda: _refused(target, ns), "the event")
        _told_in_time(told, time.monotonic(), "exceeded quota: q")


def test_a_claim_that_is_not_bound_is_told(target: Target, ns: str) -> None:
    backup = dataclasses.replace(Backup(), size="1Gi", storage_class="no-such-class")
    with _rolling_out(target, spec_for(target, ns, backup=backup)) as told:
        until(lambda: _unschedulable(target, ns), "the event")
        _told_in_time(told, time.monotonic(), "Unschedulable", "PersistentVolumeClaim")


def test_a_verdict_on_the_version_before_is_none_on_the_one_that_comes_back(
    target: Target, ns: str
) -> None:
    rollout = Rollout(progress_deadline=30)
    good = spec_for(target, ns, rollout=rollout)
    with _rolling_out(target, good) as told:
        until(lambda: told and told[-1][1].complete, "the good version", 120)
    with _rolling_out(target, dataclasses.replace(good, tag="9.9.9")) as told:
        until(lambda: told and told[-1][1].failed, "the verdict", 120)
    with _rolling_out(target, good) as told:
        until(lambda: told and told[-1][1].complete, "the good version again", 120)
    assert not any(progress.failed for _, progress in told)
