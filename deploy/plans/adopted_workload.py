"""What a spec says of the Deployment of a gateway that something else installed. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.errors import InvalidInput
from deploy.images.names import image_name
from deploy.kube.objects import Manifest
from deploy.rendering.pod_template import BACKUP_DIRECTORY, HTTP, HTTPS

_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
_SHARED = ("ReadWriteMany", "ReadOnlyMany")


@dataclass(frozen=True)
class FoundBackup:
    """The claim of the configuration's backup and its volume's name, where there is one."""

    claim: str | None = None
    volume: str | None = None


def image_fields(container: Mapping[str, Any], pod: Mapping[str, Any]) -> dict[str, Any]:
    """The image and how it is pulled. InvalidInput for one that has a digest and no tag."""
    image = image_name(str(container.get("image", "")))
    if image.digest and not image.tag:
        raise InvalidInput(
            "Its image is pinned by a digest and has no tag.",
            field="image.tag",
            remedy="Set its image to a tag with that digest (tag@sha256:…), then adopt it.",
        )
    return {
        "repository": image.repository,
        "tag": image.tag or "latest",
        "digest": image.digest or None,
        "pullPolicy": container.get("imagePullPolicy"),
        "pullSecrets": [str(e["name"]) for e in pod.get("imagePullSecrets") or () if e.get("name")],
    }


def kept_parts(container: Mapping[str, Any]) -> tuple[str, ...]:
    """The parts of the Deployment that stay as they are. Rights always do: under other ones a process
    may not read what it could. A gateway without any probe gets the bot's."""
    ports = {port.get("containerPort"): port.get("name") for port in container.get("ports") or ()}
    keeps = _kept_probes(container)
    if (ports.get(HTTP), ports.get(HTTPS)) != ("http", "https"):
        keeps.append("ports")
    return (*keeps, "security")


def _kept_probes(container: Mapping[str, Any]) -> list[str]:
    """All of them, and none is added; where one can never succeed, those that can. Ours asks over
    HTTP as it did: an apply cannot put another kind of probe in a place where one is."""
    if not has_probes(container):
        return []
    unserved = unserved_probes(container)
    served = [probe for probe in _PROBES if container.get(probe) and probe not in unserved]
    return served if unserved else ["probes"]


def has_probes(container: Mapping[str, Any]) -> bool:
    """Whether there is any probe."""
    return any(container.get(probe) for probe in _PROBES)


def unserved_probes(container: Mapping[str, Any]) -> tuple[str, ...]:
    """The probes over HTTP at a port that no gateway answers: with them no pod ever gets ready."""
    named = {p.get("name"): p.get("containerPort") for p in container.get("ports") or ()}
    found = []
    for probe in _PROBES:
        asked = ((container.get(probe) or {}).get("httpGet") or {}).get("port")
        if asked is not None and named.get(asked, asked) not in (HTTP, HTTPS):
            found.append(probe)
    return tuple(found)


def resource_fields(container: Mapping[str, Any]) -> dict[str, Any]:
    """What is requested, and the limits; `none` for what is not there."""
    resources: Mapping[str, Any] = container.get("resources") or {}
    requests: Mapping[str, Any] = resources.get("requests") or {}
    limits: Mapping[str, Any] = resources.get("limits") or {}
    memory = str(requests.get("memory") or "none")
    limit = str(limits.get("memory") or "none")
    return {
        "cpu": str(requests.get("cpu") or "none"),
        "memory": memory,
        "limits": {"cpu": limits.get("cpu"), "memory": None if limit == memory else limit},
    }


def rollout_fields(
    deployment: Manifest, pod: Mapping[str, Any], claims: Sequence[Manifest]
) -> dict[str, Any]:
    """How pods are replaced: no pod is taken away before another is ready, whatever was allowed until
    now, unless two pods cannot run at once."""
    spec = deployment["spec"]
    strategy: Mapping[str, Any] = spec.get("strategy") or {}
    surge = str((strategy.get("rollingUpdate") or {}).get("maxSurge", "25%"))
    recreates = strategy.get("type") == "Recreate" and _runs_alone(pod, claims)
    return {
        "strategy": "Recreate" if recreates else None,
        "maxUnavailable": "0",
        "maxSurge": "25%" if surge in ("0", "0%") else surge,
        "terminationGracePeriodSeconds": pod.get("terminationGracePeriodSeconds"),
        "progressDeadlineSeconds": spec.get("progressDeadlineSeconds"),
        "minReadySeconds": spec.get("minReadySeconds"),
        "revisionHistoryLimit": spec.get("revisionHistoryLimit"),
    }


def placement_fields(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Where its pods run; what spreads them stays whoever's it is."""
    return {
        "placement": {
            "spread": False,
            "nodeSelector": pod.get("nodeSelector"),
            "tolerations": pod.get("tolerations"),
            "priorityClassName": pod.get("priorityClassName"),
        }
    }


def backup_fields(container: Mapping[str, Any], pod: Mapping[str, Any]) -> FoundBackup:
    """The claim that is mounted where the gateway keeps its backup, whatever its volume is called. One
    of which only a part is mounted, or only to be read, stays as it is."""
    for mount in container.get("volumeMounts") or ():
        if str(mount.get("mountPath", "")) != BACKUP_DIRECTORY or set(mount) & _PARTLY:
            continue
        for volume in pod.get("volumes") or ():
            claim = volume.get("persistentVolumeClaim") or {}
            if volume.get("name") == mount.get("name") and claim.get("claimName"):
                return FoundBackup(str(claim["claimName"]), str(volume["name"]))
    return FoundBackup()


_PARTLY = {"subPath", "subPathExpr", "readOnly"}


def _runs_alone(pod: Mapping[str, Any], claims: Sequence[Manifest]) -> bool:
    """Whether a second pod could not start beside the first: a volume is one node's, or a port of the
    node is taken."""
    shared = {
        str(claim["metadata"]["name"])
        for claim in claims
        if set((claim.get("spec") or {}).get("accessModes") or ()) & set(_SHARED)
    }
    for volume in pod.get("volumes") or ():
        claim = volume.get("persistentVolumeClaim") or {}
        if claim.get("claimName") and claim["claimName"] not in shared:
            return True
    ports = [p for c in pod.get("containers") or () for p in c.get("ports") or ()]
    return bool(pod.get("hostNetwork")) or any(port.get("hostPort") for port in ports)
