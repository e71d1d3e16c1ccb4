"""What the API server asks of where a pod may run: tolerations, spread, affinity."""

from collections.abc import Callable, Mapping
from typing import Any

from bot.sandbox.cluster import names
from bot.sandbox.cluster.checks import (
    Check,
    at_least,
    between,
    each,
    given,
    needed,
    one_of,
    text,
)
from bot.sandbox.cluster.errors import (
    Cause,
    forbidden_field,
    invalid_value,
    required,
    unsupported,
)
from bot.sandbox.cluster.objects import Obj

_INCLUSION = given(one_of("Honor", "Ignore"))


def _toleration(toleration: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    key, value = toleration.get("key", ""), toleration.get("value", "")
    operator, effect = toleration.get("operator", ""), toleration.get("effect", "")
    if key:
        causes += text(names.qualified)(key, f"{at}.key")
    elif operator != "Exists":
        words = (
            "operator must be Exists when `key` is empty, which means "
            '"match all values and all keys"'
        )
        causes.append(invalid_value(f"{at}.operator", operator, words))
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        words = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        causes.append(invalid_value(f"{at}.effect", effect, words))
    if operator in ("", "Equal"):
        if wrong := names.label_value(value):
            causes.append(invalid_value(f"{at}.operator", value, ";".join(wrong)))
    elif operator == "Exists":
        if value:
            words = "value must be empty when `operator` is 'Exists'"
            causes.append(invalid_value(f"{at}.operator", value, words))
    else:
        comparing = ("Lt", "Gt") if operator in ("Lt", "Gt") else ()
        causes.append(unsupported(f"{at}.operator", operator, ("Equal", "Exists", *comparing)))
    return causes


def spread(constraints: list[Obj], at: str) -> list[Cause]:
    """The spread constraints of one pod among each other."""
    causes: list[Cause] = []
    kinds = [(c.get("topologyKey", ""), c.get("whenUnsatisfiable", "")) for c in constraints]
    for index, kind in enumerate(kinds):
        if kind in kinds[index + 1 :]:
            where = f"{at}[{index}].{{topologyKey, whenUnsatisfiable}}"
            causes.append(
                Cause(
                    "FieldValueDuplicate",
                    where,
                    f'Duplicate value: "{{{kind[0]}, {kind[1]}}}"',
                )
            )
    return causes


def _constraint(constraint: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    domains, unsatisfiable = constraint.get("minDomains"), constraint.get("whenUnsatisfiable", "")
    if domains is not None and domains > 0 and unsatisfiable != "DoNotSchedule":
        words = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {unsatisfiable}"
        causes.append(invalid_value(f"{at}.minDomains", domains, words))
    if constraint.get("matchLabelKeys") and constraint.get("labelSelector") is None:
        words = "must not be specified when labelSelector is not set"
        causes.append(forbidden_field(f"{at}.matchLabelKeys", words))
    return causes


def _affinity_term(term: Obj, at: str) -> list[Cause]:
    # The path is the server's own: it names neither the plural nor the place in the list.
    return [
        invalid_value(f"{at}.namespace", name, words)
        for name in term.get("namespaces") or []
        for words in names.label(name)
    ]


_WEIGHT = between(1, 100, "must be in the range 1-100")

FIELDS: Mapping[str, Mapping[str, Check]] = {
    "V1Toleration": {
        "effect": given(one_of("NoSchedule", "PreferNoSchedule", "NoExecute")),
    },
    "V1TopologySpreadConstraint": {
        "maxSkew": lambda value, at: at_least(1, "must be greater than zero")(value or 0, at),
        "topologyKey": needed(why="can not be empty"),
        "whenUnsatisfiable": one_of("DoNotSchedule", "ScheduleAnyway"),
        "minDomains": at_least(1, "must be greater than zero"),
        "nodeAffinityPolicy": _INCLUSION,
        "nodeTaintsPolicy": _INCLUSION,
        "matchLabelKeys": each(text(names.qualified)),
    },
    "V1PodAffinityTerm": {
        "topologyKey": lambda value, at: [
            *([] if value else [required(at, "can not be empty")]),
            *text(names.qualified)(value, at),
        ]
    },
    "V1WeightedPodAffinityTerm": {"weight": _WEIGHT},
    "V1PreferredSchedulingTerm": {"weight": _WEIGHT},
}
WHOLES: Mapping[str, Callable[[Any, str], list[Cause]]] = {
    "V1Toleration": _toleration,
    "V1TopologySpreadConstraint": _constraint,
    "V1PodAffinityTerm": _affinity_term,
}
