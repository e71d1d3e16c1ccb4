"""A gateway that others deploy: the bot keeps its token, from the command to a rotation."""

import json
from collections.abc import Iterator

import pytest

from tests.journeys.test_deploy import kubectl, named, objects
from tests.support.demo import Demo, words
from tests.support.waiting import until

NAME, STABLE = "legacy-9", "legacy-9-managed-token"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()


def test_the_token_of_the_portals_gateway_is_kept_once_its_owner_refers_to_the_bots_secret(
    demo: Demo,
) -> None:
    ana = demo.person("ana")
    plan = ana.plans(f"manage-token {NAME}")
    shown = words(plan)
    assert f"Keep the token of {NAME} on west/dev valid" in shown
    assert "kubectl apply declares where its pods read the token from." in shown
    assert f"secretKeyRef.name: {STABLE}" in shown
    assert "Restarts no pod" in shown
    ana.clicks(plan, "Confirm")
    ended = words(ana.sees_at(plan, "no pod reads it yet"))
    assert f"secretKeyRef.name: {STABLE}" in ended
    ana.types(f"rotate {NAME}")
    ana.sees("does not read its token from the bot's Secret", ephemeral=True)
    owner_refers_to(demo, STABLE)
    plan = ana.plans(f"rotate {NAME}")
    assert f"Secret {STABLE} is written" in words(plan)
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "1 of 1 pods run with the new token after")
    ana.types(f"status {NAME}")
    ana.sees("kept valid by this bot", ephemeral=True)


def owner_refers_to(demo: Demo, secret: str) -> None:
    reference = {"secretKeyRef": {"name": secret, "key": "value"}}
    env = [{"name": "config.service.auth", "valueFrom": reference}]
    container = {"name": NAME, "env": env}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    kubectl(demo, "patch", "deployment", NAME, "-n", "dev", "-p", json.dumps(patch))

    def rolled_out() -> bool:
        (live,) = named(objects(demo, "deployments", "dev"), NAME)
        status = live.get("status") or {}
        counts = [status.get(f"{each}Replicas") for each in ("updated", "ready", "available")]
        return counts == [1, 1, 1] and status.get("replicas") == 1

    until(rolled_out, "its pods read the bot's Secret", 60)


def test_a_spec_file_that_says_manage_token_leads_to_the_same_plan(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types("deploy")
    form = ana.spec_form()
    spec = f"manage: token\ngateway: {NAME}\ncluster: west\nnamespace: dev\n"
    wrong = ana.submits(form, deploy_file=ana.uploads("edge.yaml", f"{spec}replicas: 3\n"))
    assert "`manage: token` cannot stand beside `replicas`" in str(wrong)
    form = ana.form("deploy")
    assert ana.submits(form, deploy_file=ana.uploads("edge.yaml", spec)) == {"ok": True}
    plan = ana.sees(f"Keep the token of {NAME} on west/dev valid.*Nothing has changed yet")
    ana.clicks(plan, "Cancel")
    ana.sees_at(plan, "Cancelled by")


def test_the_bot_no_longer_keeps_a_token_once_that_is_decided(demo: Demo) -> None:
    ana = demo.person("ana")
    plan = ana.plans(f"manage-token {NAME} --end")
    assert f"Stop keeping the token of {NAME} on west/dev" in words(plan)
    assert f"Secret {STABLE} stays with its token, because pods read it." in words(plan)
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, f"The bot no longer manages the token of west/dev/{NAME}")
    ana.types(f"rotate {NAME}")
    ana.sees("was not deployed by this bot", ephemeral=True)
