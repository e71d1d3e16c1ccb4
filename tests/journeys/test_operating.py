"""Operating a gateway from Slack: scale, restart, history, rollback, diff, export, delete."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.journeys.test_deploy import TAG, deploy, kubectl, named, objects
from tests.support.demo import Demo, Message, Person, words
from tests.support.waiting import until

REF = "west/dev/edge-1"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    deploy(running, "edge-1", "west/dev", replicas=2)
    yield running
    running.stop()


def live(demo: Demo) -> dict[str, Any]:
    return named(objects(demo, "deployments", "dev"), "edge-1")[0]


def decide(person: Person, command: str, title: str, done: str) -> str:
    plan = person.plans(command)
    assert title in words(plan)
    person.clicks(plan, "Confirm")
    return words(person.sees_at(plan, done))


def test_scaling_changes_only_the_number_of_pods(demo: Demo) -> None:
    ana = demo.person("ana")
    before = live(demo)["spec"]["template"]
    decide(ana, "scale edge-1 --replicas 3", "Scale edge-1 on west/dev", "3 of 3 pods ready after")
    assert live(demo)["spec"]["replicas"] == 3
    assert live(demo)["spec"]["template"] == before


def test_scaling_to_what_runs_changes_nothing(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types("scale edge-1 --replicas 3")
    ana.sees(f"No change: {REF}", ephemeral=True)


def test_a_restart_replaces_every_pod(demo: Demo) -> None:
    ana = demo.person("ana")
    before = {pod["metadata"]["name"] for pod in pods(demo)}
    decide(ana, "restart edge-1", "Restart edge-1", "3 of 3 pods ready after")

    def replaced() -> bool:
        now = {pod["metadata"]["name"] for pod in pods(demo)}
        return len(now) == 3 and not before & now

    until(replaced, "three other pods")


def test_history_tells_each_revision_and_rollback_brings_one_back(demo: Demo) -> None:
    ana = demo.person("ana")
    newer = "deploy edge-1 --to west/dev --tag 2.12.1"
    decide(ana, newer, "Deploy edge-1", "3 of 3 pods ready after")
    ana.types("history edge-1")
    shown = words(ana.sees("Revisions of edge-1", ephemeral=True))
    assert re.search(r"\*Revision 3 \(current\)\*.*2\.12\.1", shown)
    assert re.search(r"\*Revision 1\*: .*\n.* by <@U0ANA>", shown)
    assert "2.12.1" in shown
    assert re.search(rf"\*Revision 3 \(current\)\*: .* · was {re.escape(TAG)}\n", shown)
    assert re.search(r"\*Revision 2\*: .* · restart\n", shown)
    decide(ana, "restart edge-1", "Restart edge-1", "3 of 3 pods ready after")
    decide(
        ana,
        "rollback edge-1",
        f"Roll back edge-1 to {TAG} (revision 2) on west/dev",
        "3 of 3 pods ready after",
    )
    (container,) = live(demo)["spec"]["template"]["spec"]["containers"]
    assert container["image"].endswith(f":{TAG}")
    assert live(demo)["spec"]["replicas"] == 3
    decide(ana, "rollback edge-1 --to-revision 1", "Roll back edge-1", "3 of 3 pods ready after")
    annotations = live(demo)["spec"]["template"]["metadata"]["annotations"]
    assert "gateway-bot.io/restarted-at" not in annotations


def test_a_revision_that_is_not_there_is_explained(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types("rollback edge-1 --to-revision 99")
    ana.sees("has no revision 99.*The cluster holds", ephemeral=True)


def test_a_revision_that_somebody_else_made_is_nobodys_action(demo: Demo) -> None:
    ana = demo.person("ana")
    by_hand = "mcr.microsoft.com/azure-api-management/gateway:2.10.1"
    kubectl(demo, "set", "image", "-n", "dev", "deployment/edge-1", f"edge-1={by_hand}")
    kubectl(demo, "rollout", "status", "-n", "dev", "deployment/edge-1", "--timeout=120s")
    shown = words(ana.is_told("history edge-1", r"Revisions of edge-1.*2\.10\.1"))
    found = re.search(r"\*Revision (\d+)[^*]*\*: image `2\.10\.1` · (.*)\n(.*)", shown)
    assert found is not None
    number, change, row = found.groups()
    assert change == f"was {TAG}"
    assert "by <@" not in row
    again = f"deploy edge-1 --to west/dev --tag {TAG} --take-over"
    decide(ana, again, ":2.10.1 → ", "3 of 3 pods ready after")
    ana.types(f"rollback edge-1 --to-revision {number}")
    unknown = f"The spec of revision {number} of {REF} is unknown.*did not deploy it"
    ana.sees(unknown, ephemeral=True)


def test_diff_shows_what_others_changed(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types("diff edge-1")
    ana.sees(f"No drift: {REF}", ephemeral=True)
    kubectl(demo, "set", "env", "-n", "dev", "deployment/edge-1", "telemetry.logs.std.level=debug")
    kubectl(demo, "scale", "-n", "dev", "deployment/edge-1", "--replicas=2")
    ana.types("diff edge-1")
    shown = words(ana.sees("differs from what was deployed", ephemeral=True))
    assert "spec.replicas: 2 → 3" in shown
    assert re.search(r"telemetry.*\.value:[^:]*debug → info", shown, re.DOTALL), "what the pods get"
    assert "kubectl" in shown
    assert "Deploying it again with `--take-over --replicas 3` restores the right side" in shown
    decide(
        ana,
        "scale edge-1 --replicas 3 --take-over",
        "Takes over 1 field",
        "3 of 3 pods ready after",
    )


def test_any_field_of_the_spec_is_set_by_its_path(demo: Demo) -> None:
    ana = demo.person("ana")
    deployed = decide(
        ana,
        f"deploy edge-1 --to west/dev --tag {TAG} --set logs.level=warn --set rollout.maxSurge=1",
        'data["telemetry.logs.std.level"]:\n      info → warn',
        "3 of 3 pods ready after",
    )
    assert "Deploy edge-1" in deployed
    assert live(demo)["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 1
    ana.types(f"deploy edge-1 --to west/dev --tag {TAG} --set logs.levle=warn")
    ana.sees("Did you mean logs.level", ephemeral=True)


def test_the_form_takes_further_fields_as_yaml_and_explains_wrong_ones(demo: Demo) -> None:
    ana = demo.person("ana")
    chosen = {"deploy_gateway": "contoso/edge-1", "deploy_place": "west/dev", "deploy_tag": TAG}
    ana.types("deploy")
    refused = ana.submits(ana.form("deploy"), **chosen, deploy_more="logs: {levle: warn}")
    assert "Did you mean logs.level" in refused["errors"]["deploy_more"]
    before = {message["ts"] for message in ana.messages()}
    sent = ana.submits(ana.form("deploy"), **chosen, deploy_more="logs: {level: null}")
    assert sent == {"ok": True}

    def plan() -> Message | None:
        for message in ana.messages():
            if message["ts"] not in before and "warn → info" in words(message):
                return message
        return None

    ana.clicks(until(plan, "the plan"), "Cancel")


def test_an_export_is_what_kubectl_takes_and_holds_no_token(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types("export edge-1")
    ana.sees("west-dev-edge-1.yaml is in your messages", ephemeral=True)
    told = json.dumps(list(demo.get("log")["entries"]))
    found = re.search(r"completeUploadExternal.*?\bid\W+(F[A-Z0-9]+)", told)
    assert found, "no file was sent"
    text = demo.session.get(f"{demo.url}/_control/files/{found[1]}", timeout=10).text
    kinds = {item["kind"] for item in yaml.safe_load_all(text)}
    assert kinds == {"ConfigMap", "Service", "PodDisruptionBudget", "Deployment"}
    assert "GatewayKey" not in text
    done = subprocess.run(
        [
            "kubectl",
            *("--kubeconfig", str(demo.kubeconfig), "--context", "west"),
            *("apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-"),
        ],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_check_judges_a_gateway_whoever_installed_it(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types("check legacy-9")
    shown = words(ana.sees("Rules for legacy-9", ephemeral=True))
    for rule in ("single-replica", "floating-tag", "missing-requests"):
        assert rule in shown, shown


def test_a_gateway_of_others_is_not_changed_by_guessing(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types("scale legacy-9 --replicas 2")
    ana.sees("legacy-9 was not deployed by this bot.*portal YAML", ephemeral=True)


def test_a_gateway_of_the_portals_is_adopted_and_then_scaled(demo: Demo) -> None:
    ana = demo.person("ana")
    shown = decide(ana, "adopt legacy-9", "Adopt legacy-9 on west/dev", "1 of 1 pods ready after")
    assert "Adopt legacy-9" in shown
    decide(ana, "scale legacy-9 --replicas 2", "Scale legacy-9", "2 of 2 pods ready after")
    services = {s["metadata"]["name"] for s in objects(demo, "services", "dev")}
    assert {"legacy-9-live-traffic", "legacy-9-instance-discovery"} <= services
    ana.types("adopt legacy-9")
    ana.sees("legacy-9 is already managed by this bot", ephemeral=True)


def test_a_click_puts_what_a_rule_advises_into_the_plan(demo: Demo) -> None:
    ana = demo.person("ana")
    plan = ana.plans("deploy edge-2 --to west/dev --tag 2.11.1 --replicas 2")
    demo.person("ivy").clicks(plan, "Fix: Ask for three replicas")
    demo.person("ivy").sees("Only the requester, .*, can do this", ephemeral=True)
    ana.clicks(plan, "Fix: Ask for three replicas")
    ana.sees_at(plan, "Replaced by .*, with the fix")
    fixed = ana.sees("Deploy edge-2.*Replicas\\* 3", ephemeral=False)
    assert "few-replicas" not in words(fixed)
    ana.clicks(fixed, "Cancel")
    ana.sees_at(fixed, "Cancelled by")
    assert not named(objects(demo, "deployments", "dev"), "edge-2")


def test_a_number_that_is_missing_is_asked_for(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types("scale edge-1")
    ana.sees("Required: `--replicas`", ephemeral=True)


def test_deleting_shows_everything_that_goes_and_takes_it_away(demo: Demo) -> None:
    ana = demo.person("ana")
    secrets = [s for s in objects(demo, "secrets", "dev") if "edge-1" in s["metadata"]["name"]]
    plan = ana.plans("delete edge-1")
    shown = words(plan)
    for wanted in ("- Deployment edge-1", "- ConfigMap edge-1-env", "- Service edge-1-live-traffic",
                   "- PodDisruptionBudget edge-1", f"- Secret {secrets[0]['metadata']['name']}"):  # fmt: skip
        assert wanted in shown
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, f"Deleted {REF}")
    left = json.dumps(
        [
            objects(demo, kind, "dev")
            for kind in ("deployments", "services", "configmaps", "secrets")
        ]
    )
    assert "edge-1-" not in left
    assert pods(demo) == []
    ana.is_told("status edge-1", "No gateway .edge-1")
    past = "What was done.*scale.*succeeded.*No gateway .edge-1. runs now"
    ana.is_told("history edge-1", past)


def pods(demo: Demo) -> list[dict[str, Any]]:
    return [
        pod
        for pod in objects(demo, "pods", "dev")
        if pod["metadata"]["name"].startswith("edge-1-")
        and "deletionTimestamp" not in pod["metadata"]
    ]
