"""What goes wrong while a message lasts: with Slack, its channel, its content, and clocks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient

from deploy.actions.connection import connect
from handlers.messages.store import MessageStore
from tests.faults.message_cases import Case
from tests.faults.message_scene import Answers, Bot, Call, Clock, Life, Lost, Seen, refusal, settle
from tests.support.slack_workspace import BOT, OPS, Person


class Scene:
    """A Redis, a Slack, bots that show one message, and what goes wrong."""

    def __init__(self, url: str, person: Person, slack: WebClient, case: Case) -> None:
        self.redis: Any = connect(url)
        self.person, self.slack, self.case = person, slack, case
        self.clock = Clock()
        self.answers: Answers = lambda call: None
        self.bots: list[Bot] = []
        self.redis.flushall()
        # A bot has looked here before: what was posted is on record.
        MessageStore(self.redis, "bot").due(1)

    def bot(self, life: Life | None = None) -> Bot:
        """One more, which may die."""
        return Bot(
            *(self.redis, self.slack, self.case.family, life),
            *(lambda call: self.answers(call), self.clock),
        )

    def settle(self, minutes: float = 20) -> None:
        """The bots work until nothing is left to do in so many minutes."""
        settle(self.redis, self.bots, minutes, self.clock)

    def relieve(self) -> None:
        """Nothing goes wrong any longer."""
        self.answers = lambda call: None
        self.person.set_fault("api_error", "none")
        self.person.post("members", channel="gateway-ops", user=BOT, member=True)


def posts(call: Call) -> bool:
    """Whether the call posts something."""
    return call[0] == "chat.postMessage"


def writes(call: Call) -> bool:
    """Whether the call posts or changes something."""
    return call[0] in ("chat.postMessage", "chat.update")


def looks(call: Call) -> bool:
    """Whether the call looks something up."""
    return call[0].startswith("conversations.")


def in_ops(call: Call) -> bool:
    """Whether the call posts or changes something in the message's channel."""
    return writes(call) and call[1].get("channel") == OPS


def once(answers: Answers, times: int = 1) -> Answers:
    """The first so many calls that go wrong."""
    left = [times]

    def found(call: Call) -> Exception | None:
        error = answers(call) if left[0] else None
        left[0] -= error is not None
        return error

    return found


def both(one: Answers, other: Answers) -> Answers:
    """What goes wrong in either way."""
    return lambda call: one(call) or other(call)


def lose(scene: Scene) -> None:
    """The answers to three calls, one after the other."""
    scene.answers = once(lambda call: Lost() if writes(call) else None, 3)


def limit(scene: Scene) -> None:
    """Every call for a minute."""
    over = scene.clock() + 60

    def limited(call: Call) -> Exception | None:
        left = over - scene.clock()
        return refusal("ratelimited", 429, round(left) + 1) if left > 0 else None

    scene.answers = limited


def limit_look_ups(scene: Scene) -> None:
    """When the answer to a post is lost."""
    limited = once(lambda call: refusal("ratelimited", 429, 30) if looks(call) else None, 2)
    scene.answers = both(once(lambda call: Lost() if posts(call) else None), limited)


def blind(scene: Scene) -> None:
    """An answer is lost, and nothing can be looked up for as long as it takes."""
    scene.answers = both(
        once(lambda call: Lost() if posts(call) else None),
        lambda call: refusal("internal_error") if looks(call) else None,
    )


def fail(scene: Scene) -> None:
    """Every call."""
    scene.person.set_fault("api_error", "503")


def delete(scene: Scene) -> None:
    """The message, without its thread."""
    for channel, message in Seen(scene.person).tops:
        scene.slack.chat_delete(channel=channel, ts=message["ts"])


def archive(scene: Scene) -> None:
    """The channel; what was posted can be read."""
    scene.answers = lambda call: refusal("is_archived") if in_ops(call) else None


def remove(scene: Scene) -> None:
    """The bot from the channel."""
    scene.person.post("members", channel="gateway-ops", user=BOT, member=False)


def close(scene: Scene) -> None:
    """Direct messages."""
    scene.answers = lambda call: (
        refusal("user_disabled") if posts(call) and call[1]["channel"][0] in "UD" else None
    )


def close_all(scene: Scene) -> None:
    """Every channel and direct messages."""
    scene.answers = lambda call: refusal("is_archived") if writes(call) else None


def refuse_blocks(scene: Scene) -> None:
    """What is more than text."""

    def answers(call: Call) -> Exception | None:
        rich = writes(call) and call[1].get("blocks") not in (None, [], "[]")
        return refusal("invalid_blocks") if rich else None

    scene.answers = answers


def refuse(scene: Scene) -> None:
    """Whatever it is."""
    scene.answers = lambda call: refusal("invalid_arguments") if in_ops(call) else None


def behind(scene: Scene) -> None:
    """Slack dates a post whose answer is lost before it was begun."""
    scene.person.set_fault("clock", "3 minutes behind")
    lose(scene)


def ahead(scene: Scene) -> None:
    """Slack dates it later."""
    scene.person.set_fault("clock", "3 minutes ahead")
    lose(scene)


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong. `passes`: after so many `minutes` the message is true all the same.
    `closed`: its channel takes nothing meanwhile."""

    strike: Callable[[Scene], None]
    passes: bool = False
    closed: bool = False
    minutes: float = 20


TROUBLES = {
    "answers lost": Trouble(lose, passes=True),
    "answer lost and look-ups limited": Trouble(limit_look_ups, passes=True),
    "answer lost and look-ups failing": Trouble(blind),
    "429 for a minute": Trouble(limit, passes=True),
    "5xx for two minutes": Trouble(fail, passes=True, minutes=2),
    "channel archived": Trouble(archive, closed=True),
    "bot removed": Trouble(remove, closed=True),
    "DM closed": Trouble(close, passes=True),
    "channel archived and DM closed": Trouble(close_all, closed=True),
    "content refused": Trouble(refuse_blocks),
    "content refused in any form": Trouble(refuse),
    "clock 3 minutes behind and answers lost": Trouble(behind, passes=True),
    "clock 3 minutes ahead and answers lost": Trouble(ahead, passes=True),
}
