"""What a person should know of an adoption before deciding it: what changes, why, and what stays.
Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.kube.objects import Manifest
from deploy.observed.effective import EffectiveSettings, Origin
from deploy.observed.pods import token_secret_of
from deploy.observed.sign_in import token_origin
from deploy.plans.adopted_services import FoundServices, name_of
from deploy.plans.adopted_settings import FoundSources
from deploy.plans.adopted_workload import has_probes, unserved_probes
from deploy.rendering.container_settings import container_settings
from deploy.rendering.labels import config_map_name, discovery_name, service_name
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.settings import AUTH

_SHOWN = 8
_FOLLOW = ("config.service.endpoint", "neighborhood.host", "runtime.deployment.")
"""Beginnings of names whose values are the bot's to say."""


@dataclass(frozen=True)
class Told:
    """Everything there is to report."""

    deployment: Manifest
    container: Mapping[str, Any]
    given: EffectiveSettings
    services: FoundServices
    sources: FoundSources
    spec: GatewaySpec
    budgets: Sequence[Manifest]


def notes(told: Told) -> Iterator[str]:
    """Each a sentence or two."""
    yield from _on_managers(told)
    yield from _on_token(told)
    yield from _on_pods(told)
    yield from _on_settings(told)
    yield from _on_services(told)
    # Said of the whole plan: the message may show less than that.
    yield "Details lists every change. Everything else stays as it is and keeps its owner."


def _on_managers(told: Told) -> Iterator[str]:
    labels = told.deployment["metadata"].get("labels") or {}
    if labels.get("app.kubernetes.io/managed-by") == "Helm" or "helm.sh/chart" in labels:
        yield (
            "Helm still tracks this release. Do not run `helm upgrade` or `helm uninstall` on "
            "it: uninstalling would delete the gateway."
        )


def _on_token(told: Told) -> Iterator[str]:
    used = token_secret_of(told.deployment["spec"]["template"]["spec"])
    origin = token_origin(told.given)
    if origin is not None and origin.kind == "Deployment":
        yield (
            "Its token is stored in the Deployment, where anyone who can read the Deployment "
            "can read it. A new token is stored in a Secret; earlier revisions still show the "
            "previous one."
        )
    elif origin is not None and origin.kind == "ConfigMap":
        yield (
            f"Its token is stored in ConfigMap {origin.name}, where it is not secret. A new "
            f"token is stored in a Secret and takes precedence; remove {origin.key} from "
            f"{origin.name} when this is done."
        )
    elif origin is not None or used is not None:
        name = origin.name if origin is not None else used[0] if used is not None else ""
        yield f"Secret {name} stays, but its token is no longer used."


def _on_settings(told: Told) -> Iterator[str]:
    if told.sources.why_new:
        yield (
            f"Its settings move to a new ConfigMap, {told.sources.config_map}, because "
            f"{told.sources.why_new}."
        )
    # .NET reads names of settings without case.
    wanted = {name.lower(): text for name, text in container_settings(told.spec).items()}
    own = config_map_name(told.spec)
    stay, become = [], []
    for name, setting in sorted(told.given.settings.items()):
        text = wanted.get(name.lower())
        if text is None:
            stay.append(name)
        elif setting.value not in (None, text) and not name.lower().startswith(_FOLLOW):
            become.append(f"{name} becomes {text}")
        elif setting.value is None and setting.origin != Origin("ConfigMap", own, name):
            become.append(f"{name} comes from {setting.origin.kind} {setting.origin.name}")
    stay = [name for name in stay if name != AUTH]
    if stay:
        yield f"These settings stay but are not managed by the bot: {_listed(stay)}."
    if become:
        yield f"A spec cannot hold these settings as they are: {_listed(become)}."
    if told.given.unread:
        objects = [f"{origin.kind} {origin.name}" for origin in told.given.unread]
        yield f"The contents of {_listed(objects)} could not be read; the pods still get them."


def _on_pods(told: Told) -> Iterator[str]:
    pod = told.deployment["spec"]["template"]["spec"]
    strategy = told.deployment["spec"].get("strategy") or {}
    if told.spec.rollout.strategy == "Recreate":
        yield (
            "Its strategy stays Recreate, because two of its pods cannot run at once: every pod "
            "stops before a new one starts, now and at each later change."
        )
    elif strategy.get("type") == "Recreate":
        yield (
            "Its strategy becomes RollingUpdate, so that no pod stops before a new one is "
            "ready: nothing prevents two of its pods from running at once."
        )
    if unserved := unserved_probes(told.container):
        yield (
            f"Gateways do not listen on the port of its {_listed(unserved)}, so no pod "
            "would stay ready; the bot sets its own probes."
        )
    elif not has_probes(told.container):
        yield (
            "It has no probes, so pods get requests before they can serve them; the bot adds "
            "its own."
        )
    beside = [c["name"] for c in pod["containers"] if c["name"] != told.container.get("name")]
    if beside:
        yield f"Other containers in its pods stay: {', '.join(beside)}."


def _on_services(told: Told) -> Iterator[str]:
    found = told.services
    if found.rest:
        yield (
            "These Services stay but are not managed by the bot: "
            f"{_listed([name_of(s) for s in found.rest])}."
        )
    if found.live is None:
        yield f"No Service selects only its pods; {service_name(told.spec)} is created."
    elif told.spec.service.only:
        yield (
            f"Service {name_of(found.live)} has a port for {told.spec.service.only.upper()} "
            "only, and stays that way."
        )
    if found.discovery is None:
        yield (
            f"Service {discovery_name(told.spec)} is created, so that its pods can find each other."
        )
    if told.budgets:
        names = _listed([name_of(budget) for budget in told.budgets])
        yield f"PodDisruptionBudget {names} stays, and no other is created."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
