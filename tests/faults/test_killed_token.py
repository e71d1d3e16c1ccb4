"""A token that somebody else kills is renewed at once, and said with what killed it."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox.valkey import Valkey
from deploy.deadline import Deadline
from deploy.expiry.automatic import Automatic
from deploy.expiry.scanner import Rules, Scanner, scans_of
from deploy.expiry.thresholds import DEFAULT
from deploy.expiry.tracker import Tracker
from deploy.health.cache import ClusterCache
from deploy.health.levels import Levels
from deploy.kube.cluster import Cluster
from tests.support.autopilot_bed import DEV, AutopilotBed
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


def job_of_others(cluster: Cluster) -> None:
    """Somebody's CronJob that rotates the gateway's keys."""
    container = {"name": "rotate", "image": "example/apimrotate:1", "args": ["contoso", "edge-1"]}
    pod = {"restartPolicy": "Never", "containers": [container]}
    cluster.create(
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "rotate-cronjob", "namespace": "dev"},
            "spec": {
                "schedule": "0 2 1,15 * *",
                "jobTemplate": {"spec": {"template": {"spec": pod}}},
            },
        }
    )


@pytest.mark.timeout(300)
def test_a_token_that_a_job_of_others_kills_is_renewed_at_once_and_the_job_is_named(
    bed: RotationBed, server: Valkey
) -> None:
    assert bed.sandbox is not None
    job_of_others(bed.cluster)
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
        status = {"lastScheduleTime": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"}
        path = "/apis/batch/v1/namespaces/dev/cronjobs/rotate-cronjob/status"
        merge = "application/merge-patch+json"
        bed.sandbox.request("PATCH", path, {"status": status}, content_type=merge)
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
