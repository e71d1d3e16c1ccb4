"""CronJobs of others that make a gateway's keys or tokens anew. Pure.

Such a job makes a key anew on its own schedule and thereby kills the tokens that were made with it.
There is no mark of one; it is found by what it must know: the gateway resource and its API
Management service, or the Secret that it puts a token into.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from deploy.kube.objects import Manifest

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def rotated_by(
    cron_jobs: Iterable[Manifest], *, namespace: str, gateway: str, service: str, secret: str
) -> tuple[str, ...]:
    """Those that may rotate the gateway's token, each as `CronJob namespace/name`.

    `gateway` and `service` are names in API Management; `secret` the token's Secret in
    `namespace`, empty where there is none. Suspended ones do nothing.
    """
    found = []
    for job in cron_jobs:
        metadata, spec = job["metadata"], job.get("spec") or {}
        words = {word.lower() for text in _texts(spec) for word in _WORD.findall(text)}
        knows = {gateway.lower(), service.lower()} <= words
        writes = bool(secret) and metadata["namespace"] == namespace and secret.lower() in words
        if (knows or writes) and not spec.get("suspend"):
            found.append(f"CronJob {metadata['namespace']}/{metadata['name']}")
    return tuple(sorted(found))


def _texts(spec: Mapping[str, Any]) -> Iterator[str]:
    """What its containers are told: values of variables, commands and arguments."""
    template = ((spec.get("jobTemplate") or {}).get("spec") or {}).get("template") or {}
    pod = template.get("spec") or {}
    for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
        yield from (str(each.get("value") or "") for each in container.get("env") or ())
        yield from map(str, (*(container.get("command") or ()), *(container.get("args") or ())))
