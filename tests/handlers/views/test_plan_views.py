"""What a plan and its findings look like in Slack."""

import dataclasses
import json
import re

import pytest

from deploy.actions.action import Action, State
from deploy.annotations import CONFIG_ANNOTATION, RESTART_ANNOTATION
from deploy.plans.binding import Observed, build_plan
from deploy.plans.plan import FieldChange, ObjectChange, WayBack
from deploy.rendering.manifests import render
from deploy.rules.finding import Exempted, Finding
from deploy.specs.options import HostAlias, Network
from handlers.views import action as action_view
from handlers.views import details, fixes
from handlers.views import plan as plan_view
from tests.support.actions import as_stored
from tests.support.shown import NOW, PLAN, SPEC, check_blocks, shown_action


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
    assert plan_view.lines(dataclasses.replace(PLAN, changes=(change,)))[2:] == [
        "~ Deployment edge-1",
        "  spec.replicas: 2 → 3",
        f"  …{path.removeprefix('spec.template.spec.')}:  ↻",
        "      edge-1-token-a → edge-1-token-b",
    ]
    whole = plan_view.lines(dataclasses.replace(PLAN, changes=(change,)), None)
    assert f"  {path}:  ↻" in whole


def test_two_values_that_do_not_fit_beside_each_other_are_below_each_other() -> None:
    old, new = "edge-1-token-20261101-7f3a", "edge-1-token-20261130-09be"
    change = ObjectChange("Deployment", "edge-1", "update", (FieldChange("spec.x", old, new),))
    assert plan_view.lines(dataclasses.replace(PLAN, changes=(change,)))[3:] == [
        "  spec.x:", f"      {old} →", f"      {new}",
    ]  # fmt: skip


def test_that_pods_restart_for_new_settings_is_said_in_words_and_whole_under_details() -> None:
    path = f'spec.template.metadata.annotations["{CONFIG_ANNOTATION}"]'
    hashed = FieldChange(path, "622b0477f5aaa69e", "86786e4b1894539d", restarts_pods=True)
    changes = (
        ObjectChange("Deployment", "edge-1", "update", (hashed,)),
        ObjectChange("ConfigMap", "c", "update", (FieldChange('data["a"]', "1", "2"),)),
    )
    plan = dataclasses.replace(PLAN, changes=changes)
    assert plan_view.lines(plan)[3] == "  pods restart with the new settings  ↻"
    assert any("622b0477f5aaa69e" in line for line in plan_view.lines(plan, None))
    alone = dataclasses.replace(PLAN, changes=changes[:1])
    assert any("622b0477f5aaa69e" in line for line in plan_view.lines(alone))


def test_a_restart_is_said_in_words_and_not_beside_what_restarts_the_pods_anyway() -> None:
    path = f'spec.template.metadata.annotations["{RESTART_ANNOTATION}"]'
    restarted = FieldChange(path, None, "2026-11-30T10:39:44Z", restarts_pods=True)
    image = FieldChange("spec.template.spec.containers[edge-1].image", "a:2", "a:1", True)

    def lines(*fields: FieldChange, limit: int | None = 24) -> list[str]:
        change = ObjectChange("Deployment", "edge-1", "update", fields)
        return plan_view.lines(dataclasses.replace(PLAN, changes=(change,)), limit)

    assert [line for line in lines(restarted) if "restart" in line] == ["  pods restart  ↻"]
    assert not any("restart" in line for line in lines(restarted, image))
    assert any("2026-11-30T10:39:44Z" in line for line in lines(restarted, image, limit=None))


def test_objects_that_only_get_another_label_are_one_line() -> None:
    relabelled = (
        FieldChange('metadata.labels["app.kubernetes.io/instance"]', "edge-1", None),
        FieldChange('metadata.labels["gateway-bot.io/part-of"]', None, "edge-1"),
    )
    name = FieldChange('metadata.labels["app.kubernetes.io/name"]', "self-hosted-gateway", None)
    scaled = FieldChange("spec.replicas", 2, 3)
    changes = (
        ObjectChange("ConfigMap", "edge-1-env", "update", relabelled),
        ObjectChange("Service", "edge-1-live-traffic", "update", relabelled),
        ObjectChange("Deployment", "edge-1", "update", (scaled, name, *relabelled)),
    )
    plan = dataclasses.replace(PLAN, changes=changes)
    assert plan_view.lines(plan)[2:] == [
        "~ Deployment edge-1",
        "  spec.replicas: 2 → 3",
        "  label gateway-bot.io/part-of replaces app.kubernetes.io/instance",
        "  1 label app.kubernetes.io/* → (removed)",
        "~ 2 objects: label gateway-bot.io/part-of replaces app.kubernetes.io/instance",
    ]
    in_full = plan_view.lines(plan, None)
    assert in_full[-2:] == ["  ConfigMap edge-1-env", "  Service edge-1-live-traffic"]
    (said,) = {str(each) for each in plan_view.blocks(plan, 2500) if "Restarts no pod" in str(each)}
    assert "Cuts no connection" in said


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
    assert re.search(r'\[\{"ip": "10.9.9.9", "host.*….*azure-api.net"\]\}\]', shown)
    assert "allowed-suites: ZZZ" in shown
    assert "hostAliases" not in "\n".join(plan_view.lines(PLAN)), "what is at its default is not"
    modal = details.modal(shown_action(State.PENDING, plan=as_stored(plan)))
    text = "".join(str(block) for block in modal["blocks"])
    assert text.count("Z") >= 900, "Details shows values whole"
    unbroken = re.sub(r"(\\n| )+", "", text)
    assert '"hostnames":["contoso.configuration.azure-api.net"]' in unbroken


def test_two_long_values_are_told_apart_where_they_differ() -> None:
    same = "a" * 200
    field = FieldChange("data.x", f"{same}old", f"{same}new")
    change = ObjectChange("ConfigMap", "edge-1-env", "update", (field,))
    shown = plan_view.lines(dataclasses.replace(PLAN, changes=(change,)))
    assert shown[-2:] == ["  data.x:", "      …aaaaaaaaaaold → …aaaaaaaaaanew"]


def test_what_can_be_fixed_safely_has_a_button_unless_it_is_exempted() -> None:
    told = Finding("few-replicas", "info", "Two pods.", "Why.", "Ask for three.", {"replicas": 3})
    kept = dataclasses.replace(told, rule="other", exempted=Exempted("Agreed.", "2026-12-01"))
    advice = Finding("no-backup", "info", "No backup.", "Why.", "Give one.")
    plan = dataclasses.replace(PLAN, findings=(told, kept, advice))
    _, blocks = action_view.render(shown_action(State.PENDING, plan=as_stored(plan)))
    check_blocks(blocks)
    assert json.dumps(blocks).count("Fix: ") == 1
    assert '"Fix: Ask for three"' in json.dumps(blocks)
    _, blocks = action_view.render(shown_action(State.RUNNING, plan=as_stored(plan)))
    assert "Fix: " not in json.dumps(blocks)


def test_a_fix_button_stands_beside_what_it_mends() -> None:
    told = Finding("few-replicas", "info", "Two pods.", "Why.", "Ask for three.", {"replicas": 3})
    _, blocks = action_view.render(with_findings(told, FINDING))
    (beside,) = [block for block in blocks if "accessory" in block]
    assert beside["text"]["text"] == ":bulb: Two pods."
    assert beside["accessory"]["text"]["text"] == "Fix: Ask for three"
    assert "Details has" not in json.dumps(blocks), "nothing is left out"


def test_a_new_gateway_is_a_few_lines_and_every_field_is_in_the_details() -> None:
    first = shown_action(State.PENDING)
    (shown,) = [b["text"]["text"] for b in action_view.render(first)[1] if "```" in str(b)]
    assert shown.strip("`\n").split("\n") == [
        "+ Deployment, ConfigMap, 2 Services,",
        "  PodDisruptionBudget, Secret",
        "  LoadBalancer: 80/TCP, 443/TCP",
        "  each pod requests 2 CPU, 2Gi",
    ]
    assert "maxUnavailable" in json.dumps(details.modal(first))
    asked = dataclasses.replace(SPEC, settings=(("net.server.tls.ciphers.allowed-suites", "X"),))
    plan = as_stored(dataclasses.replace(PLAN, spec=asked))
    assert "allowed-suites: X" in json.dumps(plan_view.blocks(plan, 2500))


def test_until_when_a_new_token_is_valid_is_a_day() -> None:
    token = dataclasses.replace(PLAN.token, seconds=2_588_400, key="primary", reason="None yet.")
    plan = dataclasses.replace(PLAN, token=token)
    assert ", valid until <!date^" in json.dumps(plan_view.blocks(plan, 2500, NOW))
    told = json.dumps(plan_view.blocks(plan, 2500))
    assert "valid for 29 days 23 hours" in told
    assert "None yet." not in told, "a gateway that is not there yet has none"


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


def test_a_plan_of_any_length_fits_and_says_what_it_leaves_out() -> None:
    field = FieldChange("spec.x" * 20, "o" * 500, "n" * 500, restarts_pods=True)
    changes = (ObjectChange("Deployment", f"d{n}", "update", (field,) * 5) for n in range(100))
    stored = as_stored(dataclasses.replace(PLAN, changes=tuple(changes)))
    _, blocks = action_view.render(shown_action(State.PENDING, plan=stored))
    check_blocks(blocks)
    assert "more lines: see Details" in json.dumps(blocks)
    modal = details.modal(shown_action(State.PENDING, plan=stored))
    assert len(modal["blocks"]) <= 100
    assert len(modal["title"]["text"]) <= 24


FINDING = Finding("no-backup", "warning", "No backup.", "So it is.", "Give one.")
DENIED = Finding("privileged", "deny", "It is privileged.", "So it is.", "Take it away.")


def with_findings(*findings: Finding) -> Action:
    plan = dataclasses.replace(PLAN, findings=findings)
    return shown_action(State.PENDING, plan=as_stored(plan))


def test_findings_are_cut_to_what_a_person_reads_and_all_are_in_the_details() -> None:
    long = dataclasses.replace(FINDING, what="w" * 250)
    agreed = dataclasses.replace(long, exempted=Exempted("r" * 200, "2027-03-31"))
    advice = dataclasses.replace(FINDING, severity="info")
    pending = with_findings(DENIED, *[long] * 38, *[agreed] * 21, advice)
    _, blocks = action_view.render(pending)
    check_blocks(blocks)
    shown = json.dumps(blocks)
    assert shown.index("It is privileged") < shown.index("www")
    assert "Details has 34 more warnings and 22 recommendations." in shown
    modal = details.modal(pending)
    assert len(modal["blocks"]) <= 100
    assert json.dumps(modal).count("no-backup") == 60


def test_an_exemption_is_shown_with_its_reason_and_day() -> None:
    agreed = dataclasses.replace(FINDING, severity="info", exempted=Exempted("Why.", "2027-03-31"))
    over = dataclasses.replace(FINDING, exempted=Exempted("Why.", "2026-03-31", expired=True))
    pending = with_findings(agreed, over)
    assert "Its exemption ended on 2026-03-31." in json.dumps(action_view.render(pending)[1])
    in_full = json.dumps(details.modal(pending))
    assert "Exempted until 2027-03-31: Why." in in_full
    assert "Its exemption ended on 2026-03-31." in in_full


def test_a_plan_that_a_rule_denies_has_no_confirm_button_and_says_so() -> None:
    _, blocks = action_view.render(with_findings(DENIED, FINDING))
    check_blocks(blocks)
    assert "action_confirm" not in json.dumps(blocks)
    assert "This cannot be confirmed" in json.dumps(blocks)


def test_the_answer_to_what_is_denied_says_why_and_how_to_go_on() -> None:
    plan = dataclasses.replace(PLAN, findings=(DENIED, *[FINDING] * 60))
    reply = action_view.denied(plan)
    check_blocks(list(reply.blocks))
    shown = json.dumps(reply.blocks)
    for said in ("It is privileged.", "Take it away.", "an exemption", "Nothing was changed."):
        assert said in shown
    assert "action_confirm" not in shown


def test_a_fix_of_what_is_denied_carries_the_whole_command_where_one_can_be_typed() -> None:
    fixed = dataclasses.replace(DENIED, fix_patch={"a": 1})
    exempted = dataclasses.replace(fixed, rule="other", exempted=Exempted("Why.", "2027-03-31"))
    plan = dataclasses.replace(PLAN, findings=(fixed, fixed, FINDING, exempted))

    def buttons(command: str) -> list[tuple[str, str]]:
        reply = action_view.denied(plan, lambda finding: command)
        check_blocks(list(reply.blocks))
        found = [each for block in reply.blocks for each in block.get("elements", ())]
        return [(each["action_id"], each["value"]) for each in found if each["type"] == "button"]

    assert buttons("deploy edge-1 --set=a=1") == [("run", "deploy edge-1 --set=a=1")] * 2
    assert buttons("") == buttons("x" * 2001) == []


def test_the_warnings_of_the_api_server_are_shown_as_text() -> None:
    said = "use <!channel> & " + "x" * 500
    shown = json.dumps(plan_view.blocks(dataclasses.replace(PLAN, warnings=(said,)), 2500))
    assert ":warning: Kubernetes warns: use &lt;!channel&gt; &amp; xxx" in shown
    check_blocks(plan_view.blocks(dataclasses.replace(PLAN, warnings=(said,) * 8), 2500))
