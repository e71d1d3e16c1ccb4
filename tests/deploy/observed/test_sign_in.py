"""Gateways that sign in to Entra ID: recognised, told what they need, and moved there from a token."""

import datetime
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.actions.action import State
from deploy.kube.objects import Manifest
from deploy.observed.effective import effective_settings
from deploy.observed.sign_in import EXPIRES, credential_expires, sign_in
from deploy.plans.sign_in_needs import needs
from deploy.rendering.manifests import render
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Auth, KeyRef
from tests.support.azure import APP, TENANT
from tests.support.rotation_bed import RotationBed, rotation_bed, spec_of

IDENTITY = Auth("workloadIdentity", client_id=APP, tenant_id=TENANT)
SECRET = Auth(
    "entraApp", client_id=APP, tenant_id=TENANT, client_secret=KeyRef("app", "secret"),
    secret_expires="2027-03-31",
)  # fmt: skip


def deployment_of(spec: GatewaySpec) -> Manifest:
    token = "t" if spec.auth.kind == "token" else None
    return next(item for item in render(spec, token) if item["kind"] == "Deployment")


def test_what_the_container_is_given_counts_before_what_the_spec_says() -> None:
    given = effective_settings(
        {"env": [{"name": "config.service.auth", "value": "azureAdApp"}]}, {}
    )
    assert sign_in(deployment_of(spec_of()), given) == "entraApp"


def foreign(*env: dict[str, Any], **annotations: str) -> Manifest:
    container = {"name": "gw", "env": list(env)}
    return {
        "metadata": {"name": "gw", "annotations": annotations},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }


@pytest.mark.parametrize(
    ("deployment", "settings", "kind"),
    [
        (deployment_of(spec_of()), {}, "token"),
        (deployment_of(spec_of(auth=IDENTITY)), {}, "workloadIdentity"),
        (deployment_of(spec_of(auth=SECRET)), {}, "entraApp"),
        (foreign(), {"config.service.auth": "azureAdApp"}, "entraApp"),
        (foreign(), {"config.service.auth": "workloadIdentity"}, "workloadIdentity"),
        (foreign({"name": "config.service.auth", "value": "azureAdApp"}), {}, "entraApp"),
        (foreign(), {"config.service.auth": "GatewayKey edge-1&x"}, "token"),
        (foreign(), {}, "token"),
    ],
)
def test_how_a_gateway_signs_in_is_recognised_whoever_installed_it(
    deployment: Manifest, settings: dict[str, str], kind: str
) -> None:
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container = {**container, "envFrom": [{"configMapRef": {"name": "m"}}]}
    assert sign_in(deployment, effective_settings(container, {"m": settings})) == kind


def test_when_a_secret_expires_is_known_where_somebody_wrote_it_down() -> None:
    day = datetime.date(2027, 3, 31)
    assert credential_expires(deployment_of(spec_of(auth=SECRET))) == day
    assert credential_expires(foreign(**{EXPIRES: "2027-03-31"})) == day
    assert credential_expires(foreign(**{EXPIRES: "soon"})) is None
    assert credential_expires(deployment_of(spec_of(auth=IDENTITY))) is None


def test_moving_to_a_workload_identity_lists_what_must_be_there_in_azure() -> None:
    told = needs(spec_of(auth=IDENTITY), deployment_of(spec_of()))
    text = " ".join(f"{f.what} {f.why} {f.fix}" for f in told)
    assert {f.severity for f in told} == {"info"}
    assert "API Management Configuration API Access Validator Service Role" in text
    assert "API Management Gateway Configuration Reader Role" in text
    assert "Microsoft.ApiManagement/service/gateways/getConfiguration/action" in text
    assert "system:serviceaccount:dev:edge-1" in text
    assert "no longer hold a gateway token" in text


def test_nothing_is_listed_for_one_that_signs_in_so_already_or_has_a_token() -> None:
    identity = spec_of(auth=IDENTITY)
    assert needs(identity, deployment_of(identity)) == ()
    assert needs(spec_of(), deployment_of(identity)) == ()
    assert len(needs(replace(identity, auth=SECRET), None)) == 2


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[RotationBed]:
    with rotation_bed(tmp_path) as ready:
        yield ready


def test_a_gateway_is_moved_from_its_token_to_an_entra_app_without_a_pod_less(
    bed: RotationBed,
) -> None:
    before = bed.in_use()
    bed.cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "app", "namespace": "dev"},
            "stringData": {"secret": f"{APP}-secret"},
        }
    )
    moved = replace(bed.spec, auth=SECRET)
    plan = bed.planner.plan(moved, "MOVE22")
    assert [f.rule for f in plan.findings].count("entra-sign-in") == 3
    assert plan.token.secret is None
    outcome = bed.deploy(moved)
    assert outcome.state is State.SUCCEEDED, outcome
    assert len(bed.pods()) == 2
    assert bed.secrets() == {before.name, "app"}, "the token of before is kept for going back"
