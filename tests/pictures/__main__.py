"""`make pictures`: takes each message's picture at the width of a phone and of a desktop from the
demo's page, and writes docs/slack.md. `python -m tests.pictures plan done` takes these alone;
`--text` writes the page only."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, FloatRect, Locator, expect

from bot.sandbox.world import DEMO
from tests.pictures.scenes import SCENES, Scene, Shown
from tests.pictures.shrinking import shrunk
from tests.support.browser import DESKTOP, PHONE, chromium, page_of
from tests.support.demo import Demo
from tests.support.processes import ROOT

_FOLDER = ROOT / "docs" / "images" / "slack"
_PAGE = ROOT / "docs" / "slack.md"
_AROUND, _AROUND_FORM = 700, 130
"""Pixels of the page above and below a message, and of a form's title and buttons."""
_HEAD = """\
# What you see in Slack

Each kind of message, as it comes out of the demo on a phone and on a desktop.
`make pictures` takes the pictures and writes this page.

| | when | phone | desktop |
|---|---|---|---|
"""


def page() -> str:
    """The text of docs/slack.md."""
    return _HEAD + "".join(
        f"| **{scene.what}** | {scene.when} | ![{scene.what}, phone](images/slack/{scene.name}-phone.png) "
        f"| ![{scene.what}, desktop](images/slack/{scene.name}-desktop.png) |\n"
        for scene in SCENES
    )


def main(names: list[str]) -> int:
    """Take the pictures; how many could not be taken."""
    _PAGE.write_text(page(), encoding="utf-8")
    if names == ["--text"]:
        return 0
    _FOLDER.mkdir(parents=True, exist_ok=True)
    missing = 0
    with tempfile.TemporaryDirectory() as directory, chromium() as browser:
        demo = Demo(Path(directory), "--world", str(DEMO))
        try:
            for scene in SCENES:
                if not names or scene.name in names:
                    missing += not _taken(scene, demo, browser)
        finally:
            demo.stop()
    return missing


def _taken(scene: Scene, demo: Demo, browser: Browser) -> bool:
    try:
        with scene.shown(demo) as shown:
            for width, size in (("phone", PHONE), ("desktop", DESKTOP)):
                _take(demo, browser, shown, size, _FOLDER / f"{scene.name}-{width}.png")
    except AssertionError as error:
        print(f"{scene.name}: {str(error)[:2000]}", file=sys.stderr)
        return False
    print(scene.name, flush=True)
    return True


def _take(demo: Demo, browser: Browser, shown: Shown, size: tuple[int, int], path: Path) -> None:
    with page_of(browser, size) as page:
        page.goto(f"{demo.url}/?user={shown.who}&{_address(shown)}")
        if shown.message is not None:
            what = page.locator(f"article[data-ts='{shown.message['ts']}']").last
        else:
            what = page.locator(".home" if shown.surface == "home" else ".dialog .body")
        expect(what).to_be_visible()
        expect(page.get_by_text("Loading…")).to_have_count(0)
        # As tall as what is shown, so that nothing of it is below an edge.
        width, _ = size
        height = int(what.evaluate("node => node.scrollHeight"))
        around = _AROUND_FORM if shown.surface == "form" else _AROUND
        page.set_viewport_size({"width": width, "height": max(height + around, size[1])})
        page.mouse.move(0, 0)
        if shown.surface == "thread":
            taken = page.screenshot(
                animations="disabled", clip=_around(page.locator("#pane article"))
            )
        else:
            dialog = page.get_by_role("dialog") if shown.surface == "form" else what
            taken = dialog.screenshot(animations="disabled")
        path.write_bytes(shrunk(page, taken))


def _around(messages: Locator) -> FloatRect:
    """From the first of them to the last."""
    first, last = messages.first.bounding_box(), messages.last.bounding_box()
    assert first is not None
    assert last is not None
    height = last["y"] + last["height"] - first["y"]
    return {"x": first["x"], "y": first["y"], "width": first["width"], "height": height}


def _address(shown: Shown) -> str:
    if shown.surface == "home":
        return "view=home"
    thread = (shown.message or {}).get("thread_ts")
    mine = shown.message is None or thread in (None, shown.message["ts"])
    return f"channel={shown.channel}" + ("" if mine else f"&thread={thread}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
