"""What a plan tells of its effects."""

import dataclasses
from typing import Literal

import pytest

from deploy.plans.plan import FieldChange, ObjectChange, Plan
from deploy.specs.options import Rollout
from deploy.tokens.token_plan import TokenPlan
from tests.support.gateway_bed import SPEC

_TRAFFIC = "edge-1-live-traffic"


def plan(
    kind: str,
    name: str,
    *fields: FieldChange,
    change: Literal["create", "update", "delete"] = "update",
    grace: int = 60,
) -> Plan:
    return Plan(
        dataclasses.replace(SPEC, rollout=Rollout(termination_grace=grace)),
        "u",
        (),
        (ObjectChange(kind, name, change, fields),),
        TokenPlan("t", mint=False, expires_at=None, reason=""),
    )


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("spec.type", "LoadBalancer", "ClusterIP"),
        ("spec.ports[443/TCP].port", 443, 8443),
        ("spec.ports[80/TCP].targetPort", 8080, "https"),
        ("spec.loadBalancerSourceRanges", None, ["10.0.0.0/8"]),
        ("spec.externalTrafficPolicy", "Local", "Cluster"),
        (
            'metadata.annotations["service.beta.kubernetes.io/azure-load-balancer-internal"]',
            None,
            "true",
        ),
    ],
)
def test_another_way_to_the_pods_cuts_connections(path: str, old: object, new: object) -> None:
    assert plan("Service", _TRAFFIC, FieldChange(path, old, new)).cuts_connections


def test_what_no_caller_goes_through_cuts_none() -> None:
    owner = FieldChange("metadata.labels.team", None, "edge")
    assert not plan("Service", _TRAFFIC, owner).cuts_connections
    between = FieldChange("spec.ports[4290/UDP].port", 4290, 4300)
    assert not plan("Service", "edge-1-instance-discovery", between).cuts_connections
    same = FieldChange("spec.ports[80/TCP].targetPort", 8080, "http")
    assert not plan("Service", _TRAFFIC, same).cuts_connections
    setting = FieldChange("data.x", "1", "2")
    assert not plan("ConfigMap", "edge-1-env", setting).cuts_connections
    assert not plan("Service", _TRAFFIC, change="create").cuts_connections


def test_pods_that_end_let_requests_finish_unless_they_get_no_time() -> None:
    image = FieldChange("spec.template.spec.containers[edge-1].image", "a", "b", restarts_pods=True)
    fewer = FieldChange("spec.replicas", 3, 2)
    for field in (image, fewer):
        assert plan("Deployment", "edge-1", field).ends_pods
        assert not plan("Deployment", "edge-1", field).cuts_connections
        assert plan("Deployment", "edge-1", field, grace=0).cuts_connections
    assert not plan("Deployment", "edge-1", FieldChange("spec.replicas", 2, 3)).ends_pods


def test_a_gateway_that_goes_takes_its_connections_along() -> None:
    assert plan("Deployment", "edge-1", change="delete").cuts_connections
