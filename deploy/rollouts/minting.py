"""Mints a gateway's token into its Secret: the one place where a token's text is held.

By then nothing else may have been changed, so a token that cannot be trusted costs nothing.
"""

import datetime
from collections.abc import Callable, Mapping
from typing import Protocol

from deploy.azure import ApimInstance, resource_of
from deploy.errors import Conflict, NotFound, Unavailable
from deploy.governance.admitted import TokenInUse
from deploy.governance.custody import Custody, Keep
from deploy.kube.api_errors import AlreadyExists
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.rendering.manifests import token_secret
from deploy.rollouts.token_places import NewSecret, Place
from deploy.specs.gateway_spec import GatewaySpec
from deploy.times import minute
from deploy.tokens.token import KeyType, Token, expiry_for, key_type
from deploy.tokens.token_plan import TokenPlan

_TOLERATED = datetime.timedelta(minutes=2)
"""A token's text has whole minutes."""


class TokenSource(Protocol):
    """Where tokens are minted: ARM."""

    def time(self, instance: ApimInstance, gateway: str) -> datetime.datetime:
        """What Azure's clock says. NotFound when there is no such gateway."""

    def generate_token(
        self,
        instance: ApimInstance,
        gateway: str,
        key: KeyType,
        expires_at: datetime.datetime,
    ) -> Token:
        """A token of that gateway, made with its primary or secondary key."""


class Minter:
    """Fills the Secret that a plan names, once."""

    def __init__(
        self, tokens: TokenSource, instances: Mapping[str, ApimInstance], custody: Custody
    ) -> None:
        self._tokens = tokens
        self._instances = instances
        self._custody = custody

    def ensure(
        self,
        cluster: Cluster,
        spec: GatewaySpec,
        plan: TokenPlan,
        action_id: str,
        doubtful: Callable[[], None] = lambda: None,
        check: Callable[[], frozenset[str]] = frozenset,
        place: Place | None = None,
    ) -> None:
        """Mint the token of `plan` unless this action has done so; may be repeated.

        The lifetime counts from Azure's clock, not from this machine's, which may be wrong.
        `doubtful` is called when nothing says whether the Secret was written; `check` while the
        gateway resource is held, before Azure is asked: what it raises keeps the token unminted, and
        it tells which environments have decided the token. `place` is where the token is put, a
        Secret of its own where nothing is said.
        Conflict when the Secret is somebody else's, or the token is not what was asked for;
        Unavailable while another action mints for the same resource.
        """
        if plan.secret is None:
            return
        place = place or _new_secret(spec, plan.secret)
        written = place.written(cluster, action_id)
        instance = self._instances.get(spec.apim.instance)
        if instance is None:
            if written is not None:
                return
            raise NotFound(
                f"API Management instance “{spec.apim.instance}” is no longer in the settings."
            )
        resource = resource_of(instance, spec.apim.gateway)
        if written and self._custody.decided_by(_token(cluster, spec, written), resource):
            return
        # Also where the Secret is there: an earlier attempt may have ended before it was admitted,
        # or somebody else may have written it.
        with self._custody.held(resource, action_id) as keep:
            decided_by = check()
            self._custody.record_now(resource, spec.ref)
            if written is None:
                written = self._mint(
                    cluster, spec, plan, action_id, instance, keep, doubtful, place
                )
            token = _token(cluster, spec, written)
            self._custody.admit(token, resource, action_id, decided_by)

    def _mint(
        self,
        cluster: Cluster,
        spec: GatewaySpec,
        plan: TokenPlan,
        action_id: str,
        instance: ApimInstance,
        keep: Keep,
        doubtful: Callable[[], None],
        place: Place,
    ) -> Manifest:
        gateway, key = spec.apim.gateway, key_type(plan.key) or "primary"
        lifetime = datetime.timedelta(seconds=plan.seconds)
        expires_at = expiry_for(self._tokens.time(instance, gateway), lifetime)
        keep()
        cluster.check_guard()
        token = self._tokens.generate_token(instance, gateway, key, expires_at)
        if abs(token.expires_at - expires_at) > _TOLERATED:
            raise Conflict(
                f"Azure issued a token that expires {minute(token.expires_at)} instead of "
                f"{minute(expires_at)}, as requested.",
                meaning="The bot discarded it.",
            )
        try:
            return place.write(cluster, token, action_id, key)
        except AlreadyExists:
            # The answer to an earlier attempt was lost on its way.
            written = place.written(cluster, action_id)
            if written is None:
                raise
            return written
        except Unavailable as error:
            if not error.untouched:
                doubtful()
            raise


def _new_secret(spec: GatewaySpec, name: str) -> Place:
    return NewSecret(
        spec.ref,
        name,
        lambda _, token, action_id, key: token_secret(spec, name, token, action_id, key),
    )


def _token(cluster: Cluster, spec: GatewaySpec, secret: Manifest) -> TokenInUse:
    metadata = secret["metadata"]
    uid = cluster.uid(spec.ref.namespace)
    return TokenInUse(spec.ref, uid, metadata["name"], str(metadata["uid"]))
