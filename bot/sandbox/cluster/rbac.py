"""Role-based access control: who may do what, from the Roles and bindings in the store."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.sandbox.cluster.errors import ApiError
from bot.sandbox.cluster.identity import ANONYMOUS, MASTERS, Identity
from bot.sandbox.cluster.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from bot.sandbox.cluster.objects import Obj, get, namespace_of
from bot.sandbox.cluster.store import Store

# What every signed-in user may do (system:basic-user, system:discovery, system:public-info-viewer).
_OPEN_PATHS = ("/api", "/apis", "/openapi")
_PUBLIC_PATHS = ("/version", "/healthz", "/livez", "/readyz")
_SELF_REVIEWS = frozenset(
    {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}
)


@dataclass(frozen=True)
class Attributes:
    """One request as RBAC sees it. `path` is set for a request that names no resource."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def whole_resource(self) -> str:
        """`pods/log` for a subresource."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Authorizer:
    """Answers whether an identity may do a thing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def allows(self, who: Identity, asked: Attributes) -> bool:
        """Whether a rule of `who` covers the request."""
        if MASTERS in who.groups:
            return True
        if asked.path:
            head = "/" + asked.path.split("/")[1]
            open_paths = _PUBLIC_PATHS + (() if who == ANONYMOUS else _OPEN_PATHS)
            if asked.verb == "get" and head in open_paths:
                return True
        elif asked.verb == "create" and asked.resource in _SELF_REVIEWS and who != ANONYMOUS:
            return True
        return any(_covers(rule, asked) for rule in self.rules(who, asked.namespace))

    def rules(self, who: Identity, namespace: str) -> Iterator[Mapping[str, Any]]:
        """Every policy rule that holds for `who` in `namespace` and cluster-wide."""
        for binding in self._store.all(CLUSTER_ROLE_BINDING):
            if _binds(binding, who):
                yield from self._role_rules(binding)
        if namespace:
            for binding in self._store.all(ROLE_BINDING, namespace):
                if _binds(binding, who):
                    yield from self._role_rules(binding)

    def _role_rules(self, binding: Obj) -> list[Obj]:
        reference = binding["roleRef"]
        kind = ROLE if reference["kind"] == "Role" else CLUSTER_ROLE
        namespace = namespace_of(binding) if kind is ROLE else ""
        role = self._store.get(kind, namespace, reference["name"])
        rules: list[Obj] = get(role, "rules", default=[]) if role else []
        return rules


def _binds(binding: Obj, who: Identity) -> bool:
    for subject in binding.get("subjects") or []:
        kind, name = subject.get("kind"), subject.get("name")
        if kind == "User" and name == who.user:
            return True
        if kind == "Group" and name in who.all_groups:
            return True
        if kind == "ServiceAccount":
            namespace = subject.get("namespace") or namespace_of(binding)
            if who.user == f"system:serviceaccount:{namespace}:{name}":
                return True
    return False


def _covers(rule: Mapping[str, Any], asked: Attributes) -> bool:
    verbs = rule.get("verbs") or []
    if asked.verb not in verbs and "*" not in verbs:
        return False
    if asked.path:
        return any(
            url in ("*", asked.path) or (url.endswith("*") and asked.path.startswith(url[:-1]))
            for url in rule.get("nonResourceURLs") or []
        )
    groups = rule.get("apiGroups") or []
    if asked.group not in groups and "*" not in groups:
        return False
    resources = rule.get("resources") or []
    wanted = {"*", asked.whole_resource}
    if asked.subresource:
        wanted.add(f"*/{asked.subresource}")
    if not wanted & set(resources):
        return False
    named = rule.get("resourceNames") or []
    return not named or asked.name in named


def denied(who: Identity, asked: Attributes) -> ApiError:
    """The 403 of a request no rule covers."""
    if asked.path:
        message = f'forbidden: User "{who.user}" cannot {asked.verb} path "{asked.path}"'
        return ApiError(403, "Forbidden", message, {})
    message = f'User "{who.user}" cannot {asked.verb} resource "{asked.whole_resource}"'
    message += f' in API group "{asked.group}"'
    message += (
        f' in the namespace "{asked.namespace}"' if asked.namespace else " at the cluster scope"
    )
    qualified = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
    subject = f'{qualified} "{asked.name}"' if asked.name else qualified
    details: Obj = {"name": asked.name} if asked.name else {}
    if asked.group:
        details["group"] = asked.group
    details["kind"] = asked.resource
    return ApiError(403, "Forbidden", f"{subject} is forbidden: {message}", details)
