"""Gathers what is known of a gateway's token, and tells whose requirements a change takes now."""

from collections.abc import Mapping, Sequence

from deploy.access import Environment
from deploy.azure import ApimInstance, resource_of
from deploy.gateway import GatewayRef, GatewayResource
from deploy.governance.admitted import AdmittedTokens, TokenInUse
from deploy.governance.naming import may_be
from deploy.governance.placements import PlacementRecord
from deploy.governance.requirements import (
    GovernedBy,
    Placements,
    TokenAuthority,
    TokenChange,
    token_authority,
)
from deploy.governance.sightings import Sightings
from deploy.kube.cluster import Cluster
from deploy.observed.pods import token_secret_of
from deploy.plans.plan import Plan
from deploy.plans.redirection import redirections
from deploy.specs.gateway_spec import GatewaySpec


def token_change(plan: Plan, *, regenerates: bool = False) -> TokenChange:
    """What carrying out a plan does with the gateway's token. Pure."""
    return TokenChange(plan.token.mint, regenerates, redirections(plan))


class Governor:
    """Whose requirements changes take, by the settings, the record and what the clusters show."""

    def __init__(
        self,
        sightings: Sightings,
        record: PlacementRecord,
        admitted: AdmittedTokens,
        clusters: Mapping[str, Cluster],
        instances: Mapping[str, ApimInstance],
        environments: Sequence[Environment],
        rules: Sequence[GovernedBy] = (),
    ) -> None:
        self._sightings = sightings
        self._record = record
        self._admitted = admitted
        self._clusters = clusters
        self._instances = instances
        self._environments = environments
        self._rules = rules

    def resource(self, spec: GatewaySpec) -> GatewayResource | None:
        """Whose token the gateway holds; None for one that signs in to Entra ID. The service is
        empty where the settings no longer have its instance."""
        if spec.auth.kind != "token":
            return None
        instance = self._instances.get(spec.apim.instance)
        gateway = spec.apim.gateway
        return resource_of(instance, gateway) if instance else GatewayResource("", gateway)

    def scan(self) -> None:
        """Record what the clusters show."""
        for sighting in self._sightings.now():
            self._record.note(sighting)

    def required(self, plan: Plan, *, regenerates: bool = False) -> TokenAuthority:
        """Whose requirements carrying out the plan takes, as things are now.

        Unavailable when Redis, or the cluster of a gateway whose token is replaced, cannot be read.
        """
        resource, target = self.resource(plan.spec), plan.spec.ref
        change = token_change(plan, regenerates=regenerates)
        return token_authority(
            change,
            target,
            resource,
            environments=self._environments,
            rules=self._rules,
            placements=self.placements(resource) if resource else Placements(),
            admitted=(change.mints and resource is not None and self._put_there(target, resource)),
        )

    def placements(self, resource: GatewayResource) -> Placements:
        """Where the resource is: what is on record, and what the clusters show now."""
        recorded, shown = self._record.read(resource), self._sightings.now()
        whole = {sighting.cluster for sighting in shown if sighting.whole}
        seen = {ref for s in shown for named, ref in s.placed if may_be(named, resource)}
        unidentified = {ref for ref in recorded.unidentified if ref.cluster not in whole}
        return Placements(
            recorded.seen | seen,
            frozenset(unidentified).union(*(s.unidentified for s in shown)),
            self._sightings.clusters - recorded.read_at.keys() - whole,
        )

    def _put_there(self, target: GatewayRef, resource: GatewayResource) -> bool:
        token = self.in_use(target)
        return token is not None and self._admitted.is_admitted(token, resource)

    def in_use(self, ref: GatewayRef) -> TokenInUse | None:
        """The token that the gateway uses now; None where it has none, or one that can change."""
        cluster = self._clusters.get(ref.cluster)
        live = cluster.get("Deployment", ref.namespace, ref.name) if cluster else None
        used = token_secret_of(live["spec"]["template"]["spec"]) if live else None
        if cluster is None or used is None:
            return None
        secret = cluster.get("Secret", ref.namespace, used[0])
        if secret is None or secret.get("immutable") is not True:
            return None
        return TokenInUse(ref, cluster.uid(), used[0], str(secret["metadata"]["uid"]))
