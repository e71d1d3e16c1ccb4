"""The bot as `k8s-manifest` installs it passes the journeys on a real control plane in both modes: its
ServiceAccount, its user, no place to write but /tmp. The audit log shows that nothing was refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bot.install.redis_acl import USER, acl
from bot.install.workload import USER as UID
from bot.sandbox.processes import spawn
from bot.sandbox.valkey import wheel_binary
from tests.cluster import test_journeys as journeys
from tests.cluster import test_listed_namespaces as listed
from tests.cluster.conftest import named_west
from tests.cluster.test_listed_namespaces import ROLLOUTS, Scene
from tests.journeys.test_deploy import TAG, named, objects
from tests.journeys.test_operating import decide
from tests.support import containers, limited_bot
from tests.support.control_plane import Process, built
from tests.support.demo import Demo
from tests.support.kube_api import KubeApi
from tests.support.ports import free_ports
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)

PASSWORD = "of-the-bot"
SECRETS = {"socket": "env", "http": "files"}
"""How the bot is given its Secret, by mode: each way once."""
GATEWAYS = ("edge-1", "edge-2", "store-7", "legacy-9")


@pytest.fixture(scope="module", params=["socket", "http"])
def scene(
    whole_plane: object, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    binary, directory, lacking = built(), tmp_path_factory.mktemp("installed"), containers.lacking()
    if binary is None or lacking:
        pytest.skip(lacking or "the audit log is that of `make controlplane`'s control plane")
    port, health = free_ports(2)
    kept = ("--save", "", "--dir", str(directory), "--logfile", str(directory / "redis.log"))
    server = spawn([str(wheel_binary()), "--port", str(port), *kept])
    process = Process(binary, directory / "plane")
    try:
        admin = redis.Redis(port=port)
        until(lambda: answers(admin), "Redis")
        admin.execute_command("ACL", "SETUSER", *acl(password=f">{PASSWORD}").split()[1:])
        process.start()
        mine = named_west(process.plane, directory / "mine")
        api = KubeApi(mine)
        api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", ROLLOUTS)
        rollouts = "/apis/argoproj.io/v1alpha1/namespaces/default/rollouts"
        until(lambda: api.request("GET", rollouts).status == 200, "the kind of Argo Rollouts")
        settings = {
            "clusters": [{"name": "west", "in_cluster": True}],
            "health": {"host": "127.0.0.1", "port": health},
        }
        world = limited_bot.world(directory / "world.yaml", settings, GATEWAYS)
        url = f"redis://{USER}:{PASSWORD}@127.0.0.1:{port}"
        demo = Demo(
            directory / "demo",
            *("--kubeconfig", str(mine), "--world", str(world), "--slack-mode", request.param),
            env={"CLUSTER": str(mine), "REDIS_URL": url, "SECRETS": SECRETS[request.param]},
            seconds=300,
            program="tests.support.installing",
        )
        try:
            yield Scene(demo, api, directory / "plane" / "audit.log")
        finally:
            demo.stop()
    finally:
        process.stop()
        server.kill()
        server.wait()


def answers(server: redis.Redis) -> bool:
    try:
        return bool(server.ping())
    except redis.RedisError:
        return False


@pytest.fixture
def demo(scene: Scene) -> Demo:
    return scene.demo


def test_it_runs_as_its_manifest_says(demo: Demo) -> None:
    process = Path("/proc", str(demo.bot_pid()))
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    for name in ("Uid", "Gid"):
        assert status[name].split() == [str(UID)] * 4
    assert {status[f"Cap{name}"].strip() for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {
        "0" * 16
    }
    assert status["NoNewPrivs"].strip() == "1"
    mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
    writable = {m[4] for m in mounts if "rw" in m[5].split(",") and m[4] != "/proc"}
    assert {each for each in writable if not each.startswith(("/proc/", "/dev/"))} == {"/tmp"}


def test_a_gateway_is_deployed_from_the_form(demo: Demo) -> None:
    journeys.test_a_gateway_is_deployed_from_the_form(demo)


def test_a_gateway_is_operated(demo: Demo) -> None:
    listed.test_a_gateway_is_operated(demo)


def test_gateways_of_others_are_shown_kept_and_adopted(scene: Scene) -> None:
    listed.test_gateways_of_others_are_shown_kept_and_adopted(scene)


def test_a_gateway_is_deleted(demo: Demo) -> None:
    ana = demo.person("ana")
    decide(ana, "delete edge-1", "Delete edge-1", "Deleted west/dev/edge-1")


def test_a_gateway_with_an_autoscaler_and_a_network_policy_comes_and_goes(demo: Demo) -> None:
    ana = demo.person("ana")
    more = "--set autoscaling.minReplicas=1 --set autoscaling.maxReplicas=2"
    asked = f"deploy store-7 --to west/dev --tag {TAG} {more} --set networkPolicy.enabled=true"
    decide(ana, asked, "Deploy store-7", "1 of 1 pods ready after")
    kinds = ("horizontalpodautoscalers", "networkpolicies")
    assert all(named(objects(demo, kind, "dev"), "store-7") for kind in kinds)
    decide(ana, "delete store-7", "Delete store-7", "Deleted west/dev/store-7")
    assert not any(named(objects(demo, kind, "dev"), "store-7") for kind in kinds)


def test_production_changes_only_once_an_approver_approved_the_plan(demo: Demo) -> None:
    journeys.test_production_changes_only_once_an_approver_approved_the_plan(demo)


def test_nothing_was_refused(scene: Scene) -> None:
    """The bot makes no request to learn whether it may, so no refusal is an exception."""
    entries = limited_bot.asked(scene.log)
    assert len(entries) > 500, "the log is the one of this journey"
    assert limited_bot.refused(entries) == []
