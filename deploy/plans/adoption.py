"""The spec of a gateway that something else installed, read off its live objects. Pure.

Server-side apply merges what the spec says into the objects that are there: a Deployment's selector
can never change, a container of another name would be a second one, and a Service of another name
would get another address. So the spec keeps their names, and what it does not say stays as it is,
for it belongs to whoever wrote it.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deploy.azure import ApimInstance
from deploy.errors import Conflict, InvalidInput
from deploy.kube.objects import Manifest
from deploy.observed.effective import EffectiveSettings, Origin
from deploy.observed.given import given_among
from deploy.observed.inventory import container_of
from deploy.observed.pods import token_secret_of
from deploy.observed.sign_in import sign_in
from deploy.plans.settings_fields import with_settings
from deploy.rendering.manifests import render
from deploy.rendering.pod_template import HTTP, HTTPS
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_from_mapping

_AUTH = "config.service.auth"
_ENDPOINT = "config.service.endpoint"
_V2 = re.compile(r"(?:https://)?([a-z0-9-]+)\.configuration\.azure-api\.net/?", re.IGNORECASE)
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
    found = _V2.fullmatch(endpoint) or _V1.search(endpoint)
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
) -> Adoption:
    """The spec that changes the gateway least, and notes on the rest.

    Conflict for a gateway that cannot be adopted, InvalidInput for one whose values no spec takes.
    """
    pod = _mapping(deployment, "spec", "template", "spec")
    container = container_of(deployment)
    given = given_among(deployment, config_maps)
    _check(deployment, given)
    kept_map = _own_map(container)
    labels = _mapping(deployment, "spec", "template", "metadata", "labels")
    chosen = [s for s in services if _selects(_mapping(s, "spec", "selector"), labels)]
    live = [s for s in chosen if _mapping(s, "spec").get("clusterIP") != "None"]
    headless = [s for s in chosen if s not in live]
    matching = _mapping(deployment, "spec", "selector", "matchLabels")
    kept = [b for b in budgets if _selects(_mapping(b, "spec", "selector", "matchLabels"), labels)]
    mapping: dict[str, Any] = {
        "gateway": gateway,
        "apim": {"instance": instance.name, "endpoint": instance.configuration_endpoint},
        "cluster": cluster,
        "namespace": deployment["metadata"]["namespace"],
        "name": deployment["metadata"]["name"],
        "image": {**_image(container), **_pull(container, pod)},
        "replicas": int(_mapping(deployment, "spec").get("replicas", 1)),
        "resources": _resources(container),
        "rollout": _rollout(deployment, pod),
        "service": _service(live[0]) if live else {"type": "ClusterIP"},
        **_disruption(kept),
        **_placement(pod),
        "objects": _without_empty(
            {
                "selector": matching,
                "container": container.get("name"),
                "configMap": kept_map or None,
                "service": live[0]["metadata"]["name"] if live else None,
                "discoveryService": headless[0]["metadata"]["name"] if headless else None,
                "disruptionBudget": kept[0]["metadata"]["name"] if kept else None,
            }
        ),
    }
    spec = spec_from_mapping(with_settings(_without_empty(mapping), given))
    _check_selection(spec, chosen, labels)
    _check_ports(container, chosen)
    return Adoption(spec, tuple(_notes(deployment, container, given, live, spec)))


def counted_by(adoption: Adoption, autoscalers: Sequence[str]) -> Adoption:
    """The same where these set the number of its pods."""
    if not autoscalers:
        return adoption
    note = f"{', '.join(autoscalers)} still sets the replicas."
    spec = replace(adoption.spec, replicas="external")
    return Adoption(spec, (*adoption.notes, note))


def _own_map(container: Mapping[str, Any]) -> str:
    """The first ConfigMap that the container takes whole; empty where there is none."""
    return next(
        (
            str(source["configMapRef"]["name"])
            for source in container.get("envFrom") or ()
            if source.get("configMapRef") and not source.get("prefix")
        ),
        "",
    )


def _check(deployment: Manifest, given: EffectiveSettings) -> None:
    """What would be broken by adopting it."""
    metadata = deployment["metadata"]
    if sign_in(deployment, given) != "token":
        raise Conflict(
            f"{metadata['name']} signs in to Entra ID.",
            meaning="Such a gateway has no token that could die, and adopting would give it one.",
            remedy="Deploy it with a whole spec that names its `auth`.",
        )
    held = given.find(_AUTH)
    variables = {variable.get("name") for variable in container_of(deployment).get("env") or ()}
    if held is not None and _AUTH in variables and held.origin.kind != "Secret":
        raise Conflict(
            f"The token of {metadata['name']} stands in its Deployment, not in a Secret.",
            meaning="Kubernetes refuses a variable with a value and a reference, so it cannot be "
            "replaced by a reference in one step.",
            remedy="Put the token into a Secret, let config.service.auth read it by secretKeyRef, "
            "let that roll out, then adopt.",
        )
    expressions = _mapping(deployment, "spec", "selector").get("matchExpressions")
    if expressions:
        raise Conflict(
            f"{metadata['name']} selects its pods by expressions.",
            meaning="A selector can never be changed, and a spec holds labels alone.",
            remedy="Deploy a new gateway beside it and delete this one.",
        )


def _check_selection(
    spec: GatewaySpec, services: Sequence[Manifest], labels: Mapping[str, Any]
) -> None:
    """No Service may lose the pods: the labels they get are those they have and the spec's."""
    rendered = next(o for o in render(spec, None) if o["kind"] == "Deployment")
    after = {**labels, **rendered["spec"]["template"]["metadata"]["labels"]}
    for service in services:
        if not _selects(_mapping(service, "spec", "selector"), after):
            raise Conflict(
                f"Service {service['metadata']['name']} selects pods by a label that would change.",
                meaning="It would lose every pod.",
                remedy="Let it select by the Deployment's own selector labels, then adopt.",
            )


def _check_ports(container: Mapping[str, Any], services: Sequence[Manifest]) -> None:
    """A Service is led to ports by the names they get: pods that run must have these already."""
    named = {port.get("name"): port.get("containerPort") for port in container.get("ports") or ()}
    for service in services:
        for port in _mapping(service, "spec").get("ports") or ():
            target = port.get("targetPort")
            number = int(target) if str(target).isdecimal() else named.get(target)
            name = {HTTP: "http", HTTPS: "https"}.get(number or 0)
            if name is not None and named.get(name) != number:
                raise Conflict(
                    f"Port {number} of its container is not named {name}.",
                    meaning=f"Service {service['metadata']['name']} is to lead to it by that name, "
                    "and the pods that run would no longer get requests.",
                    remedy=f"Name the container's ports http ({HTTP}) and https ({HTTPS}), let "
                    "that roll out, then adopt.",
                )


def _image(container: Mapping[str, Any]) -> dict[str, Any]:
    image, _, digest = str(container.get("image", "")).partition("@")
    head, _, last = image.rpartition("/")
    name, _, tag = last.partition(":")
    if digest and not tag:
        raise InvalidInput(
            "Its image is pinned by a digest and has no tag.",
            field="image.tag",
            remedy="Let it run a tag with that digest first.",
        )
    return _without_empty(
        {"repository": f"{head}/{name}", "tag": tag or "latest", "digest": digest}
    )


def _pull(container: Mapping[str, Any], pod: Mapping[str, Any]) -> dict[str, Any]:
    secrets = [str(each.get("name", "")) for each in pod.get("imagePullSecrets") or ()]
    return _without_empty(
        {"pullPolicy": container.get("imagePullPolicy"), "pullSecrets": [s for s in secrets if s]}
    )


def _resources(container: Mapping[str, Any]) -> dict[str, Any]:
    requests = _mapping(container, "resources", "requests")
    limits = _mapping(container, "resources", "limits")
    found = {"cpu": requests.get("cpu"), "memory": requests.get("memory")}
    limit = {
        "cpu": limits.get("cpu"),
        "memory": limits.get("memory")
        if limits.get("memory") != (requests.get("memory") or GatewaySpec.memory)
        else None,
    }
    return _without_empty({**found, "limits": limit})


def _rollout(deployment: Manifest, pod: Mapping[str, Any]) -> dict[str, Any]:
    """No pod is taken away before another is ready, whatever was allowed until now."""
    spec = _mapping(deployment, "spec")
    rolling = _mapping(deployment, "spec", "strategy", "rollingUpdate")
    surge = str(rolling.get("maxSurge", "25%"))
    return _without_empty(
        {
            "maxUnavailable": "0",
            "maxSurge": "25%" if surge in ("0", "0%") else surge,
            "terminationGracePeriodSeconds": pod.get("terminationGracePeriodSeconds"),
            "progressDeadlineSeconds": spec.get("progressDeadlineSeconds"),
            "minReadySeconds": spec.get("minReadySeconds"),
            "revisionHistoryLimit": spec.get("revisionHistoryLimit"),
        }
    )


def _service(service: Manifest) -> dict[str, Any]:
    spec = _mapping(service, "spec")
    ports = {str(port.get("targetPort")): port for port in spec.get("ports") or ()}
    http = ports.get("8080") or ports.get("http") or {}
    https = ports.get("8081") or ports.get("https") or {}
    external = spec.get("type") in ("LoadBalancer", "NodePort")
    return _without_empty(
        {
            "type": spec.get("type"),
            "httpPort": http.get("port"),
            "httpsPort": https.get("port"),
            "externalTrafficPolicy": spec.get("externalTrafficPolicy") if external else None,
            "loadBalancerClass": spec.get("loadBalancerClass"),
            "loadBalancerSourceRanges": spec.get("loadBalancerSourceRanges"),
        }
    )


def _disruption(budgets: Sequence[Manifest]) -> dict[str, Any]:
    if not budgets:
        return {}
    spec = _mapping(budgets[0], "spec")
    return {
        "disruptionBudget": _without_empty(
            {
                name: str(spec[name])
                for name in ("minAvailable", "maxUnavailable")
                if spec.get(name) is not None
            }
        )
    }


def _placement(pod: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "placement": _without_empty(
            {
                "nodeSelector": pod.get("nodeSelector"),
                "tolerations": pod.get("tolerations"),
                "priorityClassName": pod.get("priorityClassName"),
            }
        )
    }


def _notes(
    deployment: Manifest,
    container: Mapping[str, Any],
    given: EffectiveSettings,
    live: Sequence[Manifest],
    spec: GatewaySpec,
) -> list[str]:
    notes = ["Whatever the spec does not say stays as it is; it still belongs to who wrote it."]
    labels = deployment["metadata"].get("labels") or {}
    if labels.get("app.kubernetes.io/managed-by") == "Helm" or "helm.sh/chart" in labels:
        notes.append(
            "Helm still knows this release: no longer run helm upgrade or uninstall on it, "
            "the second would delete it."
        )
    used = token_secret_of(_mapping(deployment, "spec", "template", "spec"))
    if used is not None:
        notes.append(f"Secret {used[0]} is left alone, but its token is no longer used.")
    if not _mapping(container, "resources", "requests"):
        notes.append(
            f"Its pods ask for no resources now; they will ask for {spec.cpu} CPU and "
            f"{spec.memory}, which their nodes must have free."
        )
    variables = {str(variable["name"]) for variable in container.get("env") or ()}
    notes += _notes_on_settings(given, spec, variables)
    beside = [c["name"] for c in _mapping(deployment, "spec", "template", "spec")["containers"]]
    beside = [name for name in beside if name != container.get("name")]
    if beside:
        notes.append(f"Containers beside the gateway stay: {', '.join(beside)}.")
    if len(live) > 1:
        rest = ", ".join(service["metadata"]["name"] for service in live[1:])
        notes.append(f"These Services stay, unmanaged: {rest}.")
    if not live:
        notes.append(f"No Service leads to it yet; {spec.ref.name}-live-traffic is made.")
    return notes


def _notes_on_settings(
    given: EffectiveSettings, spec: GatewaySpec, variables: Collection[str]
) -> list[str]:
    """What stays beside the spec, and what the pods no longer get: they take their settings from this
    bot's ConfigMap and from the variables that they have."""
    config = next(o for o in render(spec, None) if o["kind"] == "ConfigMap")
    ours = {_AUTH, *config["data"]}
    stay: list[str] = []
    lost: list[str] = []
    for name, setting in sorted(given.settings.items()):
        in_it = setting.origin == Origin("ConfigMap", config["metadata"]["name"], name)
        if name not in ours:
            (stay if in_it or name in variables else lost).append(name)
    notes = []
    if stay:
        notes.append(f"These settings stay, unmanaged: {_listed(stay)}.")
    if lost:
        notes.append(
            f"Its pods no longer get these settings, which no spec holds: {_listed(lost)}."
        )
    if given.unread:
        objects = [f"{origin.kind} {origin.name}" for origin in given.unread]
        notes.append(f"Its pods no longer get what is in {_listed(objects)}.")
    return notes


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{', '.join(names[:8])}{more}"


def _selects(chosen: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    return bool(chosen) and all(labels.get(key) == value for key, value in chosen.items())


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
