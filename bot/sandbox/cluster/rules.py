"""One table of what the API server asks of each struct, whatever kind it stands in, and the walk
through an object that applies it.

`FIELDS` has what a field's value alone decides, by model and field; `WHOLES` what the fields of one
struct decide together. The models are the official client's, as in `schema`.
"""

from typing import Any

from bot.sandbox.cluster import (
    autoscaler_rules,
    container_rules,
    ingress_rules,
    placement_rules,
    pod_rules,
    selector_rules,
    volume_rules,
)
from bot.sandbox.cluster.errors import Cause
from bot.sandbox.cluster.schema import ListOf, Node, Struct, child

_ROOMS = (
    pod_rules,
    container_rules,
    volume_rules,
    placement_rules,
    selector_rules,
    autoscaler_rules,
    ingress_rules,
)
FIELDS = {model: checks for room in _ROOMS for model, checks in room.FIELDS.items()}
WHOLES = {model: check for room in _ROOMS for model, check in room.WHOLES.items()}


def broken(node: Node | None, value: Any, at: str) -> list[Cause]:
    """Every rule that `value`, which stands at `at`, breaks, its own and those of what it holds."""
    if isinstance(node, ListOf) and isinstance(value, list):
        return [c for i, item in enumerate(value) for c in broken(node.item, item, f"{at}[{i}]")]
    if not isinstance(node, Struct) or not isinstance(value, dict):
        return []
    causes: list[Cause] = []
    for name, check in FIELDS.get(node.model, {}).items():
        causes += check(value.get(name), f"{at}.{name}")
    if node.model in WHOLES:
        causes += WHOLES[node.model](value, at)
    for name, item in value.items():
        causes += broken(child(node, name), item, f"{at}.{name}")
    return causes
