"""Whatever family a message is of, whatever goes wrong meanwhile, and however many bots there are: it is
posted at most once, each line of its thread at most once, and it ends in the truth, or somebody is
notified that it does not."""

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence

import pytest
from slack_sdk import WebClient

from bot.sandbox.valkey import Valkey
from deploy.deadline import Deadline
from handlers.messages.store import LEASE_SECONDS
from tests.faults.message_cases import CASES, Case
from tests.faults.message_scene import INDEX, Bot, Killed, Life, Seen, pass_by, settle
from tests.faults.message_troubles import TROUBLES, Scene, delete
from tests.support.redis_servers import started
from tests.support.slack_fixtures import client, person
from tests.support.slack_workspace import OPS, Person
from tests.support.waiting import until

__all__ = ["client", "person"]

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]()


@pytest.fixture
def scene(server: Valkey, person: Person, client: WebClient, case: Case) -> Scene:
    return Scene(server.url, person, client, case)


def shown(scene: Scene, words: str) -> bool:
    return Seen(scene.person).says(words)


def declared(scene: Scene, caplog: pytest.LogCaptureFixture) -> bool:
    """Whether somebody is notified that the message is not shown: in person, or by an error in the log
    with its key."""
    given = scene.case.family(scene.redis)
    name = (given[0] if isinstance(given, Sequence) else given).name
    logged = any(
        record.levelno >= logging.ERROR and f"{name}:" in record.getMessage()
        for record in caplog.records
    )
    told = [m for channel, m in Seen(scene.person).all if channel.startswith("D")]
    return bool(scene.case.told and told) or logged


def assert_true_or_declared(scene: Scene, caplog: pytest.LogCaptureFixture, words: str) -> None:
    assert Seen(scene.person).twice() == []
    assert shown(scene, words) or declared(scene, caplog)


@pytest.mark.parametrize("bots", [1, 3])
@pytest.mark.parametrize("at_first", [True, False], ids=["from the start", "once it is posted"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_message_is_there_once_and_true_or_somebody_is_notified(
    scene: Scene, caplog: pytest.LogCaptureFixture, trouble: str, at_first: bool, bots: int
) -> None:
    case, what = scene.case, TROUBLES[trouble]
    scene.bots = [scene.bot() for _ in range(bots)]
    if at_first:
        what.strike(scene)
    case.begin(scene.redis)
    scene.settle(what.minutes)
    if not what.passes or not at_first:
        assert_true_or_declared(scene, caplog, case.begins)
    if what.passes or not at_first:
        scene.relieve()
        scene.settle()
        assert shown(scene, case.begins)
        what.strike(scene)
    case.end(scene.redis)
    scene.settle(what.minutes)
    if what.passes:
        scene.relieve()
        scene.settle()
        assert shown(scene, case.ends)
    assert_true_or_declared(scene, caplog, case.ends)
    # What waits for its channel is shown once that takes messages again.
    scene.relieve()
    scene.settle(minutes=90)
    assert_true_or_declared(scene, caplog, case.ends)
    assert scene.redis.zcard(INDEX) == 0
    if case.patient and what.closed and not at_first:
        assert shown(scene, case.ends)


@pytest.mark.parametrize("bots", [1, 3])
def test_a_message_that_was_deleted_is_posted_again_or_its_end_is_logged(
    scene: Scene, caplog: pytest.LogCaptureFixture, bots: int
) -> None:
    scene.bots = [scene.bot() for _ in range(bots)]
    scene.case.begin(scene.redis)
    scene.settle()
    before = Seen(scene.person)
    delete(scene)
    scene.case.end(scene.redis)
    scene.settle()
    if scene.case.begins != scene.case.ends:
        assert_true_or_declared(scene, caplog, scene.case.ends)
    assert shown(scene, scene.case.ends) == scene.case.anew
    # Its lines are not posted again either.
    lines = [m["ts"] for _, m in before.all if m["ts"] not in {t["ts"] for _, t in before.tops}]
    assert {m["ts"] for _, m in Seen(scene.person).all} >= set(lines)


@pytest.mark.parametrize("bots", [1, 3])
@pytest.mark.parametrize("everything", [True, False], ids=["all of it", "what was posted"])
def test_what_redis_forgot_is_not_posted_again(
    scene: Scene, caplog: pytest.LogCaptureFixture, bots: int, everything: bool
) -> None:
    scene.bots = [scene.bot() for _ in range(bots)]
    scene.case.begin(scene.redis)
    scene.settle()
    if everything:
        scene.redis.flushall()
    else:
        scene.redis.delete(*scene.redis.scan_iter("*{messages}*"))
    scene.settle()
    if scene.case.reset or not everything:
        # What goes on is found again.
        scene.case.begin(scene.redis)
        scene.bots[0].engine.sweep()
        scene.settle()
        scene.case.end(scene.redis)
        scene.settle()
        assert shown(scene, scene.case.ends)
    assert Seen(scene.person).twice() == []


def lifetime(scene: Scene) -> int:
    """How many calls to Redis and Slack a message takes from its beginning to its end."""
    (bot,) = scene.bots = [scene.bot()]
    scene.case.begin(bot.redis)
    scene.settle()
    scene.case.end(bot.redis)
    scene.settle()
    return bot.life.calls


@pytest.mark.parametrize("bots", [1, 3])
@pytest.mark.parametrize("after", [False, True], ids=["before it is made", "after it is made"])
@pytest.mark.parametrize("name", CASES)
def test_a_bot_that_dies_at_any_call_leaves_a_message_that_the_next_one_ends(
    server: Valkey, person: Person, client: WebClient, name: str, after: bool, bots: int
) -> None:
    total = lifetime(Scene(server.url, person, client, CASES[name]()))
    deaths = 0
    for last in range(1, total + 1):
        person.post("reset")
        scene = Scene(server.url, person, client, CASES[name]())
        dying = scene.bot(Life(last, after=after))
        scene.bots = [dying]
        lasts = True
        with contextlib.suppress(Killed):
            scene.case.begin(dying.redis)
            scene.settle()
            lasts = False
            scene.case.end(dying.redis)
            scene.settle()
        # How often a bot looks for what is due depends on how fast the machine is.
        deaths += dying.life.calls == last
        # Whoever asked asks again, and others find what the bot left behind.
        scene.bots = [scene.bot() for _ in range(bots)]
        scene.bots[0].engine.sweep()
        scene.settle()
        if lasts:
            scene.case.begin(scene.redis)
            scene.settle()
        scene.case.end(scene.redis)
        scene.settle()
        assert Seen(person).twice() == [], last
        assert shown(scene, scene.case.ends), last
    assert deaths > 10


@pytest.mark.parametrize("after", [False, True], ids=["before it is made", "after it is made"])
@pytest.mark.parametrize("name", CASES)
def test_a_bot_that_freezes_at_any_call_undoes_nothing_that_others_did_meanwhile(
    server: Valkey, person: Person, client: WebClient, name: str, after: bool
) -> None:
    begun = Scene(server.url, person, client, CASES[name]())
    begun.bots = [begun.bot()]
    begun.case.begin(begun.redis)
    begun.settle()
    freezes = 0
    for last in range(1, begun.bots[0].life.calls + 1):
        person.post("reset")
        scene = Scene(server.url, person, client, CASES[name]())
        others = [scene.bot() for _ in range(2)]

        def meanwhile(scene: Scene = scene, others: list[Bot] = others) -> None:
            pass_by(scene.redis, LEASE_SECONDS + 1, scene.clock)
            settle(scene.redis, others, clock=scene.clock)
            scene.case.end(scene.redis)
            settle(scene.redis, others, clock=scene.clock)

        scene.case.begin(scene.redis)
        freezing = scene.bot(Life(last, after=after, frozen=meanwhile))
        scene.bots = [freezing, *others]
        scene.settle()
        assert Seen(person).twice() == [], last
        # How often a bot looks for what is due depends on how fast the machine is.
        if freezing.life.calls >= last:
            freezes += 1
            assert shown(scene, scene.case.ends), last
    assert freezes > 3


def test_with_slacks_own_limits_on_three_running_bots_show_it_once_and_in_the_end_as_it_is(
    scene: Scene,
) -> None:
    scene.bots = [scene.bot() for _ in range(3)]
    scene.case.begin(scene.redis)
    scene.person.set_fault("rate_limits", True)
    limits = scene.person.slack._api._limits
    # The channel refuses messages until a bot has met that, however long that takes.
    stopped = limits._clock()
    limits._clock = lambda: stopped
    for _ in range(5):
        scene.slack.chat_postMessage(channel=OPS, text="somebody else's")
    for bot in scene.bots:
        bot.engine.start()
        bot.engine.wake()
    try:
        until(lambda: refused(scene), "a bot that is told to wait", 120)
        limits._clock = time.monotonic
        until(lambda: shown(scene, scene.case.begins), "the message", 120)
        scene.case.end(scene.redis)
        until(lambda: shown(scene, scene.case.ends), "its end", 120)
        until(lambda: not scene.redis.zcard(INDEX), "its lines", 120)
    finally:
        for bot in scene.bots:
            bot.engine.stop(Deadline.after(10))
    assert Seen(scene.person).twice() == []


def refused(scene: Scene) -> bool:
    """Whether Slack told a bot to wait."""
    return any(call["error"] == "ratelimited" for call in scene.person.log("request"))
