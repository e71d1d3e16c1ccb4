"""The owner of the reference by which a gateway gets its token, and whose a Secret is. Pure.

What is declared is put back: by the next `helm upgrade`, by self-heal within minutes. So the bot
changes a reference only where nobody declares it, and never a Secret that has another owner.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from deploy.annotations import MANAGER
from deploy.kube.objects import Manifest
from deploy.observed.managers import FLUX, HELM, Manager, manager_of
from deploy.observed.token_only import TokenReading

KUBECTL_APPLY = "kubectl apply"
TERRAFORM = "Terraform"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_CLIENT_SIDE = "kubectl-client-side-apply"
_WRITERS = {
    "argocd": "Argo CD",
    "kustomize-controller": FLUX,
    "helm-controller": FLUX,
    "helm": HELM,
    "terraform": TERRAFORM,
    "hashicorp": TERRAFORM,
    "externalsecrets.external-secrets.io": "External Secrets",
    "external-secrets": "External Secrets",
}
"""How field managers begin that write what somebody declares, and what they are called. Terraform's
provider applies `kubernetes_manifest` as `Terraform` (its documentation, `field_manager`); its other
resources are plain updates, whose manager is the first word of its user agent, `HashiCorp`."""


def declarer(deployment: Manifest, reading: TokenReading) -> Manager | None:
    """The owner of how the gateway gets its token; None where nobody does.

    Whoever certainly manages the Deployment declares it. Else whoever has applied that field: what a
    person only edited is declared nowhere.
    """
    found = manager_of(deployment)
    if found is not None and found.undoes:
        return found
    owners = _declaring(deployment, [_path(reading)])
    applied = (KUBECTL_APPLY,) if _is_in_last_applied(deployment, reading) else ()
    return next((Manager(name) for name in (*owners, *applied)), None)


def editors(deployment: Manifest, reading: TokenReading) -> tuple[str, ...]:
    """The field managers that have written how the gateway gets its token and declare nothing by it:
    those of plain updates, such as `kubectl-edit`."""
    path = _path(reading)
    found = (
        str(entry.get("manager", ""))
        for entry in deployment["metadata"].get("managedFields") or ()
        if entry.get("operation") == "Update"
        and not entry.get("subresource")
        and _holds(entry.get("fieldsV1") or {}, path)
    )
    return tuple(dict.fromkeys(name for name in found if name and not _is_ours(name)))


def owner_of_secret(secret: Manifest | None) -> Manager | None:
    """Whose a Secret is that must not be written; None for this bot's, a person's, and none."""
    if secret is None:
        return None
    found = manager_of(secret)
    if found is not None and (found.undoes or found.kind):
        return found
    writers = _declaring(secret, [["f:data"], ["f:stringData"]])
    # What a person has applied by hand belongs to nobody.
    return next((Manager(name) for name in writers if name != KUBECTL_APPLY), None)


def _declaring(item: Manifest, paths: Iterable[list[str]]) -> Iterator[str]:
    """Those who declare one of these fields, other than this bot."""
    wanted = tuple(paths)
    for entry in item["metadata"].get("managedFields") or ():
        manager, fields = str(entry.get("manager", "")), entry.get("fieldsV1") or {}
        if (
            _is_ours(manager)
            or entry.get("subresource")
            or not any(_holds(fields, path) for path in wanted)
        ):
            continue
        known = next((n for start, n in _WRITERS.items() if manager.lower().startswith(start)), "")
        if manager == _CLIENT_SIDE:
            known = KUBECTL_APPLY
        if entry.get("operation") == "Apply":
            yield known or (KUBECTL_APPLY if manager == "kubectl" else manager)
        elif known:
            yield known


def _is_ours(manager: str) -> bool:
    return manager == MANAGER or manager.startswith(f"{MANAGER}-")


def _path(reading: TokenReading) -> list[str]:
    container = ["f:spec", "f:template", "f:spec", "f:containers", _key(reading.container)]
    if reading.how == "whole":
        return [*container, "f:envFrom"]
    return [*container, "f:env", _key(reading.variable)]


def _key(name: str) -> str:
    return f"k:{json.dumps({'name': name}, separators=(',', ':'))}"


def _holds(fields: Mapping[str, Any], path: list[str]) -> bool:
    for step in path:
        if step not in fields:
            return False
        fields = fields[step] or {}
    return True


def _is_in_last_applied(deployment: Manifest, reading: TokenReading) -> bool:
    """Whether the manifest that was last given to `kubectl apply` says how the token is read."""
    try:
        applied = json.loads(deployment["metadata"]["annotations"][_LAST_APPLIED])
        containers = applied["spec"]["template"]["spec"]["containers"]
        return any(
            bool(each.get("envFrom"))
            if reading.how == "whole"
            else any(v.get("name") == reading.variable for v in each.get("env") or ())
            for each in containers
            if each.get("name") == reading.container
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        return False
