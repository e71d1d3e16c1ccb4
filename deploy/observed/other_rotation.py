"""CronJobs of others that make a gateway's keys or tokens anew. Pure.

Such a job makes a key anew on its own schedule and thereby kills the tokens that were made with it.
There is no mark of one. It is found by what it must know, the gateway resource and its API
Management service, or the Secret that it puts a token into; by what its image and commands say that
it does; and by its rights: to write a Secret it needs a token for the API server. Fields are those of
the Kubernetes API reference (batch/v1, CronJob), looked up 2026-11-29.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.kube.objects import Manifest
from deploy.observed.references import config_maps_of, secrets_of
from deploy.times import epoch

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ROTATES = re.compile(
    r"rotat|regenerat|generate-?(?:token|key)|renew"
    r"|\b(?:create|patch|apply|replace|set)\b[^|;&]*\bsecrets?\b",
    re.IGNORECASE,
)
_OF_GATEWAYS = re.compile(r"apim|api-?management|gateway", re.IGNORECASE)
_BEFORE, _AFTER = 900.0, 60.0
"""A job killed a token that was refused at most so long after it began; clocks differ by a minute."""


@dataclass(frozen=True)
class Rotator:
    """A CronJob that makes the gateway's keys or tokens anew, or perhaps does. `ran_at` is when it
    began last, in epoch seconds."""

    namespace: str
    name: str
    certain: bool
    ran_at: float | None = None

    def __str__(self) -> str:
        named = f"CronJob {self.namespace}/{self.name}"
        return named if self.certain else f"perhaps {named}"


def rotators_of(
    cron_jobs: Iterable[Manifest], *, namespace: str, gateway: str, service: str, secret: str
) -> tuple[Rotator, ...]:
    """Those that rotate the gateway's token or keys, and those of which that is not certain.

    `gateway` and `service` are names in API Management; `secret` the token's Secret in
    `namespace`, empty where there is none. Suspended ones do nothing. Uncertain is one that knows
    the gateway and does not say what it does with it, and one of the gateway's namespace that
    rotates something of gateways and takes from elsewhere of which.
    """
    found = []
    for job in cron_jobs:
        metadata, spec = job["metadata"], job.get("spec") or {}
        pod = _pod_spec(spec)
        words = {word.lower() for text in _told(pod) for word in _WORD.findall(text)}
        does = " ".join(_doing(pod))
        here = metadata["namespace"] == namespace
        knows = bool(gateway and service) and {gateway.lower(), service.lower()} <= words
        writes = bool(secret) and here and secret.lower() in words and _may_call(pod)
        rotates = bool(_ROTATES.search(does))
        hidden = here and rotates and bool(_OF_GATEWAYS.search(does)) and _takes_from_elsewhere(pod)
        if (knows or writes or hidden) and not spec.get("suspend"):
            certain = (knows or writes) and rotates
            ran_at = epoch((job.get("status") or {}).get("lastScheduleTime"))
            found.append(Rotator(metadata["namespace"], metadata["name"], certain, ran_at))
    return tuple(sorted(found, key=lambda each: (not each.certain, each.namespace, each.name)))


def killer_of(rotators: Iterable[Rotator], refused_since: float) -> Rotator | None:
    """The one that ran right before Azure began to refuse the token; None where none is known to
    have."""
    ran = [
        each
        for each in rotators
        if each.ran_at is not None and -_AFTER <= refused_since - each.ran_at <= _BEFORE
    ]
    return max(ran, key=lambda each: (each.certain, each.ran_at or 0.0), default=None)


def _pod_spec(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    template = ((spec.get("jobTemplate") or {}).get("spec") or {}).get("template") or {}
    return template.get("spec") or {}


def _containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from (*(pod.get("initContainers") or ()), *(pod.get("containers") or ()))


def _told(pod: Mapping[str, Any]) -> Iterator[str]:
    """The input of its containers: values of variables, commands and arguments."""
    for container in _containers(pod):
        yield from (str(each.get("value") or "") for each in container.get("env") or ())
        yield from map(str, (*(container.get("command") or ()), *(container.get("args") or ())))


def _doing(pod: Mapping[str, Any]) -> Iterator[str]:
    """What shows what it does: images, commands, arguments, and the ConfigMaps of its scripts."""
    yield from sorted(config_maps_of({"volumes": pod.get("volumes")}))
    for container in _containers(pod):
        yield str(container.get("image") or "")
        yield from map(str, (*(container.get("command") or ()), *(container.get("args") or ())))


def _may_call(pod: Mapping[str, Any]) -> bool:
    return pod.get("automountServiceAccountToken") is not False


def _takes_from_elsewhere(pod: Mapping[str, Any]) -> bool:
    """Whether it gets input that is not part of the job."""
    volumes = {"volumes": pod.get("volumes")}
    return bool(config_maps_of(volumes) or secrets_of(volumes)) or any(
        container.get("envFrom")
        or any(each.get("valueFrom") for each in container.get("env") or ())
        for container in _containers(pod)
    )
