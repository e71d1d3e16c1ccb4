"""From an HTTP request to what it asks of the API: resource, verb, options."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.sandbox.cluster.decoding import Options
from bot.sandbox.cluster.errors import Cause, invalid, required
from bot.sandbox.cluster.identity import Identity
from bot.sandbox.cluster.kinds import NAMESPACE, Kind, by_resource
from bot.sandbox.cluster.rbac import Attributes


@dataclass(frozen=True)
class Target:
    """A resource path: `/apis/apps/v1/namespaces/x/deployments/y/scale`.

    `rest` is what follows a proxy's name, which then reads `[scheme:]name[:port]`.
    """

    kind: Kind
    namespace: str
    name: str
    subresource: str
    rest: str = ""


def parse_path(path: str) -> Target | None:
    """The resource a path names; None for every other path."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    # /namespaces/x/status is the namespace's own subresource, /namespaces/x/pods a list in it.
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    kind = by_resource(group, version, rest[0])
    if kind is None or (namespace and not kind.namespaced):
        return None
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if subresource and subresource not in kind.subresources:
        return None
    if len(rest) > 3 and subresource != "proxy":
        return None
    return Target(kind, namespace, name, subresource, "/".join(rest[3:]))


def verb_of(method: str, target: Target, query: Mapping[str, str]) -> str:
    """The API verb of a method on a resource."""
    if method in ("GET", "HEAD"):
        if target.name and not is_watch(query):
            return "get"
        return "watch" if is_watch(query) else "list"
    if method == "DELETE" and not target.name:
        return "deletecollection"
    return {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(
        method, method
    )


def unserved(path: str, method: str, query: Mapping[str, str]) -> Attributes | None:
    """What RBAC is asked of a resource that this server does not have; None for other paths. A real
    server looks at the rights before it finds that out."""
    parts = path.strip("/").split("/")
    if parts[0] != "apis" or len(parts) < 4 or method not in ("GET", "HEAD"):
        return None
    group, rest = parts[1], parts[3:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3:
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    verb = "get" if name else "watch" if is_watch(query) else "list"
    return Attributes(verb, group, rest[0], namespace=namespace, name=name)


def is_watch(query: Mapping[str, str]) -> bool:
    """Whether the query asks for a watch."""
    return query.get("watch", "").lower() in ("1", "true")


def attributes(verb: str, target: Target, query: Mapping[str, str] | None = None) -> Attributes:
    """What RBAC is asked. A list or watch of one name by field selector is asked by that name."""
    name = target.name
    if target.subresource == "proxy":
        name = proxied_name(name)[1]
    selected = (query or {}).get("fieldSelector", "").replace("==", "=")
    if not name and selected.startswith("metadata.name=") and "," not in selected:
        name = selected.removeprefix("metadata.name=")
    # A Namespace is in itself: a Role in it can allow to read it.
    namespace = target.name if target.kind is NAMESPACE else target.namespace
    return Attributes(
        verb, target.kind.group, target.kind.plural, target.subresource, namespace, name
    )


def proxied_name(text: str) -> tuple[str, str, str]:
    """Scheme, name and port of `[scheme:]name[:port]`."""
    parts = text.split(":")
    if len(parts) == 3:
        return parts[0] or "http", parts[1], parts[2]
    if len(parts) == 2:
        return "http", parts[0], parts[1]
    return "http", text, ""


def write_options(
    query: Mapping[str, str], user_agent: str, who: Identity, *, applying: bool
) -> Options:
    """The options of a write. ApiError 422 where a parameter is missing or wrong."""
    causes: list[Cause] = []
    manager = query.get("fieldManager", "")
    if applying and not manager:
        causes.append(required("fieldManager", "is required for apply patch"))
    if query.get("dryRun", "") not in ("", "All"):
        causes.append(
            Cause(
                "FieldValueNotSupported",
                "dryRun",
                f'Unsupported value: ["{query["dryRun"]}"]: supported values: "All"',
            )
        )
    if query.get("force") and not applying:
        causes.append(
            Cause(
                "FieldValueForbidden",
                "force",
                "Forbidden: may not be specified for non-apply patch",
            )
        )
    validation = query.get("fieldValidation") or "Warn"
    if validation not in ("Strict", "Warn", "Ignore"):
        causes.append(
            Cause(
                "FieldValueNotSupported",
                "fieldValidation",
                f'Unsupported value: "{validation}": supported values: "", "Ignore", "Strict", '
                '"Warn"',
            )
        )
    if causes:
        raise invalid("PatchOptions", "meta.k8s.io", "", causes)
    return Options(
        manager=manager or user_agent.split("/")[0][:128] or "unknown",
        dry_run=query.get("dryRun") == "All",
        field_validation=validation,
        force=query.get("force", "").lower() in ("1", "true"),
        who=who,
    )
