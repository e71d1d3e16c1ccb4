"""Whose tokens are in pods that run already, whatever the next spec says.

A container keeps the token that it was started with, and reads its ConfigMap again when it is
restarted. So where a plan changes what such pods read, their tokens go elsewhere too, also when
the next pods sign in to Entra ID.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.given import given_among
from deploy.observed.history import owned_by
from deploy.observed.inventory import apim_gateway_of, environment, spec_field
from deploy.observed.sign_in import sign_in
from deploy.observed.token_facts import SecretKey, secret_facts, secret_keys
from deploy.plans.plan import HeldToken, Plan
from deploy.plans.redirection import redirections
from deploy.specs.settings import AUTH
from deploy.tokens.token import Token


def held_tokens(
    cluster: Cluster,
    plan: Plan,
    live: Manifest | None,
    config_maps: Iterable[Manifest],
    instances: Collection[str],
) -> tuple[HeldToken, ...]:
    """The tokens that the plan sends elsewhere; the cluster is asked only if it redirects anything.

    `live` is the gateway's Deployment and `config_maps` its settings, as they are now. The
    Deployment counts, and each ReplicaSet of it that wants or has pods. `instances` are the API
    Management instances of the settings: a token may be of any where its holder does not say.
    Raises what reading raises.
    """
    if live is None or not redirections(plan):
        return ()
    sets = cluster.list("ReplicaSet", plan.spec.ref.namespace)
    holders = [live, *(each for each in sets if owned_by(each, live) and _wants_pods(each))]
    settings = tuple(config_maps)
    keys = {key for holder in holders for key in secret_keys(holder)}
    secrets = _gateways_in(cluster, keys)
    return tuple(
        sorted(
            {
                HeldToken(instance, gateway.lower())
                for holder in holders
                for gateway in _gateways(holder, settings, secrets, plan.spec.apim.gateway)
                for instance in _instances(holder, instances)
            }
        )
    )


def _gateways_in(cluster: Cluster, keys: Collection[SecretKey]) -> Mapping[SecretKey, str]:
    """The gateways that the tokens in those Secrets are of, as far as their texts show it."""
    ordered = sorted(keys)
    found = cluster.at_once([_reading(cluster, key) for key in ordered])
    return {
        key: gateway
        for key, secret in zip(ordered, found, strict=True)
        if secret is not None and (gateway := secret_facts(secret, key[2]).gateway)
    }


def _reading(cluster: Cluster, key: SecretKey) -> Callable[[], Manifest | None]:
    return lambda: cluster.get("Secret", key[0], key[1])


def _gateways(
    holder: Manifest,
    config_maps: Sequence[Manifest],
    secrets: Mapping[SecretKey, str],
    wanted: str,
) -> set[str]:
    """The gateways whose tokens a Deployment or ReplicaSet gives its pods; none where it has none."""
    # A ConfigMap that it no longer names may still be what its pods were started with.
    said = [each.get("data") or {} for each in config_maps] + [environment(holder)]
    auth = [str(v) for each in said for name, v in each.items() if name.lower().startswith(AUTH)]
    found = {token.gateway for value in auth if (token := Token.parse(value)) is not None}
    keys = secret_keys(holder)
    found |= {secrets[key] for key in keys if key in secrets}
    if keys and sign_in(holder, given_among(holder, config_maps)) == "token":
        # The Secret may be gone, or be another by now: what pods were started with stays in them.
        named = apim_gateway_of(holder)
        found |= {named} if named else found or {wanted}
    return found


def _instances(holder: Manifest, known: Collection[str]) -> tuple[str, ...]:
    """The instances whose token it may be: a token's text does not say that."""
    named = spec_field(holder, "apim", "instance")
    if named in known:
        return (named,)
    return (named, *known) if named or not known else tuple(known)


def _wants_pods(replica_set: Manifest) -> bool:
    """Whether it has pods, or will: a Deployment that is scaled shares pods among all of these."""
    status = replica_set.get("status") or {}
    return bool(replica_set["spec"].get("replicas", 1) or status.get("replicas"))
