"""Bots that show messages, in one process: they die at any call, and Slack fails in any way.

Time passes when nothing is due: everything that Redis holds of messages is then that much older.
"""

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from deploy.actions.owed import Owed
from handlers.messages.engine import Engine
from handlers.messages.family import Family
from handlers.messages.lookup import EVENT_TYPE
from handlers.messages.store import MessageStore
from handlers.messages.turn import Turns
from tests.support.slack_workspace import Person

INDEX = "gateway-bot:{messages}:owed"
_ALL = "gateway-bot:{messages}:*"
_TIMES = ("until", "taken", "not_before", "failing", "owed_since", "at", "paused", "limited_until")
"""The fields of records and budgets that hold a moment."""

Call = tuple[str, dict[str, Any]]
"""A method of Slack and its arguments."""
Answers = Callable[[Call], Exception | None]
"""What stands in for Slack's answer to a call; None where Slack answers."""


class Killed(BaseException):
    """The bot is dead: no handler of errors of its own runs."""


class Life:
    """A bot's life: it ends at its `last` call to Redis or Slack, before or `after` its effect. With
    `frozen` it only stops there until that returns."""

    def __init__(
        self,
        last: int | None = None,
        *,
        after: bool = False,
        frozen: Callable[[], None] | None = None,
    ) -> None:
        self.calls = 0
        self._last = last
        self._after = after
        self._frozen = frozen

    def call(self, made: Callable[[], Any]) -> Any:
        """One call to the outside."""
        self.calls += 1
        if self._last is None or self.calls < self._last:
            return made()
        if self._frozen is not None:
            if self.calls > self._last:
                return made()
            if not self._after:
                self._frozen()
                return made()
            answer = made()
            self._frozen()
            return answer
        if self.calls == self._last and self._after:
            made()
        raise Killed


class MortalRedis:
    """A client of Redis whose every command is a call."""

    def __init__(self, client: Any, life: Life) -> None:
        self._client = client
        self._life = life

    def register_script(self, text: str) -> Callable[..., Any]:
        script = self._client.register_script(text)

        def run(**given: Any) -> Any:
            return self._life.call(lambda: script(**given))

        # A pipeline, whose making is a call as well, calls it by its digest.
        run.sha = script.sha  # type: ignore[attr-defined]
        return run

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not callable(method):
            return method
        return lambda *given, **named: self._life.call(lambda: method(*given, **named))


class MortalSlack(WebClient):
    """A client of Slack whose every request is a call, and for which `answers` may stand in."""

    def __init__(self, like: WebClient, life: Life, answers: Answers | None = None) -> None:
        super().__init__(token=like.token, base_url=like.base_url, retry_handlers=[])
        self._life = life
        self._answers = answers or (lambda call: None)

    def api_call(self, api_method: str, **given: Any) -> Any:
        arguments = given.get("json") or given.get("params") or given.get("data") or {}

        def made() -> Any:
            error = self._answers((api_method, arguments))
            if isinstance(error, Lost):
                super(MortalSlack, self).api_call(api_method, **given)
            if error is not None:
                raise error
            return super(MortalSlack, self).api_call(api_method, **given)

        return self._life.call(made)


class Lost(ConnectionResetError):
    """Slack did what it was asked; its answer is lost on the way."""


def refusal(reason: str, status: int = 200, retry_after: int = 0) -> SlackApiError:
    """What Slack's client raises where Slack refuses."""
    answer: Any = SimpleNamespace(
        get=lambda name, default=None: {"error": reason}.get(name, default),
        status_code=status,
        headers={"Retry-After": str(retry_after)} if retry_after else {},
    )
    return SlackApiError(reason, answer)


class Clock:
    """The time that bots wait by: the real one, and what `settle` let pass."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.passed


class Bot:
    """One bot that shows messages, turn by turn. `life` and `redis` are for whatever else it does."""

    _names = itertools.count()

    def __init__(
        self,
        client: Any,
        slack: WebClient,
        families: Callable[[Any], Family | Sequence[Family]],
        life: Life | None = None,
        trouble: Answers | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.life = life or Life()
        self.redis = MortalRedis(client, self.life)
        store = MessageStore(self.redis, f"bot-{next(self._names)}")
        given = families(self.redis)
        every = given if isinstance(given, Sequence) else [given]
        turns = Turns(MortalSlack(slack, self.life, trouble), store)
        self.engine = Engine(
            turns, [(family, Owed(self.redis, family.name)) for family in every], clock=clock
        )

    def turn(self) -> bool:
        """Pay what is due; whether anything was. Raises Killed where it dies."""
        return self.engine.step() > 0


def settle(
    client: Any,
    bots: list[Bot],
    minutes: float = 20,
    clock: Clock | None = None,
    seconds: float = 90,
) -> None:
    """Let the bots take turns until nothing is owed, or what is waits for longer than so many
    minutes from now."""
    clock = clock or Clock()
    end, latest = time.monotonic() + seconds, clock.passed + minutes * 60
    idle = 0
    for bot in itertools.cycle(bots):
        owed = client.zrange(INDEX, 0, 0, withscores=True)
        if not owed:
            return
        assert time.monotonic() < end, owed
        idle = 0 if bot.turn() else idle + 1
        if idle >= len(bots):
            left = owed[0][1] / 1000 - _now(client)
            if clock.passed + left > latest:
                return
            pass_by(client, max(0.01, left), clock)
            idle = 0


def pass_by(client: Any, seconds: float, clock: Clock) -> None:
    """Let so much time pass for messages."""
    clock.passed += seconds
    less = round(seconds * 1000)
    for key in client.scan_iter(_ALL):
        if client.type(key) == "hash":
            for name in _TIMES:
                if client.hexists(key, name):
                    client.hset(key, name, round(float(client.hget(key, name))) - less)
    for member in client.zrange(INDEX, 0, -1):
        client.zincrby(INDEX, -less, member)


def _now(client: Any) -> float:
    seconds, micros = client.time()
    return float(seconds) + float(micros) / 1e6


class Seen:
    """What Slack shows of the bot's messages."""

    def __init__(self, person: Person) -> None:
        channels = [each["id"] for each in person.get("state")["channels"]]
        found = [(channel, m) for channel in channels for m in person.messages(channel)]
        self.all = [(channel, m) for channel, m in found if _payload(m)]
        tops = [(channel, m) for channel, m in self.all if not _payload(m).get("line")]
        self.tops = sorted(tops, key=lambda each: float(each[1]["ts"]))

    def twice(self) -> list[Any]:
        """Messages that are twice in one channel, lines that are twice anywhere, and equal texts that
        are twice in one thread."""
        tops = Counter((channel, "a message") for channel, _ in self.tops)
        lines = Counter(json.dumps(_payload(m)) for _, m in self.all if _payload(m).get("line"))
        texts = Counter((channel, m.get("thread_ts"), m["text"]) for channel, m in self.all)
        every: list[Counter[Any]] = [tops, lines, texts]
        return [what for counted in every for what, count in counted.items() if count > 1]

    def says(self, words: str) -> bool:
        """Whether the newest message has these words."""
        if not self.tops:
            return False
        _, message = self.tops[-1]
        return words in message["text"] or words in json.dumps(
            message.get("blocks", []), ensure_ascii=False
        )


def _payload(message: dict[str, Any]) -> dict[str, Any]:
    metadata = message.get("metadata") or {}
    found: dict[str, Any] = metadata.get("event_payload") or {}
    return found if metadata.get("event_type") == EVENT_TYPE else {}
