"""Each row of the production guidance: a spec does it, and a cluster takes it."""

import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.sandbox.rights import BOT, rights
from deploy.kube.kinds import kind_of
from deploy.kube.objects import Manifest
from deploy.rendering.manifests import render, token_secret
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_from_mapping
from deploy.tokens.token import Token, expiry_for
from tests.support.guidance import NAMESPACE, ROWS, Row
from tests.support.kube_api import KubeApi
from tests.support.waiting import until

_STRICT = "?fieldManager=gateway-bot&fieldValidation=Strict"
_APPLY = "application/apply-patch+yaml"


def _spec(options: dict[str, Any], namespace: str) -> GatewaySpec:
    return spec_from_mapping(
        {
            "gateway": "edge-1",
            "apim": {"instance": "contoso", "endpoint": "contoso.configuration.azure-api.net"},
            "cluster": "west",
            "image": {"tag": "2.11.1"},
            **options,
            "namespace": namespace,
        }
    )


def _objects(spec: GatewaySpec) -> tuple[Manifest, ...]:
    return render(spec, "edge-1-token" if spec.auth.kind == "token" else None)


def _found(objects: tuple[Manifest, ...]) -> dict[str, Manifest]:
    """By kind, and Services, of which there are two, by name."""
    return {
        f"Service {o['metadata']['name']}" if o["kind"] == "Service" else o["kind"]: o
        for o in objects
    }


@pytest.fixture(params=ROWS, ids=lambda row: row.name)
def row(request: pytest.FixtureRequest) -> Row:
    """Each row in turn."""
    found: Row = request.param
    return found


def test_a_spec_does_what_the_row_asks(row: Row) -> None:
    spec = _spec(dict(row.options), NAMESPACE)
    objects = _objects(spec)
    assert row.said(_found(objects)) == row.value


def test_a_cluster_takes_what_the_row_asks_and_keeps_it(row: Row, api: KubeApi, ns: str) -> None:
    kept = []
    for manifest in _objects(_spec(dict(row.options), ns)):
        path = kind_of(manifest["kind"]).path(ns, manifest["metadata"]["name"])
        answer = api.request("PATCH", path + _STRICT, manifest, _APPLY)
        assert answer.status == 201, answer.body
        kept.append({**manifest, **api.get(path)})
    wanted = {ns} if row.value == {NAMESPACE} else row.value
    assert row.said(_found(tuple(kept))) == wanted


def test_the_bots_rights_are_enough_for_every_kind_of_object(api: KubeApi, ns: str) -> None:
    for right in rights([ns]):
        kind, namespace = right["kind"].lower(), right["metadata"].get("namespace")
        inside = f"/namespaces/{namespace}" if namespace else ""
        path = f"/apis/rbac.authorization.k8s.io/v1{inside}/{kind}s/{BOT}"
        api.apply(path, right, query="&force=true")
    bot = api.as_user(BOT)
    secrets = kind_of("Secret").path(ns)
    # An API server takes a moment to know of a new Role.
    until(lambda: bot.request("GET", secrets).status == 200, "the rights to be known")
    mapping = yaml.safe_load(Path("tests/data/specs/everything.yaml").read_text())
    mapping["service"].pop("nodePorts")
    spec = _spec(mapping, ns)
    now = datetime.datetime.now(datetime.UTC)
    token = Token("edge-1", expiry_for(now), "edge-1&202609010000&c2ln")
    secret = token_secret(spec, "edge-1-token", token, "ABC234")
    for manifest in (secret, *_objects(spec)):
        path = kind_of(manifest["kind"]).path(ns, manifest["metadata"]["name"])
        for _ in range(2):
            answer = bot.request("PATCH", path + _STRICT, manifest, _APPLY)
            assert answer.status in (200, 201), answer.body
        assert bot.request("GET", path).status == 200
        assert bot.request("DELETE", path).status == 200
