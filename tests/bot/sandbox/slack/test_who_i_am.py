"""The page's switch of who one is, in a browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from bot.sandbox.slack import SlackWorkspace
from bot.sandbox.world import World
from tests.support.browser import chromium, page_of
from tests.support.slack_workspace import Person, app_config, running


@pytest.fixture(scope="module")
def person() -> Iterator[Person]:
    world = World.load()
    slack = SlackWorkspace(
        team=dict(world.team),
        users=world.users,
        usergroups=world.usergroups,
        channels=world.channels,
        app=app_config(),
    )
    with running(slack) as person:
        yield person


@pytest.fixture
def page(person: Person) -> Iterator[Page]:
    person.post("reset")
    with chromium() as browser, page_of(browser) as opened:
        opened.goto(f"{person.slack.url}/?user=ana")
        expect(opened.get_by_role("radio", name="ana")).to_be_checked()
        yield opened


def test_guests_and_other_workspaces_are_marked_and_deactivated_people_left_out(
    page: Page,
) -> None:
    people = page.get_by_role("group", name="Who am I").locator("strong")
    expect(people).to_have_text(
        ["ana", "ivy", "ben", "chen", "dan", "gusguest", "solguest", "fayFabrikam"]
    )


def test_who_is_confined_sees_only_the_channels_they_are_in(page: Page) -> None:
    channels = page.locator("[data-channel-id]")
    expect(channels).to_have_count(2)
    page.locator("label", has_text="Partner engineer").click()
    expect(channels).to_have_text(["#gateway-alerts"])
    expect(page.get_by_role("heading", name="#gateway-alerts")).to_be_visible()
    page.locator("label", has_text="Auditor").click()
    expect(channels).to_have_text(["#gateway-ops"])
    expect(page.get_by_role("heading", name="#gateway-ops")).to_be_visible()


def test_who_is_deactivated_while_looking_becomes_somebody_else(page: Page, person: Person) -> None:
    page.locator("label", has_text="Contractor").click()
    expect(page.get_by_role("radio", name="gus")).to_be_checked()
    person.post("person", user="gus", deleted=True)
    expect(page.get_by_role("radio", name="ana")).to_be_checked()
    expect(page.locator("label", has_text="Contractor")).to_have_count(0)


def test_who_is_deactivated_before_the_page_hears_of_it_becomes_somebody_else(
    page: Page, person: Person
) -> None:
    def deactivated(route: Route) -> None:
        person.post("person", user="gus", deleted=True)
        route.continue_()

    page.route("**/_control/events?user=U0GUS", deactivated)
    page.locator("label", has_text="Contractor").click()
    expect(page.locator("label", has_text="Contractor")).to_have_count(0)
    expect(page.get_by_role("radio", name="ana")).to_be_checked()


def test_a_deactivated_person_cannot_be_asked_for(page: Page, person: Person) -> None:
    page.goto(f"{person.slack.url}/?user=dee")
    expect(page.get_by_role("radio", name="ana")).to_be_checked()


def test_a_guest_who_is_in_no_channel_sees_the_apps_home(page: Page, person: Person) -> None:
    person.post("members", user="sol", channel="gateway-ops", member=False)
    page.locator("label", has_text="Auditor").click()
    expect(page.get_by_role("heading", name="Gateway Ops")).to_be_visible()
