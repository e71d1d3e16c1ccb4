"""docs/tour.md is walked as it is written, in the world that the demo starts with."""

import contextlib
import re
from collections.abc import Iterator

import pytest

from bot.sandbox.world import DEMO
from tests.support.demo import Demo, Message, Person, button, words
from tests.support.processes import ROOT
from tests.support.waiting import until

_STEP = re.compile(r"\| (\w+) \| (?:`/gateway ?(.*?)`|press \*\*(.+?)\*\*) \| (.+) \|")
_PRINTED = re.compile(r"ready |kubeconfig |\d\. |   docs/tour.md ")


def steps() -> list[tuple[str, str | None, str | None, list[str]]]:
    """Who, what is typed or else pressed, and the words in bold."""
    rows = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8").splitlines()
    rows = [row for row in rows if row.startswith("| ") and not row.startswith("| as |")]
    found = [_STEP.fullmatch(row) for row in rows]
    assert None not in found, rows[found.index(None)]
    return [(m[1], m[2], m[3], re.findall(r"\*\*(.+?)\*\*", m[4])) for m in found if m]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"), "--world", str(DEMO))
    yield running
    running.stop()


def test_the_tour_goes_as_it_is_written(demo: Demo) -> None:
    known: set[str] = set()
    for who, typed, pressed, bold in steps():
        person = demo.person(who)
        known_before = {message["ts"] for message in person.messages()}
        if pressed is None:
            known = known_before
            assert person.types(typed or "")["ok"]
        else:
            message = _offered(person, pressed)
            person.clicks(message, pressed)
            known = known_before - {message["ts"]}
        _sees_all(demo, person, known, bold, f"{bold} after {who}'s {typed or pressed!r}")


def _sees_all(demo: Demo, person: Person, known: set[str], bold: list[str], what: str) -> None:
    def seen() -> bool:
        new = [_read(demo, m) for m in person.messages() if m["ts"] not in known]
        return any(all(each in text for each in bold) for text in new)

    until(seen, what, 90)


def test_the_demos_terminal_prints_no_warnings(demo: Demo) -> None:
    assert [line for line in demo.lines if line.strip() and not _PRINTED.match(line)] == []


def _offered(person: Person, label: str) -> Message:
    """The newest message with that button."""

    def look() -> Message | None:
        for message in reversed(person.messages()):
            with contextlib.suppress(AssertionError):
                button(message, label)
                return message
        return None

    return until(look, f"a button {label!r}")


def _read(demo: Demo, message: Message) -> str:
    """As people read it: groups by their handle."""
    text = words(message)
    for group in demo.get("state")["usergroups"]:
        text = text.replace(f"<!subteam^{group['id']}>", f"@{group['handle']}")
    return text
