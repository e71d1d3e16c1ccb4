"""What is planned when the same is asked for again, on a gateway that has moved since."""

import dataclasses
import json
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.actions.record import Action, State
from deploy.gateway import ApimGateway, GatewayRef
from deploy.plans.binding import plan_to_mapping
from deploy.plans.plan import Plan
from deploy.policy import Policy
from deploy.rules.finding import Finding
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_to_mapping
from deploy.tokens.token_plan import TokenPlan
from handlers.actions import again, fix
from handlers.slack.payloads import Click, Request
from handlers.verbs import revise

SPEC = GatewaySpec(
    GatewayRef("west", "dev", "edge-1"), ApimGateway("contoso", "edge-1", "h"), "2.11.1", replicas=3
)


def ended(verb: str) -> Action:
    return Action(
        id="7K3MAB", kind="deploy", ref=SPEC.ref, state=State.FAILED, version=5, requester="U1",
        person="U1", policy=Policy(), digest="d",
        request={"verb": verb, "spec": spec_to_mapping(SPEC), "take_over": True, "reason": "why"},
        plan={}, origin={"channel": "C1"}, created_at=0, expires_at=0, updated_at=0,
    )  # fmt: skip


@pytest.mark.parametrize("verb", ["restart", "scale"])
def test_a_restart_or_a_number_of_pods_is_asked_for_and_not_the_whole_gateway_of_then(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []
    monkeypatch.setattr(revise, verb, lambda services, request: asked.append(request))
    services: Any = None
    again.run(services, again.request_for(ended(verb), "click"))
    (request,) = asked
    assert (request.verb, request.gateway) == (verb, "west/dev/edge-1")
    assert request.options["take-over"] is True
    assert request.options["reason"] == "why"
    assert verb == "restart" or request.options["replicas"] == 3


@pytest.mark.parametrize("verb", ["restart", "scale"])
def test_what_is_fixed_in_a_plan_of_a_restart_or_of_a_number_of_pods_is_in_the_new_plan(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Finding("no-memory", "warning", "w", "y", "x", {"resources": {"memory": "3Gi"}})
    plan = Plan(SPEC, "uid", (), (), TokenPlan(None, False, None, ""), (found,), digest="d")
    action = dataclasses.replace(ended(verb), state=State.PENDING, plan=plan_to_mapping(plan))
    accepted: list[Request] = []
    services: Any = SimpleNamespace(
        store=SimpleNamespace(get=lambda _: action, cancel=lambda *_, **__: None),
        accept=accepted.append,
        wake=lambda _: None,
    )
    clicked = json.dumps({"id": action.id, "rule": "no-memory"})
    fix.fix(services, Click("U1", "C1", "t", "", clicked, {}))
    proposed: list[GatewaySpec] = []
    monkeypatch.setattr(again, "propose", lambda _, __, spec, **___: proposed.append(spec))
    again.run(services, accepted[0])
    assert proposed == [dataclasses.replace(SPEC, memory="3Gi")]
