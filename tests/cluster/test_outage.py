"""The API server is killed in the middle of a rollout."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import named_west
from tests.journeys.test_deploy import TAG, kubectl
from tests.support.control_plane import Process, built
from tests.support.demo import Demo, broken, words

_AWAY_SECONDS = 20.0


@pytest.fixture
def process(whole_plane: object, tmp_path: Path) -> Iterator[Process]:
    """A control plane of the test's own."""
    binary = built()
    if binary is None:
        pytest.skip("only a control plane of our own can be killed: `make controlplane` builds it")
    process = Process(binary, tmp_path / "plane")
    process.start()
    yield process
    process.stop()


@pytest.mark.timeout(600)
def test_a_rollout_survives_twenty_seconds_without_an_api_server(
    process: Process, tmp_path: Path
) -> None:
    demo = Demo(tmp_path / "demo", "--kubeconfig", str(named_west(process.plane, tmp_path / "k")))
    ana = demo.person("ana")
    try:
        with broken(demo, "node west", "slow_start_seconds", 4, 0):
            ana.types(f"deploy edge-1 --to west/dev --tag {TAG} --replicas 3")
            plan = ana.sees("Deploy edge-1.*Nothing has changed yet", ephemeral=False)
            ana.clicks(plan, "Confirm")
            ana.sees("Deploy edge-1.*Rolling out", ephemeral=False)
            process.kill()
            # Not a wait for something to happen: the outage lasts this long.
            threading.Event().wait(_AWAY_SECONDS)
            process.start()
        done = ana.sees("Deploy edge-1.*3 of 3 pods ready after", 180, ephemeral=False)
        assert done["ts"] == plan["ts"]
        assert "Confirm" not in words(done)
        assert "successfully rolled out" in kubectl(
            demo, "rollout", "status", "-n", "dev", "deployment/edge-1", "--watch=false"
        )
        # What the bot watches may come back a moment after what it follows.
        ana.is_told("status edge-1", "edge-1 on west/dev.*3 of 3 pods")
    finally:
        demo.stop()
