import dataclasses
import datetime
import json
import re
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.access import Environment, Freeze, Frozen
from deploy.actions.action import Action, Event, Outcome, State, Vote
from deploy.errors import Unavailable
from deploy.gateway import GatewayRef
from deploy.plans.requests import KeyRequest
from deploy.policy import Policy
from deploy.rollouts.verdicts import span
from handlers.verbs.grammar import parse, retyped
from handlers.verbs.table import VERBS
from handlers.views import action as action_view
from handlers.views import approvals as approvals_view
from handlers.views import deploy_modal, errors, refusals, text
from handlers.views import help as help_view
from handlers.views import logs as logs_view
from handlers.views.allowed import Allowed
from handlers.views.deploy_modal import SpecFile
from handlers.views.notes import notes
from handlers.views.words.help import Group
from tests.support.actions import by_approvers
from tests.support.shown import NOW, PLAN, SPEC, check_blocks, shown_action

POD = {"name": "edge-1-x", "ready": False, "state": "ImagePullBackOff", "restarts": 0, "node": "n"}


@pytest.mark.parametrize("state", list(State))
def test_every_state_is_a_message_slack_takes(state: State) -> None:
    said, blocks = action_view.render(
        shown_action(
            state,
            outcome=Outcome(state, "It ended.", "So it is.", "Do this."),
            decided_by="U1",
            decided_at=NOW,
            progress={"desired": 2, "ready": 1, "old": 1, "pods": [POD]},
        )
    )
    check_blocks(blocks)
    assert said.startswith("<@U1>")
    assert "deploy west/dev/edge-1, image 2.11.1" in said
    clickable = [e["action_id"] for b in blocks for e in b.get("elements", []) if "action_id" in e]
    assert ("action_confirm" in clickable) == (state is State.PENDING)


@pytest.mark.parametrize(
    ("remedy", "sign"), [("", ":white_check_mark:"), ("Resume it.", ":warning:")]
)
def test_a_success_that_leaves_something_to_do_is_none_without_reserve(
    remedy: str, sign: str
) -> None:
    outcome = Outcome(State.SUCCEEDED, "2 of 2 pods ready, but it is paused", "", remedy)
    done = shown_action(State.SUCCEEDED, outcome=outcome, decided_by="U1")
    line = action_view.render(done)[1][1]["text"]["text"]
    to_do = f" *What to do:* {remedy}" if remedy else ""
    assert line.split() == f"{sign} *Done: {outcome.happened}*{to_do}".split()
    (note,) = notes(done, [Event(9, "succeeded", "", "", NOW)], "C1")
    assert note.text == f"<@U1> {sign} Done: {outcome.happened}" + (f". {remedy}" if remedy else "")


@pytest.mark.parametrize(
    ("state", "seconds", "shown"),
    [
        (State.SUCCEEDED, 1.7, "took 2s"),
        (State.FAILED, 0.2, ""),
        (State.FAILED, 30.2, "took 30s"),
        (State.CANCELLED, 0.0, ""),
        (State.SUPERSEDED, 6.0, ""),
    ],
)
def test_what_ran_says_how_long_it_took(state: State, seconds: float, shown: str) -> None:
    outcome = Outcome(state, "It ended.", "", "")
    ended = shown_action(state, outcome=outcome, decided_at=NOW, updated_at=NOW + seconds)
    said = json.dumps(action_view.render(ended)[1])
    assert (shown in said) if shown else ("took" not in said)


def test_what_failed_says_once_why_a_pod_is_stuck() -> None:
    pods = [
        {
            **POD,
            "name": "edge-1-a",
            "trouble": "ImagePullBackOff: no such tag",
            "event": "Failed: 404",
        },
        {**POD, "name": "edge-1-b", "trouble": "ImagePullBackOff: no such tag"},
        {**POD, "name": "edge-1-c", "trouble": "CrashLoopBackOff: it ends"},
    ]
    outcome = Outcome(State.FAILED, "It did not finish.", "ImagePullBackOff: no such tag.", "")
    failed = shown_action(State.FAILED, outcome=outcome, progress={"desired": 3, "pods": pods})
    _, blocks = action_view.render(failed)
    check_blocks(blocks)
    shown = json.dumps(blocks)
    assert shown.count("no such tag") == 1
    assert "*edge-1-a*: Last event: Failed: 404" in shown
    assert "*edge-1-b*" not in shown
    assert "*edge-1-c*: CrashLoopBackOff: it ends" in shown


def test_what_a_rollout_is_stuck_on_is_said_once_though_it_is_kept_shortened() -> None:
    said = "ImagePullBackOff: " + "no such tag " * 40
    pods = [{**POD, "name": "edge-1-a", "trouble": said}]
    kept = {"cause": "roll back: pull", "said": text.cut(said, 300)}
    progress = {"desired": 1, "ready": 0, "pods": pods, "trouble": [said], "stuck": kept}
    _, blocks = action_view.render(shown_action(State.RUNNING, progress=progress))
    assert json.dumps(blocks).count("ImagePullBackOff: no such tag") == 1


@given(st.floats(0, 7199))
def test_what_happened_and_how_long_it_took_are_the_same_time(seconds: float) -> None:
    told = span(seconds).replace(" min", "m").replace(" s", "s")
    assert told == text.duration(round(seconds))


RUNNING = {**POD, "name": "edge-1-new", "ready": True, "state": "Running"}
GOING = {**POD, "name": "edge-1-old", "state": "Terminating"}


def test_the_last_frame_of_a_success_has_no_pod_that_ends_and_says_how_many_did() -> None:
    progress = {"desired": 1, "ready": 1, "old": 0, "pods": [RUNNING, GOING]}
    outcome = Outcome(State.SUCCEEDED, "1 of 1 pods ready after 3 s")
    done = shown_action(State.SUCCEEDED, outcome=outcome, progress=progress, decided_by="U1")
    shown = json.dumps(action_view.render(done)[1])
    assert "edge-1-new" in shown
    assert "edge-1-old" not in shown
    assert "Terminating" not in shown
    assert "When this ended, 1 pod was still shutting down." in shown


def test_while_it_rolls_out_the_figures_count_every_pod_that_is_listed() -> None:
    progress = {"desired": 1, "ready": 1, "old": 0, "pods": [RUNNING, GOING]}
    line = action_view.render(shown_action(State.RUNNING, progress=progress))[1][1]
    assert line["text"]["text"].endswith("*1 of 1 pod ready*, 1 shutting down")


def test_a_confirmation_names_what_and_where() -> None:
    _, blocks = action_view.render(shown_action(State.PENDING))
    (buttons,) = [b for b in blocks if b["type"] == "actions"]
    question = buttons["elements"][0]["confirm"]["text"]["text"]
    assert "edge-1" in question
    assert "west/dev" in question
    assert "2.11.1" in question


def test_what_a_person_may_decide_comes_before_what_others_have_waiting() -> None:
    def waiting(id: str, by: str) -> Action:
        return dataclasses.replace(shown_action(State.PENDING), id=id, requester=by)

    nothing, yes = Allowed(frozenset()), Allowed(frozenset(), decides=True)
    others = [(waiting(f"OTHER{n}", "U0ANA"), nothing) for n in range(30)]
    rows = [*others, (waiting("MINE", "U0BEN"), nothing), (waiting("DECIDE", "U0ANA"), yes)]
    blocks = approvals_view.pending(rows, "U0BEN").blocks
    check_blocks(list(blocks))
    told = [block["text"]["text"] for block in blocks[1:4]]
    assert [text.split("`")[1] for text in told] == ["DECIDE", "MINE", "OTHER0"]


def test_a_stuck_pod_is_told_with_its_last_event_and_log() -> None:
    pod = {**POD, "trouble": "ImagePullBackOff: no such tag", "event": "Failed: 404", "log": "a\nb"}
    _, blocks = action_view.render(
        shown_action(State.RUNNING, progress={"desired": 1, "ready": 0, "pods": [pod]})
    )
    check_blocks(blocks)
    shown = json.dumps(blocks)
    for said in ("no such tag", "Failed: 404", "Last log lines"):
        assert said in shown


def test_logs_say_why_there_is_no_line() -> None:
    for told, said in (
        (logs_view.ReadSoFar(), "There is no pod"),
        (logs_view.ReadSoFar(pods=("a",)), "No line matches"),
        (logs_view.ReadSoFar(pods=("a",), trouble=("a: not read",)), "There is no line to show"),
        (logs_view.ReadSoFar(pods=("a",), trouble=("not read",) * 8), "and 3 more"),
    ):
        reply, _ = logs_view.lines((), told)
        check_blocks(list(reply.blocks))
        assert said in json.dumps(reply.blocks)
    waiting, _ = logs_view.lines((), logs_view.ReadSoFar(), waiting=True)
    assert "Nothing yet" in json.dumps(waiting.blocks)


def test_the_words_of_an_error_call_nobody_and_link_to_nothing() -> None:
    error = Unavailable("Ask in <#C0OPS>.", meaning="Not in <!channel> or <@U1>.")
    shown = json.dumps(errors.trouble(error).blocks)
    assert "Ask in &lt;#C0OPS&gt;." in shown
    assert "&lt;!channel&gt; or &lt;@U1&gt;." in shown


def test_what_keeps_a_rollout_from_having_pods_at_all_is_told() -> None:
    quota = "FailedCreate: pods “edge-1-x” is forbidden: exceeded quota: q"
    bad = {**POD, "trouble": "ImagePullBackOff: no such tag"}
    for pods in ((), (bad,)):
        trouble = [quota, *(str(pod["trouble"]) for pod in pods)]
        progress = {"desired": 2, "ready": 0, "old": 0, "pods": list(pods), "trouble": trouble}
        _, blocks = action_view.render(shown_action(State.RUNNING, progress=progress))
        check_blocks(blocks)
        said = json.dumps(blocks, ensure_ascii=False)
        assert said.count("exceeded quota: q") == 1
        assert said.count("no such tag") == len(pods)


def test_a_click_that_kills_tokens_is_asked_about_by_the_name_of_the_key() -> None:
    request = KeyRequest(SPEC.ref, "secondary")
    asked = shown_action(State.PENDING, kind="regenerate-key", request=request)
    _, blocks = action_view.render(asked)
    dialog = blocks[-1]["elements"][0]["confirm"]
    assert dialog["title"]["text"].startswith("Regenerate the secondary key of edge-1 on")
    assert dialog["confirm"]["text"] == "Regenerate the secondary key"


@pytest.mark.parametrize("state", [State.FAILED, State.UNKNOWN, State.EXPIRED])
def test_what_came_to_nothing_can_be_asked_for_again(state: State) -> None:
    asked = shown_action(state, outcome=Outcome(state, "Azure does not answer."))
    automatic = dataclasses.replace(asked, automatic=True)
    again = "Ask again" if state is State.EXPIRED else "Try again"
    _, blocks = action_view.render(asked)
    assert again in json.dumps(blocks)
    _, blocks = action_view.render(automatic)
    assert again not in json.dumps(blocks), "the bot asked, and nobody may click for it"
    assert '"action_id": "expiry_rotate"' in json.dumps(blocks)
    label = '"text": "Renew token…"'
    assert label in json.dumps(blocks, ensure_ascii=False), "as everywhere else"


def test_what_was_superseded_says_what_follows_in_the_words_of_its_outcome() -> None:
    outcome = Outcome(State.SUPERSEDED, "Postponed: development is frozen.", "It comes again.")
    event = Event(4, "superseded", "", "", 1.0)
    asked = shown_action(State.SUPERSEDED, outcome=outcome, policy=by_approvers())
    automatic = dataclasses.replace(asked, automatic=True)
    assert [note.to for note in notes(asked, [event], "C1")] == ["thread", "requester"]
    (told,) = notes(automatic, [event], "C1")
    for note in (*notes(asked, [event], "C1"), told):
        assert note.text.endswith("Postponed: development is frozen. It comes again.")


@given(st.text(max_size=200))
def test_what_people_and_clusters_say_cannot_mention_or_link(said: str) -> None:
    blocks = errors.trouble(Unavailable(said or "x", meaning=said, remedy=said)).blocks
    shown = "".join(
        b.get("text", b.get("elements", [{}])[0])["text"]
        if b["type"] == "section"
        else b["elements"][0]["text"]
        for b in blocks
    )
    assert "<" not in shown
    assert ">" not in shown


@given(st.lists(st.text(max_size=400), max_size=60))
def test_a_fence_closes_once_and_keeps_to_its_limit(lines: list[str]) -> None:
    shown, left = text.fence(lines, 1000)
    assert shown.count("```") == 2
    assert len(shown) <= 1000 + 10
    assert 0 <= left <= len(lines)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (12000, "3h20m"), (172800, "2d")],
)
def test_lengths_of_time_read_as_kubectl_writes_them(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


def test_help_lists_each_verb_once_under_what_people_come_for() -> None:
    said = "\n".join(
        block["text"]["text"]
        for block in help_view.overview("/gateway", VERBS).blocks
        if block["type"] == "section"
    )
    groups = re.split(r"^\*(.+)\*$", said, flags=re.MULTILINE)[1:]
    listed = dict(zip(groups[::2], groups[1::2], strict=True))
    assert list(listed) == [group.value for group in Group]
    for verb in VERBS:
        assert [title for title, lines in listed.items() if f"\n`{verb.name}` " in lines] == [
            verb.group.value
        ]


def test_a_freeze_that_refuses_names_the_gateway_and_the_command_that_overrides_it() -> None:
    until = datetime.datetime(2026, 12, 3, 10, 47, tzinfo=datetime.UTC)
    freeze = Freeze("Quarter-end close", until - datetime.timedelta(days=3), until)
    error = Frozen(
        Environment("production-east", production=True),
        freeze,
        GatewayRef("east", "prod", "edge-2"),
        "Ask again after that.",
    )
    verb = next(verb for verb in VERBS if verb.name == "deploy")
    told = errors.trouble(error, partial(retyped, verb, "edge-2", {"tag": "2.12.1"}))
    said = "\n".join(str(block) for block in told.blocks)
    where = "east/prod/edge-2 (🔶 production-east)"
    assert f"Nothing changed: {where} is frozen until {text.date(until.timestamp())}" in said
    assert "Reason: Quarter-end close." in said
    command = '/gateway deploy edge-2 --tag=2.12.1 --break-glass="write why this cannot wait"'
    assert f"`{command}`" in said
    assert parse(command, VERBS, "/gateway").options["break-glass"] == "write why this cannot wait"


def test_logs_of_a_pod_that_never_started_say_so_and_why() -> None:
    told = logs_view.ReadSoFar(pods=("edge-1-a",), waiting=[("edge-1-a", "ImagePullBackOff")])
    said = json.dumps(logs_view.lines([], told)[0].blocks)
    assert "No container has started yet" in said
    assert "`edge-1-a` has not started: ImagePullBackOff" in said
    assert "0 lines" not in said


def test_help_is_a_message_for_every_verb() -> None:
    check_blocks(list(help_view.overview("/gateway", VERBS).blocks))
    for verb in VERBS:
        check_blocks(list(help_view.usage("/gateway", verb).blocks))
        for example in verb.examples:
            assert parse(example, VERBS, "/gateway").verb is verb


def test_the_form_keeps_what_was_typed_and_gives_back_what_was_chosen() -> None:
    form = deploy_modal.form("{}", {"gateway": "edge-1", "to": "west/dev", "replicas": 2}, {})
    check_blocks(form["blocks"])
    by_id = {block.get("block_id"): block for block in form["blocks"]}
    assert by_id["deploy_gateway"]["element"]["initial_option"]["value"] == "edge-1"
    assert by_id["deploy_replicas"]["element"]["initial_value"] == "2"
    option = {"text": {"type": "plain_text", "text": "x"}, "value": "west/dev"}
    state: dict[str, dict[str, Any]] = {
        "deploy_place": {"deploy_place": {"selected_option": option}},
        "deploy_replicas": {"deploy_replicas": {"value": None}},
    }
    assert deploy_modal.values(state) == {"to": "west/dev"}


def test_an_action_that_waits_for_another_says_for_which() -> None:
    text, _ = action_view.render(
        shown_action(State.APPROVED, decided_by="U0ANA", progress={"waiting_for": "AB23"})
    )
    assert text.endswith("was confirmed and waits for action AB23 to end")
    starting, _ = action_view.render(shown_action(State.APPROVED, decided_by="U0ANA"))
    assert starting.endswith("was confirmed and is about to start")


def test_who_goes_through_a_freeze_is_in_the_thread_once_the_plan_is_decided_on() -> None:
    event = Event(1, "break-glass", "U1", "it is <down>", 1.0)
    asked = shown_action(State.RUNNING, policy=Policy(break_glass="it is <down>"))
    (told,) = notes(asked, [event], "C1")
    assert told.to == "thread"
    assert "<@U1> overrides a freeze with this: it is &lt;down&gt;" in told.text


@pytest.mark.parametrize("state", [State.RUNNING, State.SUCCEEDED, State.FAILED, State.STOPPED])
def test_what_was_approved_keeps_saying_by_whom_and_why_it_was_asked_for(state: State) -> None:
    ran = shown_action(state, outcome=Outcome(state, "So."), why="a <Friday>", **BY_BEN)
    said = json.dumps(action_view.render(ran)[1])
    assert "approved by <@U2>" in said
    assert "Reason: a &lt;Friday&gt;" in said
    alone = shown_action(state, outcome=Outcome(state, "So."), decided_by="U1", decided_at=NOW)
    assert "approved by" not in json.dumps(action_view.render(alone)[1])


def test_who_denies_what_nobody_has_to_approve_reads_how_it_is_cancelled() -> None:
    told = refusals.refused("no-approval", shown_action(State.PENDING)).text
    assert told.startswith("This requires no approval: ")
    assert "`/gateway cancel 7K3MAB`" in told


BY_BEN = {
    "policy": by_approvers(),
    "votes": (Vote("U2", "U2", "approve", NOW, PLAN.digest),),
    "decided_by": "U2",
    "decided_at": NOW,
    "updated_at": NOW + 7200,
}


@pytest.mark.parametrize(
    ("state", "more", "said"),
    [
        (State.APPROVED, {}, "approved by <@U2> at 12:00; it has not started yet."),
        (State.RUNNING, {}, "approved by <@U2> at 12:00; it is running."),
        (State.SUCCEEDED, {}, "approved by <@U2> at 12:00; it has succeeded."),
        (State.FAILED, {}, "approved by <@U2> at 12:00; it has failed."),
        (State.CANCELLED, {}, "cancelled by <@U1> at 14:00."),
        (State.STOPPED, {"stop_by": "U3", "stop_at": NOW + 3600}, "stopped by <@U3> at 13:00."),
        (State.DENIED, {}, "denied by <@U2> at 12:00."),
        (State.SUPERSEDED, {}, "superseded at 14:00."),
    ],
)
def test_the_answer_to_a_late_click_names_who_was_first_and_when(
    state: State, more: dict[str, Any], said: str
) -> None:
    told = refusals.refused("already", shown_action(state, **(BY_BEN | more))).text
    in_utc = re.sub(r"<!date[^|]*\|[\d-]+ (\d\d:\d\d) UTC>", r"\1", told)
    assert in_utc == f"This was already {said}"


def test_the_answer_to_a_late_click_on_what_was_confirmed_does_not_call_it_approved() -> None:
    told = refusals.refused("already", shown_action(State.RUNNING, decided_by="U1", decided_at=NOW))
    assert told.text.startswith("This was already confirmed by <@U1> at ")


@pytest.mark.parametrize("file", SpecFile)
def test_the_form_calls_nothing_optional_that_it_needs(file: SpecFile) -> None:
    blocks = deploy_modal.form("{}", {}, {}, file=file)["blocks"]
    check_blocks(blocks)
    named = {block["block_id"]: block for block in blocks if block["type"] == "input"}
    given = file is SpecFile.GIVEN
    assert deploy_modal.takes_file(blocks) is given
    for name in (deploy_modal.GATEWAY, deploy_modal.PLACE, deploy_modal.TAG):
        # Slack writes “optional” beside its label.
        assert bool(named[name].get("optional")) is given
        said = named[name].get("hint", {}).get("text", "")
        assert said == ("Leave empty to take it from the spec file." if given else "")
    if given:
        assert not named[deploy_modal.FILE].get("optional")
    buttons = [e["text"]["text"] for b in blocks for e in b.get("elements", ()) if "action_id" in e]
    assert (
        buttons
        == {
            SpecFile.IMPOSSIBLE: [],
            SpecFile.OFFERED: ["Use a spec file instead"],
            SpecFile.GIVEN: ["Without a spec file"],
        }[file]
    )


def test_logs_that_are_read_once_say_how_to_follow_them() -> None:
    told = logs_view.ReadSoFar(pods=("a",), follow="/gateway logs west/dev/edge-1 --follow")
    said = str(logs_view.lines((), told)[0].blocks)
    assert "This is a snapshot. For live logs: `/gateway logs west/dev/edge-1 --follow`" in said
    assert "--follow" not in str(logs_view.lines((), logs_view.ReadSoFar(pods=("a",)))[0].blocks)
