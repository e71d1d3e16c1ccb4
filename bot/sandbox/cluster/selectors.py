"""Label selectors (text and LabelSelector objects) and field selectors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.sandbox.cluster.errors import bad_request
from bot.sandbox.cluster.objects import get, labels_of, name_of, namespace_of

_TOKEN = re.compile(r"\s*(==|!=|=|!|<|>|\(|\)|,|[^\s=!<>(),]+)")


@dataclass(frozen=True)
class Requirement:
    """One term of a label selector."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` satisfy this term."""
        present = self.key in labels
        if self.operator == "exists":
            return present
        if self.operator == "!":
            return not present
        if self.operator in ("in", "="):
            return present and labels[self.key] in self.values
        if self.operator in ("notin", "!="):
            return not present or labels[self.key] not in self.values
        if not present or not labels[self.key].lstrip("-").isdigit():
            return False
        left, right = int(labels[self.key]), int(self.values[0])
        return left > right if self.operator == ">" else left < right


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def identifier(self) -> str:
        token = self.take()
        if not token or re.match(r"^[=!<>(),]", token):
            raise bad_request(f"unable to parse requirement: found '{token}', expected: identifier")
        return token

    def requirement(self) -> Requirement:
        if self.peek() == "!":
            self.take()
            return Requirement(self.identifier(), "!")
        key = self.identifier()
        operator = self.peek()
        if operator in ("", ","):
            return Requirement(key, "exists")
        self.take()
        if operator in ("in", "notin"):
            return Requirement(key, operator, self.values())
        if operator in ("=", "==", "!=", "<", ">"):
            value = "" if self.peek() in ("", ",") else self.identifier()
            return Requirement(key, "=" if operator == "==" else operator, (value,))
        raise bad_request(
            f"unable to parse requirement: found '{operator}', "
            "expected: in, notin, =, ==, !=, gt, lt"
        )

    def values(self) -> tuple[str, ...]:
        if self.take() != "(":
            raise bad_request("unable to parse requirement: expected: '('")
        found: list[str] = []
        while True:
            found.append("" if self.peek() in (",", ")") else self.identifier())
            token = self.take()
            if token == ")":
                return tuple(found)
            if token != ",":
                raise bad_request(
                    f"unable to parse requirement: found '{token}', expected: ',' or ')'"
                )


def parse_labels(text: str) -> tuple[Requirement, ...]:
    """The terms of a selector as written in a query. ApiError 400 when it is not one."""
    parser = _Parser(text)
    found: list[Requirement] = []
    while parser.peek():
        found.append(parser.requirement())
        if parser.peek() and parser.take() != ",":
            raise bad_request(
                f"unable to parse requirement: found '{parser.tokens[parser.at - 1]}', "
                "expected: ',' or 'end of string'"
            )
    return tuple(found)


def requirements(selector: Mapping[str, Any] | None) -> tuple[Requirement, ...] | None:
    """The terms of a LabelSelector object; None for no selector, which matches nothing."""
    if selector is None:
        return None
    terms = [Requirement(k, "=", (v,)) for k, v in (selector.get("matchLabels") or {}).items()]
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    terms += [
        Requirement(e["key"], operators[e["operator"]], tuple(e.get("values") or ()))
        for e in selector.get("matchExpressions") or []
    ]
    return tuple(terms)


def selects(selector: Mapping[str, Any] | None, obj: Mapping[str, Any]) -> bool:
    """Whether a LabelSelector object chooses `obj` by its labels."""
    terms = requirements(selector)
    return terms is not None and all(term.matches(labels_of(obj)) for term in terms)


def label_selector_text(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector object as one line, sorted by key."""
    parts = []
    for term in sorted(requirements(selector) or (), key=lambda term: term.key):
        if term.operator == "=":
            parts.append(f"{term.key}={term.values[0]}")
        elif term.operator in ("in", "notin"):
            parts.append(f"{term.key} {term.operator} ({','.join(sorted(term.values))})")
        else:
            parts.append(f"!{term.key}" if term.operator == "!" else term.key)
    return ",".join(parts)


_FIELDS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "events.events.k8s.io": (
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "reason",
        "reportingController",
        "type",
    ),
    "secrets": ("type",),
    "nodes": ("spec.unschedulable",),
    "namespaces": ("status.phase",),
    "services": ("spec.clusterIP", "spec.type"),
    "replicasets.apps": ("status.replicas",),
}


@dataclass(frozen=True)
class FieldTerm:
    """One term of a field selector."""

    path: tuple[str, ...]
    value: str
    equal: bool

    def matches(self, obj: Mapping[str, Any]) -> bool:
        """Whether the object's field has (or has not) the value."""
        if self.path == ("metadata", "name"):
            found: Any = name_of(obj)
        elif self.path == ("metadata", "namespace"):
            found = namespace_of(obj)
        elif self.path == ("source",):
            found = get(obj, "source", "component", default="")
        else:
            found = get(obj, *self.path, default="")
        text = str(found).lower() if isinstance(found, bool) else str(found)
        return (text == self.value) == self.equal


def parse_fields(text: str, resource: str) -> tuple[FieldTerm, ...]:
    """The terms of a field selector. ApiError 400 for a field the resource cannot select by."""
    allowed = {"metadata.name", "metadata.namespace", *_FIELDS.get(resource, ())}
    found = []
    for part in filter(None, text.split(",")):
        match = re.match(r"^([^=!]+)(==|!=|=)(.*)$", part)
        if match is None:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        if match[1] not in allowed:
            raise bad_request(f"field label not supported: {match[1]}")
        found.append(FieldTerm(tuple(match[1].split(".")), match[3], match[2] != "!="))
    return tuple(found)
