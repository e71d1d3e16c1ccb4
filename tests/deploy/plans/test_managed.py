"""A plan that something else would undo says so, and in production it has to be forced."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from deploy.access import Environment
from deploy.kube.cluster import Cluster
from deploy.plans.plan import Plan
from deploy.plans.planning import Planner
from deploy.rules.finding import Finding
from deploy.specs.options import Objects, Rollout
from deploy.tokens.rotation import Rotation
from tests.deploy.plans.test_planning import deploy
from tests.support.gateway_bed import INSTANCES, REF, SPEC

Owner = tuple[str, Mapping[str, str], Mapping[str, str]]

MORE = dataclasses.replace(SPEC, replicas=3)
ARGO_CD: Owner = (
    "argocd-controller",
    {},
    {"argocd.argoproj.io/tracking-id": "edge:apps/Deployment:dev/edge-1"},
)
FLUX: Owner = (
    "kustomize-controller",
    {
        "kustomize.toolkit.fluxcd.io/name": "edge",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    },
    {},
)
HELM: Owner = (
    "helm",
    {"app.kubernetes.io/managed-by": "Helm"},
    {"meta.helm.sh/release-name": "edge", "meta.helm.sh/release-namespace": "dev"},
)
CHART: Owner = ("kubectl-client-side-apply", {"app.kubernetes.io/managed-by": "Helm"}, {})


def planner_of(cluster: Cluster, *, production: bool) -> Planner:
    environment = Environment("here", production=production)
    return Planner({"west": cluster}.__getitem__, list, [environment], instances=INSTANCES)


def managed_by(cluster: Cluster, owner: Owner) -> None:
    """Have something else apply the Deployment as it is."""
    manager, labels, annotations = owner
    metadata: dict[str, Any] = {"name": REF.name, "namespace": REF.namespace}
    metadata |= {"labels": dict(labels), "annotations": dict(annotations)}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"replicas": 2},
    }
    cluster.apply(body, manager=manager, force=True)


def finding(plan: Plan, rule: str = "managed-elsewhere") -> Finding | None:
    return next((found for found in plan.findings if found.rule == rule), None)


@pytest.mark.parametrize(
    ("owner", "named", "form"),
    [
        (ARGO_CD, "Argo CD (application edge)", "kustomize"),
        (FLUX, "Flux (Kustomization flux-system/edge)", "kustomize"),
        (HELM, "Helm (release dev/edge)", "helm"),
    ],
)
def test_a_change_that_would_be_undone_is_denied_in_production_and_said_elsewhere(
    cluster: Cluster, owner: Owner, named: str, form: str
) -> None:
    deploy(cluster, planner_of(cluster, production=False))
    managed_by(cluster, owner)
    plan = planner_of(cluster, production=True).plan(MORE, "XYZ789")
    denying = finding(plan)
    assert denying is not None
    assert denying.severity == "deny"
    assert named in denying.fix
    assert f"/gateway export dev/edge-1 --for {form}" in denying.fix
    assert not plan.digest
    said = finding(planner_of(cluster, production=False).plan(MORE, "XYZ789"))
    assert said is not None
    assert said.severity == "warning"


def test_forced_a_change_that_would_be_undone_can_be_decided_on(cluster: Cluster) -> None:
    deploy(cluster, planner_of(cluster, production=False))
    managed_by(cluster, ARGO_CD)
    plan = planner_of(cluster, production=True).plan(MORE, "XYZ789", take_over=True)
    said = finding(plan)
    assert said is not None
    assert said.severity == "warning"
    assert plan.digest


def test_a_rotation_and_a_restart_are_not_denied_because_something_else_manages_the_gateway(
    cluster: Cluster,
) -> None:
    deploy(cluster, planner_of(cluster, production=False))
    managed_by(cluster, ARGO_CD)
    planner = planner_of(cluster, production=True)
    rotation = planner.plan(SPEC, "XYZ789", rotation=Rotation())
    again = Rollout(restarted_at="2026-11-29T12:00:00Z")
    restart = planner.plan(dataclasses.replace(SPEC, rollout=again), "XYZ789", restart=True)
    for plan in (rotation, restart):
        said = finding(plan)
        assert said is not None
        assert said.severity == "warning"
        assert plan.digest


def test_what_only_looks_like_a_manager_is_said_as_perhaps_and_denies_nothing(
    cluster: Cluster,
) -> None:
    deploy(cluster, planner_of(cluster, production=False))
    managed_by(cluster, CHART)
    plan = planner_of(cluster, production=True).plan(MORE, "XYZ789", take_over=True)
    assert finding(plan) is None
    said = finding(plan, "perhaps-managed-elsewhere")
    assert said is not None
    assert said.severity == "info"
    assert "perhaps Helm" in said.fix


def test_the_release_of_an_adopted_gateway_denies_nothing_for_nobody_is_to_upgrade_it(
    cluster: Cluster,
) -> None:
    adopted = dataclasses.replace(SPEC, objects=Objects(keeps=("security",)))
    deploy(cluster, planner_of(cluster, production=False), spec=adopted)
    managed_by(cluster, HELM)
    more = dataclasses.replace(adopted, replicas=3)
    plan = planner_of(cluster, production=True).plan(more, "XYZ789", take_over=True)
    assert finding(plan) is None
    said = finding(plan, "perhaps-managed-elsewhere")
    assert said is not None
    assert "perhaps Helm (release dev/edge)" in said.fix
    managed_by(cluster, ARGO_CD)
    assert finding(planner_of(cluster, production=True).plan(more, "XYZ789")) is not None


def test_a_plan_that_changes_nothing_that_another_manages_says_nothing_of_it(
    cluster: Cluster,
) -> None:
    planner = planner_of(cluster, production=True)
    assert finding(planner.plan(SPEC, "ABC234")) is None
    deploy(cluster, planner)
    assert finding(planner.plan(MORE, "XYZ789")) is None
