import copy
import dataclasses
import json
from typing import Any

import pytest

from deploy.annotations import SPEC_ANNOTATION
from deploy.gateway import ApimGateway, GatewayRef
from deploy.plans.binding import Observed, bound, build_plan, plan_from_mapping, plan_to_mapping
from deploy.plans.diff import field_changes
from deploy.plans.plan import HeldToken, Plan, ReplacedSecret
from deploy.rendering.manifests import render
from deploy.rules.finding import Exempted, Finding
from deploy.specs.annotation import spec_to_text, without_version
from deploy.specs.gateway_spec import GatewaySpec
from deploy.tokens.token_plan import TokenPlan

SPEC = GatewaySpec(
    ref=GatewayRef("west", "dev", "edge-1"),
    apim=ApimGateway("contoso", "edge-1", "contoso.configuration.azure-api.net"),
    tag="2.11.1",
)
TOKEN = TokenPlan("edge-1-token-a", mint=False, expires_at=None, reason="kept")


def plan(live: Any = "same", *, uid: str = "u1", token: TokenPlan = TOKEN) -> Plan:
    wanted = render(SPEC, token.secret)
    found = wanted if live == "same" else live or [None] * len(wanted)
    return build_plan(
        SPEC,
        cluster_uid=uid,
        observed=[Observed(w, f, w) for w, f in zip(wanted, found, strict=True)],
        token=token,
    )


def changed(**spec: Any) -> list[Any]:
    live = list(copy.deepcopy(render(SPEC, TOKEN.secret)))
    live[-1]["spec"].update(spec)
    return live


def test_an_unchanged_gateway_has_an_empty_plan() -> None:
    assert plan().empty


def test_a_new_gateway_creates_every_object() -> None:
    assert [change.change for change in plan(None).changes] == ["create"] * 5


def test_a_change_is_told_old_and_new_and_whether_pods_restart() -> None:
    live = changed(replicas=5)
    live[-1]["spec"]["template"]["spec"]["containers"][0]["image"] = "old"
    (change,) = plan(live).changes
    fields = {field.path: field for field in change.fields}
    assert (fields["spec.replicas"].old, fields["spec.replicas"].new) == (5, 3)
    assert not fields["spec.replicas"].restarts_pods
    assert fields["spec.template.spec.containers[edge-1].image"].restarts_pods


def test_what_others_keep_on_an_object_is_no_change() -> None:
    wanted = render(SPEC, "t")[-1]
    live = copy.deepcopy(wanted)
    live["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "7"
    live["metadata"]["annotations"]["gateway-bot.io/action"] = "7K3MAB"
    live["metadata"] |= {"uid": "x", "resourceVersion": "9", "managedFields": []}
    live["status"] = {"replicas": 3}
    assert field_changes("Deployment", live, wanted) == ()


@pytest.mark.parametrize(
    "other",
    [
        plan(changed(replicas=5)),
        plan(uid="u2"),
        plan(token=TokenPlan("edge-1-token-b", mint=True, expires_at=None, reason="")),
    ],
)
def test_the_digest_is_of_this_cluster_these_objects_and_these_changes(other: Plan) -> None:
    assert plan().digest == plan().digest != other.digest


def test_a_plan_survives_being_stored() -> None:
    stored = json.loads(json.dumps(plan_to_mapping(plan(changed(replicas=5)))))
    again = plan_from_mapping(stored)
    assert json.loads(json.dumps(plan_to_mapping(again))) == stored
    assert again.spec == SPEC
    assert again.digest == plan(changed(replicas=5)).digest


def test_the_tokens_that_a_plan_found_are_bound_and_survive_being_stored() -> None:
    held, replaces = (HeldToken("contoso", "edge-1"),), ReplacedSecret("edge-1-token-a", "u")
    whole = bound(dataclasses.replace(plan(), held=held, replaces=replaces))
    again = plan_from_mapping(json.loads(json.dumps(plan_to_mapping(whole))))
    assert (again.held, again.replaces) == (held, replaces)
    others = (
        plan(),
        bound(dataclasses.replace(whole, held=())),
        bound(dataclasses.replace(whole, replaces=None)),
        bound(dataclasses.replace(whole, replaces=ReplacedSecret("edge-1-token-a", "v"))),
    )
    assert len({whole.digest, *(each.digest for each in others)}) == 5


def test_findings_survive_being_stored_with_fix_and_exemption() -> None:
    agreed = Finding("a", "info", "w", "y", "f", {"replicas": 3}, Exempted("Why.", "2027-03-31"))
    plain = Finding("b", "deny", "w", "y", "f")
    whole = dataclasses.replace(plan(), findings=(agreed, plain))
    again = plan_from_mapping(json.loads(json.dumps(plan_to_mapping(whole))))
    assert again.findings == (agreed, plain)
    assert again.denied


def test_findings_stored_by_an_earlier_version_are_read() -> None:
    stored = plan_to_mapping(plan())
    stored["findings"] = [{"rule": "a", "severity": "info", "what": "w", "why": "y", "fix": "f"}]
    assert plan_from_mapping(stored).findings == (Finding("a", "info", "w", "y", "f"),)


def unversioned(text: str) -> list[Any]:
    """What runs, deployed by a bot that wrote specs without a version."""
    live = list(copy.deepcopy(render(SPEC, TOKEN.secret)))
    live[-1]["metadata"]["annotations"][SPEC_ANNOTATION] = text
    return live


def test_that_specs_have_a_version_by_now_is_no_change_and_moves_no_digest() -> None:
    carried = without_version(spec_to_text(SPEC))
    assert "version" not in carried
    assert plan(unversioned(carried)).empty
    assert plan(unversioned(carried)).digest == plan().digest


def test_another_spec_is_a_change_whose_digest_does_not_depend_on_versions() -> None:
    other = dataclasses.replace(SPEC, tag="2.11.0")
    versioned = plan(unversioned(spec_to_text(other)))
    bare = plan(unversioned(without_version(spec_to_text(other))))
    assert bare.changes == versioned.changes != ()
    assert bare.digest == versioned.digest
    ((field,),) = [change.fields for change in bare.changes]
    assert "version" not in field.new


@pytest.mark.parametrize("text", ["{", "[]", '{"version": "x"}', '{"version": 2}'])
def test_a_spec_that_cannot_be_read_is_a_change(text: str) -> None:
    assert [change.kind for change in plan(unversioned(text)).changes] == ["Deployment"]
