"""Production is said wherever somebody reads of a gateway, by the same mark and by name."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.access import UNLISTED, Environment
from deploy.actions.action import Outcome, State, Vote
from deploy.actions.windows import Window
from deploy.expiry.tracked import ExpiryFacts, Tracked
from deploy.gateway import GatewayRef
from deploy.health.incidents import CUT_OFF, Incident, Member
from handlers.slack.choices import place
from handlers.views import action as action_view
from handlers.views import denial, deploy_modal, details, expiry, incidents, window
from handlers.views.places import PRODUCTION, heading, mark, named, placed
from tests.support.actions import by_approvers, plan_of
from tests.support.shown import check_blocks, shown_action

LIVE = Environment("live-west", clusters=("west",), namespaces=("prod",), production=True)
DEVELOPMENT = Environment("development")
PROD, DEV = GatewayRef("west", "prod", "edge-1"), GatewayRef("west", "dev", "edge-1")
CALLED = "live-west, production"


def where(ref: GatewayRef) -> Environment:
    return LIVE if ref.namespace == "prod" else DEVELOPMENT


def blocks_of(ref: GatewayRef, state: State, **more: Any) -> list[dict[str, Any]]:
    """The message of a deployment there, in that state."""
    _, blocks = action_view.render(shown_action(state, ref=ref, **more), where)
    check_blocks(blocks)
    return blocks


def dialogs_of(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    elements = [e for b in blocks if b["type"] == "actions" for e in b["elements"]]
    return [each["confirm"] for each in elements if "confirm" in each]


@pytest.mark.parametrize("state", list(State))
def test_the_title_of_a_change_begins_with_the_mark_and_names_the_environment(state: State) -> None:
    more = {"outcome": Outcome(state, "2 of 2 pods ready.")} if state is State.SUCCEEDED else {}
    title = blocks_of(PROD, state, **more)[0]["text"]["text"]
    assert title == f"{PRODUCTION} Deploy edge-1 to west/prod ({CALLED})"
    assert blocks_of(DEV, state)[0]["text"]["text"] == "Deploy edge-1 to west/dev (development)"


def test_a_plan_says_it_in_its_title_and_in_each_dialog_before_the_question() -> None:
    blocks = blocks_of(PROD, State.PENDING, policy=by_approvers())
    assert blocks[0]["text"]["text"].startswith(PRODUCTION)
    assert CALLED in blocks[0]["text"]["text"]
    (dialog,) = dialogs_of(blocks)
    assert dialog["title"]["text"].startswith(PRODUCTION)
    assert dialog["text"]["text"].startswith(f"*{PRODUCTION} {CALLED}*\n")
    (stop,) = dialogs_of(blocks_of(PROD, State.RUNNING))
    assert stop["title"]["text"].startswith(PRODUCTION)
    assert PRODUCTION not in json.dumps(blocks_of(DEV, State.PENDING), ensure_ascii=False)


def test_the_push_text_and_the_details_say_it() -> None:
    asked = shown_action(State.PENDING, ref=PROD, policy=by_approvers())
    assert f"west/prod/edge-1 ({PRODUCTION} {CALLED})" in action_view.render(asked, where)[0]
    first = details.modal(asked, LIVE)["blocks"][0]
    assert first["text"]["text"] == f"*{PRODUCTION} Deploy edge-1 to west/prod ({CALLED})*"


def test_a_plan_that_the_rules_forbid_says_where_it_would_have_been() -> None:
    reply = action_view.denied(shown_action(State.PENDING).plan, environment=LIVE)
    assert reply.text.startswith(f"{PRODUCTION} edge-1 on west/dev ({CALLED}): ")


def test_a_place_in_no_environment_counts_as_production() -> None:
    assert named(UNLISTED) == f"{PRODUCTION} no environment, counts as production"


def test_a_place_whose_environment_is_not_known_is_said_as_it_is() -> None:
    title = action_view.render(shown_action(State.PENDING))[1][0]["text"]["text"]
    assert title == "Deploy edge-1 to west/dev"


def test_a_change_that_another_environment_decides_too_is_marked_by_where_it_runs() -> None:
    # A development gateway whose token is production's takes production's approval.
    policy = by_approvers(environment="live-west")
    blocks = blocks_of(DEV, State.PENDING, policy=policy)
    assert blocks[0]["text"]["text"] == "Deploy edge-1 to west/dev (development)"
    assert "Needs 1 approval from <!subteam^S1> for live-west" in json.dumps(blocks)
    assert " for live-west" not in json.dumps(blocks_of(PROD, State.PENDING, policy=policy))


@given(st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True), st.booleans())
def test_exactly_production_has_the_mark_and_the_word(name: str, production: bool) -> None:
    environment = Environment(name, production=production)
    said = (named(environment), placed(PROD, environment), heading("Restart", environment))
    assert all((PRODUCTION in text) is production for text in (*said, mark(environment)))
    assert all(name in text for text in said)
    if production and environment != UNLISTED:
        assert all("production" in text for text in said)


def test_the_form_of_deploy_shows_it_with_the_place_that_is_chosen() -> None:
    option = place("west", "prod", (LIVE,)).option()
    assert option["text"]["text"] == f"{PRODUCTION} west/prod ({CALLED})"
    assert option["value"] == "west/prod"
    view = deploy_modal.form("{}", {"to": "west/prod"}, {}, place=option)
    found = {b.get("block_id"): b for b in view["blocks"]}[deploy_modal.PLACE]
    assert found["element"]["initial_option"] == option


def test_an_incident_a_warning_and_a_window_are_marked() -> None:
    member = Member({CUT_OFF: "No answer."}, 1.0)
    incident = Incident("i", "west", {str(PROD): member}, 1.0)
    for shown in (incident, dataclasses.replace(incident, over_at=9.0)):
        text, blocks = incidents.message(shown, where)
        check_blocks(blocks)
        title = f"{PRODUCTION} edge-1 on west/prod ({CALLED}) "
        assert title in text
        assert title in blocks[0]["text"]["text"]
    facts = ExpiryFacts(PROD, "edge-1", "live-west", 50.0, "token", (86_400.0,), ("C1",), "")
    _, blocks = expiry.message(
        Tracked(facts, 100.0, 1, 1, 0.0, "", None, "", "", (), ()), production=True
    )
    assert f"{PRODUCTION} edge-1 on west/prod ({CALLED})" in blocks[0]["text"]["text"]
    opened = Window("w", 1, PROD, "U1", "U2", "It is down.", 0.0, 900.0, 600.0, True)
    assert window.message(opened, LIVE)[1][0]["text"]["text"].startswith(PRODUCTION)


@pytest.mark.parametrize("state", [State.RUNNING, State.SUCCEEDED, State.FAILED])
def test_the_result_says_who_approved_it_whoever_decides(state: State) -> None:
    votes = (Vote("U2", "ben", "approve", 1.0, "d1"), Vote("U3", "chen", "approve", 2.0, "d1"))
    more: dict[str, Any] = {"outcome": Outcome(state, "So it is."), "decided_at": 5.0}
    ended = blocks_of(PROD, state, policy=by_approvers(2), votes=votes, decided_by="U3", **more)
    assert "approved by <@U2> and <@U3> <!date^5^" in json.dumps(ended)
    alone = json.dumps(blocks_of(DEV, state, decided_by="U1", **more))
    assert "Asked for and confirmed by <@U1> <!date^5^" in alone


def test_the_dialog_that_denies_says_what_is_denied() -> None:
    asked = shown_action(
        State.PENDING, ref=PROD, policy=by_approvers(), plan=plan_of(PROD), why="Black Friday"
    )
    view = denial.ask(asked, LIVE, "d1", "C1", "")
    check_blocks(view["blocks"])
    said = view["blocks"][0]["text"]["text"]
    for part in (f"{PRODUCTION} Deploy edge-1 to west/prod ({CALLED})", "replicas 1 → 2",
                 "asked by <@U1>", "Reason: Black Friday"):  # fmt: skip
        assert part in said
    kept = denial.read(view["private_metadata"], {})
    assert (kept.action_id, kept.digest, kept.channel) == ("7K3MAB", "d1", "C1")
