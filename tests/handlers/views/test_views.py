import dataclasses
import datetime
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block

from deploy.actions.action import Action, Event, Outcome, State
from deploy.errors import Unavailable
from deploy.gateway import ApimGateway, GatewayRef
from deploy.plans.binding import Observed, build_plan
from deploy.plans.plan import FieldChange, ObjectChange, WayBack
from deploy.plans.requests import DeployRequest, KeyRequest
from deploy.policy import Policy
from deploy.rendering.manifests import render
from deploy.rollouts.verdicts import span
from deploy.rules.finding import Exempted, Finding
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import HostAlias, Network
from deploy.tokens.token_plan import TokenPlan
from handlers.verbs.grammar import parse
from handlers.verbs.table import VERBS
from handlers.views import action as action_view
from handlers.views import approvals as approvals_view
from handlers.views import deploy_modal, details, errors, fixes, text
from handlers.views import help as help_view
from handlers.views import logs as logs_view
from handlers.views import plan as plan_view
from handlers.views.notes import notes
from tests.support.actions import as_stored, by_approvers

SPEC = GatewaySpec(
    ref=GatewayRef("west", "dev", "edge-1"),
    apim=ApimGateway("contoso", "edge-1", "contoso.configuration.azure-api.net"),
    tag="2.11.1",
)
PLAN = build_plan(
    SPEC,
    cluster_uid="u",
    observed=[Observed(o, None, o) for o in render(SPEC, "t")],
    token=TokenPlan("edge-1-token-a", mint=True, expires_at=None, reason=""),
)
NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC).timestamp()
POD = {"name": "edge-1-x", "ready": False, "state": "ImagePullBackOff", "restarts": 0, "node": "n"}


def action(state: State, **more: Any) -> Action:
    base = Action(
        id="7K3MAB",
        kind="deploy",
        ref=SPEC.ref,
        state=state,
        version=1,
        requester="U1",
        person="U1",
        policy=Policy(),
        digest=PLAN.digest,
        request=DeployRequest(SPEC),
        plan=as_stored(PLAN),
        origin={"channel": "C1"},
        created_at=NOW,
        expires_at=NOW + 3600,
        updated_at=NOW + 60,
    )
    return dataclasses.replace(base, **more)


def check(blocks: list[dict[str, Any]]) -> None:
    """Slack's own models take every block, and all of it fits one message."""
    assert len(blocks) <= 50
    assert len(json.dumps(blocks)) < 13_000
    for block in blocks:
        parsed = Block.parse(block)
        assert parsed is not None
        parsed.validate_json()


@pytest.mark.parametrize("state", list(State))
def test_every_state_is_a_message_slack_takes(state: State) -> None:
    said, blocks = action_view.render(
        action(
            state,
            outcome=Outcome(state, "It ended.", "So it is.", "Do this."),
            decided_by="U1",
            decided_at=NOW,
            progress={"desired": 2, "ready": 1, "old": 1, "pods": [POD]},
        )
    )
    check(blocks)
    assert said.startswith("Deploy edge-1 to west/dev: ")
    clickable = [e["action_id"] for b in blocks for e in b.get("elements", []) if "action_id" in e]
    assert ("action_confirm" in clickable) == (state is State.PENDING)


@pytest.mark.parametrize(
    ("state", "seconds", "shown"),
    [
        (State.SUCCEEDED, 1.7, "took 2s"),
        (State.FAILED, 30.2, "took 30s"),
        (State.CANCELLED, 0.0, ""),
        (State.SUPERSEDED, 6.0, ""),
    ],
)
def test_what_ran_says_how_long_it_took(state: State, seconds: float, shown: str) -> None:
    outcome = Outcome(state, "It ended.", "", "")
    ended = action(state, outcome=outcome, decided_at=NOW, updated_at=NOW + seconds)
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
    failed = action(State.FAILED, outcome=outcome, progress={"desired": 3, "pods": pods})
    _, blocks = action_view.render(failed)
    check(blocks)
    shown = json.dumps(blocks)
    assert shown.count("no such tag") == 1
    assert "*edge-1-a*: Last event: Failed: 404" in shown
    assert "*edge-1-b*" not in shown
    assert "*edge-1-c*: CrashLoopBackOff: it ends" in shown


@given(st.floats(0, 7199))
def test_what_happened_and_how_long_it_took_are_the_same_time(seconds: float) -> None:
    told = span(seconds).replace(" min", "m").replace(" s", "s")
    assert told == text.duration(round(seconds))


def test_a_confirmation_names_what_and_where() -> None:
    _, blocks = action_view.render(action(State.PENDING))
    (buttons,) = [b for b in blocks if b["type"] == "actions"]
    question = buttons["elements"][0]["confirm"]["text"]["text"]
    assert "edge-1" in question
    assert "west/dev" in question
    assert "2.11.1" in question


def test_what_a_person_may_decide_comes_before_what_others_have_waiting() -> None:
    def waiting(id: str, by: str) -> Action:
        return dataclasses.replace(action(State.PENDING), id=id, requester=by)

    others = [(waiting(f"OTHER{n}", "U0ANA"), False) for n in range(30)]
    rows = [*others, (waiting("MINE", "U0BEN"), False), (waiting("DECIDE", "U0ANA"), True)]
    blocks = approvals_view.pending(rows, "U0BEN").blocks
    check(list(blocks))
    told = [block["text"]["text"] for block in blocks[1:4]]
    assert [text.split("`")[1] for text in told] == ["DECIDE", "MINE", "OTHER0"]


def test_a_stuck_pod_is_told_with_its_last_event_and_log() -> None:
    pod = {**POD, "trouble": "ImagePullBackOff: no such tag", "event": "Failed: 404", "log": "a\nb"}
    _, blocks = action_view.render(
        action(State.RUNNING, progress={"desired": 1, "ready": 0, "pods": [pod]})
    )
    check(blocks)
    shown = json.dumps(blocks)
    for said in ("no such tag", "Failed: 404", "Last log lines"):
        assert said in shown


def test_logs_say_why_there_is_no_line() -> None:
    for told, said in (
        (logs_view.ReadSoFar(), "There is no pod"),
        (logs_view.ReadSoFar(pods=("a",)), "No line is like that"),
        (logs_view.ReadSoFar(pods=("a",), trouble=("a: not read",)), "There is no line to show"),
        (logs_view.ReadSoFar(pods=("a",), trouble=("not read",) * 8), "and 3 more"),
    ):
        reply, _ = logs_view.lines((), told)
        check(list(reply.blocks))
        assert said in json.dumps(reply.blocks)
    waiting, _ = logs_view.lines((), logs_view.ReadSoFar(), waiting=True)
    assert "Nothing yet" in json.dumps(waiting.blocks)


def test_a_plan_says_what_becomes_of_open_connections() -> None:
    cut = FieldChange("spec.type", "LoadBalancer", "ClusterIP")
    image = FieldChange("spec.template.spec.x", "a", "b", restarts_pods=True)
    budget = FieldChange("spec.maxUnavailable", 1, 2)
    said = {
        ":electric_plug: *Cuts open connections*": ObjectChange("Service", "s", "update", (cut,)),
        "Open requests get 60 s to end": ObjectChange("Deployment", "d", "update", (image,)),
        "Cuts no connection": ObjectChange("PodDisruptionBudget", "p", "update", (budget,)),
    }
    for words, change in said.items():
        blocks = plan_view.blocks(dataclasses.replace(PLAN, changes=(change,)), 2500)
        assert words in json.dumps(blocks)
    assert "onnection" not in json.dumps(plan_view.blocks(PLAN, 2500)), "a new one has no callers"


def test_a_long_change_has_its_values_below_its_path() -> None:
    variable = "spec.template.spec.containers[edge-1].env[config.service.auth]"
    path = f"{variable}.valueFrom.secretKeyRef.name"
    short = FieldChange("spec.replicas", 2, 3)
    long = FieldChange(path, "edge-1-token-a", "edge-1-token-b", restarts_pods=True)
    change = ObjectChange("Deployment", "edge-1", "update", (short, long))
    assert plan_view.lines(dataclasses.replace(PLAN, changes=(change,)))[1:] == [
        "~ Deployment edge-1",
        "    spec.replicas: 2 → 3",
        f"    {path}:  ↻",
        "        edge-1-token-a → edge-1-token-b",
    ]


def test_the_words_of_an_error_call_nobody_and_link_to_nothing() -> None:
    error = Unavailable("Ask in <#C0OPS>.", meaning="Not in <!channel> or <@U1>.")
    shown = json.dumps(errors.trouble(error).blocks)
    assert "Ask in &lt;#C0OPS&gt;." in shown
    assert "&lt;!channel&gt; or &lt;@U1&gt;." in shown


def test_everything_asked_for_of_a_new_gateway_is_shown() -> None:
    aliases = (HostAlias("10.9.9.9", ("contoso.configuration.azure-api.net",)),)
    spec = dataclasses.replace(
        SPEC,
        network=Network(host_aliases=aliases),
        settings=(("net.server.tls.ciphers.allowed-suites", "Z" * 900),),
    )
    plan = build_plan(
        spec,
        cluster_uid="u",
        observed=[Observed(o, None, o) for o in render(spec, "t")],
        token=PLAN.token,
    )
    shown = "\n".join(plan_view.lines(plan))
    assert '[{"ip": "10.9.9.9", "hostnames": ["contoso.configuration' in shown
    assert "allowed-suites: ZZZ" in shown
    assert "hostAliases" not in "\n".join(plan_view.lines(PLAN)), "what is at its default is not"
    modal = details.modal(action(State.PENDING, plan=as_stored(plan)))
    text = "".join(str(block) for block in modal["blocks"])
    assert text.count("Z") >= 900, "Details shows values whole"
    assert "contoso.configuration.azure-api.net" in text


def test_two_long_values_are_told_apart_where_they_differ() -> None:
    same = "a" * 200
    field = FieldChange("data.x", f"{same}old", f"{same}new")
    change = ObjectChange("ConfigMap", "edge-1-env", "update", (field,))
    shown = plan_view.lines(dataclasses.replace(PLAN, changes=(change,)))
    assert shown[-1] == "    data.x: …aaaaaaaaaaold → …aaaaaaaaaanew"


def test_what_can_be_fixed_safely_has_a_button_unless_it_is_exempted() -> None:
    told = Finding("few-replicas", "info", "Two pods.", "Why.", "Ask for three.", {"replicas": 3})
    kept = dataclasses.replace(told, rule="other", exempted=Exempted("Agreed.", "2026-12-01"))
    advice = Finding("no-backup", "info", "No backup.", "Why.", "Give one.")
    plan = dataclasses.replace(PLAN, findings=(told, kept, advice))
    _, blocks = action_view.render(action(State.PENDING, plan=as_stored(plan)))
    check(blocks)
    assert json.dumps(blocks).count("Fix: ") == 1
    assert "Fix: Ask for three." in json.dumps(blocks)
    _, blocks = action_view.render(action(State.RUNNING, plan=as_stored(plan)))
    assert "Fix: " not in json.dumps(blocks)


@pytest.mark.parametrize("value", ["", "{", "[]", "null", '{"id": 1}'])
def test_a_fix_button_that_carries_anything_is_about_nothing(value: str) -> None:
    assert fixes.read(value) == ("", "")


@pytest.mark.parametrize(
    ("back", "said"),
    [
        (WayBack(revision=3), "On failure: back to revision 3"),
        (WayBack(secret="edge-1-token-a"), "On failure: back to Secret edge-1-token-a"),
    ],
)
def test_a_plan_says_what_a_failure_goes_back_to(back: WayBack, said: str) -> None:
    plan = dataclasses.replace(PLAN, on_failure=back)
    assert said in json.dumps(plan_view.blocks(plan, 2500))
    assert "On failure" not in json.dumps(plan_view.blocks(PLAN, 2500))


def test_what_keeps_a_rollout_from_having_pods_at_all_is_told() -> None:
    quota = "FailedCreate: pods “edge-1-x” is forbidden: exceeded quota: q"
    bad = {**POD, "trouble": "ImagePullBackOff: no such tag"}
    for pods in ((), (bad,)):
        trouble = [quota, *(str(pod["trouble"]) for pod in pods)]
        progress = {"desired": 2, "ready": 0, "old": 0, "pods": list(pods), "trouble": trouble}
        _, blocks = action_view.render(action(State.RUNNING, progress=progress))
        check(blocks)
        said = json.dumps(blocks, ensure_ascii=False)
        assert said.count("exceeded quota: q") == 1
        assert said.count("no such tag") == len(pods)


def test_a_plan_of_any_length_fits_and_says_what_it_leaves_out() -> None:
    field = FieldChange("spec.x" * 20, "o" * 500, "n" * 500, restarts_pods=True)
    changes = (ObjectChange("Deployment", f"d{n}", "update", (field,) * 5) for n in range(100))
    stored = as_stored(dataclasses.replace(PLAN, changes=tuple(changes)))
    _, blocks = action_view.render(action(State.PENDING, plan=stored))
    check(blocks)
    assert "more lines: see Details" in json.dumps(blocks)
    modal = details.modal(action(State.PENDING, plan=stored))
    assert len(modal["blocks"]) <= 100
    assert len(modal["title"]["text"]) <= 24


FINDING = Finding("no-backup", "warning", "No backup.", "So it is.", "Give one.")
DENIED = Finding("privileged", "deny", "It is privileged.", "So it is.", "Take it away.")


def test_a_click_that_kills_tokens_is_asked_about_by_the_name_of_the_key() -> None:
    request = KeyRequest(SPEC.ref, "secondary")
    asked = action(State.PENDING, kind="regenerate-key", request=request)
    _, blocks = action_view.render(asked)
    dialog = blocks[-1]["elements"][0]["confirm"]
    assert dialog["title"]["text"].startswith("Regenerate the secondary key of edge-1 on")
    assert dialog["confirm"]["text"] == "Regenerate the secondary key"


@pytest.mark.parametrize("state", [State.FAILED, State.UNKNOWN, State.EXPIRED])
def test_what_came_to_nothing_can_be_asked_for_again(state: State) -> None:
    asked = action(state, outcome=Outcome(state, "Azure does not answer."))
    automatic = dataclasses.replace(asked, automatic=True)
    _, blocks = action_view.render(asked)
    assert "Ask again" in json.dumps(blocks)
    _, blocks = action_view.render(automatic)
    assert "Ask again" not in json.dumps(blocks), "the bot asked, and nobody may click for it"
    assert '"action_id": "expiry_rotate"' in json.dumps(blocks)


def test_what_was_superseded_says_what_follows_in_the_words_of_its_outcome() -> None:
    outcome = Outcome(State.SUPERSEDED, "Postponed: development is frozen.", "It comes again.")
    event = Event(4, "superseded", "", "", 1.0)
    asked = action(State.SUPERSEDED, outcome=outcome, policy=by_approvers())
    automatic = dataclasses.replace(asked, automatic=True)
    assert [note.to for note in notes(asked, [event])] == ["thread", "requester"]
    (told,) = notes(automatic, [event])
    for note in (*notes(asked, [event]), told):
        assert note.text.endswith("Postponed: development is frozen. It comes again.")


def with_findings(*findings: Finding) -> Action:
    plan = dataclasses.replace(PLAN, findings=findings)
    return action(State.PENDING, plan=as_stored(plan))


def test_findings_are_cut_to_what_a_person_reads_and_all_are_in_the_details() -> None:
    long = dataclasses.replace(FINDING, what="w" * 250, exempted=Exempted("r" * 200, "2027-03-31"))
    pending = with_findings(DENIED, *[long] * 60)
    _, blocks = action_view.render(pending)
    check(blocks)
    shown = json.dumps(blocks)
    assert shown.index("It is privileged") < shown.index("www")
    assert "and 53 more findings: see Details" in shown
    modal = details.modal(pending)
    assert len(modal["blocks"]) <= 100
    assert json.dumps(modal).count("no-backup") == 60


def test_an_exemption_is_shown_with_its_reason_and_day() -> None:
    agreed = dataclasses.replace(FINDING, severity="info", exempted=Exempted("Why.", "2027-03-31"))
    over = dataclasses.replace(FINDING, exempted=Exempted("Why.", "2026-03-31", expired=True))
    shown = json.dumps(action_view.render(with_findings(agreed, over))[1])
    assert "Exempted until 2027-03-31: Why." in shown
    assert "Its exemption ended on 2026-03-31." in shown


def test_a_plan_that_a_rule_denies_has_no_confirm_button_and_says_so() -> None:
    _, blocks = action_view.render(with_findings(DENIED, FINDING))
    check(blocks)
    assert "action_confirm" not in json.dumps(blocks)
    assert "This cannot be confirmed" in json.dumps(blocks)


def test_the_answer_to_what_is_denied_says_why_and_how_to_go_on() -> None:
    plan = dataclasses.replace(PLAN, findings=(DENIED, *[FINDING] * 60))
    reply = action_view.denied(plan)
    check(list(reply.blocks))
    shown = json.dumps(reply.blocks)
    for said in ("It is privileged.", "Take it away.", "an exemption", "Nothing was changed."):
        assert said in shown
    assert "action_confirm" not in shown


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


def test_help_is_a_message_for_every_verb() -> None:
    check(list(help_view.overview("/gateway", VERBS).blocks))
    for verb in VERBS:
        check(list(help_view.usage("/gateway", verb).blocks))
        for example in verb.examples:
            assert parse(example, VERBS).verb is verb


def test_the_form_keeps_what_was_typed_and_gives_back_what_was_chosen() -> None:
    form = deploy_modal.form("{}", {"gateway": "edge-1", "to": "west/dev", "replicas": 2}, {})
    check(form["blocks"])
    by_id = {block.get("block_id"): block for block in form["blocks"]}
    assert by_id["deploy_gateway"]["element"]["initial_option"]["value"] == "edge-1"
    assert by_id["deploy_replicas"]["element"]["initial_value"] == "2"
    without = deploy_modal.form("{}", {}, {}, file=False)["blocks"]
    assert "deploy_file" in by_id
    assert not any(block.get("block_id") == "deploy_file" for block in without)
    assert not any(block.get("optional") for block in without[:3])
    option = {"text": {"type": "plain_text", "text": "x"}, "value": "west/dev"}
    state: dict[str, dict[str, Any]] = {
        "deploy_place": {"deploy_place": {"selected_option": option}},
        "deploy_replicas": {"deploy_replicas": {"value": None}},
    }
    assert deploy_modal.values(state) == {"to": "west/dev"}


def test_an_action_that_waits_for_another_says_for_which() -> None:
    text, _ = action_view.render(
        action(State.APPROVED, decided_by="U0ANA", progress={"waiting_for": "AB23"})
    )
    assert "Waiting for action AB23 to end." in text
    assert "Starting" in action_view.render(action(State.APPROVED, decided_by="U0ANA"))[0]


def test_who_goes_through_a_freeze_is_in_the_thread_once_the_plan_is_decided_on() -> None:
    event = Event(1, "break-glass", "U1", "it is <down>", 1.0)
    asked = action(State.RUNNING, policy=Policy(break_glass="it is <down>"))
    (told,) = notes(asked, [event])
    assert told.to == "thread"
    assert "<@U1> overrides a freeze with this: it is &lt;down&gt;" in told.text
