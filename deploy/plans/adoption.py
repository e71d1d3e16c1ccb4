"""The spec of a gateway that something else installed, read off its live objects. Pure.

Server-side apply merges what the spec says into the objects that are there: a Deployment's selector
can never change, a container of another name would be a second one, and a Service of another name
would get another address. So the spec keeps their names and says which parts this bot does not write;
what it does not say stays as it is, for it belongs to whoever wrote it.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deploy.azure import ApimInstance
from deploy.errors import Conflict
from deploy.kube.objects import Manifest
from deploy.observed.effective import EffectiveSettings, effective_settings
from deploy.observed.given import Content, data_of_all
from deploy.observed.inventory import container_of
from deploy.observed.sign_in import sign_in
from deploy.plans.adopted_services import (
    name_of,
    port_fields,
    selects,
    service_fields,
    services_of,
)
from deploy.plans.adopted_settings import sources_of_container
from deploy.plans.adopted_workload import (
    backup_fields,
    image_fields,
    kept_parts,
    placement_fields,
    resource_fields,
    rollout_fields,
)
from deploy.plans.adoption_notes import Told, notes
from deploy.plans.readers import Readers
from deploy.plans.settings_fields import with_settings
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_from_mapping

_ENDPOINT = "config.service.endpoint"
_V2 = re.compile(
    r"(?:https://)?([a-z0-9-]+)\.(?:configuration|management)\.azure-api\.(?:net|us|cn)(?:[:/].*)?",
    re.IGNORECASE,
)
_V1 = re.compile(r"/Microsoft\.ApiManagement/service/([^/?]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Adoption:
    """What to deploy, and what a person should know before."""

    spec: GatewaySpec
    notes: tuple[str, ...]


def instance_named_by(given: EffectiveSettings) -> str:
    """The API Management service that the pods are given, or the host where it has another name.

    Knows the host of today and the management URL of the first generation; empty where there is
    no endpoint.
    """
    return service_named_by(given.value(_ENDPOINT))


def service_named_by(endpoint: str) -> str:
    """The API Management service that an endpoint is of, or its host where it has another name."""
    found = _V1.search(endpoint) or _V2.fullmatch(endpoint)
    return found[1] if found else endpoint.removeprefix("https://").rstrip("/")


def derive(
    deployment: Manifest,
    services: Sequence[Manifest],
    config_maps: Sequence[Manifest],
    budgets: Sequence[Manifest],
    claims: Sequence[Manifest],
    *,
    cluster: str,
    instance: ApimInstance,
    gateway: str,
    secrets: Mapping[str, Content | None] | None = None,
    readers: Readers | None = None,
) -> Adoption:
    """The spec that changes the gateway least, and notes on the rest. `secrets` are those that the pods
    take in, as far as they were read; `readers` is what others of its namespace read.

    Conflict for a gateway that cannot be adopted, InvalidInput for one whose values no spec takes.
    """
    readers = readers or Readers()
    container, pod = container_of(deployment), _mapping(deployment, "spec", "template", "spec")
    given = effective_settings(container, data_of_all(container, config_maps), secrets or {})
    check_sign_in(deployment, given)
    metadata = deployment["metadata"]
    labels = _mapping(deployment, "spec", "template", "metadata", "labels")
    host = given.value("neighborhood.host")
    found = services_of(services, labels, container, host, readers)
    selector, whole = _selector(deployment, labels)
    budget, budgets_beside = _budget(budgets, labels, selector)
    sources = sources_of_container(name_of(deployment), container, config_maps, readers)
    backup = backup_fields(container, pod)
    keeps = kept_parts(container)
    mapping: dict[str, Any] = {
        "gateway": gateway,
        "apim": {"instance": instance.name, "endpoint": instance.configuration_endpoint},
        "cluster": cluster,
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "image": image_fields(container, pod),
        "replicas": int(_mapping(deployment, "spec").get("replicas", 1)),
        "resources": resource_fields(container),
        "rollout": rollout_fields(deployment, pod, claims),
        "service": service_fields(found.live, container) if found.live else {"type": "ClusterIP"},
        "backup": {"existingClaim": backup.claim},
        "disruptionBudget": _disruption(budget, beside=budgets_beside),
        **placement_fields(pod),
        "objects": {
            "selector": selector,
            "labelSelector": whole,
            "container": container.get("name"),
            "configMap": sources.config_map,
            "sources": list(sources.sources),
            "keeps": list(keeps),
            "service": _called(found.live, f"{metadata['name']}-live-traffic", services),
            "discoveryService": _called(
                found.discovery, f"{metadata['name']}-instance-discovery", services
            ),
            "disruptionBudget": name_of(budget) if budget else None,
            "backupVolume": backup.volume,
        },
    }
    mapping = _without_empty(mapping)
    if found.live is not None:
        # That a port has no name is said by an empty one.
        mapping["objects"] |= port_fields(
            found.live, container, selector, ports_stay="ports" in keeps
        )
    spec = spec_from_mapping(with_settings(mapping, given))
    told = Told(deployment, container, given, found, sources, spec, budgets_beside)
    return Adoption(spec, tuple(notes(told)))


def counted_by(adoption: Adoption, autoscalers: Sequence[str]) -> Adoption:
    """The same where these set the number of its pods."""
    if not autoscalers:
        return adoption
    note = f"{', '.join(autoscalers)} still sets the replicas."
    spec = replace(adoption.spec, replicas="external")
    return Adoption(spec, (*adoption.notes, note))


def check_sign_in(deployment: Manifest, given: EffectiveSettings) -> None:
    """Conflict for a gateway that signs in to Entra ID."""
    if sign_in(deployment, given) != "token":
        raise Conflict(
            f"{deployment['metadata']['name']} signs in to Entra ID.",
            meaning="It has no gateway token, and adopting it would give it one.",
            remedy="Deploy it from a complete spec that sets `auth`.",
        )


def _called(found: Manifest | None, usual: str, services: Sequence[Manifest]) -> str | None:
    """The name of what was found; of what is to be made one that no other has, None for the usual."""
    if found is not None:
        return name_of(found)
    taken = {name_of(each) for each in services}
    free = (name for n in itertools.count(2) if (name := f"{usual}-{n}") not in taken)
    return next(free) if usual in taken else None


def _selector(
    deployment: Manifest, labels: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Labels that select its pods, and its whole selector where that has more than labels."""
    whole = _mapping(deployment, "spec", "selector")
    matching = _mapping(whole, "matchLabels")
    if not whole.get("matchExpressions"):
        return matching, {}
    # A Service selects by labels alone: where the Deployment has none, by those its expressions name.
    named = [each["key"] for each in whole["matchExpressions"] if each["key"] in labels]
    return matching or {key: labels[key] for key in named} or dict(labels), whole


def _budget(
    budgets: Sequence[Manifest], labels: Mapping[str, Any], selector: Mapping[str, str]
) -> tuple[Manifest | None, tuple[Manifest, ...]]:
    """The PodDisruptionBudget of these pods alone, and others that count them too."""
    chosen = [b for b in budgets if selects(_mapping(b, "spec", "selector", "matchLabels"), labels)]
    own = [b for b in chosen if _mapping(b, "spec", "selector") == {"matchLabels": selector}]
    kept = own[0] if own and len(chosen) == 1 else None
    return kept, tuple(each for each in chosen if each is not kept)


def _disruption(budget: Manifest | None, *, beside: Sequence[Manifest]) -> dict[str, Any]:
    if budget is None:
        # Pods that two budgets count cannot be evicted at all.
        return {"enabled": False} if beside else {}
    spec = _mapping(budget, "spec")
    return {
        name: str(spec[name])
        for name in ("minAvailable", "maxUnavailable")
        if spec.get(name) is not None
    }


def _mapping(item: Mapping[str, Any], *path: str) -> dict[str, Any]:
    here: Any = item
    for step in path:
        here = here.get(step) if isinstance(here, Mapping) else None
    return dict(here) if isinstance(here, Mapping) else {}


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without those that say nothing, at every depth."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        kept = _without_empty(value) if isinstance(value, Mapping) else value
        if kept not in (None, {}, [], ""):
            found[key] = kept
    return found
