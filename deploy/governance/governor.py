"""Gathers what is known of a gateway's token, and tells whose requirements a change takes now."""

from collections.abc import Iterable, Mapping, Sequence

from deploy.access import Environment
from deploy.azure import ApimInstance, resource_of
from deploy.gateway import GatewayResource
from deploy.governance.admitted import AdmittedTokens, TokenInUse
from deploy.governance.naming import may_be
from deploy.governance.placements import PlacementRecord
from deploy.governance.requirements import (
    GovernedBy,
    Placements,
    TokenAuthority,
    TokenChange,
    combined,
    token_authority,
)
from deploy.governance.sightings import Sighting, Sightings
from deploy.plans.plan import Plan
from deploy.plans.redirection import redirections
from deploy.specs.gateway_spec import GatewaySpec

_SCAN_SECONDS = 2.0
_DECISION_SECONDS = 0.3
"""How long a cluster of which nothing is known yet is waited for: somebody waits for a decision, and
the record says what was seen there."""


class Governor:
    """Whose requirements changes take, by the settings, the record and what the clusters show.

    Nothing here asks a cluster or Azure: a cluster that does not answer delays no decision.
    """

    def __init__(
        self,
        sightings: Sightings,
        record: PlacementRecord,
        admitted: AdmittedTokens,
        instances: Mapping[str, ApimInstance],
        environments: Sequence[Environment],
        rules: Sequence[GovernedBy] = (),
    ) -> None:
        self._sightings = sightings
        self._record = record
        self._admitted = admitted
        self._instances = instances
        self._environments = environments
        self._rules = rules

    def scan(self) -> None:
        """Record what the clusters show."""
        for sighting in self._sightings.now(_SCAN_SECONDS):
            self._record.note(sighting)

    def required(self, plan: Plan, *, regenerates: bool = False) -> TokenAuthority:
        """Whose requirements carrying out the plan takes, as things are now; `regenerates` says that
        it makes a key anew. Unavailable when Redis cannot be used."""
        change = TokenChange(plan.token.mint, regenerates, redirections(plan))
        wanted, held = self._wanted(plan.spec), self._held(plan) if change.redirects else set()
        shown = self._sightings.now(_DECISION_SECONDS) if wanted or held else ()
        return combined(
            token_authority(
                change,
                plan.spec.ref,
                resource,
                environments=self._environments,
                rules=self._rules,
                placements=self._placements(resource, shown) if resource else Placements(),
                decided_by=self._decided_by(plan, resource) if resource else frozenset(),
            )
            for resource in (wanted, *sorted(held - {wanted}))
        )

    def _wanted(self, spec: GatewaySpec) -> GatewayResource | None:
        """Whose token the gateway will hold as it is wanted; None for one that signs in to Entra ID.
        What its pods hold until then may be another's."""
        if spec.auth.kind != "token":
            return None
        return self._resource(spec.apim.instance, spec.apim.gateway)

    def _held(self, plan: Plan) -> set[GatewayResource]:
        """Whose tokens are in pods that run, or may be."""
        return {self._resource(token.instance, token.gateway) for token in plan.held}

    def _resource(self, instance: str, gateway: str) -> GatewayResource:
        """The service is empty where the settings do not have the instance."""
        known = self._instances.get(instance)
        return resource_of(known, gateway) if known else GatewayResource("", gateway)

    def _placements(self, resource: GatewayResource, shown: Iterable[Sighting]) -> Placements:
        """Where the resource is: what is on record, and what the clusters show now."""
        recorded = self._record.read(resource)
        whole = {sighting.cluster for sighting in shown if sighting.whole}
        seen = {ref for s in shown for named, ref in s.placed if may_be(named, resource)}
        unidentified = {
            ref
            for ref in recorded.unidentified
            if not whole & {ref.cluster, f"{ref.cluster}/{ref.namespace}"}
        }
        return Placements(
            recorded.seen | seen,
            frozenset(unidentified).union(*(s.unidentified for s in shown)),
            self._sightings.clusters - recorded.read_at.keys() - whole,
            self._sightings.looked,
        )

    def _decided_by(self, plan: Plan, resource: GatewayResource) -> frozenset[str]:
        """The environments that decided the token which the plan found in place and replaces."""
        if plan.replaces is None:
            return frozenset()
        token = TokenInUse(plan.spec.ref, plan.cluster_uid, plan.replaces.name, plan.replaces.uid)
        return self._admitted.decided_by(token, resource)
