"""The gateway that runs under a name: its live Deployment and the spec it was deployed from."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from deploy.annotations import MANAGER, SPEC_ANNOTATION
from deploy.commands import Command
from deploy.errors import Conflict, DeployedByOthers, InvalidInput, NotFound, Refused
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.inventory import managed_by
from deploy.observed.managers import manager_of
from deploy.observed.workloads import OTHERS
from deploy.specs.annotation import NewerSpec, mapping_from_text
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_from_mapping


@dataclass(frozen=True)
class Installed:
    """A gateway that this bot has deployed."""

    deployment: Manifest
    spec: GatewaySpec


def deployment_of(cluster: Cluster, ref: GatewayRef) -> Manifest:
    """The live Deployment. NotFound when there is none; Conflict where it is another kind."""
    found = cluster.get("Deployment", ref.namespace, ref.name)
    if found is not None:
        return found
    kind = _other_kind(cluster, ref)
    if kind:
        raise Conflict(
            f"{ref} is a {kind}.",
            meaning=(
                "This bot changes only gateways that are Deployments. It shows this one and "
                "sends warnings for it."
            ),
            remedy="Change it where it is defined, or deploy a new gateway with this bot.",
        )
    raise NotFound(
        f"There is no Deployment “{ref.name}” in {ref.cluster}/{ref.namespace}.",
        meaning="This bot changes only gateways that are Deployments.",
        remedy=f"{Command('list')} shows every gateway.",
    ).offering(Command("list"))


def _other_kind(cluster: Cluster, ref: GatewayRef) -> str:
    """The kind of the workload of that name that is not a Deployment; empty where none is seen."""
    for kind in OTHERS:
        name = ref.name.removesuffix(f".{kind.lower()}")
        try:
            if cluster.get(kind, ref.namespace, name) is not None:
                return kind
        except Refused:
            continue
    return ""


def carried_spec(deployment: Manifest, ref: GatewayRef) -> dict[str, Any] | None:
    """The mapping of the spec that the Deployment carries; None where it carries none.

    Conflict where that cannot be read.
    """
    text = (deployment["metadata"].get("annotations") or {}).get(SPEC_ANNOTATION)
    if text is None:
        return None
    try:
        return mapping_from_text(text)
    except NewerSpec as error:
        raise Conflict(
            f"The spec stored with {ref} was written by a newer version of the bot.",
            remedy="Run the same version of the bot everywhere.",
        ) from error
    except InvalidInput as error:
        raise _unreadable(ref) from error


def installed(cluster: Cluster, ref: GatewayRef) -> Installed:
    """The gateway and its spec. Conflict where something else installed it, or where its spec
    cannot be read or is another gateway's.

    The cluster is the one it was found on: its name in the settings may have been another.
    """
    deployment = deployment_of(cluster, ref)
    mapping = carried_spec(deployment, ref)
    if mapping is None:
        manager = manager_of(deployment)
        # A chart is no longer applied once somebody adopts what it made.
        undone = manager is not None and manager.undoes and not manager.is_helm
        by = str(manager) if undone else managed_by(deployment)
        keep, adopt = Command("manage-token", ref), Command("adopt", ref)
        raise DeployedByOthers(
            f"{ref} was not deployed by this bot"
            + (f" but by {by}." if by not in (MANAGER, "unknown") else "."),
            meaning="No spec is stored with it that the bot could change or compare.",
            remedy=(
                f"Change it where {manager.tool or 'its owner'} reads it: other changes are undone. "
                f"To let the bot manage only its token, use {keep}."
                if manager is not None and undone
                else f"To let the bot manage only its token, use {keep}. To let it manage the gateway "
                f"and keep what runs, use {adopt}."
            ),
        ).offering(*((keep,) if undone else (keep, adopt)))
    try:
        spec = spec_from_mapping(mapping)
    except InvalidInput as error:
        raise _unreadable(ref) from error
    if (spec.ref.namespace, spec.ref.name) != (ref.namespace, ref.name):
        raise Conflict(
            f"The spec stored with {ref} belongs to {spec.ref}.",
            meaning="Somebody probably copied the Deployment.",
            remedy=f"Deploy it again from a complete spec: {Command('deploy', ref)}.",
        )
    return Installed(deployment, dataclasses.replace(spec, ref=ref))


def _unreadable(ref: GatewayRef) -> Conflict:
    return Conflict(
        f"The spec stored with {ref} cannot be read.",
        meaning="Somebody may have edited it, or a newer version of the bot wrote it.",
        remedy=f"Deploy it again from a complete spec: {Command('deploy', ref)}.",
    )
