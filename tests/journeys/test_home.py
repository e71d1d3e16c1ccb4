"""The Home tab: what waits is decided there, and it changes by itself."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.demo import Demo, words
from tests.support.waiting import until

TAG = "2.11.1"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()


def home(demo: Demo, name: str, *shown: str, without: str = "", seconds: float = 90) -> Any:
    """The Home tab of somebody once it shows all of that."""

    def look() -> Any:
        view = demo.get(f"views/{name}")["home"]
        said = words(view or {})
        found = view and all(each in said for each in shown)
        return view if found and not (without and without in said) else None

    try:
        return until(look, f"a Home tab with {shown}", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{words(demo.get(f'views/{name}')['home'] or {})}") from None


def opens_home(demo: Demo, name: str, *shown: str, without: str = "") -> Any:
    demo.post("open-home", user=name)
    return home(demo, name, *shown, without=without)


def element(view: Any, action_id: str, about: str = "") -> dict[str, Any]:
    """The element of that name, in the block that says `about`, as a click sends it."""
    for block in view["blocks"]:
        if about not in words({"blocks": [block]}):
            continue
        for each in (*(block.get("elements") or []), block.get("accessory") or {}):
            if each.get("action_id") == action_id:
                return {**each, "block_id": block["block_id"]}
    raise AssertionError(f"no {action_id} about {about!r} in {json.dumps(view['blocks'])[:3000]}")


def clicks(demo: Demo, name: str, view: Any, action_id: str, about: str = "") -> None:
    action = element(view, action_id, about)
    assert demo.post("interact", user=name, view_id=view["id"], action=action)["ok"]


def chooses(demo: Demo, name: str, view: Any, about: str, label: str) -> None:
    """Choose a line of the menu beside that gateway."""
    menu = element(view, "home_menu", about)
    (option,) = (o for o in menu["options"] if o["text"]["text"] == label)
    action = {**menu, "selected_option": option}
    assert demo.post("interact", user=name, view_id=view["id"], action=action)["ok"]


def modal(demo: Demo, name: str, *shown: str) -> Any:
    """The uppermost modal once it shows all of that."""

    def look() -> Any:
        stack = demo.get(f"views/{name}")["stack"]
        said = words(stack[-1]) if stack else ""
        return stack[-1] if stack and all(each in said for each in shown) else None

    try:
        return until(look, f"a modal with {shown}")
    except AssertionError as error:
        stack = demo.get(f"views/{name}")["stack"]
        raise AssertionError(f"{error}\n{[words(view) for view in stack]}") from None


def names_of(view: Any) -> set[str]:
    """The buttons of a modal."""
    return {
        each["action_id"]
        for block in view["blocks"]
        if block["type"] == "actions"
        for each in block["elements"]
    }


def closes(demo: Demo, name: str) -> None:
    for view in reversed(demo.get(f"views/{name}")["stack"]):
        demo.post("view", user=name, view_id=view["id"], type="close")


def test_a_request_is_approved_from_the_home_tab_and_the_tabs_of_both_follow(demo: Demo) -> None:
    ana = demo.person("ana")
    opens_home(demo, "ben", "legacy-9", without="Waiting for you")
    opens_home(demo, "ana", "legacy-9")
    plan = ana.plans(f"deploy edge-2 --to west/prod --tag {TAG}")
    home(demo, "ana", "Your requests", "Deploy edge-2 to west/prod")
    tab = home(demo, "ben", "Waiting for you", "Deploy edge-2 to west/prod", "production")
    clicks(demo, "ben", tab, "home_review", "Deploy edge-2")
    review = modal(demo, "ben", "Deploy edge-2 to west/prod", "Nothing has changed yet")
    assert names_of(review) == {"action_approve", "action_deny"}
    clicks(demo, "ben", review, "action_approve")
    modal(demo, "ben", "Approved by <@U0BEN>")
    home(demo, "ben", "legacy-9", without="Waiting for you")
    closes(demo, "ben")
    ana.sees_at(plan, "3 of 3 pods ready after")
    home(demo, "ana", "Recent changes", "edge-2", without="Your requests")


def test_a_request_is_denied_with_a_reason_from_the_home_tab(demo: Demo) -> None:
    ana = demo.person("ana")
    opens_home(demo, "chen", "edge-2")
    plan = ana.plans("scale edge-2 --replicas 4")
    tab = home(demo, "chen", "Waiting for you", "Scale edge-2")
    clicks(demo, "chen", tab, "home_review", "Scale edge-2")
    clicks(demo, "chen", modal(demo, "chen", "Scale edge-2"), "action_deny")
    form = demo.person("chen").form("action_deny_modal")
    assert demo.person("chen").submits(form, deny_reason="not today")["ok"]
    modal(demo, "chen", "Denied by", "not today")
    ana.sees_at(plan, "Denied by <@U0CHEN>: not today")
    closes(demo, "chen")


def test_whoever_asked_may_cancel_and_whoever_may_not_decide_gets_no_buttons(demo: Demo) -> None:
    ana, dan = demo.person("ana"), demo.person("dan")
    plan = ana.plans("restart edge-2")
    tab = opens_home(demo, "ana", "Your requests", "Restart edge-2")
    clicks(demo, "ana", tab, "home_review", "Restart edge-2")
    review = modal(demo, "ana", "Restart edge-2")
    assert names_of(review) == {"action_cancel"}
    tab = opens_home(demo, "dan", "edge-2", without="Restart edge-2 on")
    assert dan.types("pending")["ok"]
    clicks(demo, "ana", review, "action_cancel")
    ana.sees_at(plan, "Cancelled by <@U0ANA>")
    modal(demo, "ana", "Cancelled by <@U0ANA>")
    closes(demo, "ana")


def test_a_gateways_menu_shows_it_and_asks_for_changes_that_are_confirmed_at_home(
    demo: Demo,
) -> None:
    ana = demo.person("ana")
    plan = ana.plans(f"deploy edge-1 --to west/dev --tag {TAG}")
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "pods ready after")
    tab = opens_home(demo, "ana", "edge-1")
    chooses(demo, "ana", tab, "edge-1", "Status")
    modal(demo, "ana", "edge-1", "*Installed*  by")
    closes(demo, "ana")
    chooses(demo, "ana", home(demo, "ana", "edge-1"), "edge-1", "Restart…")
    tab = home(demo, "ana", "Waiting for you", "Restart edge-1 on west/dev")
    clicks(demo, "ana", tab, "home_review", "Restart edge-1")
    review = modal(demo, "ana", "Restart edge-1")
    assert names_of(review) == {"action_confirm", "action_cancel"}
    clicks(demo, "ana", review, "action_confirm")
    home(demo, "ana", "edge-1", without="Restart edge-1 on west/dev")
    closes(demo, "ana")
    chooses(demo, "ana", home(demo, "ana", "edge-1"), "edge-1", "Deploy…")
    assert demo.person("ana").form("deploy")["title"]["text"]
    closes(demo, "ana")


def test_help_is_one_button_and_opens_beside_the_tab(demo: Demo) -> None:
    tab = opens_home(demo, "dan", "Help", without="What I can do")
    action = next(
        {**each, "block_id": block["block_id"]}
        for block in tab["blocks"]
        if block["type"] == "actions"
        for each in block["elements"]
        if each["value"] == "help"
    )
    assert demo.post("interact", user="dan", view_id=tab["id"], action=action)["ok"]
    modal(demo, "dan", "What I can do", "/gateway status")
    closes(demo, "dan")
