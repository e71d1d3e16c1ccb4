"""Whether the namespace lets pods run as the users and groups that they name. Pure.

OpenShift gives each namespace users of its own, and notes them in annotations: one block of users, and
blocks of groups of which the first one's first is that of volumes (Red Hat, "About pre-allocated security
context constraints values", OpenShift Container Platform 4.8, read 2026-11-30). Which constraint a service
account may use is not read, so it is never more than a warning.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.plans.preflight.outlook import Outlook, Wanted
from deploy.rules.finding import Finding
from deploy.rules.reading import at, mapping, text, whole

_USERS = "openshift.io/sa.scc.uid-range"
_GROUPS = "openshift.io/sa.scc.supplemental-groups"
_BLOCK = re.compile(r"([0-9]{1,10})([/-])([0-9]{1,10})")
_UNSET = {"security": {"runAsUser": "none", "fsGroup": "none"}}


def user_findings(wanted: Wanted, outlook: Outlook) -> Iterator[Finding]:
    """That pods name a user or a group which is not of the namespace."""
    noted = mapping(at(outlook.space, "metadata", "annotations"))
    users = _block(text(noted.get(_USERS)))
    if users is None:
        return
    groups = _block(text(noted.get(_GROUPS))) or users
    asked = _asked(wanted.pod)
    if wanted.running and asked == _asked(wanted.pod_now):
        # Pods that run with the same are let by another constraint.
        return
    user, group = asked
    named = [f"user {user}"] if user is not None and not _within(users, user) else []
    named += [f"group {group} of volumes"] if group not in (None, groups[0]) else []
    if not named:
        return
    yield Finding(
        "users",
        "warning",
        f"The namespace allows users {users[0]} to {users[1]}, but the pods set "
        f"{' and '.join(named)}.",
        "OpenShift's default security context constraint, restricted-v2, rejects such pods.",
        "Set security.runAsUser to none so that OpenShift chooses the user, or bind nonroot-v2 "
        "to the pods' service account.",
        _UNSET,
    )


def _asked(pod: Mapping[str, Any]) -> tuple[int | None, int | None]:
    context = mapping(pod.get("securityContext"))
    return whole(context.get("runAsUser")), whole(context.get("fsGroup"))


def _within(block: tuple[int, int], number: int) -> bool:
    return block[0] <= number <= block[1]


def _block(said: str) -> tuple[int, int] | None:
    """The first and last of `first/length` or `first-last`, of the first of several."""
    found = _BLOCK.fullmatch(said.partition(",")[0].strip())
    if found is None:
        return None
    first, last = int(found[1]), int(found[3])
    return (first, first + last - 1) if found[2] == "/" else (first, last)
