"""A token that somebody else kills is renewed at once, and said with what killed it."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.deadline import Deadline
from deploy.expiry.automatic import Automatic
from deploy.expiry.scanner import Rules, Scanner, scans_of
from deploy.expiry.thresholds import DEFAULT
from deploy.expiry.tracker import Tracker
from deploy.health.cache import ClusterCache
from deploy.health.levels import Levels
from tests.support.autopilot_bed import DEV, AutopilotBed
from tests.support.demo import Demo, words
from tests.support.kubectl import Kubectl
from tests.support.redis_servers import started
from tests.support.rotation_bed import RotationBed, rotation_bed
from tests.support.waiting import until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[RotationBed]:
    with rotation_bed(tmp_path / "world") as ready:
        yield ready


def job_of_others(gateway: str) -> dict[str, Any]:
    """Somebody's CronJob that rotates the gateway's keys."""
    container = {"name": "rotate", "image": "example/apimrotate:1", "args": ["contoso", gateway]}
    pod = {"restartPolicy": "Never", "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "rotate-cronjob", "namespace": "dev"},
        "spec": {
            "schedule": "0 2 1,15 * *",
            "jobTemplate": {"spec": {"template": {"spec": pod}}},
        },
    }


def run_now() -> dict[str, Any]:
    """That the CronJob began in this moment."""
    return {"lastScheduleTime": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"}


@pytest.mark.timeout(300)
def test_a_token_that_a_job_of_others_kills_is_renewed_at_once_and_the_job_is_named(
    bed: RotationBed, server: Valkey
) -> None:
    assert bed.sandbox is not None
    bed.cluster.create(job_of_others("edge-1"))
    cache = ClusterCache(bed.cluster)
    levels = Levels({"west": cache})
    redis = AutopilotBed(server)
    tracker = Tracker(redis.redis, "one")
    rules = Rules(DEV.name, DEFAULT, ("C0ALERTS",))
    scanner = Scanner(
        tracker, lambda: scans_of({"west": cache}, levels.last), lambda ref: rules, ["west"]
    )
    autopilot = redis.bot(Automatic("auto"))
    levels.start()
    try:
        scanner.scan()
        assert autopilot.turn() == 0
        path = "/apis/batch/v1/namespaces/dev/cronjobs/rotate-cronjob/status"
        merge = "application/merge-patch+json"
        bed.sandbox.request("PATCH", path, {"status": run_now()}, content_type=merge)
        key = bed.in_use().key
        bed.azure.call("POST", "/gateways/edge-1/regenerateKey", body={"keyType": key})

        def begun() -> bool:
            scanner.scan()
            return autopilot.turn() == 1

        # A single refusal would have to last for five minutes.
        until(begun, "the rotation", seconds=120)
        (action,) = redis.open()
        assert (action.ref, action.kind) == (bed.ref, "rotate")
        tracked = tracker.find(bed.ref)
        assert tracked is not None
        assert "CronJob dev/rotate-cronjob, which rotates it or its keys, ran" in tracked.facts.why
    finally:
        levels.stop(Deadline.after(10))
        cache.stop(Deadline.after(10))


@pytest.mark.timeout(300)
def test_a_killed_token_is_alerted_of_within_a_minute_of_its_first_refusal_with_what_killed_it(
    tmp_path: Path,
) -> None:
    demo = Demo(tmp_path)
    try:
        alerts = demo.person("dan", "gateway-alerts")
        alerts.sees("west/dev/legacy-9 .*has a token that expires", 120)
        kubectl = Kubectl(demo.kubeconfig, demo.data)
        there = ("--context", "west", "-n", "dev")
        path = tmp_path / "job.json"
        path.write_text(json.dumps(job_of_others("legacy-9")))
        kubectl(*there, "create", "--validate=false", "-f", str(path))
        patch = ("patch", "cronjob", "rotate-cronjob", "--subresource=status", "--type=merge", "-p")
        kubectl(*there, *patch, json.dumps({"status": run_now()}))
        demo.fault("azure", "configuration_status", "401")
        alert = alerts.sees(r"legacy-9 on west/dev \(development\) is denied by Azure", 150)
        assert "CronJob dev/rotate-cronjob, which rotates it or its keys, ran" in words(alert)
        log = kubectl(*there, "logs", "deployment/legacy-9", "--timestamps").splitlines()
        first = next(line for line in log if "StatusCode: Unauthorized" in line).split(" ")[0]
        refused_at = datetime.datetime.fromisoformat(first).timestamp()
        assert float(alert["ts"]) - refused_at < 60
    finally:
        demo.stop()
