"""Messages of requests that Redis lost: each is found once, and shows the final state in place."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.sandbox.valkey import Valkey
from deploy.actions.action import State
from deploy.actions.connection import connect
from deploy.actions.fencing import Fences, lease_name
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.cluster import connect as connect_cluster
from handlers.messages import lookup
from handlers.messages.action_messages import NAME as ACTION
from handlers.messages.store import MessageRecord
from handlers.slack.payloads import Click
from tests.faults.message_scene import Call, refusal
from tests.support import actions
from tests.support.lost_scene import REF, Scene, buttons, deployment, thread, tops, wipe, words
from tests.support.redis_servers import started
from tests.support.running_cluster import RunningCluster
from tests.support.slack_fixtures import client, person
from tests.support.slack_workspace import ANA, BEN, BOT, OPS, Person

__all__ = ["client", "person"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def redis(server: Valkey) -> Any:
    found = connect(server.url)
    wipe(found)
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("west")
    with RunningCluster(directory, namespaces=("dev",), with_kubelet=False) as running:
        found = connect_cluster("west", kubeconfig=running.kubeconfig())
        yield found
        found.close()


@pytest.fixture
def west(cluster: Cluster) -> Iterator[Cluster]:
    yield cluster
    for kind, name in (("Deployment", REF.name), ("Lease", lease_name(REF))):
        cluster.delete(kind, REF.namespace, name)


@pytest.fixture
def scene(person: Person, client: WebClient, redis: Any, west: Cluster) -> Scene:
    return Scene(redis, client, west)


def test_a_request_that_waited_says_that_it_is_lost_and_how_to_ask_again(
    person: Person, scene: Scene, redis: Any
) -> None:
    scene.ask()
    wipe(redis)
    scene.searched()
    (message,) = tops(person)
    assert "This request is lost: the bot's data was reset" in words(message)
    assert "It had not started" in words(message)
    assert "Ask again with `deploy west/dev/edge-1`" in words(message)
    assert buttons(message) == ["show_status"]
    told = [line for line in thread(person) if line.startswith(f"<@{ANA}> This request is lost")]
    assert len(told) == 1


def test_a_run_that_was_under_way_ends_unknown_with_what_the_cluster_holds(
    person: Person, scene: Scene, redis: Any, west: Cluster
) -> None:
    scene.ask()
    scene.run()
    deployment(west, by="AAAAAA")
    wipe(redis)
    scene.searched()
    (message,) = tops(person)
    assert "The result is unknown: this was running, and the bot's data was reset" in words(message)
    assert "Deployment edge-1, written by this action: 2 replicas of" in words(message)
    assert "gateway:2.11.2" in words(message)
    assert "Pods ready: 0 of 2 of the new version" in words(message)
    assert "The rollout is not complete: Kubernetes continues it" in words(message)
    assert buttons(message) == ["show_status"]
    assert sum("The result is unknown" in line and ANA in line for line in thread(person)) == 1


def test_a_request_that_had_begun_though_its_message_did_not_show_it_is_not_called_idle(
    person: Person, scene: Scene, redis: Any, west: Cluster
) -> None:
    scene.ask()
    Fences({"west": west}).take(REF, "AAAAAA", "bot-1", 7, 60).release()
    wipe(redis)
    scene.searched()
    (message,) = tops(person)
    assert "The result is unknown: this was running, and the bot's data was reset" in words(message)
    assert "There is no Deployment edge-1 in west/dev" in words(message)


def test_a_request_in_the_thread_of_its_batch_is_found_too(
    person: Person, client: WebClient, scene: Scene
) -> None:
    def post(family: str, thread: str, **about: str) -> str:
        carried = lookup.metadata(MessageRecord(family, "AAAAAA"), about={"state": "open", **about})
        posted: Any = client.chat_postMessage(
            channel=OPS, text=family, metadata=carried, thread_ts=thread or None
        )
        return str(posted["ts"])

    top = post("batch", "")
    post("action", top, kind="restart", gateway=str(REF), by=ANA)
    wipe(scene.redis)
    scene.search.turn()
    scene.settle()
    texts = [message["text"] for message in person.messages()]
    assert "action" not in texts
    assert any("was lost: the bot's data was reset" in text for text in texts)


def test_while_a_bot_still_holds_the_gateway_nothing_is_said_of_what_the_cluster_holds(
    person: Person, scene: Scene, redis: Any, west: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    scene.ask()
    scene.run()
    hold = Fences({"west": west}).take(REF, "AAAAAA", "bot-1", 7, 60)
    wipe(redis)
    scene.search.turn()
    scene.bots[0].turn()
    assert "still working on west/dev/edge-1" in caplog.text
    assert "action_stop" in buttons(tops(person)[0])
    hold.release()
    scene.settle()
    assert "The result is unknown: this was running, and the bot's data was reset" in words(
        tops(person)[0]
    )


def test_what_ended_before_redis_was_emptied_and_what_was_asked_since_stay_as_they_are(
    person: Person, scene: Scene, redis: Any
) -> None:
    scene.ask("AAAAAA")
    actions.deny(scene.store, BEN, "AAAAAA", reason="no")
    scene.settle()
    wipe(redis)
    scene.ask("BBBBBB")
    before = [words(message) for message in tops(person)]
    scene.searched()
    assert [words(message) for message in tops(person)] == before
    action = scene.store.get("BBBBBB")
    assert action is not None
    assert action.state is State.PENDING


def test_the_open_requests_of_another_bot_in_the_channel_are_left_to_it(
    person: Person, scene: Scene, redis: Any
) -> None:
    scene.ask()
    before = words(tops(person)[0])
    wipe(redis)
    scene.user = "U0OTHERBOT"
    scene.searched()
    assert words(tops(person)[0]) == before
    assert redis.keys("*lost:*") == []


def test_while_slack_does_not_say_who_the_bot_is_nothing_is_taken_for_lost(
    person: Person, scene: Scene, redis: Any
) -> None:
    scene.ask()
    wipe(redis)
    scene.user = ""
    scene.searched()
    assert "action_approve" in buttons(tops(person)[0])
    scene.user = BOT
    scene.searched()
    assert "This request is lost" in words(tops(person)[0])


def test_a_channel_with_more_batches_than_slack_allows_calls_is_searched_in_several_turns(
    person: Person, client: WebClient, scene: Scene, redis: Any
) -> None:
    for number in range(30):
        carried = lookup.metadata(MessageRecord("batch", f"B{number}"), about={"state": "ended"})
        client.chat_postMessage(channel=OPS, text="a batch", metadata=carried)
    scene.ask()
    wipe(redis)
    turns = 0
    while not redis.sismember("gateway-bot:{messages}:searched", "*") and turns < 10:
        scene.search.turn()
        turns += 1
        for method in ("history", "replies"):
            redis.delete(f"gateway-bot:{{messages}}:budget:conversations.{method}")
    # The budget refills meanwhile, by more on a slow machine.
    assert turns in (2, 3)
    replies = [c for c in person.log("request") if c["method"] == "conversations.replies"]
    assert len(replies) == 30, "no thread is read twice"


def searches(person: Person) -> int:
    return sum(call["method"] == "conversations.history" for call in person.log("request"))


def test_it_is_searched_once_by_one_bot_and_not_again_before_the_next_loss(
    person: Person, scene: Scene, redis: Any
) -> None:
    scene.ask()
    wipe(redis)
    scene.held = False
    scene.searched()
    assert "action_approve" in buttons(tops(person)[0])
    scene.held = True
    scene.searched()
    calls = searches(person)
    assert calls > 0
    scene.searched()
    assert searches(person) == calls
    wipe(redis)
    scene.searched()
    assert searches(person) > calls
    assert sum("This request is lost" in line for line in thread(person)) == 1


def test_a_search_that_slack_refuses_for_a_while_is_continued(
    person: Person, client: WebClient, redis: Any, west: Cluster
) -> None:
    refused: list[str] = []

    class Reluctant(WebClient):
        def api_call(self, api_method: str, **given: Any) -> Any:
            wanted = (given.get("params") or {}).get("channel") == OPS
            if api_method == "conversations.history" and wanted and len(refused) < 2:
                refused.append(api_method)
                raise refusal("ratelimited", 429, 1) if refused[1:] else refusal("internal_error")
            return super().api_call(api_method, **given)

    slack = Reluctant(token=client.token, base_url=client.base_url)
    scene = Scene(redis, slack, west)
    scene.ask()
    wipe(redis)
    for _ in range(3):
        scene.searched()
        redis.delete("gateway-bot:{messages}:budget:conversations.history")
    assert len(refused) == 2
    assert "This request is lost" in words(tops(person)[0])


def test_the_settings_channels_are_searched_without_the_scope_to_list_others(
    person: Person, scene: Scene, redis: Any
) -> None:
    scene.scopes.clear()
    scene.search._channels = (OPS, "C0GONE")
    scene.ask()
    wipe(redis)
    scene.searched()
    assert "This request is lost" in words(tops(person)[0])
    assert redis.sismember("gateway-bot:{messages}:searched", "*")


def test_an_open_approval_window_is_closed_where_it_is_shown(
    person: Person, scene: Scene, redis: Any
) -> None:
    scene.windows.open(
        REF, ANA, by=BEN, reason="restoring", seconds=600, channel=OPS, request_id="r1"
    )
    scene.settle()
    wipe(redis)
    scene.searched()
    (message,) = tops(person)
    assert f"approval window of <@{ANA}> on west/dev/edge-1 (development) is closed" in words(
        message
    )
    assert buttons(message) == []


def clicked(message: dict[str, Any], *, alone: bool = False) -> Click:
    return Click("c1", "action_approve", BEN, OPS, "t", "", "", message, alone)


def test_a_click_on_a_lost_request_ends_its_message_as_the_search_does(
    person: Person, scene: Scene, redis: Any, west: Cluster
) -> None:
    scene.ask()
    scene.run()
    deployment(west, by="AAAAAA")
    wipe(redis)
    scene.lost.clicked(clicked(tops(person)[0]), ACTION, "AAAAAA")
    scene.settle()
    assert "The result is unknown: this was running, and the bot's data was reset" in words(
        tops(person)[0]
    )
    scene.searched()
    assert sum("The result is unknown" in line for line in thread(person)) == 1


def test_a_click_whose_payload_says_nothing_more_takes_the_buttons_away(
    person: Person, scene: Scene, redis: Any
) -> None:
    scene.ask()
    wipe(redis)
    bare = {key: value for key, value in tops(person)[0].items() if key != "metadata"}
    scene.lost.clicked(clicked(bare), ACTION, "AAAAAA")
    scene.settle()
    assert "The bot no longer has this request" in words(tops(person)[0])
    assert buttons(tops(person)[0]) == []


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda message: clicked(message, alone=True),
        lambda message: clicked({**message, "ts": ""}),
    ],
)
def test_a_click_on_what_slack_cannot_update_changes_nothing(
    person: Person, scene: Scene, redis: Any, spoilt: Callable[[Any], Click]
) -> None:
    scene.ask()
    wipe(redis)
    scene.lost.clicked(spoilt(tops(person)[0]), ACTION, "AAAAAA")
    assert redis.zcard("gateway-bot:{messages}:owed") == 0


def test_a_cluster_that_cannot_be_read_for_two_minutes_is_the_answer(
    person: Person, client: WebClient, redis: Any, west: Cluster
) -> None:
    scene = Scene(redis, client, west)
    scene.ask(ref=GatewayRef("nowhere", "dev", "edge-1"))
    wipe(redis)
    scene.search.turn()
    key = "gateway-bot:{messages}:lost:action:AAAAAA"
    found = json.loads(redis.get(key))
    redis.set(key, json.dumps({**found, "found_at": found["found_at"] - 200}))
    scene.settle()
    assert "Whether it had started cannot be seen" in words(tops(person)[0])
    assert "“nowhere” is no longer in the bot's settings" in words(tops(person)[0])


def test_a_lost_message_that_slack_does_not_update_reaches_who_asked(
    person: Person, client: WebClient, redis: Any, west: Cluster
) -> None:
    def gone(call: Call) -> Exception | None:
        method, given = call
        lost = method == "chat.update" or given.get("thread_ts")
        return refusal("channel_not_found") if lost and given.get("channel") == OPS else None

    scene = Scene(redis, client, west)
    scene.ask()
    wipe(redis)
    scene.search.turn()
    scene = Scene(redis, client, west, trouble=gone)
    scene.settle()
    direct: Any = client.conversations_open(users=ANA)
    found = person.messages(direct["channel"]["id"], user="ana")
    assert any("This request is lost" in message["text"] for message in found)


def test_a_message_that_its_bot_kept_current_is_no_longer_where_both_are_gone(
    person: Person, scene: Scene, redis: Any
) -> None:
    table = [{"type": "section", "text": {"type": "mrkdwn", "text": "2 of 2 pods ready"}}]
    asked = {"user": ANA, "channel": OPS, "gateway": "edge-1"}
    shown = {"text": "west/dev/edge-1: 2 of 2 pods ready", "blocks": table}
    scene.live.begin("r1", asked, 60, shown)
    redis.zadd("gateway-bot:{messages}:owed", {"watch:r1": 0})
    scene.settle()
    assert buttons(tops(person)[0]) == ["live_stop"]
    wipe(redis)
    scene.searched()
    (message,) = tops(person)
    assert "No longer kept current: the bot's data was reset" in words(message)
    assert message["text"].startswith(
        "west/dev/edge-1: 2 of 2 pods ready, kept current for <@U0ANA>"
    )
    assert "2 of 2 pods ready" in str(message["blocks"])
    assert buttons(message) == []
