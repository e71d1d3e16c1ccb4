"""What the server says about itself: groups, resources, versions and OpenAPI."""

from functools import cache
from typing import Any

from bot.sandbox.cluster.kinds import ALL_VERBS, GROUPS, KINDS, SCALE, Kind
from bot.sandbox.cluster.objects import Obj
from bot.sandbox.cluster.schema import ListOf, MapOf, Node, Scalar, Struct, fields

AGGREGATED = "apidiscovery.k8s.io"

_SUBRESOURCE_KINDS: dict[str, tuple[str, str, str]] = {
    "scale": ("autoscaling", "v1", "Scale"),
    "eviction": ("policy", "v1", "Eviction"),
    "binding": ("", "v1", "Binding"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
    "proxy": ("", "v1", "PodProxyOptions"),
}
_SUBRESOURCE_VERBS: dict[str, tuple[str, ...]] = {
    "status": ("get", "patch", "update"),
    "scale": ("get", "patch", "update"),
    "log": ("get",),
    "proxy": ("create", "delete", "get", "patch", "update"),
    "eviction": ("create",),
    "binding": ("create",),
    "token": ("create",),
    "finalize": ("update",),
}


def _served(group: str, version: str) -> list[Kind]:
    return [k for k in KINDS if (k.group, k.version) == (group, version)]


def _subresource_kind(kind: Kind, name: str) -> tuple[str, str, str]:
    return _SUBRESOURCE_KINDS.get(name, (kind.group, kind.version, kind.kind))


def version(git_version: str) -> Obj:
    """The answer of /version."""
    major, minor = git_version.lstrip("v").split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": git_version,
        "gitCommit": "98b35193b2ac7a23a673325f5e9b830ecd5ba406",
        "gitTreeState": "clean",
        "buildDate": "2026-08-21T00:00:00Z",
        "goVersion": "go1.26.6",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def core_versions(address: str) -> Obj:
    """The answer of /api to a client that does not ask for aggregated discovery."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def api_group(name: str) -> Obj | None:
    """The answer of /apis/<group>; None for a group that is not served."""
    versions = [v for group, v in GROUPS if group == name and name]
    if not versions:
        return None
    listed = [{"groupVersion": f"{name}/{v}", "version": v} for v in versions]
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": name,
        "versions": listed,
        "preferredVersion": listed[0],
    }


def group_list() -> Obj:
    """The answer of /apis to a client that does not ask for aggregated discovery."""
    names = dict.fromkeys(group for group, _ in GROUPS if group)
    groups = []
    for name in names:
        group = api_group(name) or {}
        groups.append({k: v for k, v in group.items() if k not in ("kind", "apiVersion")})
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def resource_list(group: str, version: str) -> Obj | None:
    """The answer of /api/v1 or /apis/<group>/<version>."""
    kinds = _served(group, version)
    if not kinds:
        return None
    resources: list[Obj] = []
    for kind in kinds:
        entry: Obj = {
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": list(kind.verbs),
        }
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        if kind.verbs == ALL_VERBS:
            entry["storageVersionHash"] = ""
        resources.append(entry)
        for name in kind.subresources:
            of_group, of_version, of_kind = _subresource_kind(kind, name)
            below: Obj = {
                "name": f"{kind.plural}/{name}",
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": of_kind,
                "verbs": list(_SUBRESOURCE_VERBS[name]),
            }
            if (of_group, of_version) != (kind.group, kind.version):
                below |= {"group": of_group, "version": of_version}
            resources.append(below)
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": resources,
    }


def aggregated(core: bool) -> Obj:
    """The whole discovery in one answer, of /api or /apis (apidiscovery.k8s.io/v2)."""
    names = dict.fromkeys(group for group, _ in GROUPS if bool(group) != core)
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": name} if name else {"creationTimestamp": None},
                "versions": [
                    {
                        "version": version,
                        "freshness": "Current",
                        "resources": [_aggregated(k) for k in _served(name, version)],
                    }
                    for group, version in GROUPS
                    if group == name
                ],
            }
            for name in names
        ],
    }


def _response_kind(group: str, version: str, kind: str) -> Obj:
    return {"group": group, "version": version, "kind": kind}


def _aggregated(kind: Kind) -> Obj:
    scope = "Namespaced" if kind.namespaced else "Cluster"
    entry: Obj = {
        "resource": kind.plural,
        "responseKind": _response_kind(kind.group, kind.version, kind.kind),
        "scope": scope,
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
        "subresources": [
            {
                "subresource": name,
                "responseKind": _response_kind(*_subresource_kind(kind, name)),
                "verbs": list(_SUBRESOURCE_VERBS[name]),
            }
            for name in kind.subresources
        ],
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    return entry


def openapi_root() -> Obj:
    """The answer of /openapi/v3: where each group's document is."""
    paths = ["apis/" + f"{g}/{v}" if g else f"api/{v}" for g, v in GROUPS]
    return {
        "paths": {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_hash(path)}"} for path in paths
        }
    }


def _hash(path: str) -> str:
    return f"{sum(ord(c) * 31**i for i, c in enumerate(path)) % 16**32:032X}"


def _parameters(*names: str) -> list[Obj]:
    types = {"force": "boolean"}
    return [
        {
            "in": "query",
            "name": name,
            "schema": {"type": types.get(name, "string"), "uniqueItems": True},
        }
        for name in names
    ]


@cache
def openapi(group: str, version: str) -> dict[str, Any] | None:
    """The OpenAPI v3 document of a group; None for one that is not served."""
    kinds = _served(group, version)
    if not kinds:
        return None
    base = f"/apis/{group}/{version}" if group else f"/api/{version}"
    paths: Obj = {}
    seen: dict[str, Obj] = {}
    for kind in [*kinds, *([SCALE] if group == "apps" else [])]:
        gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        root = f"{base}/namespaces/{{namespace}}" if kind.namespaced else base
        write = _parameters("dryRun", "fieldManager", "fieldValidation", "pretty")
        marked = {"x-kubernetes-group-version-kind": gvk}
        if kind is not SCALE:
            paths[f"{root}/{kind.plural}"] = {
                "get": {**marked, "x-kubernetes-action": "list"},
                "post": {**marked, "x-kubernetes-action": "post", "parameters": write},
            }
            paths[f"{root}/{kind.plural}/{{name}}"] = {
                "get": {**marked, "x-kubernetes-action": "get"},
                "put": {**marked, "x-kubernetes-action": "put", "parameters": write},
                "patch": {
                    **marked,
                    "x-kubernetes-action": "patch",
                    "parameters": [*write, *_parameters("force")],
                },
                "delete": {
                    **marked,
                    "x-kubernetes-action": "delete",
                    "parameters": _parameters("dryRun", "propagationPolicy"),
                },
            }
        _define(kind.model, seen)
        seen[_name(kind.model)]["x-kubernetes-group-version-kind"] = [gvk]
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": paths,
        "components": {"schemas": seen},
    }


def _name(model: str) -> str:
    return f"io.k8s.api.{model}"


def _define(model: str, seen: dict[str, Obj]) -> None:
    name = _name(model)
    if name in seen:
        return
    seen[name] = {"type": "object"}
    declared = fields(model)
    seen[name]["properties"] = {k: _property(f.node, seen) for k, f in declared.items()}
    needed = [k for k, f in declared.items() if f.required]
    if needed:
        seen[name]["required"] = needed


def _property(node: Node, seen: dict[str, Obj]) -> Obj:
    if isinstance(node, Struct):
        _define(node.model, seen)
        reference: Obj = {"allOf": [{"$ref": f"#/components/schemas/{_name(node.model)}"}]}
        return {**reference, "default": {}}
    if isinstance(node, MapOf):
        return {"type": "object", "additionalProperties": _property(node.value, seen)}
    if isinstance(node, ListOf):
        listed: Obj = {"type": "array", "items": _property(node.item, seen)}
        if node.keys:
            listed |= {
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": list(node.keys),
                "x-kubernetes-patch-merge-key": node.keys[0],
                "x-kubernetes-patch-strategy": "merge",
            }
        else:
            listed["x-kubernetes-list-type"] = "set" if node.is_set else "atomic"
        return listed
    return _scalar(node)


def _scalar(node: Scalar) -> Obj:
    if node.type == "time":
        return {"type": "string", "format": "date-time"}
    if node.type in ("quantity", "any"):
        return {
            "oneOf": [{"type": "string"}, {"type": "number"}],
            "x-kubernetes-int-or-string": True,
        }
    return {"type": node.type}
