"""`gateway-bot check` against the demo's services, with the bot's own settings and secrets."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.demo import Demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()


def check(demo: Demo, config: Path | None = None) -> subprocess.CompletedProcess[str]:
    environ = Path(f"/proc/{demo.bot_pid()}/environ").read_bytes().decode()
    config = config or demo.data / "gateway-bot.yaml"
    return subprocess.run(
        [sys.executable, "-m", "bot", "check", "--config", str(config)],
        env=dict(item.split("=", 1) for item in environ.split("\0") if "=" in item),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_every_connection_is_proved(demo: Demo) -> None:
    done = check(demo)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in (
        "ok    slack: signed in to Contoso",
        "ok    slack Socket Mode",
        "ok    approvers of production-west: 1 approval needed; 2 people can give it",
        "ok    approvers of production-east: 2 approvals needed; 2 people can give them",
        "ok    slack scopes: the app has all",
        "ok    redis: Valkey",
        "ok    redis rights: every command",
        "ok    redis durability: appendonly yes",
        "ok    API Management contoso: 4 self-hosted gateways",
        "; may generate tokens and regenerate keys",
        "ok    clock: agrees with Redis, Slack and Azure",
        # Somebody of Fabrikam is in it.
        "warn  channel C0GWALERTS: It is shared with another workspace through Slack Connect.",
        "ok    cluster west: Kubernetes",
        "may change gateways in dev, prod",
        "ok    cluster east: Kubernetes",
        "ok    image registry",
    ):
        assert line in done.stdout


def test_what_is_broken_is_named_and_the_rest_is_still_proved(demo: Demo) -> None:
    demo.fault("azure", "arm_status", "403")
    demo.fault("cluster east", "api_down", True)
    try:
        done = check(demo)
    finally:
        demo.fault("azure", "arm_status", "none")
        demo.fault("cluster east", "api_down", False)
    assert done.returncode == 1
    assert "FAIL  API Management contoso: " in done.stdout
    assert "FAIL  cluster east: " in done.stdout
    assert "ok    cluster west" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_channel_without_the_bot_and_a_cluster_it_may_not_watch_are_told(demo: Demo) -> None:
    settings = yaml.safe_load((demo.data / "gateway-bot.yaml").read_text())
    settings["warnings"]["channels"] = ["C0NOWHERE"]
    (west, east) = settings["clusters"]
    kubeconfig = yaml.safe_load(Path(west["kubeconfig"]).read_text())
    for user in kubeconfig["users"]:
        user["user"] = {"token": "nobody"}
    nobody = demo.data / "nobody.kubeconfig"
    nobody.touch(0o600)
    nobody.write_text(yaml.safe_dump(kubeconfig))
    settings["clusters"] = [{**west, "kubeconfig": str(nobody)}, east]
    config = demo.data / "wrong.yaml"
    config.write_text(yaml.safe_dump(settings))
    done = check(demo, config)
    assert done.returncode == 1
    assert (
        "FAIL  channel C0NOWHERE: The bot is not a member of that channel. Invite it"
    ) in done.stdout
    assert "FAIL  cluster west: " in done.stdout
    assert "warn  channel C0GWALERTS" in done.stdout


def test_a_channel_of_production_that_others_share_is_warned_of(demo: Demo, tmp_path: Path) -> None:
    settings = yaml.safe_load((demo.data / "gateway-bot.yaml").read_text())
    settings["warnings"].pop("channel")
    for environment in settings["environments"]:
        if environment.get("production"):
            environment["channels"] = ["C0GWOPS"]
        else:
            environment["warnings"] = {"channel": "C0GWALERTS"}
    config = demo.data / "production.yaml"
    config.write_text(yaml.safe_dump(settings))
    alone = check(demo, config)
    assert alone.returncode == 0
    assert "ok    channel C0GWOPS: plans can be shown there" in alone.stdout
    assert "ok    channel C0GWALERTS: warnings can be posted there" in alone.stdout
    demo.post("members", channel="C0GWOPS", user="fay", member=True)
    try:
        shared = check(demo, config)
    finally:
        demo.post("members", channel="C0GWOPS", user="fay", member=False)
    assert shared.returncode == 0
    assert "warn  channel C0GWOPS: It is shared with another workspace" in shared.stdout


def test_a_second_demo_on_the_same_data_is_told_in_a_sentence(demo: Demo) -> None:
    done = subprocess.run(
        [*(sys.executable, "-m", "bot", "demo", "--port", "0", "--no-open"), "--data", demo.data],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "Another demo may be using this --data directory" in done.stderr
    assert "Traceback" not in done.stderr
