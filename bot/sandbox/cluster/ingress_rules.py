"""What the API server asks of an Ingress."""

from collections.abc import Callable, Mapping
from typing import Any

from bot.sandbox.cluster import names
from bot.sandbox.cluster.checks import Check, each, given, needed, port, text
from bot.sandbox.cluster.errors import Cause, invalid_value, required, unsupported
from bot.sandbox.cluster.objects import Obj, get

_BAD_PARTS = ("//", "/./", "/../", "%2f", "%2F")
_BAD_ENDS = ("/..", "/.")
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")


def _spec(spec: Obj, at: str) -> list[Cause]:
    if spec.get("rules") or spec.get("defaultBackend") is not None:
        return []
    words = "either `defaultBackend` or `rules` must be specified"
    return [invalid_value(at, None, words)]


def _rule(rule: Obj, at: str) -> list[Cause]:
    host = rule.get("host", "")
    if host and not names.ip_address(host):
        words = "must be a DNS name, not an IP address"
        return [invalid_value(f"{at}.host", host, words)]
    return []


def _path(entry: Obj, at: str) -> list[Cause]:
    kind, path = entry.get("pathType"), entry.get("path", "")
    if kind is None:
        return [required(f"{at}.pathType", "pathType must be specified")]
    causes: list[Cause] = []
    if kind not in _PATH_TYPES:
        causes.append(unsupported(f"{at}.pathType", kind, _PATH_TYPES))
    elif not path.startswith("/") and (path or kind != "ImplementationSpecific"):
        causes.append(invalid_value(f"{at}.path", path, "must be an absolute path"))
    if kind in ("Exact", "Prefix"):
        wrong = [f"must not contain '{part}'" for part in _BAD_PARTS if part in path]
        wrong += [f"cannot end with '{end}'" for end in _BAD_ENDS if path.endswith(end)]
        causes += [invalid_value(f"{at}.path", path, words) for words in wrong]
    return causes + _backend(entry.get("backend") or {}, f"{at}.backend")


def _backend(backend: Obj, at: str) -> list[Cause]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [invalid_value(at, "", "cannot set both resource and service backends")]
    if service is None:
        words = "resource or service backend is required"
        return [] if resource is not None else [invalid_value(at, "", words)]
    causes = needed(text(names.label))(service.get("name"), f"{at}.service.name")
    name, number = get(service, "port", "name"), get(service, "port", "number")
    if name and number:
        causes.append(invalid_value(at, "", "cannot set both port name & port number"))
    elif name:
        causes += text(names.port_name)(name, f"{at}.service.port.name")
    elif number:
        causes += port(number, f"{at}.service.port.number")
    else:
        causes.append(required(at, "port name or number is required"))
    return causes


def _default(spec: Obj, at: str) -> list[Cause]:
    backend = spec.get("defaultBackend")
    below = [] if backend is None else _backend(backend, f"{at}.defaultBackend")
    return _spec(spec, at) + below


FIELDS: Mapping[str, Mapping[str, Check]] = {
    "V1IngressSpec": {"ingressClassName": given(text(names.subdomain))},
    "V1IngressRule": {"host": given(text(names.host))},
    "V1HTTPIngressRuleValue": {"paths": needed()},
    "V1IngressTLS": {"hosts": each(text(names.host)), "secretName": given(text(names.subdomain))},
}
WHOLES: Mapping[str, Callable[[Any, str], list[Cause]]] = {
    "V1IngressSpec": _default,
    "V1IngressRule": _rule,
    "V1HTTPIngressPath": _path,
}
