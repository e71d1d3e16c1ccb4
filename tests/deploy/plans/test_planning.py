"""Plans against a cluster that answers as a real one."""

import dataclasses
import datetime
import json
from typing import Any

import pytest

from deploy.access import Environment
from deploy.annotations import SPEC_ANNOTATION
from deploy.errors import Conflict, InvalidInput, NotFound, Unavailable
from deploy.gateway import GatewayRef
from deploy.kube.api_errors import NamespaceEnds
from deploy.kube.cluster import Cluster
from deploy.kube.places import Everywhere
from deploy.observed.installed import installed
from deploy.observed.pods import token_secret_of
from deploy.plans.binding import bound
from deploy.plans.dry_run import readable
from deploy.plans.plan import Plan, ReplacedSecret
from deploy.plans.planning import Planner, jobs_unseen
from deploy.rendering.manifests import render, token_secret, with_action
from deploy.rollouts.rollout import apply_plan
from deploy.rules import Exemption
from deploy.specs.annotation import spec_to_text
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import (
    Auth,
    Autoscaling,
    Backup,
    Disruption,
    NetworkPolicy,
    Placement,
    Rollout,
)
from deploy.tokens.rotation import Rotation
from deploy.tokens.token import expiry_for
from tests.support.actions import as_stored
from tests.support.gateway_bed import INSTANCE, INSTANCES, SPEC, Mint
from tests.support.portal import portal
from tests.support.records import recorded
from tests.support.running_cluster import RunningCluster
from tests.support.waiting import until


@pytest.fixture
def planner(cluster: Cluster) -> Planner:
    return Planner({"west": cluster}.__getitem__, lambda: ["2.11.0", "2.11.1"], instances=INSTANCES)


def deploy(
    cluster: Cluster, planner: Planner, action_id: str = "ABC234", *, spec: GatewaySpec = SPEC
) -> None:
    plan = planner.plan(spec, action_id)
    expiry = expiry_for(datetime.datetime.now(datetime.UTC))
    assert plan.token.secret is not None
    token = Mint().generate_token(INSTANCE, "edge-1", "primary", expiry)
    cluster.create(token_secret(SPEC, plan.token.secret, token, action_id))
    apply_plan(cluster, plan, action_id=action_id, requester="U1")


def test_a_plan_for_a_new_gateway_creates_everything_and_changes_nothing_yet(
    cluster: Cluster, planner: Planner
) -> None:
    plan = planner.plan(SPEC, "ABC234")
    assert {change.change for change in plan.changes} == {"create"}
    assert [change.kind for change in plan.changes] == [
        "ConfigMap",
        "Service",
        "Service",
        "PodDisruptionBudget",
        "Deployment",
    ]
    assert plan.token.mint
    assert len(plan.digest) == 64
    assert cluster.list("Deployment", "dev") == []


def test_the_same_request_has_the_same_digest(planner: Planner) -> None:
    assert planner.plan(SPEC, "ABC234").digest == planner.plan(SPEC, "ABC234").digest


def test_a_gateway_that_is_as_wanted_has_an_empty_plan(cluster: Cluster, planner: Planner) -> None:
    deploy(cluster, planner)
    plan = planner.plan(SPEC, "XYZ789")
    assert plan.changes == ()
    assert plan.empty


def test_a_changed_tag_is_one_change_that_restarts_pods(cluster: Cluster, planner: Planner) -> None:
    deploy(cluster, planner)
    plan = planner.plan(dataclasses.replace(SPEC, tag="2.11.0"), "XYZ789")
    (change,) = plan.changes
    assert (change.kind, change.change) == ("Deployment", "update")
    assert plan.restarts_pods
    assert not plan.token.mint
    assert any(f.path.endswith("image") and f.new.endswith(":2.11.0") for f in change.fields)


def test_drift_on_the_cluster_is_in_the_plan(
    cluster: Cluster, planner: Planner, running: RunningCluster
) -> None:
    deploy(cluster, planner)
    before = planner.plan(SPEC, "XYZ789")
    path = "/api/v1/namespaces/dev/configmaps/edge-1-env"
    body = {"data": {"telemetry.logs.std.level": "debug"}}
    running.request("PATCH", path, body, content_type="application/merge-patch+json")
    plan = planner.plan(SPEC, "XYZ789", take_over=True)
    assert [change.kind for change in plan.changes] == ["ConfigMap"]
    assert plan.digest != before.digest


def test_what_others_own_is_named_and_cannot_be_decided_on(
    cluster: Cluster, planner: Planner, running: RunningCluster
) -> None:
    deploy(cluster, planner)
    path = "/apis/apps/v1/namespaces/dev/deployments/edge-1"
    running.request(
        "PATCH",
        f"{path}?fieldManager=kubectl",
        {"spec": {"progressDeadlineSeconds": 90}},
        content_type="application/merge-patch+json",
    )
    plan = planner.plan(SPEC, "XYZ789")
    (conflict,) = plan.conflicts
    assert (conflict.manager, conflict.path) == ("kubectl", "spec.progressDeadlineSeconds")
    assert plan.digest == ""
    assert planner.plan(SPEC, "XYZ789", take_over=True).digest != ""


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ({}, {"service_type": "NodePort"}),
        ({}, {"service_type": "LoadBalancer"}),
        ({"service_type": "NodePort"}, {"service_type": "NodePort", "http_port": 8088}),
    ],
)
def test_a_port_that_the_cluster_gives_when_it_is_applied_is_not_made_up_in_a_plan(
    cluster: Cluster, planner: Planner, before: dict[str, Any], wanted: dict[str, Any]
) -> None:
    deploy(cluster, planner, spec=dataclasses.replace(SPEC, **before))
    spec = dataclasses.replace(SPEC, **wanted)
    plan = planner.plan(spec, "XYZ789")
    assert planner.plan(spec, "XYZ789").digest == plan.digest
    (change,) = [change for change in plan.changes if change.kind == "Service"]
    assert "odePort" not in str([field.new for field in change.fields if field.old is None])
    apply_plan(cluster, plan, action_id="XYZ789", requester="U1")
    assert planner.plan(spec, "XYZ790").empty


def test_a_port_that_is_taken_back_keeps_no_node_port_where_the_service_has_none_any_more(
    cluster: Cluster, planner: Planner, running: RunningCluster
) -> None:
    deploy(cluster, planner, spec=dataclasses.replace(SPEC, service_type="NodePort"))
    path = "/api/v1/namespaces/dev/services/edge-1-live-traffic"
    edited = cluster.get("Service", "dev", "edge-1-live-traffic")
    assert edited is not None
    edited["spec"]["ports"][0]["port"] = 9090
    running.request("PUT", f"{path}?fieldManager=kubectl-edit", edited)
    plan = planner.plan(SPEC, "XYZ789", take_over=True)
    (change,) = [change for change in plan.changes if change.kind == "Service"]
    shown = next(field.new for field in change.fields if field.path == "spec.ports[80/TCP]")
    apply_plan(cluster, plan, action_id="XYZ789", requester="U1", force=True)
    live = cluster.get("Service", "dev", "edge-1-live-traffic")
    assert live is not None
    assert shown in live["spec"]["ports"]


def test_a_port_that_moved_to_where_another_is_stays_an_error(
    cluster: Cluster, planner: Planner, running: RunningCluster
) -> None:
    deploy(cluster, planner)
    path = "/api/v1/namespaces/dev/services/edge-1-live-traffic"
    edited = cluster.get("Service", "dev", "edge-1-live-traffic")
    assert edited is not None
    first = edited["spec"]["ports"][0]
    edited["spec"]["ports"][0] = {**first, "port": 9090}
    edited["spec"]["ports"].append({**first, "name": "more"})
    running.request("PUT", f"{path}?fieldManager=kubectl-edit", edited)
    with pytest.raises(InvalidInput, match="Duplicate value"):
        planner.plan(SPEC, "XYZ789", take_over=True)


def test_what_a_rule_denies_has_findings_but_cannot_be_decided_on(cluster: Cluster) -> None:
    risky = dataclasses.replace(SPEC, rollout=Rollout(max_unavailable="100%"))

    def plan(*environments: Environment) -> Plan:
        planner = Planner({"west": cluster}.__getitem__, list, environments, instances=INSTANCES)
        return planner.plan(risky, "ABC234", take_over=True)

    def severity(planned: Plan) -> str:
        return next(f.severity for f in planned.findings if f.rule == "rollout-stops-all")

    production = Environment("production", production=True)
    agreed = Exemption("rollout-stops-all", "A trial.", datetime.date(9999, 1, 1))
    denied = plan(production)
    assert denied.denied
    assert (severity(denied), denied.digest) == ("deny", "")
    elsewhere = plan(Environment("development"))
    assert (severity(elsewhere), len(elsewhere.digest)) == ("warning", 64)
    exempted = plan(dataclasses.replace(production, exemptions=(agreed,)))
    assert (severity(exempted), len(exempted.digest)) == ("info", 64)


def test_a_missing_secret_is_minted_anew(cluster: Cluster, planner: Planner) -> None:
    deploy(cluster, planner)
    cluster.delete("Secret", "dev", "edge-1-token-abc234")
    plan = planner.plan(SPEC, "XYZ789")
    assert plan.token.mint
    assert plan.token.secret == "edge-1-token-xyz789"
    assert plan.restarts_pods
    assert "edge-1-token-abc234, is gone" in plan.token.reason


def test_the_token_of_another_service_is_not_kept(cluster: Cluster) -> None:
    again = dataclasses.replace(INSTANCE, name="again", subscription="SUB")
    other = dataclasses.replace(INSTANCE, name="fabrikam", service="fabrikam")
    instances = {each.name: each for each in (INSTANCE, again, other)}
    planner = Planner({"west": cluster}.__getitem__, list, instances=instances)
    deploy(cluster, planner)

    def planned(instance: str, known: Planner = planner) -> Plan:
        apim = dataclasses.replace(SPEC.apim, instance=instance)
        return known.plan(dataclasses.replace(SPEC, apim=apim), "XYZ789")

    assert not planned("again").token.mint
    minted = planned("fabrikam").token
    assert minted.mint
    assert minted.reason == "The token in use is of API Management instance contoso."
    renamed = Planner({"west": cluster}.__getitem__, list, instances={"again": again})
    assert planned("again", renamed).token.mint, "the settings no longer tell which service it was"
    identity = dataclasses.replace(
        SPEC, apim=dataclasses.replace(SPEC.apim, instance="fabrikam"), auth=IDENTITY
    )
    assert not planner.plan(identity, "XYZ789").token.mint, "it signs in"


def test_a_token_of_which_only_its_gateway_is_known_is_kept_where_there_is_one_service(
    cluster: Cluster,
) -> None:
    again = dataclasses.replace(INSTANCE, name="again", subscription="SUB")
    other = dataclasses.replace(INSTANCE, name="fabrikam", service="fabrikam")
    for item in portal("dev", "edge-1"):
        cluster.create(item)
    one = {each.name: each for each in (INSTANCE, again)}
    several = {**one, "fabrikam": other}
    kept = Planner({"west": cluster}.__getitem__, list, instances=one).plan(SPEC, "XYZ789")
    assert (kept.token.mint, kept.token.secret) == (False, "edge-1-token-old")
    assert kept.replaces is None
    minted = Planner({"west": cluster}.__getitem__, list, instances=several).plan(SPEC, "XYZ789")
    assert minted.token.mint
    assert "not known which API Management service" in minted.token.reason


def test_a_new_token_replaces_the_one_in_the_secret_that_the_plan_has_read(
    cluster: Cluster, planner: Planner
) -> None:
    assert planner.plan(SPEC, "ABC234").replaces is None, "nothing runs yet"
    deploy(cluster, planner)
    plan = planner.plan(SPEC, "XYZ789", rotation=Rotation())
    secret = cluster.get("Secret", "dev", "edge-1-token-abc234")
    assert secret is not None
    assert plan.replaces == ReplacedSecret("edge-1-token-abc234", secret["metadata"]["uid"])
    cluster.delete("Deployment", "dev", "edge-1")
    assert planner.plan(SPEC, "XYZ789").replaces is None, "its Deployment is made anew"


def test_a_secret_whose_content_can_change_is_replaced_as_nobodys(
    cluster: Cluster, planner: Planner
) -> None:
    for item in portal("dev", "edge-1", immutable=False):
        cluster.create(item)
    plan = planner.plan(SPEC, "XYZ789")
    assert plan.token.mint
    assert plan.replaces is None


def test_a_missing_namespace_ends_the_plan(planner: Planner) -> None:
    nowhere = dataclasses.replace(SPEC, ref=GatewayRef("west", "nowhere", "edge-1"))
    with pytest.raises(NotFound, match="There is no namespace “nowhere” on cluster “west”"):
        planner.plan(nowhere, "ABC234")


def test_what_the_cluster_rejects_ends_the_plan(planner: Planner) -> None:
    with pytest.raises(InvalidInput):
        planner.plan(dataclasses.replace(SPEC, cpu="a lot"), "ABC234")


def test_a_registry_that_is_away_does_not_stop_a_plan(cluster: Cluster) -> None:
    def away() -> list[str]:
        raise Unavailable("The registry does not answer.")

    assert (
        Planner({"west": cluster}.__getitem__, away, instances=INSTANCES)
        .plan(SPEC, "ABC234")
        .changes
    )


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (".spec.replicas", "spec.replicas"),
        ('.spec.containers[name="gw"].image', "spec.containers[gw].image"),
        ('.ports[containerPort=8080,protocol="TCP"].name', "ports[8080/TCP].name"),
    ],
)
def test_managed_fields_are_written_as_the_diff_writes_them(path: str, shown: str) -> None:
    assert readable(path) == shown


GUID = "11111111-2222-3333-4444-555555555555"
SCALED = dataclasses.replace(SPEC, replicas=GatewaySpec.replicas, autoscaling=Autoscaling(2, 5))
IDENTITY = Auth("workloadIdentity", client_id=GUID, tenant_id=GUID)


def test_a_gateway_that_signs_in_to_entra_has_no_token_to_mint(
    cluster: Cluster, planner: Planner
) -> None:
    spec = dataclasses.replace(SPEC, auth=IDENTITY)
    plan = planner.plan(spec, "ABC234")
    assert (plan.token.secret, plan.token.mint) == (None, False)
    apply_plan(cluster, plan, action_id="ABC234", requester="U1")
    assert cluster.get("ServiceAccount", "dev", "edge-1") is not None
    assert [s["metadata"]["name"] for s in cluster.list("Secret", "dev")] == []
    assert planner.plan(spec, "XYZ789").empty


def test_a_gateway_may_go_from_its_token_to_entra(cluster: Cluster, planner: Planner) -> None:
    deploy(cluster, planner)
    plan = planner.plan(dataclasses.replace(SPEC, auth=IDENTITY), "XYZ789")
    apply_plan(cluster, plan, action_id="XYZ789", requester="U1")
    live = cluster.get("Deployment", "dev", "edge-1")
    assert live is not None
    assert token_secret_of(live["spec"]["template"]["spec"]) is None


def test_every_kind_of_object_is_applied_and_then_as_wanted(
    cluster: Cluster, planner: Planner
) -> None:
    spec = dataclasses.replace(SCALED, auth=IDENTITY, backup=Backup(size="50Mi"))
    plan = planner.plan(spec, "ABC234")
    apply_plan(cluster, plan, action_id="ABC234", requester="U1")
    assert planner.plan(spec, "XYZ789").changes == ()


def test_an_autoscaler_takes_over_the_pods_that_run(cluster: Cluster, planner: Planner) -> None:
    deploy(cluster, planner)
    plan = planner.plan(SCALED, "XYZ789")
    changed = {field.path for change in plan.changes for field in change.fields}
    assert "spec.replicas" not in changed
    apply_plan(cluster, plan, action_id="XYZ789", requester="U1")
    live = cluster.get("Deployment", "dev", "edge-1")
    assert live is not None
    assert live["spec"]["replicas"] == SPEC.replicas


def test_a_hook_of_somebody_elses_stops_a_deploy_and_neither_a_rotation_nor_a_restart(
    cluster: Cluster, planner: Planner, running: RunningCluster
) -> None:
    spec = dataclasses.replace(SPEC, rollout=Rollout(pre_stop=5))
    deploy(cluster, planner, spec=spec)
    command = {"exec": {"command": ["sleep", "5"]}}
    path = "/spec/template/spec/containers/0/lifecycle/preStop"
    running.request(
        "PATCH",
        "/apis/apps/v1/namespaces/dev/deployments/edge-1",
        [{"op": "replace", "path": path, "value": command}],
        content_type="application/json-patch+json",
    )
    with pytest.raises(Conflict, match="has a preStop hook already"):
        planner.plan(spec, "AAA111")
    assert planner.plan(spec, "BBB222", restart=True).digest
    assert planner.plan(spec, "CCC333", rotation=Rotation()).digest


def test_what_others_namespaces_hide_is_no_lack_of_rights() -> None:
    assert jobs_unseen(Everywhere(())) == ()
    (outside,) = jobs_unseen(Everywhere((), left_out="The bot looks only at namespace dev."))
    assert "looks only at namespace dev" in outside.what
    assert "right" not in outside.fix
    (refused,) = jobs_unseen(
        Everywhere((), ("The bot is not allowed to list cronjobs.",), "Only dev.")
    )
    assert "the right to list CronJobs" in refused.fix
    assert "Only dev. The bot is not allowed to list cronjobs." in refused.what


def test_a_new_network_policy_is_warned_of_where_pods_run(
    cluster: Cluster, planner: Planner
) -> None:
    closed = dataclasses.replace(SPEC, network_policy=NetworkPolicy(enabled=True))

    def warned() -> list[str]:
        found = planner.plan(closed, "AAA111").findings
        return [each.severity for each in found if each.rule == "network-policy"]

    assert warned() == []
    deploy(cluster, planner)
    until(lambda: warned() == ["warning"], "pods that run")
    apply_plan(cluster, planner.plan(closed, "BBB222"), action_id="BBB222", requester="U1")
    assert warned() == []


def test_what_a_spec_has_no_more_is_deleted(cluster: Cluster, planner: Planner) -> None:
    deploy(cluster, planner)
    more = dataclasses.replace(SCALED, network_policy=NetworkPolicy(enabled=True))
    apply_plan(cluster, planner.plan(more, "AAA111"), action_id="AAA111", requester="U1")
    assert planner.plan(more, "AAB222").changes == ()
    plain = dataclasses.replace(SPEC, disruption=Disruption(enabled=False))
    plan = planner.plan(plain, "BBB222", take_over=True)
    deleted = {change.kind for change in plan.changes if change.change == "delete"}
    assert deleted == {"HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget"}
    apply_plan(cluster, plan, action_id="BBB222", requester="U1", force=True)
    assert cluster.get("HorizontalPodAutoscaler", "dev", "edge-1") is None
    assert cluster.get("NetworkPolicy", "dev", "edge-1") is None
    assert cluster.get("PodDisruptionBudget", "dev", "edge-1") is None
    assert planner.plan(plain, "CCC333").changes == ()


def carry(cluster: Cluster, text: str, manager: str = "gateway-bot") -> None:
    """Have the Deployment carry this as its spec, in somebody's name."""
    metadata = {"name": "edge-1", "namespace": "dev", "annotations": {SPEC_ANNOTATION: text}}
    there = cluster.get("Deployment", "dev", "edge-1")
    assert there is not None
    if manager == "gateway-bot":
        ours = with_action(render(SPEC, token_secret_name(there)), "ABC234", "U1")[-1]
        ours["metadata"]["annotations"][SPEC_ANNOTATION] = text
        cluster.apply(ours)
    else:
        part = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}
        cluster.apply(part, manager=manager, force=True)


def token_secret_name(deployment: Any) -> str:
    used = token_secret_of(deployment["spec"]["template"]["spec"])
    assert used is not None
    return used[0]


@pytest.mark.parametrize("manager", ["gateway-bot", "flux"])
def test_a_gateway_deployed_before_specs_had_a_version_is_as_wanted(
    cluster: Cluster, planner: Planner, manager: str
) -> None:
    deploy(cluster, planner)
    carry(cluster, recorded("spec_annotation")["small"], manager)
    plan = planner.plan(SPEC, "XYZ789")
    assert plan.changes == ()
    assert plan.empty
    assert plan.conflicts == ()
    assert plan.digest


def test_the_next_change_gives_its_spec_a_version(cluster: Cluster, planner: Planner) -> None:
    deploy(cluster, planner)
    carry(cluster, recorded("spec_annotation")["small"])
    plan = planner.plan(dataclasses.replace(SPEC, replicas=3), "XYZ789")
    ((field,),) = [change.fields for change in plan.changes]
    assert (field.path, field.old, field.new) == ("spec.replicas", 2, 3)
    apply_plan(cluster, plan, action_id="XYZ789", requester="U1")
    live = cluster.get("Deployment", "dev", "edge-1")
    assert live is not None
    assert json.loads(live["metadata"]["annotations"][SPEC_ANNOTATION])["version"] == 1
    assert planner.plan(dataclasses.replace(SPEC, replicas=3), "AAA222").empty


def test_a_spec_of_a_newer_bot_is_said_to_be_one_in_a_sentence(
    cluster: Cluster, planner: Planner
) -> None:
    deploy(cluster, planner)
    for text in (recorded("spec_annotation")["small"], spec_to_text(SPEC)):
        carry(cluster, text)
        assert installed(cluster, SPEC.ref).spec == SPEC
    carry(cluster, json.dumps(json.loads(spec_to_text(SPEC)) | {"version": 2, "colour": "red"}))
    with pytest.raises(Conflict, match="was written by a newer version of the bot"):
        installed(cluster, SPEC.ref)
    carry(cluster, "{")
    with pytest.raises(Conflict, match="Somebody may have edited it, or a newer"):
        installed(cluster, SPEC.ref)


DEPRECATED = dataclasses.replace(
    SPEC, placement=Placement(node_selector=(("beta.kubernetes.io/os", "linux"),))
)


def test_what_the_api_server_warns_of_is_in_the_plan_once_and_in_no_digest(
    cluster: Cluster, planner: Planner
) -> None:
    plan = planner.plan(DEPRECATED, "ABC234")
    (warning,) = plan.warnings
    assert warning == (
        "spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "
        '"kubernetes.io/os" instead'
    )
    assert as_stored(plan).warnings == plan.warnings
    assert bound(dataclasses.replace(plan, warnings=())).digest == plan.digest
    deploy(cluster, planner, spec=DEPRECATED)
    assert planner.plan(DEPRECATED, "ABC235").empty


@pytest.mark.parametrize("runs", [True, False])
def test_a_namespace_that_is_being_deleted_is_named_before_anything_is_planned_into_it(
    cluster: Cluster, planner: Planner, running: RunningCluster, runs: bool
) -> None:
    if runs:
        deploy(cluster, planner)
    held = {"name": "held", "namespace": "dev", "finalizers": ["tests.gateway-bot.io/hold"]}
    cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held})
    cluster.delete("Namespace", None, "dev")
    with pytest.raises(NamespaceEnds, match="“dev” on cluster “west” is being deleted") as refused:
        planner.plan(dataclasses.replace(SPEC, tag="2.11.0"), "ABC235")
    assert refused.value.remedy == (
        "Choose another namespace, or wait until this one has been created again."
    )


class ScaledMeanwhile:
    """A cluster whose pods somebody else counts anew as soon as the plan has read them."""

    def __init__(self, cluster: Cluster, running: RunningCluster) -> None:
        self._cluster = cluster
        self._running: RunningCluster | None = running

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def at_once(self, calls: Any) -> Any:
        found = self._cluster.at_once(calls)
        if (running := self._running) is not None:
            self._running = None
            path = "/apis/apps/v1/namespaces/dev/deployments/edge-1"
            body = {"spec": {"replicas": 7}}
            running.request("PATCH", path, body, content_type="application/merge-patch+json")
            live = self._cluster.get("Deployment", "dev", "edge-1")
            assert live is not None
            assert live["spec"]["replicas"] == 7
        return found


@pytest.mark.parametrize("spec", [SPEC, SCALED], ids=["by hand", "autoscaled"])
def test_pods_that_others_add_while_it_is_planned_are_no_change_of_the_plan(
    cluster: Cluster, planner: Planner, running: RunningCluster, spec: GatewaySpec
) -> None:
    deploy(cluster, planner, spec=spec)
    meanwhile: Any = ScaledMeanwhile(cluster, running)
    planned = Planner(lambda _: meanwhile, lambda: ["2.11.1"], instances=INSTANCES)
    assert planned.plan(spec, "ABC235").changes == ()


def test_a_restart_and_a_rotation_show_the_image_that_runs_where_the_spec_has_another(
    cluster: Cluster, planner: Planner, running: RunningCluster
) -> None:
    deploy(cluster, planner)
    live = cluster.get("Deployment", "dev", "edge-1")
    assert live is not None
    image = live["spec"]["template"]["spec"]["containers"][0]["image"]
    # Without the version that was read, which the controller's next status would outdate.
    edit = {
        "op": "replace",
        "path": "/spec/template/spec/containers/0/image",
        "value": image.replace("2.11.1", "2.11.0"),
    }
    path = "/apis/apps/v1/namespaces/dev/deployments/edge-1"
    kind = "application/json-patch+json"
    assert running.request("PATCH", path, [edit], content_type=kind)[0] == 200
    mark = dataclasses.replace(SPEC.rollout, restarted_at="2026-12-01T00:00:00Z")
    restart = planner.plan(dataclasses.replace(SPEC, rollout=mark), "XYZ789", restart=True)
    rotation = planner.plan(SPEC, "XYZ789", rotation=Rotation())
    assert (as_stored(restart).tag, as_stored(rotation).tag) == ("2.11.0", "2.11.0")
    assert planner.plan(SPEC, "XYZ789", take_over=True).tag == "2.11.1"


@pytest.mark.parametrize("memory", ["none", "2Gi"])
def test_requests_that_a_gateway_lacks_are_a_change_once_they_are_asked_for(
    cluster: Cluster, planner: Planner, memory: str
) -> None:
    bare = dataclasses.replace(SPEC, cpu="none", memory=memory)
    deploy(cluster, planner, spec=bare)
    assert planner.plan(bare, "XYZ789").empty
    plan = planner.plan(dataclasses.replace(bare, cpu="2"), "XYZ789")
    fields = [field for change in plan.changes for field in change.fields]
    (asked,) = (field.new for field in fields if "requests" in field.path)
    assert asked in ("2", {"cpu": "2"})
    assert plan.restarts_pods
