"""The main job as a person does it: in a browser, with mouse and keyboard."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.support.browser import chromium, page_of, picture
from tests.support.demo import Demo
from tests.support.waiting import until

TAG = "2.11.1"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(demo: Demo, browser: Browser) -> Iterator[Page]:
    for view in reversed(demo.get("views/ana")["stack"]):
        demo.post("view", user="ana", view_id=view["id"], type="close")
    with page_of(browser) as opened:
        opened.goto(f"{demo.url}/?user=ana")
        expect(opened.get_by_label("Message to #gateway-ops")).to_be_focused()
        yield opened


def say(page: Page, text: str) -> None:
    box = page.get_by_label("Message to #gateway-ops")
    box.fill(text)
    box.press("Enter")


def last_message(page: Page) -> Locator:
    return page.locator("article").last


def choose(page: Page, label: str, typed: str) -> None:
    box = page.get_by_role("combobox", name=label)
    box.click()
    box.fill(typed)
    for word in typed.split():
        expect(page.get_by_role("option").first).to_contain_text(word)
    box.press("Enter")


def test_a_spec_is_given_as_a_file_in_the_form(page: Page) -> None:
    say(page, "/gateway deploy")
    spec = "gateway: edge-2\ncluster: east\nnamespace: dev\nimage: {tag: 2.11.1}\nreplica: 2"
    page.get_by_role("button", name="Use a spec file instead").click()
    chosen = page.get_by_label("Spec file")
    chosen.set_input_files({"name": "e.yaml", "mimeType": "text/yaml", "buffer": spec.encode()})
    page.get_by_role("button", name="Show the plan").click()
    expect(page.get_by_role("alert").first).to_contain_text("replica")
    right = spec.replace("replica:", "replicas:").encode()
    chosen.set_input_files({"name": "e.yaml", "mimeType": "text/yaml", "buffer": right})
    page.get_by_role("button", name="Show the plan").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(last_message(page)).to_contain_text("Deploy edge-2 to east/dev")
    last_message(page).get_by_role("button", name="Cancel").click()
    expect(last_message(page)).to_contain_text("Cancelled by")


def test_a_gateway_is_deployed_from_the_page(page: Page) -> None:
    page.get_by_label("Message to #gateway-ops").press_sequentially("/gat")
    expect(page.get_by_role("option", name="/gateway")).to_be_visible()
    say(page, "/gateway deploy")
    expect(page.get_by_role("dialog", name="Deploy a gateway")).to_be_visible()
    send = page.get_by_role("button", name="Show the plan")
    expect(send).to_be_visible()
    send.click()
    expect(page.get_by_role("alert").first).to_contain_text("complete this required field")
    choose(page, "Gateway in API Management", "edge-1")
    choose(page, "Cluster and namespace", "west dev")
    choose(page, "Image tag", TAG)
    page.get_by_label("Replicas").fill("3")
    picture(page, "form")
    send.click()
    expect(page.get_by_role("dialog")).to_have_count(0)

    plan = last_message(page)
    expect(plan).to_contain_text("Nothing has changed yet")
    expect(plan).to_contain_text("+ Deployment, ConfigMap")
    picture(page, "plan")
    plan.get_by_role("button", name="Confirm").click()
    question = page.get_by_role("alertdialog")
    expect(question).to_contain_text("west/dev")
    picture(page, "confirm")
    question.get_by_role("button", name="Deploy").click()

    expect(plan).to_contain_text("of 3 pods ready", timeout=90_000)
    picture(page, "rolling-out")
    expect(plan).to_contain_text("3 of 3 pods ready after", timeout=90_000)
    expect(plan.get_by_role("button", name="Confirm")).to_have_count(0)
    picture(page, "rolled-out")

    say(page, "/gateway status")
    expect(last_message(page)).to_contain_text("Gateways")
    expect(last_message(page)).to_contain_text("Only visible to you")
    picture(page, "status")
    say(page, "/gateway status edge-1")
    expect(
        last_message(page).get_by_role("button", name="More details", exact=True)
    ).to_be_visible()
    expect(last_message(page)).to_contain_text("3 of 3 ready")
    picture(page, "status-one")


def test_production_waits_for_an_approver_who_confirms_or_says_why_not(page: Page) -> None:
    say(page, f"/gateway deploy edge-2 --to west/prod --tag {TAG} --replicas 3")
    plan = page.locator("article").filter(has_text="Deploy edge-2 to west/prod").last
    expect(plan).to_contain_text("Needs 1 approval from @gateway-approvers")
    page.get_by_text("ben", exact=True).click()
    expect(page.get_by_label("Message to #gateway-ops")).to_be_focused()
    picture(page, "approval")
    plan.get_by_role("button", name="Deny").click()
    page.get_by_label("Why?").fill("Not before the weekend")
    picture(page, "deny")
    page.get_by_role("dialog").get_by_role("button", name="Deny").click()
    expect(plan).to_contain_text("Denied by @ben: Not before the weekend")
    expect(plan.get_by_role("button", name="Approve")).to_have_count(0)
    page.get_by_text("ana", exact=True).click()
    plan.get_by_role("button", name="Ask again").click()
    again = page.locator("article").filter(has_text="Deploy edge-2 to west/prod").last
    expect(again.get_by_role("button", name="Approve")).to_be_visible()
    page.get_by_text("chen", exact=True).click()
    again.get_by_role("button", name="Approve").click()
    picture(page, "approve")
    page.get_by_role("alertdialog").get_by_role("button", name="Approve").click()
    expect(again).to_contain_text("3 of 3 pods ready", timeout=90_000)
    picture(page, "approved")
    page.get_by_text("ana", exact=True).click()


def test_logs_are_followed_in_a_thread_until_somebody_stops_them(page: Page) -> None:
    say(page, "/gateway logs edge-1 --follow --tail 12")
    top = page.locator("article").filter(has_text="Logs of edge-1").last
    top.get_by_role("button", name="1 reply").click()
    pane = page.locator("#pane")
    expect(pane).to_contain_text("Kept current until")
    expect(pane).to_contain_text("ConfigurationLoaded")
    picture(page, "logs")
    pane.get_by_role("button", name="Stop updating").click()
    expect(pane).to_contain_text("no longer kept current: stopped by @ana")
    page.get_by_role("button", name="Close thread").click()


def test_a_command_that_is_none_is_explained(page: Page) -> None:
    say(page, "/gatewya deploy")
    expect(page.get_by_role("status").last).to_contain_text("/gatewya is not a valid command")
    say(page, "/gateway deplyo")
    expect(last_message(page)).to_contain_text("Did you mean /gateway deploy?")
    last_message(page).get_by_role("button", name="Open the deploy form").click()
    expect(page.get_by_role("button", name="Show the plan")).to_be_visible()
    page.keyboard.press("Escape")


def test_the_keyboard_alone_is_enough(page: Page) -> None:
    say(page, "/gateway deploy")
    expect(page.get_by_role("button", name="Show the plan")).to_be_visible()
    gateway = page.get_by_role("combobox", name="Gateway in API Management")
    expect(gateway).to_be_focused()
    page.keyboard.type("store")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(gateway).to_have_value("store-7")
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('[role=dialog]') !== null")
    page.keyboard.press("Escape")


def test_a_modal_taller_than_the_window_scrolls_between_its_title_and_its_buttons(
    page: Page,
) -> None:
    page.set_viewport_size({"width": 1000, "height": 480})
    say(page, "/gateway deploy")
    send = page.get_by_role("button", name="Show the plan")
    expect(send).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("heading", name="Deploy a gateway")).to_be_in_viewport(ratio=1)
    last = page.locator("[role=dialog] [data-input-block]").last
    last.scroll_into_view_if_needed()
    expect(last).to_be_in_viewport()
    page.keyboard.press("Escape")


def test_a_modal_keeps_the_keyboard_though_the_command_is_answered_late(
    page: Page, demo: Demo
) -> None:
    page.route("**/_control/command", answer_late)
    say(page, "/gateway deploy")
    gateway = page.get_by_role("combobox", name="Gateway in API Management")
    expect(gateway).to_be_focused()
    expect(page.locator(".composer.sending")).to_have_count(0)
    expect(gateway).to_be_focused()
    page.keyboard.press("Escape")


def answer_late(route: Route) -> None:
    """Pass the request on and hold its answer until the form is there."""
    response = route.fetch()
    page = route.request.frame.page
    page.get_by_role("button", name="Show the plan").wait_for()
    route.fulfill(response=response)


def test_somebody_else_sees_the_message_but_not_what_is_private(page: Page) -> None:
    say(page, "/gateway help")
    expect(last_message(page)).to_contain_text("What I can do")
    page.get_by_text("dan", exact=True).click()
    expect(page.locator("article").filter(has_text="What I can do")).to_have_count(0)
    page.get_by_text("ana", exact=True).click()


def test_the_bot_is_mentioned_from_the_composer(page: Page) -> None:
    box = page.get_by_label("Message to #gateway-ops")
    box.press_sequentially("@gat")
    expect(page.get_by_role("option", name="@gateway-bot")).to_be_visible()
    box.press("Enter")
    expect(box).to_have_value("@gateway-bot ")
    box.press_sequentially("status legacy-9")
    box.press("Enter")
    said = page.locator("article").filter(has_text="@gateway-bot status legacy-9").last
    said.get_by_role("button", name="1 reply").click()
    expect(page.get_by_text("I read that as").last).to_be_visible()


def test_the_home_tab_shows_what_runs(page: Page) -> None:
    page.locator("[data-app-home]").click()
    home = page.locator(".home")
    expect(home).to_contain_text("legacy-9")
    expect(home.get_by_role("button", name="Deploy a gateway")).to_be_visible()
    picture(page, "home")


def test_a_fault_can_be_switched_on_the_page(page: Page, demo: Demo) -> None:
    page.get_by_role("button", name="Faults").click()
    page.get_by_text("azure", exact=True).click()
    page.get_by_label("Resource Manager answers", exact=True).select_option("503")
    picture(page, "faults")

    def status() -> str:
        boards = {board["part"]: board for board in demo.get("faults")["boards"]}
        return {s["name"]: str(s["value"]) for s in boards["azure"]["switches"]}["arm_status"]

    until(lambda: status() == "503", "the fault to be on")
    demo.fault("azure", "arm_status", "none")


def test_what_a_message_holds_never_becomes_markup(page: Page, demo: Demo) -> None:
    attack = "<img src=x onerror=alert(1)> <javascript:alert(1)|click> `<b>` *<i>x</i>*"
    demo.post("message", channel="gateway-ops", user="dan", text=attack)
    message = page.locator("article").filter(has_text="onerror")
    expect(message).to_be_visible()
    assert message.locator("img, a, b, i").count() == 0


def test_a_broken_link_is_red_with_its_evidence(page: Page, demo: Demo) -> None:
    demo.fault("node west", "dns_broken", True)

    tables = page.locator("article").filter(has_text="Gateways")

    def broken() -> bool:
        # One answer after another: a busy bot would be kept at answering.
        before = tables.count()
        say(page, "/gateway status")
        expect(tables.nth(before)).to_be_visible()
        return "Azure cannot be reached" in tables.last.inner_text()

    until(broken, "a gateway that is cut off", 120)
    picture(page, "status-cut-off")
    demo.fault("node west", "dns_broken", False)
