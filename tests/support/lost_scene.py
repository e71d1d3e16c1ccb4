"""A bot's messages of actions and windows on a Slack and a Redis that may be emptied, and its search
for those that are lost."""

import json
from typing import Any

from slack_sdk import WebClient

from deploy.access import Environment
from deploy.actions.audit import AuditLog
from deploy.actions.store import ActionStore
from deploy.actions.windows import Windows
from deploy.annotations import ACTION_ANNOTATION
from deploy.gateway import GatewayRef
from deploy.health.live_messages import LiveMessages
from deploy.kube.cluster import Cluster
from deploy.rollouts.lost import LostActions
from handlers.messages.action_messages import ActionMessages
from handlers.messages.live import STOP
from handlers.messages.live_family import LiveFamily
from handlers.messages.lost_messages import LostMessages, LostStore
from handlers.messages.lost_search import LostSearch
from handlers.messages.store import MessageStore
from handlers.messages.window_messages import WindowMessages
from handlers.views import action as action_view
from handlers.views import notes
from tests.faults.message_scene import Bot, settle
from tests.support import actions
from tests.support.actions import CODEC, by_approvers
from tests.support.slack_workspace import ANA, BEN, BOT, OPS, Person

REF = GatewayRef("west", "dev", "edge-1")


def where(ref: GatewayRef) -> Environment:
    """The environment of every gateway here."""
    return Environment("development")


def wipe(redis: Any) -> None:
    """Redis loses everything, and a bot has looked at it since."""
    redis.flushall()
    MessageStore(redis, "bot").due(1)


class Scene:
    """A bot's messages of actions and windows, and its search for those that are lost."""

    def __init__(self, redis: Any, slack: WebClient, west: Cluster, **trouble: Any) -> None:
        self.redis = redis
        self.store = ActionStore(redis, CODEC)
        self.windows = Windows(redis, AuditLog(redis), lambda key: True)
        self.lost = LostStore(redis, MessageStore(redis, "bot"))
        self.live = LiveMessages(redis, "bot", "watch")
        families = (
            ActionMessages(self.store, action_view.render, notes.notes),
            WindowMessages(self.windows, where),
            LiveFamily("watch", self.live, STOP),
        )
        lost = LostMessages(self.lost, LostActions({"west": west}), where)
        self.bots = [Bot(redis, slack, lambda redis: [*families, lost], **trouble)]
        self.held = True
        self.scopes = {"channels:read", "groups:read", "im:read"}
        self.user = BOT
        self.search = LostSearch(
            slack,
            redis,
            MessageStore(redis, "bot"),
            self.lost,
            families,
            (),
            hold=lambda seconds: self.held,
            granted=self.scopes.__contains__,
            bot_user=lambda: self.user,
            settle_seconds=0,
        )

    def ask(self, name: str = "AAAAAA", **given: Any) -> None:
        """ana asks, and the plan is shown."""
        policy = by_approvers()
        origin = {"channel": OPS}
        fields = {"ref": REF, "requester": ANA, "policy": policy, "origin": origin, "ttl": 3600}
        actions.ask(self.store, name, **{**fields, **given})
        self.settle()

    def run(self, name: str = "AAAAAA") -> None:
        """It is approved and claimed, and its message shows that it runs."""
        actions.approve(self.store, BEN, name)
        assert self.store.claim(name, "bot-1", 1, 60) is not None
        self.settle()

    def settle(self) -> None:
        """Bring every message up to date."""
        settle(self.redis, self.bots)

    def searched(self) -> None:
        """Search, and end what was found."""
        self.search.turn()
        self.settle()


def deployment(west: Cluster, *, by: str, tag: str = "2.11.2") -> None:
    """edge-1 as the action of that id wrote it."""
    container = {"name": "edge-1", "image": f"registry.example/gateway:{tag}"}
    west.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": REF.name,
                "namespace": REF.namespace,
                "annotations": {ACTION_ANNOTATION: by},
            },
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": REF.name}},
                "template": {
                    "metadata": {"labels": {"app": REF.name}},
                    "spec": {"containers": [container]},
                },
            },
        }
    )


def words(message: dict[str, Any]) -> str:
    """All that a message says."""
    return f"{json.dumps(message.get('blocks'), ensure_ascii=False)} {message['text']}"


def tops(person: Person) -> list[dict[str, Any]]:
    """The messages of the channel."""
    return [m for m in person.messages() if m.get("thread_ts") in (None, m["ts"])]


def thread(person: Person) -> list[str]:
    """The lines of its threads."""
    return [m["text"] for m in person.messages() if m.get("thread_ts") not in (None, m["ts"])]


def buttons(message: dict[str, Any]) -> list[str]:
    """The action_ids of its buttons."""
    rows = [block for block in message["blocks"] if block["type"] == "actions"]
    return [element["action_id"] for row in rows for element in row["elements"]]
