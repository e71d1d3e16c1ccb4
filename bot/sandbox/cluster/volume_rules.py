"""What the API server asks of a pod's volumes."""

from collections.abc import Callable, Mapping
from typing import Any

from bot.sandbox.cluster import names, quantity
from bot.sandbox.cluster.checks import Check, between, given, needed, one_of, text
from bot.sandbox.cluster.container_rules import field_reference, resource_reference
from bot.sandbox.cluster.errors import Cause, forbidden_field, invalid_value, required
from bot.sandbox.cluster.objects import Obj, get

_MODE = between(0, 0o777, "must be a number between 0 and 0777 (octal), both inclusive")
_FILES_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
_SHORTEST_TOKEN, _LONGEST_TOKEN = 600, 1 << 32


def _volume(volume: Obj, at: str) -> list[Cause]:
    kinds = [name for name in volume if name != "name" and volume[name] is not None]
    # The one that the server looks at first counts: an empty directory before all others.
    kinds.sort(key=lambda name: name != "emptyDir")
    return [
        forbidden_field(f"{at}.{extra}", "may not specify more than 1 volume type")
        for extra in kinds[1:]
    ]


def _empty_dir(source: Obj, at: str) -> list[Cause]:
    limit = source.get("sizeLimit")
    if limit is not None and quantity.parse(limit) < 0:
        words = "SizeLimit field must be a valid resource quantity"
        return [forbidden_field(f"{at}.sizeLimit", words)]
    return []


def _projected(source: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    paths: set[str] = set()
    for index, part in enumerate(source.get("sources") or []):
        where = f"{at}.sources[{index}]"
        if len(part) > 1:
            words = "may not specify more than 1 volume type per source"
            causes.append(forbidden_field(where, words))
        token = part.get("serviceAccountToken")
        if token is not None:
            # The path is the server's own: it does not say which source it is.
            causes += needed(text(names.descending_path))(token.get("path"), f"{at}.path")
            seconds = token.get("expirationSeconds")
            at_seconds = f"{where}.serviceAccountToken.expirationSeconds"
            if seconds is not None and seconds < _SHORTEST_TOKEN:
                words = "may not specify a duration less than 10 minutes"
                causes.append(invalid_value(at_seconds, seconds, words))
            if seconds is not None and seconds > _LONGEST_TOKEN:
                words = "may not specify a duration larger than 2^32 seconds"
                causes.append(invalid_value(at_seconds, seconds, words))
        for kind in ("secret", "configMap"):
            for item in get(part, kind, "items", default=[]):
                if item.get("path") in paths:
                    words = "conflicting duplicate paths"
                    causes.append(invalid_value(at, part[kind].get("name", ""), words))
                paths.add(item.get("path", ""))
    return causes


def _downward(source: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for item in source.get("items") or []:
        # The paths are the server's own: they do not say which item it is.
        causes += needed(text(names.descending_path))(item.get("path"), f"{at}.path")
        if item.get("fieldRef") is not None:
            causes += field_reference(item["fieldRef"], f"{at}.fieldRef", _FILES_FIELDS)
        elif item.get("resourceFieldRef") is not None:
            causes += resource_reference(item["resourceFieldRef"], f"{at}.resourceFieldRef")
        else:
            causes.append(required(at, "one of fieldRef and resourceFieldRef is required"))
        causes += given(_MODE)(item.get("mode"), f"{at}.mode")
    return causes


def _absolute(value: Any, at: str) -> list[Cause]:
    causes = needed()(value, at)
    if not str(value or "").startswith("/"):
        causes.append(invalid_value(at, value or "", "must be an absolute path"))
    return causes


FIELDS: Mapping[str, Mapping[str, Check]] = {
    "V1Volume": {"name": needed(text(names.label))},
    "V1SecretVolumeSource": {"secretName": needed(), "defaultMode": given(_MODE)},
    "V1ConfigMapVolumeSource": {"name": needed(), "defaultMode": given(_MODE)},
    "V1ProjectedVolumeSource": {"defaultMode": given(_MODE)},
    "V1DownwardAPIVolumeSource": {"defaultMode": given(_MODE)},
    "V1SecretProjection": {"name": needed()},
    "V1ConfigMapProjection": {"name": needed()},
    "V1KeyToPath": {
        "key": needed(),
        "path": needed(text(names.descending_path)),
        "mode": given(_MODE),
    },
    "V1PersistentVolumeClaimVolumeSource": {"claimName": needed()},
    "V1HostPathVolumeSource": {
        "path": needed(text(names.no_steps_back)),
        "type": given(
            one_of(
                "",
                "BlockDevice",
                "CharDevice",
                "Directory",
                "DirectoryOrCreate",
                "File",
                "FileOrCreate",
                "Socket",
            )
        ),
    },
    "V1NFSVolumeSource": {"server": needed(), "path": _absolute},
    "V1CSIVolumeSource": {"driver": needed()},
    "V1AzureFileVolumeSource": {"secretName": needed(), "shareName": needed()},
}
WHOLES: Mapping[str, Callable[[Any, str], list[Cause]]] = {
    "V1Volume": _volume,
    "V1EmptyDirVolumeSource": _empty_dir,
    "V1ProjectedVolumeSource": _projected,
    "V1DownwardAPIVolumeSource": _downward,
}
