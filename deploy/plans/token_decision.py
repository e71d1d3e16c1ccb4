"""Which token a plan has: the one in use, or a new one, and why. The dry runs are made beside it."""

import dataclasses
import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deploy.azure import ApimInstance
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.given import given_among
from deploy.observed.inventory import spec_field
from deploy.observed.pods import token_secret_of
from deploy.observed.sign_in import token_origin
from deploy.observed.token_facts import secret_facts
from deploy.plans.dry_run import Merged, merge, wanted_objects
from deploy.plans.partial import partly
from deploy.plans.plan import ReplacedSecret
from deploy.specs.gateway_spec import GatewaySpec
from deploy.tokens.rotation import Rotation, rotated_token
from deploy.tokens.token import LAYOUT_KEY, SecretFacts, kept_token, new_token, plan_token
from deploy.tokens.token_plan import TokenPlan

ObjectKey = tuple[str, str]
"""Kind and name."""


@dataclass(frozen=True)
class Onto:
    """A spec, the Deployment that it goes onto, whether what others own of it is taken over, whether
    it is a rotation or a restart alone, and how many pods are asked for."""

    spec: GatewaySpec
    live: Manifest | None
    take_over: bool
    partial: bool
    count: int | None

    def objects(self, secret: str | None) -> tuple[Manifest, ...]:
        """What is wanted, the token being in that Secret."""
        if self.partial:
            return (partly(self.live, self.spec, secret),)
        return wanted_objects(
            self.spec, secret, self.live, take_over=self.take_over, count=self.count
        )


@dataclass(frozen=True)
class Decided:
    """The token's plan, every dry run, and the Secret whose token a new one replaces."""

    token: TokenPlan
    merged: Mapping[ObjectKey, Merged]
    replaces: ReplacedSecret | None


class TokenDecision:
    """`instances` are the API Management instances by name."""

    def __init__(
        self, instances: Mapping[str, ApimInstance], clock: Callable[[], datetime.datetime]
    ) -> None:
        self._instances = instances
        self._clock = clock

    def decide(
        self,
        cluster: Cluster,
        onto: Onto,
        action_id: str,
        observed: Mapping[ObjectKey, Manifest | None],
        rotation: Rotation | None,
    ) -> Decided:
        """Look at the Secret in use, and try all that is wanted of the cluster.

        Whether the token is kept is known only once its Secret is read; the dry runs do not wait
        for it, since it mostly is, and the Deployment's is repeated where it is not.
        """
        spec, deployment = onto.spec, onto.live
        used = token_secret_of(deployment["spec"]["template"]["spec"]) if deployment else None
        guess = self._token(spec, action_id, None).secret
        # A rotation always has a new Secret; all else mostly keeps the one in use.
        if rotation is None and guess is not None and used:
            guess = used[0]
        wanted = onto.objects(guess)
        reading = cluster.begin(
            lambda: cluster.get("Secret", spec.ref.namespace, used[0]) if used else None
        )
        merged = cluster.at_once(
            [_merging(cluster, item, observed[key_of(item)]) for item in wanted]
        )
        secret = reading.result()
        facts = secret_facts(secret, used[1]) if secret and used else None
        if rotation is None and onto.partial:
            token = kept_token(spec, facts)
        elif rotation is None:
            token = self._token(spec, action_id, facts, used[1] if used else LAYOUT_KEY)
            kept = token.secret is not None and not token.mint
            if kept and (why := self._other_service(deployment, spec)):
                token = new_token(spec, action_id, why)
            if not used and token.mint and (open_at := _in_the_open(deployment, observed)):
                token = dataclasses.replace(token, reason=open_at)
            if used and secret is None and token.mint:
                gone = f"The Secret that its pods read their token from, {used[0]}, is gone."
                token = dataclasses.replace(token, reason=gone)
        else:
            layout_key = used[1] if used else ""
            token = rotated_token(spec, facts, layout_key, action_id, rotation)
        results = {key_of(item): result for item, result in zip(wanted, merged, strict=True)}
        if token.secret != guess:
            repeated = onto.objects(token.secret)
            again = next(m for m in repeated if m["kind"] == "Deployment")
            results[key_of(again)] = merge(cluster, again, deployment)
        fixed = token.mint and facts is not None and facts.immutable
        replaces = ReplacedSecret(facts.name, facts.uid) if fixed and facts else None
        return Decided(token, results, replaces)

    def _token(
        self,
        spec: GatewaySpec,
        action_id: str,
        facts: SecretFacts | None,
        layout_key: str = LAYOUT_KEY,
    ) -> TokenPlan:
        return plan_token(
            spec=spec,
            now=self._clock(),
            live_secret=facts,
            action_id=action_id,
            layout_key=layout_key,
        )

    def _other_service(self, deployment: Manifest | None, spec: GatewaySpec) -> str:
        """Why the token in use is not kept: it is not known to be of the same service. Else empty.

        A token's text does not say it. Kept, it would be sent where those who govern it were not
        asked.
        """
        named = spec_field(deployment, "apim", "instance") if deployment else ""
        if not named:
            services = {instance.arm_id.lower() for instance in self._instances.values()}
            unknown = "It is not known which API Management service issued the token in use."
            return unknown if len(services) > 1 else ""
        before, after = self._instances.get(named), self._instances.get(spec.apim.instance)
        same = before and after and before.arm_id.lower() == after.arm_id.lower()
        if named == spec.apim.instance or same:
            return ""
        return f"The token in use is of API Management instance {named}."


def _in_the_open(deployment: Manifest | None, observed: Mapping[ObjectKey, Manifest | None]) -> str:
    """Where the token stands that is in no Secret; empty where nothing shows one."""
    if deployment is None:
        return ""
    maps = [found for (kind, _), found in observed.items() if kind == "ConfigMap" and found]
    origin = token_origin(given_among(deployment, maps))
    if origin is None or origin.kind not in ("Deployment", "ConfigMap"):
        return ""
    where = f"ConfigMap {origin.name}" if origin.name else "the Deployment itself"
    return f"The token in use stands in {where}; the new one is in a Secret."


def key_of(manifest: Manifest) -> ObjectKey:
    """By which an object is told from the others of its gateway."""
    return manifest["kind"], manifest["metadata"]["name"]


def _merging(cluster: Cluster, wanted: Manifest, live: Manifest | None) -> Callable[[], Merged]:
    return lambda: merge(cluster, wanted, live)
