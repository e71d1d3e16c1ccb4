"""An incident says what happened, since when, on what evidence, what to do, and what came right before."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.access import Environment
from deploy.actions.action import Action, State, Step
from deploy.gateway import GatewayRef
from deploy.health.incidents import (
    AWAY,
    BELOW_MINIMUM,
    CRASH_LOOP,
    CUT_OFF,
    DENIED,
    DOWN,
    MISSING,
    REFUSED,
    SUSPECTED,
    UNABLE,
    UNREADABLE,
    Incident,
    Member,
)
from deploy.plans.plan import FieldChange, ObjectChange
from deploy.rollouts.ways_out import RECENT, change_before
from handlers.views import incidents as view
from handlers.views.words import incidents as words
from tests.support.actions import REF, plan_of
from tests.support.shown import NOW, check_blocks, shown_action

NAME = str(REF)
TITLE = "edge-1 on west/dev"
IMAGE = FieldChange("spec.template.spec.containers[edge-1].image", "a:1", "a:2", restarts_pods=True)
UPDATE = plan_of(changes=(ObjectChange("Deployment", "edge-1", "update", (IMAGE,)),))


def incident(*troubles: str, over: float | None = None, **more: Any) -> Incident:
    members = {NAME: Member(dict.fromkeys(troubles, "the evidence"), NOW, over)}
    return Incident("i", "west", members, NOW + 20, over_at=over, **more)


def change(ended: float, state: State = State.SUCCEEDED, **more: Any) -> Action:
    """A deployment that was applied a minute before it ended then."""
    fields: dict[str, Any] = {
        "plan": UPDATE,
        "steps": (Step("apply", ended - 60, "Applying"),),
        "decided_at": ended - 70,
        "updated_at": ended,
    }
    return shown_action(state, **(fields | more))


def shown(each: Incident, before: Action | None = None, renewal: Any = None) -> tuple[str, str]:
    text, blocks = view.message(each, None, lambda ref: renewal, lambda ref, since: before)
    check_blocks(blocks)
    return text, json.dumps(blocks, ensure_ascii=False)


def buttons(each: Incident, before: Action | None = None, renewal: Any = None) -> dict[str, str]:
    _, blocks = view.message(each, None, lambda ref: renewal, lambda ref, since: before)
    row = [e for block in blocks if block["type"] == "actions" for e in block["elements"]]
    names = [element["action_id"] for element in row]
    assert len(names) == len(set(names))
    return {element["text"]["text"]: element["value"] for element in row}


def test_it_says_what_happened_since_when_on_what_evidence_and_what_to_do() -> None:
    text, said = shown(incident(CUT_OFF))
    assert text == f"{TITLE} is cut off from Azure"
    assert "the evidence" in said
    assert "Since <!date^" in said
    assert "Check DNS, proxy and firewall" in said


@pytest.mark.parametrize("trouble", [AWAY, CRASH_LOOP, CUT_OFF, DOWN, UNREADABLE, "below minimum"])
def test_each_trouble_says_what_to_do(trouble: str) -> None:
    alone = incident(trouble)
    if trouble == AWAY:
        alone = dataclasses.replace(alone, members={"west": Member({AWAY: "no answer"}, NOW)})
    _, said = shown(alone)
    assert any(word in said for word in ("Check ", "Read ", "Look at ", "Let the bot "))


@pytest.mark.parametrize("trouble", [DOWN, "below minimum"])
def test_where_an_image_cannot_be_pulled_it_says_so_and_what_mends_that(trouble: str) -> None:
    pull = "1 of 1 pod not running: ErrImagePull: registry.example/gateway:2.99.0: not found"
    alone = incident(trouble)
    member = Member({trouble: f"0 of 1 pod is available; the minimum is 1. {pull}"}, NOW)
    _, said = shown(dataclasses.replace(alone, members={NAME: member}))
    assert "The registry does not have this image." in said
    assert "*What to do:* Deploy a tag that exists" in said
    assert "Read the pods' logs" not in said, "a pod without an image has none"


def test_several_that_are_down_for_different_reasons_are_not_given_the_cause_of_one() -> None:
    pull = "0 of 1 pod is available; the minimum is 1. ErrImagePull: x: not found"
    quota = "Pods cannot be created: FailedCreate: exceeded quota: dev"
    members = {
        f"west/dev/{name}": Member({DOWN: why}, NOW) for name, why in (("a", pull), ("b", quota))
    }
    _, said = shown(dataclasses.replace(incident(DOWN), members=members))
    assert "The registry does not have" not in said.split("\n•")[0]
    assert "Read the pods' logs and their status" in said
    one = {"west/dev/a": members["west/dev/a"], "west/dev/b": Member({CUT_OFF: "no route"}, NOW)}
    _, said = shown(dataclasses.replace(incident(DOWN), members=one))
    assert "does not have this image" not in said, "that is not why the other one is cut off"


def test_a_gateway_that_is_down_since_it_crashes_has_what_tells_why() -> None:
    both = incident(DOWN, CRASH_LOOP)
    assert buttons(both)["Logs"] == f"logs {NAME} --previous"
    _, said = shown(both)
    assert "Read the log from before the last restart." in said
    assert "they say why none is ready" not in said
    assert said.count("the evidence") == 2


@pytest.mark.parametrize(
    ("trouble", "options"),
    [
        (CRASH_LOOP, " --previous"),
        (CUT_OFF, " --level warn"),
        (DENIED, " --level warn"),
        (DOWN, ""),
        (MISSING, ""),
    ],
)
def test_its_logs_and_its_status_are_one_click_away(trouble: str, options: str) -> None:
    assert buttons(incident(trouble)) == {"Logs": f"logs {NAME}{options}", "Status": NAME}


@pytest.mark.parametrize("trouble", [REFUSED, SUSPECTED])
def test_where_a_new_token_mends_it_that_comes_first(trouble: str) -> None:
    assert list(buttons(incident(trouble), renewal="rotate")) == ["Renew token…", "Logs", "Status"]


def test_a_change_that_came_right_before_is_named_and_can_be_rolled_back() -> None:
    before = change(NOW - 60)
    _, said = shown(incident(DOWN), before)
    assert "This began 2m after a change: deploy edge-1, image 2.11.1 (`7K3MAB`)." in said
    found = buttons(incident(DOWN), before)
    assert list(found) == ["Roll back…", "Logs", "Status"]
    assert found["Roll back…"] == f"rollback {NAME}"


@pytest.mark.parametrize(
    "before",
    [
        None,
        change(NOW - 60, kind="restart"),
        change(NOW - 60, plan=plan_of(changes=(ObjectChange("Deployment", "edge-1", "create"),))),
    ],
)
def test_without_a_change_that_a_rollback_undoes_there_is_no_such_button(
    before: Action | None,
) -> None:
    assert "Roll back…" not in buttons(incident(DOWN), before)


def test_several_gateways_have_no_button_that_is_for_one_of_them() -> None:
    both = incident(DOWN)
    members = {**both.members, "west/dev/edge-2": Member({DOWN: "so"}, NOW)}
    together = dataclasses.replace(both, members=members, together=True)
    assert buttons(together, change(NOW - 60)) == {}
    assert "Read the pods' logs" in shown(together)[1]


def test_its_end_says_that_it_is_resolved_and_how_long_it_took() -> None:
    text, said = shown(incident(CUT_OFF, over=NOW + 720))
    assert text == f"Resolved: {TITLE} was cut off from Azure for 12 minutes"
    assert f"*Resolved: {TITLE} was cut off from Azure for 12 minutes*" in said
    assert "What was wrong: the evidence" in said
    assert "No action is needed." in said
    assert "resolved <!date^" in said


def test_the_end_of_a_clusters_absence_is_told_in_the_past() -> None:
    gone = Member({AWAY: "no answer"}, NOW, NOW + 60)
    over = Incident("i", "west", {"west": gone}, NOW, over_at=NOW + 60)
    assert view.sentence(over) == "Resolved: Cluster west did not answer for 1 minute"


def test_only_the_last_change_counts_and_only_for_an_hour() -> None:
    older, newer = change(NOW - 600), change(NOW - 60, id="NEWER2")
    assert change_before([older, newer], NOW) is newer
    assert change_before([change(NOW - RECENT - 1)], NOW) is None
    assert change_before([change(NOW + 30)], NOW) is not None, "it crashed before its rollout ended"
    assert change_before([change(NOW + 120)], NOW) is None, "it was applied after that"
    assert change_before([older, change(NOW - 30, steps=())], NOW) is older, "nothing was applied"
    running = change(NOW - 60, State.RUNNING)
    assert change_before([older, running], NOW) is None, "its own message says how it is"
    assert GatewayRef.parse(NAME) == REF


@pytest.mark.parametrize(
    ("troubles", "said"),
    [
        ((CUT_OFF, CUT_OFF), "2 gateways on west/dev are cut off from Azure"),
        ((DOWN, DOWN), "2 gateways on west/dev are down"),
        ((CUT_OFF, REFUSED), "2 gateways on west/dev got worse together"),
    ],
)
def test_several_gateways_with_one_trouble_are_called_by_it(
    troubles: tuple[str, str], said: str
) -> None:
    both = incident(troubles[0])
    members = {**both.members, "west/dev/edge-2": Member({troubles[1]: "so"}, NOW)}
    assert view.sentence(dataclasses.replace(both, members=members, together=True)) == said


def several(evidence: tuple[str, ...]) -> list[dict[str, Any]]:
    names = [f"west/dev/edge-{number}" for number in range(len(evidence))]
    members = {
        name: Member({CUT_OFF: said}, NOW) for name, said in zip(names, evidence, strict=True)
    }
    together = Incident("i", "west", members, NOW + 20, together=True)
    _, blocks = view.message(together)
    check_blocks(blocks)
    return blocks


def test_evidence_at_length_is_told_once_for_the_gateways_that_share_a_trouble() -> None:
    said = "Azure is not reached: " + "an exception " * 8
    assert json.dumps(several((said,) * 3)).count("Azure is not reached") == 1
    counted = f"2 of 2 pods: {said}"
    assert f"All 3: {said}".strip() in json.dumps(several((counted, said, said)))
    other = f"{said}elsewhere"
    shown = json.dumps(several((other, said, said)))
    assert f"`west/dev/edge-0`: {other}".strip() in shown, "it says whose it is"
    assert shown.count("Azure is not reached") == 1
    assert json.dumps(several(("no answer", "timeout"))).count("cut off from Azure: ") == 2


def test_each_of_several_gateways_has_its_menu() -> None:
    menus = [block["accessory"] for block in several(("no answer",) * 3) if "accessory" in block]
    values = [option["value"] for each in menus for option in each["options"]]
    assert values[:2] == [
        "show_status west/dev/edge-0",
        "run:logs logs west/dev/edge-0 --level warn",
    ]
    assert len(menus) == 3


ENVIRONMENTS = {name: Environment(name, (), production=name == "prod") for name in ("dev", "prod")}


def lines_of(members: dict[str, Member]) -> list[str]:
    """The gateways that the message of one incident names, in its order."""
    together = Incident("i", "west", members, NOW + 20, together=True)
    _, blocks = view.message(together, lambda ref: ENVIRONMENTS[ref.namespace])
    check_blocks(blocks)
    texts = [block["text"]["text"] for block in blocks if block["type"] == "section"]
    return [text.split("`")[1] for text in texts if text.startswith("• `")]


def test_the_worse_level_comes_first_and_production_before_the_rest_of_its_level() -> None:
    troubles = {
        "west/dev/a": (DOWN,),
        "west/dev/b": (DOWN, DENIED),
        "west/dev/c": (CUT_OFF,),
        "west/prod/d": (DOWN,),
        "west/prod/e": (DOWN, DENIED),
        "west/prod/f": (CRASH_LOOP,),
    }
    members = {ref: Member(dict.fromkeys(each, "so"), NOW) for ref, each in troubles.items()}
    expected = ["west/prod/e", "west/prod/d", "west/dev/b", "west/dev/a"]
    expected += ["west/prod/f", "west/dev/c"]
    assert lines_of(members) == expected
    assert lines_of(dict(reversed(members.items()))) == expected


@given(
    st.dictionaries(
        st.sampled_from([f"west/{where}/edge-{n}" for where in ENVIRONMENTS for n in range(4)]),
        st.sets(st.sampled_from([DOWN, CUT_OFF, DENIED, CRASH_LOOP, UNREADABLE]), min_size=1),
        min_size=2,
    )
)
def test_no_gateway_of_development_stands_before_one_of_production_that_is_as_bad(
    troubles: dict[str, set[str]],
) -> None:
    members = {ref: Member(dict.fromkeys(each, "so"), NOW) for ref, each in troubles.items()}
    order = lines_of(members)
    assert sorted(order) == sorted(members)
    for place, ref in enumerate(order):
        for later in order[place + 1 :]:
            before = "/dev/" in ref and "/prod/" in later
            assert not before or (DOWN in troubles[ref] and DOWN not in troubles[later])


def test_the_title_names_the_environment_of_production_first() -> None:
    members = {ref: Member({CUT_OFF: "so"}, NOW) for ref in ("west/dev/a", "west/prod/b")}
    together = Incident("i", "west", members, NOW + 20, together=True)
    said = view.sentence(together, lambda ref: ENVIRONMENTS[ref.namespace])
    assert said == "🔶 2 gateways on west (prod, production; dev) are cut off from Azure"
    over = dataclasses.replace(together, over_at=NOW + 720)
    assert view.sentence(over, lambda ref: ENVIRONMENTS[ref.namespace]) == (
        "Resolved: 🔶 2 gateways on west (prod, production; dev) were cut off from Azure for 12 minutes"
    )


@pytest.mark.parametrize(
    ("troubles", "state"),
    [
        ((CUT_OFF,), "cut off from Azure"),
        ((REFUSED,), "denied by Azure"),
        ((DENIED, REFUSED), "denied by Azure"),
        ((SUSPECTED,), "perhaps denied by Azure"),
        ((UNABLE,), "unable to sign in to Azure"),
        ((DOWN, CRASH_LOOP), "down and crashing"),
        ((BELOW_MINIMUM,), "short of pods"),
        ((MISSING,), "without its token"),
    ],
)
def test_the_title_of_one_says_which_where_whether_production_and_how_it_is(
    troubles: tuple[str, ...], state: str
) -> None:
    def titles(namespace: str) -> tuple[str, str]:
        members = {f"west/{namespace}/edge-1": Member(dict.fromkeys(troubles, "so"), NOW)}
        open_ = Incident("i", "west", members, NOW + 20)
        over = dataclasses.replace(open_, over_at=NOW + 720)
        said = [
            view.sentence(each, lambda ref: ENVIRONMENTS[ref.namespace]) for each in (open_, over)
        ]
        _, blocks = view.message(open_, lambda ref: ENVIRONMENTS[ref.namespace])
        assert f"*{said[0]}*" in blocks[0]["text"]["text"]
        return said[0], said[1]

    assert titles("dev") == (
        f"edge-1 on west/dev (dev) is {state}",
        f"Resolved: edge-1 on west/dev (dev) was {state} for 12 minutes",
    )
    assert titles("prod") == (
        f"🔶 edge-1 on west/prod (prod, production) is {state}",
        f"Resolved: 🔶 edge-1 on west/prod (prod, production) was {state} for 12 minutes",
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "less than a minute"),
        (60, "1 minute"),
        (7199, "119 minutes"),
        (7200, "2 hours"),
        (9000, "2 hours 30 minutes"),
        (3 * 86400, "3 days"),
    ],
)
def test_how_long_it_lasted_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert words.lasted(seconds) == said


def test_the_headline_is_followed_by_what_it_means_for_callers_unless_one_is_down() -> None:
    meaning = "Running pods keep serving with their last configuration"
    _, blocks = view.message(incident(CUT_OFF))
    assert meaning in blocks[0]["text"]["text"].splitlines()[1]
    assert meaning not in shown(incident(CUT_OFF, DOWN))[1]


def test_the_end_of_what_several_had_names_them_and_what_was_seen() -> None:
    names = ("west/dev/edge-1", "west/dev/edge-2")
    said = ("2 of 2 pods: Azure cannot be reached", "Azure cannot be reached")
    members = {
        name: Member({CUT_OFF: each}, NOW, NOW + 60) for name, each in zip(names, said, strict=True)
    }
    over = Incident("i", "west", members, NOW, over_at=NOW + 60, together=True)
    text, told = shown(over)
    assert text == "Resolved: 2 gateways on west/dev were cut off from Azure for 1 minute"
    assert "`west/dev/edge-1`, `west/dev/edge-2`\\nWhat was wrong: Azure cannot be reached" in told
