"""A gateway's spec as text: YAML or a mapping in, `GatewaySpec` out, and back.

This is the edge where a person's words become a type. Every error names the path of the value at
fault; an unknown key is answered with the nearest known one.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from deploy.errors import InvalidInput
from deploy.gateway import (
    DEFAULT_REPOSITORY,
    ApimGateway,
    GatewayRef,
    GatewaySpec,
    Rollout,
    check_label,
)

_TEXT_LIMIT = 64 * 1024
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
"""OCI distribution specification, "Pulling manifests"."""
_REPOSITORY = re.compile(
    r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+"
)
_HOST = re.compile(r"(https://)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?")
_GATEWAY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,78}[A-Za-z0-9])?")
"""`gatewayId` has 1 to 80 characters (azure-mgmt-apimanagement 5.0.0)."""
_CPU = re.compile(r"([1-9][0-9]{0,4}m|[0-9]{1,3}(\.[0-9]{1,3})?)")
_MEMORY = re.compile(r"[1-9][0-9]{0,9}(Ki|Mi|Gi|Ti|k|M|G|T)?")
_SHARE = re.compile(r"(100|[1-9]?[0-9])%|[0-9]{1,3}")

_SERVICE_TYPES = ("LoadBalancer", "ClusterIP", "NodePort")
_LOG_LEVELS = ("all", "debug", "info", "warn", "error", "fatal")
_LOG_FORMATS = ("text", "json", "none")

_KEYS = {
    "": (
        *("gateway", "apim", "cluster", "namespace", "name", "image", "replicas"),
        *("resources", "service", "rollout", "logs"),
    ),
    "apim": ("instance", "endpoint"),
    "image": ("repository", "tag"),
    "resources": ("cpu", "memory"),
    "service": ("type", "httpPort", "httpsPort"),
    "rollout": (
        *("maxUnavailable", "maxSurge"),
        *("progressDeadlineSeconds", "terminationGracePeriodSeconds"),
    ),
    "logs": ("level", "format"),
}

_DEFAULTS = {
    "replicas": GatewaySpec.replicas,
    "resources": {"cpu": GatewaySpec.cpu, "memory": GatewaySpec.memory},
    "service": {
        "type": GatewaySpec.service_type,
        "httpPort": GatewaySpec.http_port,
        "httpsPort": GatewaySpec.https_port,
    },
    "rollout": {
        "maxUnavailable": Rollout.max_unavailable,
        "maxSurge": Rollout.max_surge,
        "progressDeadlineSeconds": Rollout.progress_deadline,
        "terminationGracePeriodSeconds": Rollout.termination_grace,
    },
    "logs": {"level": GatewaySpec.log_level, "format": GatewaySpec.log_format},
}


def parse_spec_yaml(text: str) -> GatewaySpec:
    """Read a spec from YAML. InvalidInput says where and why it cannot be one."""
    if len(text) > _TEXT_LIMIT:
        raise InvalidInput("The spec is too long.", remedy="A spec has at most 64 KiB.")
    try:
        data = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise InvalidInput(f"The spec is not YAML: {_first_line(error)}") from error
    except (RecursionError, ValueError) as error:
        # A value that only looks like a date, or nesting without end.
        raise InvalidInput(f"The spec cannot be read: {type(error).__name__}.") from error
    return spec_from_mapping(data)


def spec_from_mapping(data: Any) -> GatewaySpec:
    """Read a spec from a mapping as YAML or JSON gives it. InvalidInput as above."""
    top = _Reader(data, "")
    apim = top.group("apim")
    image = top.group("image")
    resources = top.group("resources")
    service = top.group("service")
    rollout = top.group("rollout")
    logs = top.group("logs")
    gateway = top.text("gateway", _GATEWAY, "the name of a gateway in API Management")
    spec = GatewaySpec(
        ref=GatewayRef(
            check_label(top.text("cluster"), "cluster"),
            check_label(top.text("namespace"), "namespace"),
            top.text("name", default=gateway.lower()),
        ),
        apim=ApimGateway(
            instance=check_label(apim.text("instance"), "apim.instance"),
            gateway=gateway,
            configuration_endpoint=apim.text("endpoint", _HOST, "a host name"),
        ),
        tag=image.text("tag", _TAG, "an image tag"),
        repository=image.text(
            "repository", _REPOSITORY, "a registry host and a path", DEFAULT_REPOSITORY
        ),
        replicas=top.number("replicas", 1, 100, GatewaySpec.replicas),
        cpu=resources.text("cpu", _CPU, "a quantity such as 500m or 2", GatewaySpec.cpu),
        memory=resources.text(
            "memory", _MEMORY, "a quantity such as 512Mi or 2Gi", GatewaySpec.memory
        ),
        service_type=service.one_of("type", _SERVICE_TYPES, GatewaySpec.service_type),
        http_port=service.number("httpPort", 1, 65535, GatewaySpec.http_port),
        https_port=service.number("httpsPort", 1, 65535, GatewaySpec.https_port),
        log_level=logs.one_of("level", _LOG_LEVELS, GatewaySpec.log_level),
        log_format=logs.one_of("format", _LOG_FORMATS, GatewaySpec.log_format),
        rollout=Rollout(
            max_unavailable=rollout.share("maxUnavailable", Rollout.max_unavailable),
            max_surge=rollout.share("maxSurge", Rollout.max_surge),
            progress_deadline=rollout.number(
                "progressDeadlineSeconds", 30, 7200, Rollout.progress_deadline
            ),
            termination_grace=rollout.number(
                "terminationGracePeriodSeconds", 0, 3600, Rollout.termination_grace
            ),
        ),
    )
    _check_together(spec)
    return spec


def spec_to_mapping(spec: GatewaySpec) -> dict[str, Any]:
    """The mapping that reads back as `spec`; what is at its default is left out."""
    whole = {
        "replicas": spec.replicas,
        "resources": {"cpu": spec.cpu, "memory": spec.memory},
        "service": {
            "type": spec.service_type,
            "httpPort": spec.http_port,
            "httpsPort": spec.https_port,
        },
        "rollout": {
            "maxUnavailable": spec.rollout.max_unavailable,
            "maxSurge": spec.rollout.max_surge,
            "progressDeadlineSeconds": spec.rollout.progress_deadline,
            "terminationGracePeriodSeconds": spec.rollout.termination_grace,
        },
        "logs": {"level": spec.log_level, "format": spec.log_format},
    }
    return {
        "gateway": spec.apim.gateway,
        "apim": {"instance": spec.apim.instance, "endpoint": spec.apim.configuration_endpoint},
        "cluster": spec.ref.cluster,
        "namespace": spec.ref.namespace,
        "name": spec.ref.name,
        "image": {"repository": spec.repository, "tag": spec.tag},
        **_without_defaults(whole, _DEFAULTS),
    }


def _without_defaults(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            value = _without_defaults(value, defaults[key])
            if value:
                kept[key] = value
        elif value != defaults[key]:
            kept[key] = value
    return kept


def _check_together(spec: GatewaySpec) -> None:
    none = ("0", "0%")
    if spec.rollout.max_unavailable in none and spec.rollout.max_surge in none:
        raise InvalidInput(
            "maxUnavailable and maxSurge cannot both be 0: no pod could ever be replaced.",
            field="rollout.maxSurge",
        )
    if spec.http_port == spec.https_port:
        raise InvalidInput("httpPort and httpsPort are the same port.", field="service.httpsPort")


class _Reader:
    """Takes values out of one mapping, in which there is no key but the known ones."""

    def __init__(self, data: Any, path: str) -> None:
        if not isinstance(data, Mapping):
            raise InvalidInput(
                f"{path or 'A spec'} must be a mapping of keys to values.", field=path
            )
        self._data = data
        self._path = path
        for key in data:
            if key not in _KEYS[path]:
                raise self._unknown(str(key)[:80])

    def group(self, key: str) -> "_Reader":
        value = self._data.get(key)
        return _Reader({} if value is None else value, self._at(key))

    def text(
        self,
        key: str,
        pattern: re.Pattern[str] | None = None,
        wanted: str = "text",
        default: str | None = None,
    ) -> str:
        value = self._take(key, default)
        # YAML reads an unquoted 2.11 or 2 as a number; in all these fields text was meant.
        text = str(value) if isinstance(value, int | float) else value
        ok = isinstance(text, str) and not isinstance(value, bool)
        if not ok or (pattern and not pattern.fullmatch(text)):
            raise self._wrong(key, value, wanted)
        return str(text)

    def number(self, key: str, least: int, most: int, default: int) -> int:
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self._wrong(key, value, f"a whole number from {least} to {most}")
        return value

    def one_of(self, key: str, choices: tuple[str, ...], default: str) -> str:
        value = self._take(key, default)
        if value not in choices:
            raise self._wrong(key, value, f"one of {', '.join(choices)}")
        return str(value)

    def share(self, key: str, default: str) -> str:
        return self.text(key, _SHARE, "a number of pods or a percentage such as 25%", default)

    def _unknown(self, key: str) -> InvalidInput:
        near = difflib.get_close_matches(key, _KEYS[self._path], n=1)
        return InvalidInput(
            f"{self._at(key)} is not a field of a gateway's spec.",
            field=self._at(key),
            remedy=f"Did you mean {self._at(near[0])}?"
            if near
            else f"There are: {', '.join(_KEYS[self._path])}.",
        )

    def _take(self, key: str, default: Any) -> Any:
        value = self._data.get(key)
        if value is not None:
            return value
        if default is None:
            raise InvalidInput(f"{self._at(key)} is missing.", field=self._at(key))
        return default

    def _wrong(self, key: str, value: Any, wanted: str) -> InvalidInput:
        shown = str(value)
        shown = shown if len(shown) <= 80 else shown[:79] + "…"
        return InvalidInput(f"{self._at(key)} is “{shown}”, not {wanted}.", field=self._at(key))

    def _at(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key


class _Loader(yaml.SafeLoader):
    """YAML without aliases, which can make a small text unfold without end, or repeated keys."""

    def compose_node(self, parent: Any, index: int) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not taken")
        compose: Callable[[Any, int], Any] = super().compose_node
        return compose(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.YAMLError(f"“{key}” cannot be a key; keys are text")
            if key in seen:
                raise yaml.YAMLError(f"the key {key} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _first_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{problem} (line {mark.line + 1})" if mark else f"{problem}."
