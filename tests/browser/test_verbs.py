"""Every verb by keyboard alone, on a phone and on a desktop at once: its usual path, and its
commonest mistake. A verb that has no row in `verbs.py` fails."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Locator, Page, expect

from bot.sandbox.world import DEFAULT
from handlers.verbs.table import VERBS
from tests.browser.verbs import ROWS, Row
from tests.support.browser import DESKTOP, PHONE, chromium, cut_off, page_of, violations
from tests.support.demo import Demo, request_id
from tests.support.waiting import until

_SAID = """known => [...document.querySelectorAll("#main article")]
  .filter(article => !known.includes(article.dataset.ts))
  .map(article => [article.dataset.ts, article.innerText])"""


@dataclass(frozen=True)
class Seat:
    """Somebody at a screen of some size, with gateways of their own, and the approver beside them."""

    demo: Demo
    member: str
    number: int
    page: Page
    approvers: Page

    def names(self, request: str = "") -> dict[str, str]:
        named = {name: f"{name}-{self.number}" for name in ("gateway", "old", "kept", "made")}
        return {**named, "gateway": f"edge-{self.number}", "member": self.member, "id": request}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    directory = tmp_path_factory.mktemp("demo")
    running = Demo(directory / "demo", "--world", str(_world(directory)))
    # People of two sizes type at once, more than Slack lets one bot say in a second.
    running.fault("slack", "rate_limits", False)
    try:
        for number, member in ((1, "ana"), (2, "ivy")):
            _deploy(running, member, f"edge-{number} --to west/dev --tag 2.11.2 --replicas 2")
            _deploy(running, member, f"made-{number} --to west/prod --tag 2.11.2 --replicas 2")
        yield running
    finally:
        running.stop()


def _world(directory: Path) -> Path:
    old = [f"{kind}-{number}" for kind in ("old", "kept") for number in (1, 2)]
    names = [*old, "made-1", "made-2"]
    where = {"cluster": "west", "namespace": "dev", "tag": "2.11.2", "token_days": 20}
    world = directory / "world.yaml"
    said = {
        "base": str(DEFAULT),
        "azure": {"gateways": [{"name": name, "location": "Here"} for name in names]},
        "others": [{"gateway": name, **where} for name in old],
    }
    world.write_text(yaml.safe_dump(said))
    return world


def _deploy(demo: Demo, member: str, wanted: str) -> None:
    asks, approves = demo.person(member), demo.person("chen")
    plan = asks.plans(f"deploy {wanted}")
    labels = {b for b in ("Approve", "Confirm") if f"'{b}'" in str(plan)}
    who, label = (approves, "Approve") if "Approve" in labels else (asks, "Confirm")
    who.clicks(plan, label)
    asks.sees_at(plan, "pods ready after")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def seats(demo: Demo, browser: Browser) -> Iterator[list[Seat]]:
    found = []
    with ExitStack() as open_pages:
        for number, member, approver, size in (
            (1, "ana", "ben", PHONE),
            (2, "ivy", "chen", DESKTOP),
        ):
            pages = [open_pages.enter_context(page_of(browser, size)) for _ in range(2)]
            for page, who in zip(pages, (member, approver), strict=True):
                page.goto(f"{demo.url}/?user={who}")
                expect(box(page)).to_be_focused()
            found.append(Seat(demo, member, number, *pages))
        yield found


def test_every_verb_has_a_row() -> None:
    assert [verb.name for verb in VERBS if verb.name not in ROWS] == []
    assert set(ROWS) <= {verb.name for verb in VERBS}


@pytest.mark.parametrize("verb", ROWS)
def test_a_verb_is_used_by_keyboard_at_both_widths(verb: str, seats: list[Seat]) -> None:
    row = ROWS[verb]
    runs = [_use(row, seat) for seat in seats]
    # What one waits for happens for the other meanwhile.
    while runs:
        runs = [run for run in runs if next(run, None) is not None]


def _use(row: Row, seat: Seat) -> Iterator[str]:
    page = seat.approvers if row.approver else seat.page
    names = seat.names(_asked(row, seat))
    box(page).focus()
    own = seat.names()
    known = _articles(page)
    _type(page, row.mistake.format_map(names))
    yield "mistyped"
    told = _answer(page, known, row.told, own)
    _is_sound(page, told)
    known = _articles(page)
    _type(page, row.usual.format_map(names))
    yield "typed"
    message = _answer(page, known, row.shows, names)
    _is_sound(page, message)
    for label in row.press:
        _press(page, message, label)
        yield "pressed"
    if row.ends:
        expect(message).to_contain_text(row.ends)
        _is_sound(page, message)
        inside = "document.activeElement.closest('article')?.dataset.ts"
        assert page.evaluate(inside) == message.get_attribute("data-ts")
        box(page).focus()


def _asked(row: Row, seat: Seat) -> str:
    """The id of what has to be there first."""
    if not row.before:
        return ""
    asks = seat.demo.person(seat.member)
    if row.runs:
        seat.demo.fault("node east", "image_pull_fails", True)
    plan = asks.plans(row.before.format_map(seat.names()))
    if row.runs:
        asks.clicks(plan, "Confirm")
        asks.sees_at(plan, "0 of 1 pods? ready")
    return request_id(plan)


def box(page: Page) -> Locator:
    return page.get_by_label("Message to #gateway-ops")


def _articles(page: Page) -> set[str]:
    found: list[str] = page.locator("#main article").evaluate_all(
        "all => all.map(a => a.dataset.ts)"
    )
    return set(found)


def _type(page: Page, command: str) -> None:
    expect(box(page)).to_be_focused()
    page.keyboard.insert_text(f"/gateway {command}")
    page.keyboard.press("Enter")


def _answer(page: Page, known: set[str], pattern: str, names: dict[str, str]) -> Locator:
    wanted = re.compile(pattern.format_map(names))

    def look() -> str | None:
        said: list[tuple[str, str]] = page.evaluate(_SAID, list(known))
        return next((ts for ts, text in said if wanted.search(text)), None)

    ts = until(look, f"an answer like {wanted.pattern!r}")
    return page.locator(f"#main article[data-ts='{ts}']")


def _press(page: Page, message: Locator, label: str) -> None:
    """Go back from the composer to the button with the Tab key, press it, and say yes."""
    ts = message.get_attribute("data-ts")
    here = f"document.activeElement.closest('article')?.dataset.ts === '{ts}' && "
    here += f"document.activeElement.textContent === '{label}'"
    expect(message.get_by_role("button", name=label, exact=True)).to_be_visible()
    for _ in range(200):
        page.keyboard.press("Shift+Tab")
        if page.evaluate(here):
            break
    else:
        raise AssertionError(f"the keyboard does not reach {label!r}")
    page.keyboard.press("Enter")
    question = page.get_by_role("alertdialog")
    if label == "Confirm":
        expect(question).to_be_visible()
        assert violations(page, "#overlay") == []
        page.keyboard.press("Enter")
        expect(question).to_have_count(0)


def _is_sound(page: Page, message: Locator) -> None:
    """Nothing is cut off, and axe-core finds nothing in the message."""
    assert cut_off(page) == []
    ts = message.get_attribute("data-ts")
    assert violations(page, f"article[data-ts='{ts}']") == []
