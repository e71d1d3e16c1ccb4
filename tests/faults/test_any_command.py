"""A hundred thousand command lines of words that mean something and of ones that do not."""

import json
import logging
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from handlers.verbs.table import VERBS
from tests.handlers.test_listeners import Door
from tests.support.waiting import until

_LINES = 100_000
_VERBS = [
    *(name for verb in VERBS for name in (verb.name, *verb.synonyms)),
    *("deploy", "status") * len(VERBS),
]
"""Those that the door knows most often."""
_OPTIONS = [f"--{option.name}" for verb in VERBS for option in verb.options]
_ODD = "abZ-–—=\"'“”`<>&@#|/\\?*~\u00a0\n\t\x00😀é1234567890"


def line_of(chosen: random.Random) -> str:
    """A line of words that mean something and of ones that do not."""

    def word() -> str:
        kind = chosen.random()
        if kind < 0.3:
            return chosen.choice(_OPTIONS)
        if kind < 0.5:
            return chosen.choice(
                ("edge-1", "west/dev/edge-1", "2.11.1", "3", "west/dev", "/gateway")
            )
        if kind < 0.6:
            return chosen.choice(_VERBS)
        return "".join(chosen.choice(_ODD) for _ in range(chosen.randint(0, 12)))

    first = chosen.choice(_VERBS) if chosen.random() < 0.7 else word()
    return " ".join([first, *(word() for _ in range(chosen.randint(0, 7)))])


def test_each_is_answered_once_and_none_is_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    chosen = random.Random(18)
    answered = forms = 0
    with ThreadPoolExecutor(2) as pool, caplog.at_level(logging.WARNING):
        door = Door(pool)
        for number in range(_LINES):
            line = line_of(chosen)
            answer = door.types(line)
            assert answer.status == 200, line
            accepted, said = len(door.accepted), bool(answer.body and json.loads(answer.body))
            taken = accepted - (number - answered - forms)
            assert said + taken in (0, 1), line
            answered += said
            forms += not said and not taken
        until(lambda: door.slack.asked == forms, "every form")
    assert not [record for record in caplog.records if record.exc_info]
    assert min(answered, forms, len(door.accepted)) > _LINES / 100, "lines of every kind"
