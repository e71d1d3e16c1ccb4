"""Where the settings of a gateway that something else installed stand, and which of it becomes this
bot's. Pure.

Kubernetes replaces the list of sources as a whole, so all of them are kept in the spec, in order. A
later source wins: what the spec says reaches the pods only from after the last ConfigMap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.kube.objects import Manifest
from deploy.plans.readers import Readers


@dataclass(frozen=True)
class FoundSources:
    """The name of the ConfigMap that is this bot's from now on, and every source in order. `shared` is
    why none of the ConfigMaps that are there is that one; empty where it is."""

    config_map: str
    sources: tuple[dict[str, Any], ...]
    why_new: str = ""


def sources_of_container(
    name: str, container: Mapping[str, Any], config_maps: Sequence[Manifest], readers: Readers
) -> FoundSources:
    """The last ConfigMap that the container takes in whole, where it may be written; else a new one
    behind it."""
    there = {str(each["metadata"]["name"]): each for each in config_maps}
    sources = [found for each in container.get("envFrom") or () if (found := _source(each))]
    last = max((i for i, each in enumerate(sources) if "configMap" in each), default=-1)
    kept = str(sources[last]["configMap"]) if last >= 0 else ""
    why = _not_ours(sources[last], there.get(kept), readers) if last >= 0 else "there is none"
    if not why:
        return FoundSources(kept, tuple(sources) if len(sources) > 1 or _more(sources) else ())
    own = _free(name, there)
    sources.insert(last + 1, {"configMap": own})
    alone = len(sources) == 1
    return FoundSources(own, () if alone else tuple(sources), why if last >= 0 else "")


def _source(source: Mapping[str, Any]) -> dict[str, Any]:
    for key, kind in (("configMapRef", "configMap"), ("secretRef", "secret")):
        ref = source.get(key)
        if ref and ref.get("name"):
            found = {kind: str(ref["name"])}
            found |= {"prefix": source["prefix"]} if source.get("prefix") else {}
            return found | ({"optional": ref["optional"]} if "optional" in ref else {})
    return {}


def _more(sources: Sequence[Mapping[str, Any]]) -> bool:
    return any(len(each) > 1 for each in sources)


def _not_ours(source: Mapping[str, Any], item: Manifest | None, readers: Readers) -> str:
    """Why this bot may not write the ConfigMap; empty where it may."""
    name = source["configMap"]
    if source.get("prefix"):
        return f"its container reads ConfigMap {name} with a prefix"
    if item is None:
        return f"ConfigMap {name} does not exist"
    if item.get("immutable"):
        return f"ConfigMap {name} is immutable"
    if item["metadata"].get("ownerReferences"):
        return f"ConfigMap {name} belongs to another object"
    if name in readers.config_maps:
        return f"other workloads also read ConfigMap {name}"
    if readers.unknown:
        return f"other workloads may also read ConfigMap {name}"
    return ""


def _free(name: str, there: Mapping[str, Manifest]) -> str:
    """A name for the new one that no other has."""
    candidates = [
        f"{name}-env",
        f"{name}-settings",
        *(f"{name}-settings-{n}" for n in range(2, 99)),
    ]
    return next(each for each in candidates if each not in there)
