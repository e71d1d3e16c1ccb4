"""A headless Chromium that is installed on the machine; no browser is downloaded."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
_NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE = (390, 844)
DESKTOP = (1280, 800)

_CUT_OFF = """() => [...document.querySelectorAll("#app *, #overlay *")].filter((node) => {
  if (!node.checkVisibility({ visibilityProperty: true }) || node.closest(".hidden, .scroll")) return false;
  const { left, right, width } = node.getBoundingClientRect();
  return width > 0 && (left < -1 || right > innerWidth + 1);
}).map((node) => node.outerHTML.slice(0, 200))"""

_AXE = """async (within) =>
  (await axe.run(within || document, { resultTypes: ["violations"] })).violations"""

# Five seconds are its own patience, in which a busy machine does not always draw a page.
expect.set_options(timeout=60_000)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; the test is skipped where there is none."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is on this machine; .ci/run installs one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=_ARGUMENTS, timeout=120_000
        )
        yield browser
        browser.close()


@contextmanager
def page_of(browser: Browser, size: tuple[int, int] = DESKTOP, **options: Any) -> Iterator[Page]:
    """A page of somebody who has not been here before; errors of the page fail the test."""
    errors: list[str] = []
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors, errors


def violations(page: Page, within: str | None = None) -> list[str]:
    """What axe-core finds wrong with the page as it is now, or with one element of it: the rule,
    and the first places."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found = page.evaluate(_AXE, within)
    return [
        f"{each['id']}: {each['help']}: "
        + "; ".join(f"{node['target']} {node['failureSummary']}" for node in each["nodes"][:3])
        for each in found
    ]


def cut_off(page: Page) -> list[str]:
    """What reaches over the sides of the window, and the page itself where it scrolls sideways."""
    wide: int = page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
    found: list[str] = page.evaluate(_CUT_OFF)
    return found + ([f"the page is {wide} px too wide"] if wide > 0 else [])


def picture(page: Page, name: str) -> None:
    """A screenshot for the documentation, where SCREENSHOTS names the folder to keep it in."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), animations="disabled")
