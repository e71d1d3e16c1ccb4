"""An action to show, and what Slack takes of what is shown."""

import dataclasses
import datetime
import json
from typing import Any

from slack_sdk.models.blocks import Block

from deploy.actions.action import Action, State
from deploy.gateway import ApimGateway, GatewayRef
from deploy.plans.binding import Observed, build_plan
from deploy.plans.requests import DeployRequest
from deploy.policy import Policy
from deploy.rendering.manifests import render
from deploy.specs.gateway_spec import GatewaySpec
from deploy.tokens.token_plan import TokenPlan
from tests.support.actions import as_stored

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


def shown_action(state: State, **more: Any) -> Action:
    """A deployment in that state."""
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


def check_blocks(blocks: list[dict[str, Any]]) -> None:
    """Slack's own models take every block, and all of it fits one message."""
    assert len(blocks) <= 50
    assert len(json.dumps(blocks)) < 13_000
    for block in blocks:
        parsed = Block.parse(block)
        assert parsed is not None
        parsed.validate_json()
