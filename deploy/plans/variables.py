"""Variables of a live Deployment that win over what a spec says. Pure.

A gateway's settings stand in this bot's ConfigMap, and a variable of `env` wins over every ConfigMap.
One that somebody else put there is given the spec's value where it stands once the person who asks
takes over what others own; from then on it follows the spec. Until then it decides, and the plan says
so: a rotation must not fail because somebody raised a log level by hand.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from deploy.kube.cluster import FIELD_MANAGER
from deploy.kube.objects import Manifest
from deploy.masking import masked
from deploy.observed.effective import EffectiveSettings, Origin, Setting, effective_settings
from deploy.observed.given import config_map_data
from deploy.observed.inventory import container_of
from deploy.plans.plan import SETTINGS_ELSEWHERE
from deploy.rendering.container_settings import container_settings
from deploy.rendering.labels import config_map_name, container_name
from deploy.rules.finding import Finding
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.settings import FREE, OWNED

_SHOWN = 8
_LONGEST_VALUE = 80
_AS_LEFT_OUT = {
    "telemetry.metrics.cloud": ("true", "all"),
    "telemetry.logs.local": ("auto",),
    "observability.opentelemetry.enabled": ("false",),
    "observability.opentelemetry.system-metrics.enabled": ("false",),
    "policy.rate-limit.sync.port": ("4290",),
    "neighborhood.heartbeat.port": ("4291",),
}
"""Settings that a spec leaves out at these values, which are the container's own defaults."""
_TO_CONTAINERS = ("f:spec", "f:template", "f:spec", "f:containers")
_GOVERNED = {name.lower() for name in (*FREE, *OWNED)}
_NOT_SHOWN = ("config.service.auth", "http_proxy", "https_proxy")
"""Beginnings of names whose values may be secret."""


def with_variables(
    objects: tuple[Manifest, ...],
    spec: GatewaySpec,
    live: Manifest | None,
    *,
    take_over: bool = False,
) -> tuple[Manifest, ...]:
    """The objects, each variable of the live container that would win given the spec's value: those
    that this bot has written before, and with `take_over` everybody's."""
    if live is None:
        return objects
    ours = None if take_over else _written(live, container_name(spec))
    return tuple(
        _with(item, spec, live, ours) if item["kind"] == "Deployment" else item for item in objects
    )


def with_variables_of(
    objects: tuple[Manifest, ...],
    spec: GatewaySpec,
    live: Manifest,
    pod_spec: Mapping[str, Any],
) -> tuple[Manifest, ...]:
    """The objects of a version to go back to, whose pods have that spec: each variable that this bot
    has given another value since, or has taken away, as it is there and in the order that it has there.

    Left out, a variable that this bot alone owns would be removed from the pods.
    """
    container = container_name(spec)
    ours = _written(live, container)
    present = {variable["name"] for variable in _variables(live, container)}
    previous = _variables({"spec": {"template": {"spec": pod_spec}}}, container)
    lost = [v for v in previous if v["name"] in ours or v["name"] not in present]
    order = {variable["name"]: number for number, variable in enumerate(previous)}

    def restored(own: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        names = {variable["name"] for variable in own}
        every = [*own, *(dict(v) for v in lost if v["name"] not in names)]
        return sorted(every, key=lambda variable: order.get(variable["name"], len(order)))

    return tuple(
        _with_env(item, container, restored) if item["kind"] == "Deployment" else item
        for item in objects
    )


def settings_elsewhere(spec: GatewaySpec, objects: Sequence[Manifest]) -> tuple[Finding, ...]:
    """What the pods of a plan's objects, as these will be, get otherwise than the spec says."""
    deployment = next((each for each in objects if each["kind"] == "Deployment"), None)
    if deployment is None:
        return ()
    secrets = [each for each in objects if each["kind"] == "Secret"]
    given = effective_settings(
        container_of(deployment),
        config_map_data(each for each in objects if each["kind"] == "ConfigMap"),
        # Of a Secret only which settings it has counts.
        {each["metadata"]["name"]: dict.fromkeys(each.get("data") or {}) for each in secrets},
    )
    found = sorted(_elsewhere(spec, given))
    if not found:
        return ()
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return (
        Finding(
            SETTINGS_ELSEWHERE,
            "warning",
            f"The pods have settings that differ from the spec: {'; '.join(found[:_SHOWN])}{more}.",
            "Variables in the Deployment, and Secrets listed later, override the ConfigMap, so "
            "the spec's values do not reach the pods.",
            "Remove them there, or set the same values in the spec. `--take-over` sets plain "
            "variables to the spec's values.",
        ),
    )


def _with(
    deployment: Manifest, spec: GatewaySpec, live: Manifest, ours: frozenset[str] | None
) -> Manifest:
    return _with_env(
        deployment,
        container_name(spec),
        lambda own: [*_replacing(own, spec, live), *_winning(own, spec, live, ours)],
    )


def _with_env(
    deployment: Manifest,
    container: str,
    env_of: Callable[[Sequence[dict[str, Any]]], list[dict[str, Any]]],
) -> Manifest:
    template = deployment["spec"]["template"]
    containers = [
        {**each, "env": env}
        if each["name"] == container and (env := env_of(each.get("env") or ()))
        else each
        for each in template["spec"]["containers"]
    ]
    pod = {**template["spec"], "containers": containers}
    return {
        **deployment,
        "spec": {**deployment["spec"], "template": {**template, "spec": pod}},
    }


def _replacing(
    own: Sequence[dict[str, Any]], spec: GatewaySpec, live: Manifest
) -> Iterator[dict[str, Any]]:
    """This bot's own variables, what others have put in the same places taken away: an API server
    refuses a variable with a value and a reference, or with two references."""
    there = {variable["name"]: variable for variable in _variables(live, container_name(spec))}
    for variable in own:
        found = there.get(variable["name"], {})
        value_from = variable.get("valueFrom") or {}
        others = dict.fromkeys(set(found.get("valueFrom") or {}) - set(value_from))
        if value_from and others:
            variable = {**variable, "valueFrom": {**value_from, **others}}
        yield {**variable, "value": ""} if value_from and found.get("value") else variable


def _winning(
    env: Sequence[Mapping[str, Any]],
    spec: GatewaySpec,
    live: Manifest,
    ours: frozenset[str] | None,
) -> Iterator[dict[str, Any]]:
    """`ours` are the only ones to look at, None where all are."""
    own = {variable["name"] for variable in env}
    settings = {name.lower(): (name, text) for name, text in container_settings(spec).items()}
    # Of a variable that is there twice the kubelet takes the last.
    last = {str(each["name"]): each for each in _variables(live, container_name(spec))}
    for name, variable in last.items():
        known = settings.get(name.lower())
        if known is None or name in own or (ours is not None and name not in ours):
            continue
        setting, text = known
        value_from = variable.get("valueFrom") or {}
        if not value_from:
            # What looks like another variable's name is none in a ConfigMap.
            yield {"name": name, "value": text.replace("$(", "$$(")}
        elif "configMapKeyRef" in value_from:
            ref = {"name": config_map_name(spec), "key": setting}
            yield {"name": name, "valueFrom": {"configMapKeyRef": ref}}


def _elsewhere(spec: GatewaySpec, given: EffectiveSettings) -> Iterator[str]:
    wanted = container_settings(spec)
    for name, text in wanted.items():
        found = given.find(name)
        if found is None or found.origin == Origin("ConfigMap", config_map_name(spec), name):
            continue
        if found.value != text:
            yield f"{name} is {_said(name, found)}, not {text}"
    said = {name.lower() for name in wanted} | {"config.service.auth"}
    for name, found in given.settings.items():
        left_out = (*_AS_LEFT_OUT.get(name.lower(), ()), *_identity(name, spec))
        if (found.value or "").lower() in left_out:
            continue
        if found.origin.kind == "Deployment" and name.lower() in _GOVERNED - said:
            yield f"{name} is {_said(name, found)}, which the spec leaves out"


def _identity(name: str, spec: GatewaySpec) -> tuple[str, ...]:
    return (spec.apim.gateway.lower(),) if name.lower() == "gateway.name" else ()


def _said(name: str, setting: Setting) -> str:
    if setting.origin.kind in ("Secret", "Pod"):
        where = f"Secret {setting.origin.name}" if setting.origin.name else "a field of the pod"
        return f"what {where} holds"
    hidden = name.lower().startswith(_NOT_SHOWN) or setting.value is None
    return "set in the Deployment" if hidden else masked(setting.value or "", _LONGEST_VALUE)


def _written(live: Manifest, container: str) -> frozenset[str]:
    """The variables of that container that this bot's own applies have set."""
    found: set[str] = set()
    for entry in live["metadata"].get("managedFields") or ():
        if entry.get("manager") != FIELD_MANAGER:
            continue
        fields: Any = entry.get("fieldsV1") or {}
        for step in (*_TO_CONTAINERS, f'k:{{"name":"{container}"}}', "f:env"):
            fields = fields.get(step) or {}
        found |= {json.loads(key[2:])["name"] for key in fields if key.startswith("k:")}
    return frozenset(found)


def _variables(live: Manifest, container: str) -> Sequence[Mapping[str, Any]]:
    for each in live["spec"]["template"]["spec"].get("containers") or ():
        if each.get("name") == container:
            return each.get("env") or ()
    return ()
