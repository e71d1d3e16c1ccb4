"""The form of `deploy`, in a workspace: filled with what runs, and marked as a whole."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.journeys.test_deploy import TAG, deploy
from tests.support.demo import Demo, broken, words
from tests.support.waiting import until


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    deploy(running, "edge-1", "west/dev", replicas=1)
    yield running
    running.stop()


def fields(form: dict[str, Any]) -> dict[str, Any]:
    """What each input starts with, by its name."""
    found = {}
    for block in form["blocks"]:
        element = block.get("element") or {}
        option = element.get("initial_option") or {"value": element.get("initial_value")}
        if element and option["value"]:
            found[element["action_id"]] = option["value"]
    return found


def test_a_chosen_gateway_brings_its_place_and_tag_and_what_was_entered_stays(
    demo: Demo,
) -> None:
    ana = demo.person("ana")
    ana.types("deploy")
    form = ana.form("deploy")
    assert fields(form) == {}
    option = {"text": {"type": "plain_text", "text": "edge-1"}, "value": "contoso/edge-1"}
    answer = demo.post(
        "interact",
        user="ana",
        view_id=form["id"],
        state={"deploy_replicas": {"deploy_replicas": {"value": "2"}}},
        action={
            "type": "external_select",
            "action_id": "deploy_gateway",
            "block_id": "deploy_gateway",
            "selected_option": option,
        },
    )
    assert answer["ok"], answer

    def filled() -> dict[str, Any] | None:
        shown = ana.form("deploy")
        return shown if "deploy_place" in fields(shown) else None

    shown = until(filled, "the place and the tag", 30)
    assert fields(shown)["deploy_place"] == "west/dev"
    assert fields(shown)["deploy_tag"] == TAG
    assert shown["state"]["values"]["deploy_replicas"]["deploy_replicas"]["value"] == "2"
    sent = ana.submits(shown, deploy_gateway="contoso/edge-1", deploy_replicas="2")
    assert sent == {"ok": True}
    plan = ana.sees("Deploy edge-1 to west/dev.*Nothing has changed yet", ephemeral=False)
    assert "spec.replicas: 1 → 2" in words(plan)
    ana.clicks(plan, "Cancel")


def test_every_wrong_field_is_marked_at_once(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types("deploy")
    form = ana.form("deploy")
    assert set(ana.submits(form)["errors"]) == {"deploy_gateway", "deploy_place", "deploy_tag"}
    chosen = {"deploy_gateway": "contoso/edge-1", "deploy_place": "west/dev", "deploy_tag": TAG}
    wrong = ana.submits(form, deploy_name="no_name", deploy_more="logs: {levle: warn}", **chosen)
    assert set(wrong["errors"]) == {"deploy_name", "deploy_more"}


def test_who_takes_a_spec_file_instead_keeps_what_was_entered(demo: Demo) -> None:
    ivy = demo.person("ivy")
    ivy.types("deploy edge-1 --replicas 2")
    form = ivy.spec_form()
    assert fields(form)["deploy_gateway"] == "edge-1"
    assert fields(form)["deploy_replicas"] == "2"


def test_what_was_entered_is_not_lost_where_azure_does_not_answer(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types("deploy edge-1")
    form = ana.form("deploy")
    assert fields(form) == {
        "deploy_gateway": "edge-1",
        "deploy_place": "west/dev",
        "deploy_tag": TAG,
    }
    with broken(demo, "azure", "arm_status", "503", "none"):
        assert ana.submits(form, deploy_more="logs: {level: warn}") == {"ok": True}
        failed = ana.sees("Open the form again", 90, ephemeral=True)
    ana.clicks(failed, "Open the form again")

    def again() -> dict[str, Any] | None:
        shown = ana.form("deploy")
        return shown if shown["id"] != form["id"] else None

    assert fields(until(again, "the form", 30))["deploy_more"] == "logs: {level: warn}"
