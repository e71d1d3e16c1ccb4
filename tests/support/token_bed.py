"""B1's world without Slack: what asks, decides, mints and applies, on a cluster, a Redis and an Azure
that counts."""

import contextlib
import dataclasses
import datetime
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.sandbox.valkey import Valkey
from deploy.access import Approval, Environment
from deploy.actions.action import Action, ChangeRequest, Outcome, State
from deploy.actions.connection import connect as connect_redis
from deploy.actions.leases import GatewayLeases
from deploy.azure import ApimInstance
from deploy.changes.decide import Authorized
from deploy.changes.kinds import DEPLOY, KINDS, ROTATE, Means
from deploy.changes.refusal import NotAllowed
from deploy.deadline import Deadline
from deploy.errors import Refused
from deploy.gateway import ApimGateway, GatewayRef
from deploy.governance.admitted import AdmittedTokens
from deploy.governance.custody import SharedCustody
from deploy.governance.governor import Governor
from deploy.governance.placements import PlacementRecord
from deploy.governance.requirements import GovernedBy
from deploy.governance.sightings import Sightings
from deploy.health.cache import ClusterCache
from deploy.kube.cluster import connect
from deploy.plans.planning import Planner
from deploy.plans.requests import DeployRequest, RotateRequest
from deploy.policy import People
from deploy.rendering.manifests import token_secret
from deploy.retry import RunLost
from deploy.rollouts.applying import Applier
from deploy.rollouts.minting import Minter
from deploy.rollouts.rollout import apply_plan
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.overlay import from_words, merged
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from deploy.tokens.rotation import Rotation
from deploy.tokens.token import expiry_for
from tests.support.changes import Changes, Groups
from tests.support.gateway_bed import HOST, SPEC, TIMEOUTS, Mint, RecordingRun
from tests.support.portal import portal
from tests.support.running_cluster import RunningCluster
from tests.support.waiting import until

COLLECTOR = "collector.example.net"
EU = "eu.contoso.example"
"""A further host of contoso's that the settings list."""
CONTOSO = ApimInstance("contoso", "sub", "group", "contoso", HOST, (EU,))
FABRIKAM = ApimInstance(
    "fabrikam", "sub", "group", "fabrikam", "fabrikam.configuration.azure-api.net"
)
INSTANCES = {each.name: each for each in (CONTOSO, FABRIKAM)}
APPROVAL = Approval(People(groups=("S1",)))
DEVELOPMENT = Environment("development", namespaces=("dev",))
PRODUCTION = Environment("production", namespaces=("prod",), production=True, approval=APPROVAL)
ENVIRONMENTS = (DEVELOPMENT, PRODUCTION)
DEV, PROD = GatewayRef("west", "dev", "edge-1"), GatewayRef("west", "prod", "edge-1")


class _Silent(ClusterCache):
    """A cluster that does not answer."""

    def start(self) -> None:
        """Nothing is ever read."""


@dataclass
class Azure(Mint):
    """Counts what it is asked for, and may refuse to say what time it is."""

    refuses: bool = False

    def time(self, instance: ApimInstance, gateway: str) -> datetime.datetime:
        """See TokenSource."""
        if self.refuses:
            raise Refused("Azure refuses.")
        return super().time(instance, gateway)


class _Begun(RecordingRun):
    """A run that calls `at` with each of its steps, and ends once everything is applied."""

    def __init__(self, at: Callable[[str], None]) -> None:
        super().__init__()
        self._at = at

    def step(self, name: str, detail: str = "") -> None:
        super().step(name, detail)
        self._at(name)
        if name == "follow":
            raise RunLost


class TokenBed:
    """dan may ask, ben and chen are production's approvers. `unread` names a cluster that does not
    answer, beside `west`."""

    def __init__(
        self, running: RunningCluster, server: Valkey, *rules: GovernedBy, unread: str = ""
    ) -> None:
        self.cluster = connect(
            "west", kubeconfig=running.kubeconfig(), context="west", timeouts=TIMEOUTS
        )
        self.cache = ClusterCache(self.cluster)
        caches = {"west": self.cache}
        if unread:
            caches[unread] = _Silent(self.cluster)
        self._redis = redis = connect_redis(server.url)
        redis.flushall()
        self.azure = Azure()
        self.groups = Groups(S1=("ben", "chen"))
        clusters = {"west": self.cluster}
        placements, admitted = PlacementRecord(redis), AdmittedTokens(redis)
        self.governor = Governor(
            Sightings(caches, INSTANCES), placements, admitted, INSTANCES, ENVIRONMENTS, rules
        )
        self._custody = SharedCustody(GatewayLeases(redis), placements, admitted, "bot")
        self._clusters = clusters
        self.planner = Planner(
            clusters.__getitem__, lambda: ["2.11.1"], ENVIRONMENTS, instances=INSTANCES
        )
        self._numbers = itertools.count()
        self.restart()
        self.cache.read()

    def restart(
        self,
        *,
        development: Environment = DEVELOPMENT,
        production: Environment = PRODUCTION,
        people: Mapping[str, str] | None = None,
    ) -> None:
        """The bot is started with other settings: those of these environments, and who is whom."""
        self.production = production
        changes = Changes(
            self._redis,
            development,
            production,
            groups=self.groups,
            people=people,
            governing=self.governor.required,
        )
        applier = Applier(
            self._clusters,
            Minter(self.azure, INSTANCES, self._custody),
            changes.policies.authorize,
        )
        nothing: dict[str, Any] = dict.fromkeys(field.name for field in dataclasses.fields(Means))
        given = {"planner": self.planner, "clusters": self._clusters, "applier": applier}
        self._workings = {k.name: k.workings(Means(**(nothing | given))) for k in KINDS}
        changes.plans = lambda request, new_id: self._workings[_kind(request)].plan(request, new_id)
        self.changes = changes

    def close(self) -> None:
        """Leave an empty cluster."""
        for namespace in ("dev", "prod"):
            for kind in ("Deployment", "ConfigMap", "Secret", "Service", "PodDisruptionBudget"):
                for item in self.cluster.list(kind, namespace):
                    self.cluster.delete(kind, namespace, item["metadata"]["name"])
        self.cache.stop(Deadline.after(5))
        self.cluster.close()

    def install(self, ref: GatewayRef = PROD) -> None:
        """edge-1 by the portal's YAML, once the bot has seen it."""
        for item in portal(ref.namespace, ref.name):
            self.cluster.create(item)
        self._seen(ref)

    def remove(self, ref: GatewayRef = PROD) -> None:
        """Delete it; the bot has seen that."""
        self.delete(ref)
        until(lambda: self.cache.read().find(ref) is None, "the gateway forgotten")

    def deployed(self) -> None:
        """This bot has deployed edge-1 to dev some time ago, and Redis has been emptied since."""
        plan = self.planner.plan(SPEC, "ABC234")
        token = Mint().generate_token(
            CONTOSO, "edge-1", "primary", expiry_for(datetime.datetime.now(datetime.UTC))
        )
        self.cluster.create(token_secret(SPEC, plan.token.secret or "", token, "ABC234"))
        apply_plan(self.cluster, plan, action_id="ABC234", requester="U1")
        self._seen(DEV)

    def goes_unseen(self) -> None:
        """From here on the bot sees nothing new of the cluster unless it reads that for a plan."""
        self.cache.stop(Deadline.after(5))

    def delete(self, ref: GatewayRef) -> None:
        """Delete it, whether the bot sees that or not."""
        self.cluster.delete("Deployment", ref.namespace, ref.name)

    def asks(
        self,
        user: str,
        *options: str,
        rotates: bool = False,
        name: str = DEV.name,
        break_glass: str = "",
        takes_over: bool = False,
    ) -> Action | None:
        """Somebody asks for edge-1 in dev, under that name and with `options` as after `--set`; None
        where the rules forbid it."""
        wanted = dataclasses.replace(
            deploy(*options, ref=dataclasses.replace(DEV, name=name)), take_over=takes_over
        )
        request = RotateRequest(DEV, Rotation()) if rotates else wanted
        return self._asked(user, request, break_glass=break_glass)

    def rotates(self) -> Action:
        """The bot rotates the token of edge-1 in dev, as its settings approve."""
        action = self._asked("bot", RotateRequest(DEV, Rotation()), automatic=True, standing="Ben")
        assert action is not None
        self.changes.decider.standing(action)
        return action

    def asks_in_production(self) -> Action:
        """dan asks for it in production."""
        action = self._asked("dan", deploy(ref=PROD))
        assert action is not None
        return action

    def _asked(self, user: str, request: ChangeRequest, **more: Any) -> Action | None:
        ref = request.spec.ref if isinstance(request, DeployRequest) else DEV
        proposal = self.changes.propose(
            f"r{next(self._numbers)}",
            kind=_kind(request),
            request=request,
            ref=ref,
            requester=user,
            **more,
        )
        return proposal.action

    def agrees(self, action: Action | None, *users: str) -> None:
        """They confirm or approve it, one after the other; what is refused changes nothing."""
        for user in users:
            if action is not None:
                with contextlib.suppress(NotAllowed):
                    self.changes.agree(action, user, request=f"{action.id}-{user}")

    def runs(self, action: Action | None, at: Callable[[str], None] = lambda step: None) -> bool:
        """Carry it out if it was approved; whether Azure was asked for a token or anything applied."""
        if action is None or self.changes.now_of(action).state is not State.APPROVED:
            return False
        asked, run = len(self.azure.asked), _Begun(at)
        executor = Authorized(self._workings[action.kind].executor, self.changes.policies)
        try:
            outcome: Outcome | None = executor.execute(self.changes.now_of(action), run)
        except (RunLost, Refused):
            outcome = None
        assert outcome is None or outcome.state is not State.SUCCEEDED
        return len(self.azure.asked) > asked or "apply" in run.steps

    def _seen(self, ref: GatewayRef) -> None:
        def shown() -> bool:
            found = self.cache.read().find(ref)
            return found is not None and found.token is not None and found.token.facts is not None

        until(shown, f"{ref} seen with its token")


def deploy(*options: str, ref: GatewayRef = DEV) -> DeployRequest:
    """What `/gateway deploy` asks for, with `options` as after `--set`."""
    spec: GatewaySpec = dataclasses.replace(
        SPEC, ref=ref, apim=ApimGateway("contoso", "edge-1", HOST)
    )
    mapping = merged(spec_to_mapping(spec), from_words(options))
    return DeployRequest(spec_from_mapping(mapping))


def _kind(request: ChangeRequest) -> str:
    return DEPLOY if isinstance(request, DeployRequest) else ROTATE
