"""Where a plan would send or hold a gateway's token, however it was asked for."""

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.access import Environment
from deploy.kube.cluster import Cluster
from deploy.plans.diff import field_changes
from deploy.plans.plan import FieldChange, ObjectChange, Plan
from deploy.plans.planning import Planner
from deploy.plans.redirection import Redirection, redirections
from deploy.rendering.manifests import render, token_secret
from deploy.rollouts.rollout import apply_plan
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.overlay import merged
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from deploy.tokens.token import expiry_for
from deploy.tokens.token_plan import TokenPlan
from tests.support.gateway_bed import INSTANCE, INSTANCES, SPEC, Mint
from tests.support.running_cluster import RunningCluster

UNCHECKED = "config.service.endpoint.disableCertificateValidation"
REVOCATION = "security.certificate-revocation.validation.enabled"
COLLECTOR = {"apim": {"endpoint": "collector.example.net"}}
REDIRECTING: tuple[tuple[str, dict[str, Any], set[Redirection]], ...] = (
    ("endpoint", COLLECTOR, {"endpoint"}),
    ("image repository", {"image": {"repository": "evil.example/gw"}}, {"image"}),
    ("DNS servers", {"dns": {"nameservers": ["10.0.0.9"]}}, {"names"}),
    ("DNS policy", {"dns": {"policy": "Default"}}, {"names"}),
    ("DNS search domains", {"dns": {"searches": ["evil.example"]}}, {"names"}),
    ("DNS options", {"dns": {"options": [{"name": "ndots", "value": "9"}]}}, {"names"}),
    ("host network", {"hostNetwork": True, "dns": {"policy": "ClusterFirstWithHostNet"}}, {"names"}),
    ("host aliases", {"hostAliases": [{"ip": "10.0.0.9", "hostnames": [INSTANCE.configuration_endpoint]}]}, {"names"}),
    ("proxy", {"proxy": {"https": "http://proxy.example:3128"}}, {"proxy"}),
    ("proxy in a Secret", {"proxy": {"httpsSecret": {"name": "proxy", "key": "url"}}}, {"proxy"}),
    ("hosts without proxy", {"proxy": {"bypass": ["*.example"]}}, {"proxy"}),
    ("certificate authorities", {"certificateAuthorities": [{"configMap": "ca", "key": "ca.pem"}]}, {"authorities"}),
    ("certificate check", {"settings": {UNCHECKED: "true"}}, {"certificates"}),
    ("revocation check", {"settings": {REVOCATION: "false"}}, {"certificates"}),
    ("another ConfigMap", {"objects": {"configMap": "another"}}, {"endpoint", "proxy", "authorities", "certificates"}),
)  # fmt: skip
HARMLESS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("tag", {"image": {"tag": "2.11.0"}}),
    ("replicas", {"replicas": 5}),
    ("restart", {"rollout": {"restartedAt": "2026-11-23T15:04:05Z"}}),
    ("log level", {"logs": {"level": "warn"}}),
    ("memory", {"resources": {"memory": "3Gi"}}),
    ("pull secret", {"image": {"pullSecrets": ["registry"]}}),
    ("backup", {"backup": {"existingClaim": "backup"}}),
    ("another setting", {"settings": {"net.server.http.forwarded.proto.enabled": "true"}}),
)


def spec_with(patch: dict[str, Any]) -> GatewaySpec:
    return spec_from_mapping(merged(spec_to_mapping(SPEC), patch))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with RunningCluster(tmp_path_factory.mktemp("cluster"), namespaces=("dev", "prod")) as found:
        yield found


@pytest.fixture
def planner(cluster: Cluster) -> Planner:
    return Planner(
        {"west": cluster}.__getitem__,
        list,
        (Environment("development", namespaces=("dev",)),),
        instances=INSTANCES,
    )


@pytest.fixture
def deployed(cluster: Cluster, planner: Planner) -> Planner:
    if cluster.get("Deployment", "dev", "edge-1") is None:
        plan = planner.plan(SPEC, "ABC234")
        assert plan.token.secret is not None
        expiry = expiry_for(datetime.datetime.now(datetime.UTC))
        token = Mint().generate_token(INSTANCE, "edge-1", "primary", expiry)
        cluster.create(token_secret(SPEC, plan.token.secret, token, "ABC234"))
        apply_plan(cluster, plan, action_id="ABC234", requester="U1")
    return planner


def test_a_token_of_a_production_gateway_is_not_sent_to_a_host_of_the_requesters_choice(
    planner: Planner,
) -> None:
    """Issue 12, B1: `deploy edge-1 --to west/dev --set apim.endpoint=collector.example.net`."""
    other = merged(spec_to_mapping(SPEC), {**COLLECTOR, "name": "edge-1-copy"})
    plan = planner.plan(spec_from_mapping(other), "XYZ789")
    assert plan.token.mint
    assert plan.denied
    assert plan.digest == "", "nobody can decide on it"
    (denied,) = [f for f in plan.findings if f.severity == "deny"]
    assert denied.rule == "token-to-unknown-endpoint"
    assert denied.fix.endswith("Under apim, contoso: endpoints: [collector.example.net]")


@pytest.mark.parametrize(
    ("patch", "rule"),
    [
        pytest.param(COLLECTOR, "token-to-unknown-endpoint", id="endpoint"),
        pytest.param(
            {"image": {"repository": "evil.example/gw"}}, "token-in-unknown-image", id="image"
        ),
    ],
)
def test_a_kept_token_is_not_sent_or_given_to_what_nobody_listed(
    deployed: Planner, patch: dict[str, Any], rule: str
) -> None:
    plan = deployed.plan(spec_with(patch), "XYZ789")
    assert not plan.token.mint
    assert [f.rule for f in plan.findings if f.severity == "deny"] == [rule]


def test_a_variable_that_others_set_on_the_live_deployment_is_judged_too(
    deployed: Planner, running: RunningCluster
) -> None:
    path = "/apis/apps/v1/namespaces/dev/deployments/edge-1?fieldManager=kubectl"
    container = {
        "name": "edge-1",
        "env": [{"name": "config.service.endpoint", "value": "x.example"}],
    }
    body = {"spec": {"template": {"spec": {"containers": [container]}}}}
    patched = "application/strategic-merge-patch+json"
    running.request("PATCH", path, body, content_type=patched)
    plan = deployed.plan(spec_with({"logs": {"level": "warn"}}), "XYZ789")
    assert "unknown-endpoint" in {f.rule for f in plan.findings}
    assert not plan.denied, "the token stays where it goes already"
    assert plan.conflicts == ()
    (elsewhere,) = plan.unsettled
    assert "config.service.endpoint is x.example" in elsewhere.what
    back = deployed.plan(spec_with({"logs": {"level": "warn"}}), "XYZ789", take_over=True)
    assert {conflict.manager for conflict in back.conflicts} == {"kubectl"}
    assert redirections(back) == {"endpoint"}
    assert back.held, "the pods that run sent their token elsewhere"
    undo = {"name": "edge-1", "env": [{"name": "config.service.endpoint", "$patch": "delete"}]}
    body = {"spec": {"template": {"spec": {"containers": [undo]}}}}
    running.request("PATCH", path, body, content_type=patched)


@pytest.mark.parametrize(
    ("patch", "expected"), [pytest.param(p, e, id=name) for name, p, e in REDIRECTING]
)
def test_what_redirects_a_kept_token_is_recognised(
    deployed: Planner, patch: dict[str, Any], expected: set[Redirection]
) -> None:
    plan = deployed.plan(spec_with(patch), "XYZ789")
    assert not plan.token.mint
    assert redirections(plan) == expected


@pytest.mark.parametrize("patch", [pytest.param(p, id=name) for name, p in HARMLESS])
def test_what_leaves_the_token_where_it_goes_redirects_nothing(
    deployed: Planner, patch: dict[str, Any]
) -> None:
    assert redirections(deployed.plan(spec_with(patch), "XYZ789")) == frozenset()


def test_a_new_gateway_redirects_nothing_for_its_token_is_minted(planner: Planner) -> None:
    spec = spec_with({"name": "another", **COLLECTOR})
    plan = planner.plan(spec, "XYZ789")
    assert plan.token.mint
    assert redirections(plan) == frozenset()


def planned(*changes: ObjectChange) -> Plan:
    return Plan(SPEC, "uid", (), changes, TokenPlan("s", False, None, ""))


def objects(patch: dict[str, Any]) -> dict[str, Any]:
    return {o["kind"]: o for o in render(spec_with(patch), "s") if o["kind"] != "Service"}


@pytest.mark.parametrize("old", [None, {"config.service.endpoint": "a.example", "x": "y"}])
def test_a_configmap_shown_as_one_field_is_read_to_its_settings(old: Any) -> None:
    change = FieldChange("data", old, {"config.service.endpoint": "b.example", "x": "y"})
    plan = planned(ObjectChange("ConfigMap", "edge-1-env", "update", (change,)))
    assert redirections(plan) == {"endpoint"}


@given(
    st.sampled_from([(p, e) for _, p, e in REDIRECTING if "objects" not in p]),
    st.sampled_from([p for _, p in HARMLESS]),
    st.integers(0, 4),
)
def test_a_redirection_is_seen_among_other_changes_and_at_every_depth(
    redirecting: tuple[dict[str, Any], set[Redirection]], harmless: dict[str, Any], depth: int
) -> None:
    patch, expected = redirecting
    before, after = objects({}), objects(merged(harmless, patch))
    changes = []
    for kind in ("ConfigMap", "Deployment"):
        fields = field_changes(kind, before[kind], after[kind])
        if depth and kind == "Deployment" and fields:
            # As a cluster tells it that knows less of the pods: everything in one field.
            path = ["spec", "template", "spec", "containers"][:depth]
            old, new = before[kind], after[kind]
            for key in path:
                old, new = old[key], new[key]
            above = [f for f in fields if not f.path.startswith(".".join(path))]
            fields = (*above, FieldChange(".".join(path), old, new))
        changes.append(ObjectChange(kind, "edge-1", "update", tuple(fields)))
    assert redirections(planned(*changes)) == expected
