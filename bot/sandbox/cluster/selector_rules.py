"""What the API server asks of label selectors and of the terms that choose nodes."""

from collections.abc import Callable, Mapping
from typing import Any

from bot.sandbox.cluster import names
from bot.sandbox.cluster.checks import Check, needed, text
from bot.sandbox.cluster.errors import Cause, forbidden_field, invalid_value, required
from bot.sandbox.cluster.objects import Obj

_LISTED = ("In", "NotIn")
_BARE = ("Exists", "DoesNotExist")
_COMPARED = ("Gt", "Lt")


def label_selector(selector: Obj, at: str) -> list[Cause]:
    """A selector of pods by their labels."""
    causes = names.labels(selector.get("matchLabels") or {}, f"{at}.matchLabels")
    for index, term in enumerate(selector.get("matchExpressions") or []):
        where = f"{at}.matchExpressions[{index}]"
        causes += _operator(term, where, compared=False)
        causes += text(names.qualified)(term.get("key"), f"{where}.key")
        for position, value in enumerate(term.get("values") or []):
            causes += text(names.label_value)(value, f"{where}.values[{position}]")
    return causes


def _operator(term: Obj, at: str, *, compared: bool) -> list[Cause]:
    operator, values = term.get("operator", ""), term.get("values") or []
    if operator in _LISTED:
        why = "must be specified when `operator` is 'In' or 'NotIn'"
        return [] if values else [required(f"{at}.values", why)]
    if operator in _BARE:
        why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        return [forbidden_field(f"{at}.values", why)] if values else []
    if compared and operator in _COMPARED:
        why = "must be specified single value when `operator` is 'Lt' or 'Gt'"
        return [] if len(values) == 1 else [required(f"{at}.values", why)]
    return [invalid_value(f"{at}.operator", operator, "not a valid selector operator")]


def _node_term(term: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, wanted in enumerate(term.get("matchExpressions") or []):
        where = f"{at}.matchExpressions[{index}]"
        causes += _operator(wanted, where, compared=True)
        causes += text(names.qualified)(wanted.get("key"), f"{where}.key")
    for index, wanted in enumerate(term.get("matchFields") or []):
        where = f"{at}.matchFields[{index}]"
        if wanted.get("operator") not in _LISTED:
            words = "not a valid selector operator"
            causes.append(invalid_value(f"{where}.operator", wanted.get("operator", ""), words))
        elif len(wanted.get("values") or []) != 1:
            words = (
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            )
            causes.append(required(f"{where}.values", words))
        if wanted.get("key") != "metadata.name":
            words = "not a valid field selector key"
            causes.append(invalid_value(f"{where}.key", wanted.get("key", ""), words))
    return causes


FIELDS: Mapping[str, Mapping[str, Check]] = {
    "V1NodeSelector": {
        "nodeSelectorTerms": needed(why="must have at least one node selector term")
    },
}
WHOLES: Mapping[str, Callable[[Any, str], list[Cause]]] = {
    "V1LabelSelector": label_selector,
    "V1NodeSelectorTerm": _node_term,
}
