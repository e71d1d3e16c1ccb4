"""The page on a phone, by keyboard, for screen readers, and after Back and reload."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.support.browser import DESKTOP, PHONE, chromium, cut_off, page_of, violations
from tests.support.demo import Demo

SIZES = {"phone": PHONE, "desktop": DESKTOP}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, demo: Demo, browser: Browser) -> Iterator[Page]:
    """Ana's page, once at each size."""
    for view in reversed(demo.get("views/ana")["stack"]):
        demo.post("view", user="ana", view_id=view["id"], type="close")
    with page_of(browser, SIZES[request.param]) as opened:
        opened.goto(f"{demo.url}/?user=ana")
        expect(box(opened)).to_be_focused()
        yield opened


def box(page: Page, channel: str = "gateway-ops") -> Locator:
    return page.get_by_label(f"Message to #{channel}")


def say(page: Page, text: str) -> None:
    box(page).focus()
    page.keyboard.insert_text(text)
    page.keyboard.press("Enter")


def on_phone(page: Page) -> bool:
    return page.viewport_size is not None and page.viewport_size["width"] == PHONE[0]


def menu(page: Page) -> None:
    """Bring the workspace into view, where it is not."""
    if on_phone(page):
        page.get_by_role("button", name="Channels and people").click()


def api(demo: Demo, method: str, **body: Any) -> dict[str, Any]:
    """Call Slack's Web API as the bot does."""
    token = json.loads((demo.data / "sandbox" / "secrets.json").read_text())["bot_token"]
    headers = {"Authorization": f"Bearer xoxb-{token}"}
    answer = requests.post(f"{demo.url}/api/{method}", json=body, headers=headers, timeout=60)
    found: dict[str, Any] = answer.json()
    assert found["ok"], found
    return found


def ops(demo: Demo) -> str:
    channels = demo.get("state")["channels"]
    return str(next(c["id"] for c in channels if c["name"] == "gateway-ops"))


def chatter(demo: Demo) -> None:
    """More messages than a window shows."""
    for number in range(30):
        demo.post("message", channel="gateway-ops", user="dan", text=f"Something else {number}")


def plan_of(page: Page, replicas: int = 3) -> Locator:
    say(page, f"/gateway deploy edge-1 --to west/dev --tag 2.11.1 --replicas {replicas}")
    plan = page.locator("#main article").filter(has_text="Nothing has changed yet").last
    expect(plan.get_by_role("button", name="Confirm")).to_be_visible()
    return page.locator(f"#main article[data-ts='{plan.get_attribute('data-ts')}']")


def sound(page: Page) -> None:
    """Nothing is cut off, and axe-core finds nothing."""
    assert cut_off(page) == []
    assert violations(page) == []


def test_every_view_is_whole_and_axe_core_finds_nothing(page: Page, demo: Demo) -> None:
    wide = "```" + "x" * 200 + "\n" + "one two three " * 20 + "```"
    api(demo, "chat.postMessage", channel=ops(demo), text=wide)
    expect(page.locator("pre").filter(has_text="xxx").last).to_be_visible()
    sound(page)  # the channel

    say(page, "/gateway help")
    expect(page.locator("article").last).to_contain_text("Only visible to you")
    sound(page)  # what only I see

    say(page, "/gateway deploy")
    form = page.get_by_role("dialog", name="Deploy a gateway")
    expect(form.get_by_role("button", name="Show the plan")).to_be_in_viewport(ratio=1)
    sound(page)  # a form
    form.get_by_role("combobox").first.press("ArrowDown")
    expect(page.get_by_role("option").first).to_be_visible()
    sound(page)  # a select that is open
    page.keyboard.press("Escape")
    form.get_by_role("button", name="Show the plan").click()
    expect(page.get_by_role("alert").first).to_be_visible()
    sound(page)  # a form with errors
    page.keyboard.press("Escape")
    expect(form).to_have_count(0)

    plan = plan_of(page)
    plan.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("alertdialog")).to_be_in_viewport(ratio=1)
    sound(page)  # the question before a change
    page.keyboard.press("Escape")
    plan.get_by_role("button", name="Cancel").click()
    expect(page.locator("article").last).to_contain_text("Cancelled by")

    page.locator("#main article").last.hover()
    page.locator("#main article").last.get_by_role("button", name="Reply in thread").click()
    expect(page.get_by_role("textbox", name="Reply in thread")).to_be_focused()
    sound(page)  # a thread
    page.get_by_role("button", name="Close thread").click()

    menu(page)
    expect(page.get_by_role("radio", name="ben")).to_be_visible()
    sound(page)  # channels and people
    page.get_by_role("button", name="Faults").click()
    for part in page.locator(".boards details").all():
        part.evaluate("part => { part.open = true; }")
    expect(page.locator(".fault").last).to_be_visible()
    sound(page)  # the switches of every part
    page.locator("#pane").get_by_role("button", name="Close").click()

    menu(page)
    page.locator("[data-app-home]").click()
    expect(page.locator(".home")).to_contain_text("legacy-9")
    sound(page)  # Home

    dm = api(demo, "conversations.open", users="U0ANA")["channel"]["id"]
    api(demo, "chat.postMessage", channel=dm, text="A word to *you* alone.")
    menu(page)
    page.locator(f"[data-channel-id={dm}]").click()
    expect(page.locator("article").last).to_contain_text("A word to you alone.")
    sound(page)  # a direct message


def test_channels_and_people_are_within_reach(page: Page) -> None:
    menu(page)
    page.get_by_role("button", name="gateway-alerts").click()
    expect(box(page, "gateway-alerts")).to_be_focused()
    menu(page)
    page.get_by_role("radio", name="ben").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="chen")).to_be_checked()
    expect(page.get_by_role("radio", name="chen")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="dan")).to_be_checked()
    expect(page.get_by_role("radio", name="dan")).to_be_focused()
    page.keyboard.press("Escape")
    if on_phone(page):
        expect(page.get_by_role("button", name="Channels and people")).to_be_focused()
        expect(page.get_by_role("radio", name="dan")).not_to_be_visible()
    page.reload()
    expect(box(page, "gateway-alerts")).to_be_focused()
    menu(page)
    expect(page.get_by_role("radio", name="dan")).to_be_checked()


def test_escape_keeps_its_place_when_the_channel_is_drawn_after_it(page: Page) -> None:
    if not on_phone(page):
        return
    menu(page)
    page.get_by_role("radio", name="ben").focus()
    held: list[Route] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/state*", hold)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    button = page.get_by_role("button", name="Channels and people")
    expect(button).to_be_focused()
    with page.expect_response("**/unread?*"):
        held[0].continue_()
    page.evaluate("() => new Promise(done => setTimeout(done, 100))")
    expect(button).to_be_focused(timeout=1)


def test_who_reloads_right_after_the_choice_is_who_they_chose_to_be(page: Page) -> None:
    menu(page)
    page.get_by_role("radio", name="ben").focus()
    # Nothing more arrives before the reload, as on a slow machine.
    page.route("**/state*", lambda route: None)
    page.keyboard.press("ArrowDown")
    page.wait_for_function(
        "localStorage.getItem('me') === document.querySelector('[name=me]:checked').value"
    )
    page.unroute("**/state*")
    page.reload()
    menu(page)
    expect(page.get_by_role("radio", name="chen")).to_be_checked()


def test_back_and_reload_keep_channel_thread_and_draft(page: Page, demo: Demo) -> None:
    demo.post("message", channel="gateway-ops", user="dan", text="What is new?")
    article = page.locator("#main article").filter(has_text="What is new?").last
    expect(article).to_be_visible()
    page.keyboard.insert_text("Unsent in the channel")
    article.hover()
    article.get_by_role("button", name="Reply in thread").click()
    reply = page.get_by_role("textbox", name="Reply in thread")
    expect(reply).to_be_focused()
    page.keyboard.insert_text("Unsent in the thread")
    page.reload()
    expect(reply).to_be_focused()
    expect(reply).to_have_value("Unsent in the thread")
    expect(box(page)).to_have_value("Unsent in the channel")
    page.go_back()
    expect(reply).to_have_count(0)
    expect(box(page)).to_have_value("Unsent in the channel")
    menu(page)
    page.get_by_role("button", name="gateway-alerts").click()
    expect(box(page, "gateway-alerts")).to_have_value("")
    menu(page)
    page.locator("[data-app-home]").click()
    expect(page.locator(".home")).to_be_focused()
    page.reload()
    expect(page.locator(".home")).to_be_focused()
    page.go_back()
    expect(box(page, "gateway-alerts")).to_be_focused()
    page.go_back()
    expect(box(page)).to_have_value("Unsent in the channel")
    box(page).press("Enter")
    expect(page.locator("article").last).to_contain_text("Unsent in the channel")
    page.reload()
    expect(box(page)).to_have_value("")


def test_a_link_to_a_message_leads_to_it(page: Page, demo: Demo) -> None:
    channel = ops(demo)
    posted = api(demo, "chat.postMessage", channel=channel, text="Look here")["ts"]
    chatter(demo)
    link = api(demo, "chat.getPermalink", channel=channel, message_ts=posted)["permalink"]
    page.goto(link)
    article = page.locator(f"article[data-ts='{posted}']")
    expect(article).to_be_focused()
    expect(article).to_be_in_viewport()


def test_after_a_decision_the_focus_stays_in_its_message(page: Page) -> None:
    plan = plan_of(page, 2)
    plan.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("Enter")
    expect(plan).to_contain_text("Cancelled by")
    expect(plan).to_be_focused()


def test_an_update_keeps_the_focus_the_scroll_position_and_an_open_menu(
    page: Page, demo: Demo
) -> None:
    channel = ops(demo)
    options = [{"text": {"type": "plain_text", "text": t}, "value": t} for t in ("One", "Two")]
    menu_block = {
        "type": "actions",
        "elements": [{"type": "overflow", "action_id": "more", "options": options}],
    }

    def text(said: str) -> dict[str, Any]:
        return {"type": "section", "text": {"type": "mrkdwn", "text": said}}

    posted = api(
        demo, "chat.postMessage", channel=channel, text="First", blocks=[text("First"), menu_block]
    )["ts"]
    chatter(demo)
    expect(page.locator("article").last).to_contain_text("Something else 29")
    article = page.locator(f"article[data-ts='{posted}']")
    article.get_by_role("button", name="More actions").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    two = article.get_by_role("menuitem", name="Two")
    expect(two).to_be_focused()
    at = page.locator("#main .messages").evaluate("node => node.scrollTop")
    for said, last in (("Second", menu_block), ("Third", {**menu_block, "block_id": "other"})):
        api(demo, "chat.update", channel=channel, ts=posted, text=said, blocks=[text(said), last])
        expect(article).to_contain_text(said)
        expect(two).to_be_focused()
        assert page.locator("#main .messages").evaluate("node => node.scrollTop") == at
    page.keyboard.press("Escape")
    expect(article.get_by_role("button", name="More actions")).to_be_focused()
    expect(two).not_to_be_visible()


def test_dialogs_keep_the_keyboard_and_give_it_back(page: Page) -> None:
    plan = plan_of(page, 4)
    confirm = plan.get_by_role("button", name="Confirm")
    confirm.focus()
    page.keyboard.press("Enter")
    question = page.get_by_role("alertdialog")
    expect(question).to_be_visible()
    for key in ("Tab", "Tab", "Tab", "Shift+Tab"):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.closest('[role=alertdialog]') !== null")
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    expect(confirm).to_be_focused()
    plan.get_by_role("button", name="Cancel").click()
