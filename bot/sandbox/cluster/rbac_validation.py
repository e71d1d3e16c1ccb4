"""What the API server refuses in roles and their bindings."""

from bot.sandbox.cluster import names
from bot.sandbox.cluster.checks import given, needed, one_of, text
from bot.sandbox.cluster.errors import IMMUTABLE, Cause, invalid_value, required, unsupported
from bot.sandbox.cluster.objects import Obj


def validate_role(obj: Obj, old: Obj | None) -> list[Cause]:
    """Every cause to refuse a Role or ClusterRole."""
    causes: list[Cause] = []
    for index, rule in enumerate(obj.get("rules") or []):
        at, paths = f"rules[{index}]", rule.get("nonResourceURLs")
        reasons = []
        if paths and obj["kind"] == "Role":
            reasons.append("namespaced rules cannot apply to non-resource URLs")
        if paths and (rule.get("apiGroups") or rule.get("resources")):
            reasons.append("rules cannot apply to both regular resources and non-resource URLs")
        causes += [invalid_value(f"{at}.nonResourceURLs", paths, words) for words in reasons]
        if not rule.get("verbs"):
            causes.append(required(f"{at}.verbs"))
        if not rule.get("nonResourceURLs"):
            if not rule.get("apiGroups"):
                causes.append(
                    required(f"{at}.apiGroups", "resource rules must supply at least one api group")
                )
            if not rule.get("resources"):
                causes.append(
                    required(f"{at}.resources", "resource rules must supply at least one resource")
                )
    return causes


def validate_role_binding(obj: Obj, old: Obj | None) -> list[Cause]:
    """Every cause to refuse writing a binding in place of `old` (None on create)."""
    reference = obj.get("roleRef") or {}
    causes: list[Cause] = []
    if not reference.get("name"):
        causes.append(required("roleRef.name"))
    if reference.get("kind") not in ("Role", "ClusterRole"):
        causes.append(
            unsupported("roleRef.kind", reference.get("kind", ""), ("Role", "ClusterRole"))
        )
    causes += given(text(names.path_segment))(reference.get("name") or None, "roleRef.name")
    if old is not None and old.get("roleRef") != reference:
        fields = {"apiGroup": "APIGroup", "kind": "Kind", "name": "Name"}
        shown = {go: reference.get(field, "") for field, go in fields.items()}
        causes.append(invalid_value("roleRef", shown, IMMUTABLE))
    group = reference.get("apiGroup", "")
    causes += one_of(_RBAC)(group, "roleRef.apiGroup")
    for index, subject in enumerate(obj.get("subjects") or []):
        causes += _subject(subject, f"subjects[{index}]")
    return causes


_RBAC = "rbac.authorization.k8s.io"


def _subject(subject: Obj, at: str) -> list[Cause]:
    kind, name = subject.get("kind", ""), subject.get("name")
    causes = needed()(name, f"{at}.name")
    causes += one_of("ServiceAccount", "User", "Group")(kind, f"{at}.kind")
    if kind == "ServiceAccount":
        causes += given(text(names.subdomain))(name or None, f"{at}.name")
    if kind in ("ServiceAccount", "User", "Group"):
        group = "" if kind == "ServiceAccount" else _RBAC
        causes += one_of(group)(subject.get("apiGroup", ""), f"{at}.apiGroup")
    return causes
