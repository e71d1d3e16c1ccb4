"""Every client the bot makes, before a peer that takes connections and never answers."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
import requests
import yaml
from azure.identity import DefaultAzureCredential

from bot.checks import proofs
from bot.clients import _SIGN_IN_LIMITS
from bot.entra_tokens import EntraTokens
from bot.settings import Secrets, Settings
from bot.wiring.outside import Outside, outside_of
from bot.wiring.stores import Stores, stores_of
from deploy.changes.kinds import KINDS, codec_of
from deploy.errors import Unavailable
from deploy.gateway import GatewayRef, GatewayResource
from deploy.governance.admitted import TokenInUse
from deploy.waits import Waits
from handlers.slack import spec_file
from handlers.slack.payloads import Request
from handlers.slack.people import UserGroups
from tests.support.silent_proxy import silent_peer

NO_CLIENTS = {
    "audit_annotation",
    "instances",
    "environments",
    "owner",
    "codec",
    "changed",
    "arrived",
    "marked",
    "waits",
}
"""What asks nobody anything."""
BUSY = 30.0
"""Seconds that a machine with too much else to do may take; what has no bound takes minutes or for ever."""
Call = Callable[[], object]


@pytest.fixture
def peer() -> Iterator[str]:
    with silent_peer() as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
def settings(peer: str, tmp_path: Path) -> Settings:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "west", "cluster": {"server": f"http://{peer}"}}],
                "users": [{"name": "bot", "user": {"token": "t"}}],
                "contexts": [{"name": "west", "context": {"cluster": "west", "user": "bot"}}],
                "current-context": "west",
            }
        )
    )
    return Settings.model_validate(
        {
            "slack": {"api_url": f"http://{peer}/api/"},
            "redis": {"url": f"redis://{peer}"},
            "azure": {
                "authority": f"https://{peer}",
                "tenant_id": "72f988bf-0000-4000-8000-0000000000aa",
                "client_id": "bot",
                "arm_endpoint": f"http://{peer}",
            },
            "apim": [{"name": "a", "subscription": "s", "resource_group": "g", "service": "a"}],
            "clusters": [{"name": "west", "kubeconfig": str(kubeconfig)}],
            "environments": [
                {
                    "name": "production",
                    "production": True,
                    "approval": {"approvers": {"groups": ["S0APPROVERS"]}},
                }
            ],
            "images": {"registry_url": f"http://{peer}"},
        }
    )


SECRETS = Secrets.model_validate(
    {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "AZURE_CLIENT_SECRET": "s"}
)
RESOURCE = GatewayResource("/subscriptions/s", "edge-1")
REF = GatewayRef("west", "dev", "edge-1")


def of_outside(outside: Outside) -> Mapping[str, tuple[float, Call]]:
    """By field: how many seconds a call may take, and one."""
    instance = outside.instances["a"]
    return {
        "slack": (30, outside.slack.auth_test),
        "posting": (15, lambda: outside.posting.chat_postMessage(channel="C1", text="x")),
        "team": (30, lambda: outside.team.standing("U1")),
        "arm": (15, lambda: outside.arm.list_gateways(instance)),
        "registry": (15, outside.registry.tags),
        "catalogue": (15, outside.catalogue.released),
        "clusters": (20, outside.clusters["west"].namespaces),
        "patient": (20, lambda: outside.patient["west"].get("Secret", "dev", "s")),
        "caches": (20, outside.caches["west"].read),
    }


def of_stores(stores: Stores) -> Mapping[str, tuple[float, Call]]:
    """As above. What Slack waits for is prompt; all else ends before the bot is taken for stuck."""
    ref = str(REF)
    return {
        "redis": (28, stores.redis.ping),
        "prompt": (6, stores.prompt.ping),
        "store": (28, stores.store.due),
        "at_once": (6, lambda: stores.at_once.get("AAAAAA")),
        "batches": (28, lambda: stores.batches.get("AAAAAA")),
        "batches_at_once": (6, lambda: stores.batches_at_once.get("AAAAAA")),
        "audit": (28, lambda: stores.audit.read(5)),
        "windows": (6, lambda: stores.windows.at("w")),
        "tracker": (28, stores.tracker.versions),
        "inbox": (6, lambda: stores.inbox.due(5)),
        "requests": (6, lambda: stores.requests.accept(Request("r", "status", "U1", "C1"))),
        "placements": (28, lambda: stores.placements.read(RESOURCE)),
        "admitted": (
            28,
            lambda: stores.admitted.decided_by(TokenInUse(REF, "c", "s", "u"), RESOURCE),
        ),
        "custody": (28, lambda: stores.custody.record_now(RESOURCE, REF)),
        "connections": (28, lambda: stores.connections.hello(1, 1)),
        "messages": (28, lambda: stores.messages.place("action", ref)),
        "pauses": (28, stores.pauses.all),
    }


def others(settings: Settings, outside: Outside, peer: str) -> Mapping[str, tuple[float, Call]]:
    """Clients that are made elsewhere, and what `gateway-bot check` asks."""
    keys = EntraTokens(requests.Session(), authority=f"http://{peer}", tenant="t", audience="a")
    file = {"size": 10, "url_private": f"http://{peer}/files/1", "mimetype": "text/yaml"}
    return {
        "user groups": (30, lambda: UserGroups(outside.slack).members("S0APPROVERS")),
        "keys of Entra ID": (15, keys._fetched),
        "a spec file": (30, lambda: spec_file.fetched(outside.slack, file)),
        "a run's sign-in": (
            15,
            lambda: outside.arm.asking_once().list_gateways(outside.instances["a"]),
        ),
        "a watch": (
            20,
            lambda: outside.patient["west"].open_watch(
                "Pod", "dev", "", "", resource_version="1", timeout_seconds=60, silence=5.0
            ),
        ),
        **{f"check of {name}": (60.0, prove) for name, prove in proofs(settings, SECRETS).items()},
    }


def test_whatever_the_bot_asks_of_a_peer_that_says_nothing_ends_in_its_time(
    settings: Settings, peer: str
) -> None:
    waits = Waits()
    outside = outside_of(settings, SECRETS, waits)
    stores = stores_of(settings, SECRETS, codec_of(KINDS), waits)
    asked: dict[str, tuple[float, Call]] = {}
    for made, calls in ((outside, of_outside(outside)), (stores, of_stores(stores))):
        fields = {field.name for field in dataclasses.fields(made)}
        assert fields - NO_CLIENTS == set(calls), "each client has its line here"
        asked |= {f"{type(made).__name__}.{name}": call for name, call in calls.items()}
    asked |= others(settings, outside, peer)

    def seconds(call: Call) -> float:
        began = time.monotonic()
        with contextlib.suppress(Exception):
            call()
        return time.monotonic() - began

    pool = ThreadPoolExecutor(len(asked))
    running = {name: pool.submit(seconds, call) for name, (_, call) in asked.items()}
    longest = max(bound for bound, _ in asked.values())
    wait(running.values(), timeout=longest + BUSY)
    pool.shutdown(wait=False)
    took = {name: f.result() if f.done() else math.inf for name, f in running.items()}
    late = {name: took[name] for name, (bound, _) in asked.items() if took[name] > bound + BUSY}
    assert not late
    for cache in outside.caches.values():
        assert cache.cluster.silent
    with pytest.raises(Unavailable, match="retries it in"):
        outside.clusters["west"].namespaces()


def test_every_way_of_signing_in_takes_the_limits() -> None:
    DefaultAzureCredential(**_SIGN_IN_LIMITS)
