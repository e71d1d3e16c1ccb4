"""A rollout that is stuck says so and how to get out of it; what failed has the ways out that its record has."""

import dataclasses
import json
from typing import Any

import pytest

from deploy.actions.action import Action, Outcome, Patience, State, Step
from deploy.changes.kinds import KINDS
from deploy.observed.causes import Cause, meaning_of
from deploy.plans.plan import UNFINISHED, FieldChange, ObjectChange, WayBack
from deploy.rules.finding import Finding
from handlers.views import action as action_view
from handlers.views.commands import is_run
from handlers.views.notes import notes, within
from handlers.views.notification import sentence
from handlers.views.words.kinds import KIND_WORDS
from tests.support.actions import REF, REQUESTS, plan_of
from tests.support.shown import NOW, check_blocks, shown_action

IMAGE = FieldChange("spec.template.spec.containers[edge-1].image", "a:1", "a:2", restarts_pods=True)
CHANGES: dict[str, tuple[ObjectChange, ...]] = {
    "first": (ObjectChange("Deployment", "edge-1", "create"),),
    "another": (ObjectChange("Deployment", "edge-1", "update", (IMAGE,)),),
    "count": (
        ObjectChange("Deployment", "edge-1", "update", (FieldChange("spec.replicas", 1, 2),)),
    ),
    "deleted": (ObjectChange("Deployment", "edge-1", "delete"),),
}
APPLIED = (Step("apply", NOW, "Applying"), Step("follow", NOW, "Following the rollout"))
POD = {
    "name": "edge-1-x", "ready": False, "state": "ImagePullBackOff", "restarts": 0, "updated": True,
    "trouble": "ImagePullBackOff: not found.",
}  # fmt: skip
STUCK = {
    "cause": Cause.PULL.value,
    "said": "ImagePullBackOff: no.",
    "since": NOW,
    "until": NOW + 600,
}


def changed(how: str, state: State, kind: str = "deploy", **more: Any) -> Action:
    """An action of that kind that has brought that change about on the cluster."""
    fields: dict[str, Any] = {
        "kind": kind,
        "ref": REF,
        "request": REQUESTS[kind],
        "plan": plan_of(changes=CHANGES[how]),
        "steps": APPLIED,
        "progress": {"desired": 2, "ready": 0, "old": 2, "pods": [POD]},
        "outcome": Outcome(state, "It did not finish.", "So.", "Do this."),
        "decided_by": "U1",
        "stop_by": "U1" if state is State.STOPPED else "",
    }
    return shown_action(state, **(fields | more))


def stuck(how: str = "another", **more: Any) -> Action:
    progress = {"desired": 2, "ready": 0, "old": 2, "pods": [POD], "stuck": STUCK}
    return changed(how, State.RUNNING, **({"outcome": None, "progress": progress} | more))


def buttons(action: Action) -> dict[str, dict[str, Any]]:
    _, blocks = action_view.render(action)
    check_blocks(blocks)
    (row,) = [block["elements"] for block in blocks if block["type"] == "actions"]
    names = [element["action_id"] for element in row]
    assert len(names) == len(set(names)), "Slack wants each button of a block to have its own name"
    return {element["text"]["text"]: element for element in row}


def line(action: Action) -> str:
    text: str = action_view.render(action)[1][1]["text"]["text"]
    return text


def test_a_rollout_that_gets_stuck_posts_one_line_that_calls_its_requester() -> None:
    (told,) = notes(stuck(), (), "C1")
    assert (told.key, told.to) == ("once:stuck", "thread"), (
        "the same line however often it is drawn"
    )
    assert told.text.startswith("<@U1> *Deploy edge-1 to west/dev*\n")
    assert (
        ":warning: *Stuck: the image cannot be pulled.* *What to do:* Check that the tag exists"
        in told.text
    )
    (inside,) = within(stuck(batch="BATCH2"), ())
    assert inside.text.startswith("*edge-1*: :warning: *Stuck: ")
    assert "<@" not in notes(stuck(automatic=True), (), "C1")[0].text
    patient = Patience(Cause.PULL.value, "U1", NOW)
    assert notes(stuck(patience=patient), (), "C1") == ()


def test_what_is_stuck_says_what_it_means_before_what_kubernetes_says_and_who_serves() -> None:
    old = {**POD, "name": "edge-1-y", "ready": True, "updated": False, "trouble": ""}
    long = {**POD, "trouble": f"ImagePullBackOff: {'pull ' * 99}: not found"}
    progress = {
        "desired": 2, "ready": 0, "old": 2, "serving": 2, "pods": [long, old], "stuck": STUCK,
    }  # fmt: skip
    _, blocks = action_view.render(stuck(progress=progress))
    said = "\n".join(str(block.get("text", "")) for block in blocks)
    assert "2 pods of the previous version still serve traffic." in said
    parts = ["Stuck: the image", "still serve", "0 of 2 pods ready", "Check that the tag",
             "*New version*", "*Previous version*", "ImagePullBackOff: pull"]  # fmt: skip
    assert parts == sorted(parts, key=said.index)
    assert ": not found" in said, "the end of an error tells why"


def test_a_rollout_that_runs_as_it_should_asks_for_nothing_and_stop_says_what_it_leaves() -> None:
    running = changed("another", State.RUNNING, outcome=None)
    wait = "No action is needed: this message updates itself until the rollout ends."
    assert wait in str(action_view.render(running)[1])
    assert wait not in str(action_view.render(stuck())[1])
    asked = str(buttons(running)["Stop rollout"]["confirm"])
    assert "The bot changes nothing more and does not roll back." in asked
    assert "Kubernetes finishes what was applied." in asked


def test_a_failure_says_that_it_failed_and_whoever_did_it_alone_is_named_once() -> None:
    failed = changed("another", State.FAILED, decided_at=NOW + 5)
    assert line(failed).startswith(":x: *Failed: it did not finish*\n")
    said = json.dumps(action_view.render(failed)[1])
    assert "Asked for and confirmed by <@U1> <!date^" in said
    assert "took " not in said, "of pods it is said how long they took"
    unknown = changed("another", State.UNKNOWN)
    assert "*Result unknown: it did not finish*" in line(unknown)


def test_trying_again_what_is_applied_already_leaves_a_way_out() -> None:
    why = Finding(UNFINISHED, "warning", "Its rollout has not finished.", "", "")
    plan = dataclasses.replace(plan_of(changes=()), findings=(why,))
    reply = action_view.no_change(plan)
    check_blocks(list(reply.blocks))
    assert (
        reply.text
        == f"{plan.spec.ref} already has these settings, but it does not run as it should."
    )
    (row,) = [block["elements"] for block in reply.blocks if block["type"] == "actions"]
    assert [each["text"]["text"] for each in row] == ["Status", "Roll back…"]
    assert row[1]["value"] == f"rollback {plan.spec.ref}"


def test_what_a_pod_tells_in_full_is_not_also_told_cut_short() -> None:
    whole = "ImagePullBackOff: Back-off pulling image a:2: not found in the registry."
    progress = {
        "desired": 2, "ready": 0, "old": 2,
        "pods": [POD | {"trouble": whole}], "stuck": STUCK | {"said": whole[:40] + "…"},
    }  # fmt: skip
    said = json.dumps(action_view.render(stuck(progress=progress))[1], ensure_ascii=False)
    assert said.count("Back-off pulling") == 1
    assert whole in said


def test_a_rollout_that_is_stuck_says_on_what_what_to_do_and_when_it_fails() -> None:
    said = line(stuck())
    assert said.startswith(":warning: *Stuck: the image cannot be pulled*\n")
    assert "*0 of 2 pods ready*" in said
    assert "Check that the tag exists" in said
    assert "If nothing changes by <!date^" in said
    assert "this fails and nothing is undone; *Keep waiting* gives it more time." in said
    plan = dataclasses.replace(plan_of(), on_failure=WayBack(revision=7))
    back = line(stuck(plan=plan))
    assert "this fails and the bot goes back to revision 7;" in back
    assert "is stuck: the image cannot be pulled, with 0 of 2 pods ready" in sentence(stuck())


@pytest.mark.parametrize("cause", [each for each in Cause if meaning_of(each)])
def test_each_cause_is_told_in_the_headline_in_its_own_words(cause: Cause) -> None:
    told = {**STUCK, "cause": cause.value}
    said = line(stuck(progress={"desired": 2, "ready": 0, "pods": [POD], "stuck": told}))
    headline = said.partition("\n")[0]
    assert meaning_of(cause).removesuffix(".")[1:] in headline


def test_a_cause_that_this_bot_does_not_know_is_told_in_the_clusters_own_words() -> None:
    told = {**STUCK, "cause": "roll back: a newer one", "said": "Odd: <it> is so.", "until": None}
    said = line(stuck(progress={"desired": 2, "ready": 0, "pods": [POD], "stuck": told}))
    assert "*Stuck: Odd: &lt;it&gt; is so*" in said
    assert "fails at" not in said


def test_it_can_be_stopped_rolled_back_waited_for_and_its_logs_read() -> None:
    found = buttons(stuck())
    assert list(found)[:4] == ["Stop rollout", "Roll back…", "Keep waiting", "Logs"]
    question = found["Roll back…"]["confirm"]
    assert "stopped now" in question["text"]["text"]
    assert "once that is decided" in question["text"]["text"]
    assert json.loads(found["Keep waiting"]["value"])["cause"] == Cause.PULL.value
    assert found["Logs"]["value"] == f"logs {REF} --pod edge-1-x"


def test_the_logs_of_a_pod_that_crashed_are_those_from_before_its_restart() -> None:
    crashed = {**POD, "restarts": 3, "last_exit": "exit code 1 (Error)"}
    ready = {**POD, "name": "edge-1-a", "ready": True, "trouble": ""}
    old = {**POD, "name": "edge-1-old", "updated": False}
    progress = {"desired": 2, "ready": 0, "pods": [ready, old, crashed], "stuck": STUCK}
    value = f"logs {REF} --pod edge-1-x --previous"
    assert buttons(stuck(progress=progress))["Logs"]["value"] == value


def test_who_keeps_waiting_is_named_and_the_headline_gone_until_another_cause() -> None:
    patient = stuck(patience=Patience(Cause.PULL.value, "U7", NOW))
    said = line(patient)
    assert "Stuck" not in said
    assert said.startswith(":rocket: Rolling out: *0 of 2 pods ready*")
    assert "<@U7> decided to keep waiting: the image cannot be pulled." in said
    assert "Keep waiting" not in buttons(patient)
    assert "Roll back…" in buttons(patient)
    other = stuck(patience=Patience(Cause.QUOTA.value, "U7", NOW))
    assert "Stuck: the image" in line(other)


def test_what_is_being_stopped_is_no_longer_called_stuck() -> None:
    stopping = stuck(stop_by="U1")
    assert "Stuck" not in line(stopping)
    assert set(buttons(stopping)) == {"Details", "Status"}


def test_a_first_deployment_has_nothing_to_roll_back_to() -> None:
    assert "Roll back…" not in buttons(stuck("first"))
    found = buttons(stuck("first"))
    assert list(found)[:4] == ["Stop rollout", "Delete…", "Keep waiting", "Logs"]
    assert "the plan of the deletion" in found["Delete…"]["confirm"]["text"]["text"]
    assert found["Delete…"]["confirm"]["title"]["text"].startswith("Stop and delete: ")


@pytest.mark.parametrize("progress", [{}, {"stuck": STUCK}])
def test_a_first_version_says_that_nothing_serves_yet(progress: dict[str, Any]) -> None:
    def shown(how: str, ready: int) -> str:
        return line(
            changed(
                how, State.RUNNING, outcome=None,
                progress={"desired": 2, "ready": ready, "pods": [POD], **progress},
            )
        )  # fmt: skip

    first = "Nothing serves traffic yet: this is its first version."
    assert first in shown("first", 0)
    assert "*0 of 2 pods ready*" in shown("first", 0)
    assert "New version" not in shown("first", 0)
    assert first not in shown("first", 1)
    assert first not in shown("another", 0)


def test_what_has_no_version_before_is_offered_no_rollback_where_nothing_changes() -> None:
    why = Finding(UNFINISHED, "warning", "Its rollout has not finished.", "", "")
    for revision, way in (("1", "Delete…"), ("2", "Roll back…")):
        live = {"metadata": {"annotations": {"deployment.kubernetes.io/revision": revision}}}
        plan = dataclasses.replace(plan_of(changes=()), findings=(why,), live=live)
        (row,) = [
            block["elements"]
            for block in action_view.no_change(plan).blocks
            if block["type"] == "actions"
        ]
        assert [each["text"]["text"] for each in row] == ["Status", way]


FAILED = (State.FAILED, State.STOPPED, State.UNKNOWN)


@pytest.mark.parametrize("state", FAILED)
def test_what_failed_is_rolled_back_or_tried_again_and_its_logs_read(state: State) -> None:
    found = buttons(changed("another", state))
    assert list(found) == ["Roll back…", "Try again", "Logs", "Details", "Status"]
    assert found["Roll back…"]["value"] == f"rollback {REF}"
    assert is_run(found["Roll back…"]["action_id"])
    assert is_run(found["Logs"]["action_id"])


@pytest.mark.parametrize("state", FAILED)
def test_a_first_deployment_that_failed_is_deleted_or_tried_again(state: State) -> None:
    found = buttons(changed("first", state))
    assert list(found) == ["Try again", "Logs", "Delete…", "Details", "Status"]
    assert found["Delete…"]["value"] == f"delete {REF}"


@pytest.mark.parametrize("state", FAILED)
@pytest.mark.parametrize("how", ["first", "another"])
def test_what_failed_before_anything_was_applied_is_only_tried_again(
    state: State, how: str
) -> None:
    refused = changed(how, state, steps=APPLIED[:0], progress=None)
    assert list(buttons(refused)) == ["Try again", "Details", "Status"]


def test_what_went_back_automatically_is_not_rolled_back_once_more() -> None:
    back = (*APPLIED, Step(Cause.PULL.value, NOW, "ImagePullBackOff"))
    assert "Roll back…" not in buttons(changed("another", State.FAILED, steps=back))


@pytest.mark.parametrize("kind", sorted(KIND_WORDS))
def test_a_failure_of_each_kind_can_be_tried_again_and_is_rolled_back_only_where_that_undoes_it(
    kind: str,
) -> None:
    found = buttons(changed("another", State.FAILED, kind))
    assert "Try again" in found
    assert ("Roll back…" in found) == KIND_WORDS[kind].rolls_back
    assert "Delete…" not in found
    deleted = buttons(changed("deleted", State.FAILED, kind, progress=None))
    assert not {"Delete…", "Roll back…", "Logs"} & set(deleted)


def test_every_kind_has_said_whether_a_rollback_undoes_it() -> None:
    assert {kind.name for kind in KINDS} == set(KIND_WORDS)
    undone = {kind for kind, words in KIND_WORDS.items() if words.rolls_back}
    assert undone == {"deploy", "rollback"}


def test_the_way_back_stands_out_where_an_earlier_version_may_be_without_the_cause() -> None:
    for cause, stands_out in (
        (Cause.PULL, True),
        (Cause.CRASH, True),
        (Cause.REGISTRY, False),
        (Cause.QUOTA, False),
    ):
        found = {**STUCK, "cause": cause.value}
        progress = {"desired": 2, "ready": 0, "old": 2, "pods": [POD], "stuck": found}
        back = buttons(stuck(progress=progress))["Roll back…"]
        assert (back.get("style") == "primary") is stands_out, cause
