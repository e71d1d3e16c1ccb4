"""Where a minted token is put: into a Secret of its own that never changes, or into the one that
others refer to, the previous token kept beside it until the new one is verified.
"""

from collections.abc import Callable
from typing import Protocol

from deploy.annotations import ACTION_ANNOTATION
from deploy.errors import Conflict
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.declaring import owner_of_secret
from deploy.observed.token_facts import secret_facts
from deploy.observed.token_only import KeptToken, kept_in, restart_mark
from deploy.rendering.token_only import own_secret, with_content_of
from deploy.tokens.token import KeyType, Token


class Place(Protocol):
    """Where a token is put. Each step may be repeated."""

    def written(self, cluster: Cluster, action_id: str) -> Manifest | None:
        """The Secret in which this action put a token; None where it has not. Conflict where it
        cannot be put there."""

    def write(self, cluster: Cluster, token: Token, action_id: str, key: KeyType) -> Manifest:
        """Put it there. AlreadyExists where an attempt before may have done so."""


class NewSecret:
    """A Secret that only this action makes, by what `render` makes of the token."""

    def __init__(
        self, ref: GatewayRef, name: str, render: Callable[[Cluster, Token, str, KeyType], Manifest]
    ) -> None:
        self._namespace = ref.namespace
        self._name = name
        self._render = render

    def written(self, cluster: Cluster, action_id: str) -> Manifest | None:
        """See Place."""
        secret = cluster.get("Secret", self._namespace, self._name)
        if secret is None:
            return None
        if made_by(secret) != action_id:
            raise Conflict(
                f"A Secret “{self._name}” that this action did not create already exists.",
                remedy="Delete it, or recreate it under another name, then ask again.",
            )
        return secret

    def write(self, cluster: Cluster, token: Token, action_id: str, key: KeyType) -> Manifest:
        """See Place."""
        return cluster.create(self._render(cluster, token, action_id, key))


class OneSecret:
    """The Secret of this bot that others refer to; `copy` is the name of that with the previous
    token, empty where none is kept, and `secret_key` the one under which the pods read it."""

    def __init__(
        self, ref: GatewayRef, name: str, copy: str, kept: KeptToken, secret_key: str
    ) -> None:
        self._ref = ref
        self._name = name
        self._copy = copy
        self._kept = kept
        self._key = secret_key

    def written(self, cluster: Cluster, action_id: str) -> Manifest | None:
        """See Place."""
        live = self._own(cluster, self._name)
        return live if live is not None and made_by(live) == action_id else None

    def write(self, cluster: Cluster, token: Token, action_id: str, key: KeyType) -> Manifest:
        """See Place. Conflict where somebody else has changed the Secret in that moment."""
        live = self._own(cluster, self._name)
        now = cluster.now()
        wanted = own_secret(
            self._ref, self._name, self._kept, self._key, token, action_id, key,
            now=now, immutable=False,
        )  # fmt: skip
        if live is None:
            return cluster.create(wanted)
        if self._copy:
            self._keep(cluster, live, action_id, now)
        _overwrite(cluster, live, wanted)
        return live

    def restore(self, cluster: Cluster, action_id: str) -> bool:
        """Put the previous token back; False where its copy is gone. The Secret has the mark of the
        pods that get it then: those that got the new token have another."""
        live, copy = self._own(cluster, self._name), self._own(cluster, self._copy)
        mark = restart_mark(action_id, back=True)
        if live is None:
            return False
        if made_by(live) == mark:
            # An earlier run has, and may have deleted the copy since.
            return True
        if copy is None:
            return False
        _overwrite(cluster, live, with_content_of(copy, self._name, mark, cluster.now()))
        return True

    def forget_copy(self, cluster: Cluster) -> bool:
        """Delete the copy of the previous token; whether there was one."""
        if self._own(cluster, self._copy) is None:
            return False
        return cluster.delete("Secret", self._ref.namespace, self._copy)

    def _keep(self, cluster: Cluster, live: Manifest, action_id: str, now: float) -> None:
        """Copy the present token before it is overwritten.

        A copy that an earlier action has left is of a token that was verified, and what took its
        place was not: as long as it is valid, it stays the one to go back to.
        """
        copy = self._own(cluster, self._copy)
        wanted = with_content_of(live, self._copy, action_id, now)
        if copy is None:
            cluster.create(wanted)
        elif made_by(copy) == action_id:
            return
        elif _is_valid(copy, self._key, now):
            _overwrite(cluster, copy, with_content_of(copy, self._copy, action_id, now))
        else:
            _overwrite(cluster, copy, wanted)

    def _own(self, cluster: Cluster, name: str) -> Manifest | None:
        """The Secret of that name, which is this bot's own for this very gateway."""
        found = cluster.get("Secret", self._ref.namespace, name)
        if found is None:
            return None
        kept, owner = kept_in(found), owner_of_secret(found)
        if owner is not None or kept is None or kept.workload != self._ref.name:
            whose = f"It belongs to {owner}." if owner else "This bot did not make it."
            raise Conflict(
                f"The bot must not write Secret {name}.",
                meaning=whose,
                remedy="Delete it, or recreate it under another name, then ask again.",
            )
        return found


def made_by(secret: Manifest) -> str:
    """The action that wrote a Secret last."""
    return str((secret["metadata"].get("annotations") or {}).get(ACTION_ANNOTATION, ""))


def _overwrite(cluster: Cluster, live: Manifest, wanted: Manifest) -> None:
    """Put what is wanted in place of exactly what was read: Conflict where that has changed since."""
    annotations = wanted["metadata"]["annotations"]
    cluster.replace_fields(live, {"/data": wanted["data"], "/metadata/annotations": annotations})


def _is_valid(secret: Manifest, key: str, now: float) -> bool:
    expires_at = secret_facts(secret, key).expires_at
    return expires_at is not None and expires_at.timestamp() > now
