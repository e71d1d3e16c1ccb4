"""What the bot's own credentials allow on a cluster, as its access control says."""

import json
from collections.abc import Mapping
from typing import Any

from deploy.errors import GatewayBotError
from deploy.kube.connection import Connection
from deploy.kube.objects import Manifest


class Reviews:
    """The part of a cluster's client that asks about itself, which everybody who is signed in may."""

    _connection: Connection

    def can_i(
        self, verb: str, group: str, resource: str, namespace: str | None, subresource: str = ""
    ) -> bool:
        """Whether the bot's credentials allow that, as the cluster's own access control says."""
        attributes = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "namespace": namespace or "",
        }
        status = self._review(
            "authorization.k8s.io", "SelfSubjectAccessReview", {"resourceAttributes": attributes}
        )
        return bool(status.get("allowed"))

    def by_name(self, namespace: str, group: str, resource: str, verb: str) -> tuple[str, ...]:
        """The objects of a namespace that the bot may do that with where it may not with all of them;
        none where the cluster does not say (docs of SelfSubjectRulesReview: its list may be incomplete)."""
        status = self._review(
            "authorization.k8s.io", "SelfSubjectRulesReview", {"namespace": namespace}
        )
        names: dict[str, None] = {}
        for rule in status.get("resourceRules") or ():
            if (
                {group, "*"} & set(rule.get("apiGroups") or ())
                and {resource, "*"} & set(rule.get("resources") or ())
                and {verb, "*"} & set(rule.get("verbs") or ())
            ):
                names |= dict.fromkeys(rule.get("resourceNames") or ())
        return tuple(names)

    def signed_in_as(self) -> str:
        """The user that the cluster takes the bot for; empty where it does not say, as before
        Kubernetes 1.28 (kubernetes.io, SelfSubjectReview)."""
        try:
            status = self._review("authentication.k8s.io", "SelfSubjectReview", None)
        except GatewayBotError:
            return ""
        return str((status.get("userInfo") or {}).get("username") or "")

    def _review(self, group: str, kind: str, spec: Mapping[str, Any] | None) -> Manifest:
        answer = self._connection.request(
            "POST",
            f"/apis/{group}/v1/{kind.lower()}s",
            what="an access review",
            body={
                "apiVersion": f"{group}/v1",
                "kind": kind,
                **({"spec": spec} if spec is not None else {}),
            },
            repeat=True,
        )
        status: Manifest = json.loads(answer).get("status") or {}
        return status
