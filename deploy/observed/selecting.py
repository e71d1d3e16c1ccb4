"""Which pods and ReplicaSets are a Deployment's: those its own selector chooses. Pure."""

from collections.abc import Mapping
from typing import Any

from deploy.kube.objects import Manifest

_OPERATORS = {"In": "in", "NotIn": "notin"}


def chosen_by(deployment: Manifest) -> str:
    """Its selector as lists and watches take it (kubernetes.io, "Labels and Selectors")."""
    selector: Mapping[str, Any] = deployment["spec"].get("selector") or {}
    parts = [labelled(selector.get("matchLabels") or {})]
    for each in selector.get("matchExpressions") or ():
        key, operator = each["key"], each["operator"]
        if operator in _OPERATORS:
            values = ",".join(sorted(each.get("values") or ()))
            parts.append(f"{key} {_OPERATORS[operator]} ({values})")
        else:
            parts.append(key if operator == "Exists" else f"!{key}")
    return ",".join(part for part in parts if part)


def labelled(labels: Mapping[str, str]) -> str:
    """The objects that have all of these labels."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
