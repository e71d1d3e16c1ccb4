"""A thousand gateways cross a threshold at once while bots are killed: each is warned of once."""

import base64
import datetime
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from bot.sandbox.slack import Channel, SlackWorkspace, User
from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.expiry.tracker import Tracker
from tests.faults.judging import FAULTS
from tests.support.kube_api import KubeApi
from tests.support.processes import ROOT
from tests.support.redis_servers import started
from tests.support.running_cluster import RunningCluster
from tests.support.slack_workspace import APP_TOKEN, BOT, BOT_TOKEN, Person, app_config
from tests.support.slack_workspace import running as running_slack
from tests.support.waiting import until

GATEWAYS, CHANNELS, BOTS, KILLS = 1000, 40, 4, 12
OWED = "gateway-bot:{messages}:owed"
_DAY = 86_400
_LEAD_SECONDS = 105
"""Until the crossing. On most machines every bot has started and tracks every gateway by then; on one
that is slower the warnings begin as soon as they do."""


def channel(number: int) -> str:
    return f"C0WARN{number}"


def namespace(number: int) -> str:
    return f"team-{number % CHANNELS}"


@pytest.fixture
def slack() -> Iterator[Person]:
    people = [User("U0ANA", "ana", "Ana Diaz")]
    workspace = SlackWorkspace(
        team={"id": "T0TEAM", "name": "Contoso", "domain": "contoso"},
        users=people,
        usergroups=[],
        channels=[
            Channel(channel(n), f"warnings-{n}", members=("U0ANA", BOT)) for n in range(CHANNELS)
        ],
        app=app_config(),
    )
    with running_slack(workspace) as person:
        person.set_fault("rate_limits", True)
        yield person


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RunningCluster]:
    names = tuple(namespace(n) for n in range(CHANNELS))
    with RunningCluster(tmp_path, namespaces=names, with_kubelet=False) as running:
        yield running


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


class Bots:
    """Real bots, each a process of its own with a log of its own."""

    def __init__(self, settings: Path, redis: str, directory: Path) -> None:
        self._command = [sys.executable, "-m", "bot", "run", "--config", str(settings)]
        self._environment = {
            **os.environ,
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_APP_TOKEN": APP_TOKEN,
            "AZURE_CLIENT_SECRET": "unused",
            "REDIS_URL": redis,
        }
        self._directory = directory
        self._running: list[subprocess.Popen[bytes]] = []
        self.started = 0

    def start(self) -> None:
        """One more."""
        self.started += 1
        log = (self._directory / f"bot-{self.started}.log").open("wb")
        self._running.append(
            subprocess.Popen(self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)
        )

    def ready(self) -> int:
        """How many have said so."""
        logs = self._directory.glob("bot-*.log")
        return sum(b"ready, health" in log.read_bytes() for log in logs)

    def kill_one(self) -> None:
        """kill -9 of one of them, and another in its place."""
        victim = self._running.pop(random.randrange(len(self._running)))
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        self.start()

    def stop(self) -> None:
        """kill -9 of all."""
        for process in self._running:
            process.kill()
            process.wait()


def settings_file(path: Path, slack: SlackWorkspace, kubeconfig: Path) -> Path:
    environments = [
        {
            "name": f"team-{number}",
            "namespaces": [f"team-{number}"],
            "warnings": {"channel": channel(number), "thresholds": ["7d"]},
        }
        for number in range(CHANNELS)
    ]
    settings = {
        "slack": {"api_url": slack.api_url, "connections": 1},
        "azure": {
            "authority": "https://127.0.0.1:9",
            "tenant_id": "72f988bf-0000-4000-8000-000000000001",
            "client_id": "5a6c1f3e-0000-4000-8000-000000000002",
            "arm_endpoint": "https://127.0.0.1:9",
        },
        "apim": [
            {"name": "contoso", "subscription": "s", "resource_group": "rg", "service": "contoso"}
        ],
        "clusters": [{"name": "west", "kubeconfig": str(kubeconfig), "context": "west"}],
        "environments": environments,
        "warnings": {"digest": None},
        "health": {"port": 0},
    }
    path.write_text(yaml.safe_dump(settings))
    return path


def install(api: KubeApi, number: int, expires: datetime.datetime) -> None:
    """A gateway of this bot, scaled to nothing, with a token that expires then."""
    name, place = f"edge-{number}", namespace(number)
    token = f"GatewayKey {name}&{expires:%Y%m%d%H%M}&c2lnbmF0dXJlLW9mLWEtdG9rZW4="
    secret = {
        "metadata": {
            "name": f"{name}-token",
            "labels": {"app.kubernetes.io/managed-by": "gateway-bot"},
            "annotations": {"gateway-bot.io/token-expires-at": f"{expires:%Y-%m-%dT%H:%M:%SZ}"},
        },
        "immutable": True,
        "data": {"value": base64.b64encode(token.encode()).decode()},
    }
    api.create(f"/api/v1/namespaces/{place}/secrets", secret)
    reference = {"secretKeyRef": {"name": f"{name}-token", "key": "value"}}
    container = {
        "name": name,
        "image": "mcr.microsoft.com/azure-api-management/gateway:2.11.1",
        "env": [{"name": "config.service.auth", "valueFrom": reference}],
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
    api.create(
        f"/apis/apps/v1/namespaces/{place}/deployments", {"metadata": {"name": name}, "spec": spec}
    )


def posted(person: Person) -> Counter[str]:
    """How often each gateway is warned of, over all channels; every other message counts too."""
    found: Counter[str] = Counter()
    for number in range(CHANNELS):
        for message in person.messages(channel(number)):
            text = str(message.get("text", ""))
            found[text.split(" ")[0] if " has a token that expires" in text else text] += 1
    return found


@pytest.mark.timeout(1800)
def test_a_thousand_warnings_and_none_twice_while_bots_are_killed(
    slack: Person,
    cluster: RunningCluster,
    redis: Valkey,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    kubeconfig = cluster.kubeconfig()
    api = KubeApi(kubeconfig, "west")
    crossing = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=_LEAD_SECONDS)
    expires = (crossing + datetime.timedelta(seconds=7 * _DAY)).replace(microsecond=0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: install(api, number, expires), range(GATEWAYS)))
    bots = Bots(settings_file(tmp_path / "bot.yaml", slack.slack, kubeconfig), redis.url, tmp_path)
    client = connect(redis.url)
    tracker = Tracker(client, "the test")
    try:
        for _ in range(BOTS):
            bots.start()
        until(lambda: bots.ready() == BOTS, "four bots", 240)
        until(lambda: len(tracker.known()) == GATEWAYS, "a thousand gateways tracked", 240)
        until(lambda: sum(posted(slack).values()) > 0, "the first warning", _LEAD_SECONDS + 120)
        kills = _kill(bots, lambda: sum(posted(slack).values()))
        until(lambda: len(posted(slack)) >= GATEWAYS, "every warning", 900)
        until(lambda: not client.zcard(OWED), "the end of what is owed", 240)
        counts = posted(slack)
        warned = Counter(
            len([e for e in found.entries if e.event == "warning"])
            for found in (tracker.find(ref) for ref in tracker.known())
            if found is not None
        )
    finally:
        bots.stop()
    names = {f"west/{namespace(n)}/edge-{n}" for n in range(GATEWAYS)}
    twice = {name: count for name, count in counts.items() if count > 1}
    missed = names - counts.keys()
    record_property(
        FAULTS,
        f"warnings of {GATEWAYS} gateways at once, {BOTS} bots, {kills} killed: "
        f"{sum(counts.values())} messages, {len(twice)} twice, {len(missed)} missed",
    )
    assert (twice, missed) == ({}, set())
    assert set(counts) == names
    assert warned == {1: GATEWAYS}


def _kill(bots: Bots, sent: Callable[[], int]) -> int:
    """Kill bots one after another while warnings are sent."""
    for number in range(KILLS):
        before = sent()
        if before >= GATEWAYS:
            return number
        bots.kill_one()
        # The next one dies in the middle of it too: some messages later.
        _patiently(sent, min(GATEWAYS, before + 40))
    return KILLS


def _patiently(sent: Callable[[], int], wanted: int) -> None:
    ended = threading.Event()
    end = time.monotonic() + 20
    while sent() < wanted and time.monotonic() < end:
        ended.wait(0.1)
