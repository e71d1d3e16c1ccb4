"""From a gateway that runs to the request that brings an earlier revision of it back."""

import dataclasses

from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.observed.history import asked_for, revisions
from deploy.observed.installed import installed
from deploy.observed.revision_differences import gone_back_to
from deploy.plans.requests import RollbackRequest
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_from_mapping, spec_to_mapping


def rollback_request(
    cluster: Cluster, ref: GatewayRef, number: int | None, *, take_over: bool = False
) -> RollbackRequest:
    """What brings back the revision of that number, or without one the last that differs.

    NotFound where there is none, Conflict where it is not known what it was deployed with; raises
    what reading raises.
    """
    gateway = installed(cluster, ref)
    known = revisions(gateway.deployment, cluster.list("ReplicaSet", ref.namespace))
    revision = gone_back_to(ref, asked_for(gateway.deployment), known, number)
    wanted = spec_from_mapping(revision.spec)
    return RollbackRequest(
        counted_as_now(dataclasses.replace(wanted, ref=ref), gateway.spec),
        take_over,
        revision=revision.number,
    )


def counted_as_now(spec: GatewaySpec, now: GatewaySpec) -> GatewaySpec:
    """The spec with the pods counted as they are today, by hand or by an autoscaler. InvalidInput
    where it cannot be so."""
    counted = dataclasses.replace(spec, replicas=now.replicas, autoscaling=now.autoscaling)
    return spec_from_mapping(spec_to_mapping(counted))
