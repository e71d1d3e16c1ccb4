"""Every kind of change in one table: what it is asked for with, its plan, and who carries it out.

A new kind is a line of `KINDS` here, a line of words in handlers/views/words, and a verb.
"""

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from deploy.access import Environment, environment_of
from deploy.actions.action import Action, ChangeRequest, Outcome
from deploy.actions.codec import Codec, RequestType
from deploy.actions.executor import Executor
from deploy.azure import ApimInstance
from deploy.changes.rolling_back import counted_as_now
from deploy.errors import Conflict
from deploy.gateway import GatewayRef
from deploy.governance.custody import Custody
from deploy.health.cache import ClusterCache
from deploy.kube.api_errors import Rejected
from deploy.kube.cluster import Cluster
from deploy.observed.autoscalers import AUTOSCALER, autoscalers_of
from deploy.observed.installed import carried_spec, installed
from deploy.observed.token_only import KeptToken
from deploy.plans.plan import Plan
from deploy.plans.planning import Planner
from deploy.plans.requests import (
    DeployRequest,
    EndTokenRequest,
    KeyRequest,
    ManageTokenRequest,
    RemovalRequest,
    RestartRequest,
    RollbackRequest,
    RotateRequest,
    ScaleRequest,
)
from deploy.plans.token_end import plan_token_end
from deploy.plans.token_only import Wanted, plan_token_only, token_kept
from deploy.rollouts.applying import Applier
from deploy.rollouts.deployer import Deployer
from deploy.rollouts.regeneration import KeySource, Regenerator, plan_regeneration
from deploy.rollouts.removal import Remover, removal_plan
from deploy.rollouts.rotator import Rotator
from deploy.rollouts.second_look import second_look
from deploy.rollouts.stopped import key_left
from deploy.rollouts.survey import Survey
from deploy.rollouts.token_ender import TokenEnder
from deploy.rollouts.verification import Observing
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from deploy.tokens.token import iso

ADOPT, DEPLOY, ROLLBACK = "adopt", "deploy", "rollback"
SCALE, RESTART, DELETE = "scale", "restart", "delete"
ROTATE, REGENERATE, MANAGE_TOKEN = "rotate", "regenerate-key", "manage-token"
END_MANAGE_TOKEN = "end-manage-token"


@dataclass(frozen=True)
class Means:
    """What kinds of change are carried out with: clients, and the settings that concern them.

    `authorize` is called with an action while its gateway's token is held, right before Azure is
    asked: Outgrown where what was decided does not suffice. `left` reads what a stopped action has
    left on its cluster. `regenerate_keys` says whether the settings allow that; `rotations_at_once`
    is how many rotations may run at a time in an environment, by its name.
    """

    planner: Planner
    clusters: Mapping[str, Cluster]
    caches: Mapping[str, ClusterCache]
    applier: Applier
    keys: KeySource
    custody: Custody
    authorize: Callable[[Action], frozenset[str]]
    left: Callable[[Action], Outcome]
    instances: Mapping[str, ApimInstance]
    environments: Sequence[Environment]
    observing: Observing
    regenerate_keys: bool
    rotations_at_once: Callable[[str], int]


class Replan(Protocol):
    """Makes the plan of a request for the action of that id. Raises what looking raises."""

    def __call__(self, request: Any, action_id: str, /) -> Plan: ...


@dataclass(frozen=True)
class Workings:
    """How one kind of change is planned and carried out.

    `anew` is what was asked for, made from what the cluster holds now; it raises what looking raises.
    `left` reads what a stopped action has left; `rooms` names those of which an action needs one
    while it runs, none where any number may run. `look_again` says what of a success no longer holds
    a while later, empty where all does; it raises what looking raises.
    """

    plan: Replan
    executor: Executor
    left: Callable[[Action], Outcome]
    rooms: Callable[[Action], Sequence[str]] = lambda action: ()
    look_again: Callable[[Action], str] = lambda action: ""
    anew: Callable[[Any], ChangeRequest] = lambda request: request


@dataclass(frozen=True)
class Kind:
    """One kind of change.

    `request` is the type of what it is asked for with; `windows` says whether an approval window
    covers it, `every_environment` that everybody who depends on the gateway's key decides,
    `fixable` that what a rule advises can be asked for in its place, and `declares` that it changes
    what another manager of the gateway would undo: forced in production, it takes a reason. With
    `replaces` one person has at most one open request of it for a gateway: the newest. `again` is what
    to ask for when somebody asks for the same once more, at that time (epoch seconds).
    """

    name: str
    request: RequestType
    workings: Callable[[Means], Workings]
    windows: bool = True
    every_environment: bool = False
    fixable: bool = False
    declares: bool = False
    replaces: bool = False
    again: Callable[[Any, float], ChangeRequest] = lambda request, now: request


def _deployment(
    again: str,
    *,
    adopts: bool = False,
    wanted: Callable[[Means, Any], GatewaySpec] = lambda means, request: request.spec,
) -> Callable[[Means], Workings]:
    """A kind that is asked for with a whole spec; `wanted` is what is to be deployed of it."""

    def workings(means: Means) -> Workings:
        def plan(request: DeployRequest, action_id: str) -> Plan:
            try:
                return means.planner.plan(
                    wanted(means, request),
                    action_id,
                    take_over=request.take_over,
                    counts=request.counts,
                )
            except Rejected as error:
                if not adopts:
                    raise
                raise _cannot_be_adopted(request.spec, error) from error

        executor = Deployer(means.applier, _of(plan), again=again, adopts=adopts)
        look = second_look(means.clusters)
        return Workings(plan, executor, means.left, look_again=look, anew=partial(_anew, means))

    return workings


def _anew(means: Means, request: DeployRequest) -> DeployRequest:
    ref = request.spec.ref
    if request.asked is None or ref.cluster not in means.clusters:
        return request
    live = means.clusters[ref.cluster].get("Deployment", ref.namespace, ref.name)
    now = carried_spec(live, ref) if live is not None else None
    return request if now is None else request.onto(now)


def _gone_back(means: Means, request: RollbackRequest) -> GatewaySpec:
    if request.counts:
        return request.spec
    return counted_as_now(request.spec, _installed(means, request.spec.ref))


def _cannot_be_adopted(spec: GatewaySpec, error: Rejected) -> Conflict:
    """What is there and what this bot writes make an object that no API server takes."""
    where = f"its field {error.field}" if error.field else "it"
    return Conflict(
        f"{spec.ref} cannot be adopted as it is: Kubernetes would reject {where}.",
        meaning=(
            "The live object and the fields that this bot writes are incompatible. Nothing was "
            "changed."
        ),
        remedy=(
            "Change that field by hand, then adopt the gateway again. Or deploy a new gateway "
            "beside it and delete this one."
        ),
    )


def _scale(means: Means) -> Workings:
    def plan(request: ScaleRequest, action_id: str) -> Plan:
        spec = _installed(means, request.ref)
        _check_counted(means.clusters[request.ref.cluster], spec)
        wanted = spec_from_mapping(spec_to_mapping(spec) | {"replicas": request.replicas})
        return means.planner.plan(wanted, action_id, take_over=request.take_over, counts=True)

    executor = Deployer(means.applier, _of(plan), again="Scale it again")
    return Workings(plan, executor, means.left, look_again=second_look(means.clusters))


def _restart(means: Means) -> Workings:
    def plan(request: RestartRequest, action_id: str) -> Plan:
        spec = _installed(means, request.ref)
        rollout = dataclasses.replace(spec.rollout, restarted_at=request.at)
        wanted = dataclasses.replace(spec, rollout=rollout)
        return means.planner.plan(wanted, action_id, take_over=request.take_over, restart=True)

    executor = Deployer(means.applier, _of(plan), again="Restart it again")
    return Workings(plan, executor, means.left, look_again=second_look(means.clusters))


def _restart_again(request: RestartRequest, now: float) -> RestartRequest:
    # With the mark of then the pods would be as they are.
    return dataclasses.replace(request, at=iso(datetime.datetime.fromtimestamp(now, datetime.UTC)))


def _rotate(means: Means) -> Workings:
    def plan(request: RotateRequest, action_id: str) -> Plan:
        kept = token_kept(means.clusters[request.ref.cluster], request.ref)
        if kept is not None:
            return _token_only(means, Wanted(request.ref, kept, request.rotation), action_id)
        return means.planner.plan(
            _installed(means, request.ref),
            action_id,
            take_over=request.take_over,
            rotation=request.rotation,
        )

    return _rotation(means, plan)


def _manage_token(means: Means) -> Workings:
    def plan(request: ManageTokenRequest, action_id: str) -> Plan:
        kept = KeptToken(request.ref.name, request.instance, request.gateway)
        wanted = Wanted(request.ref, kept, request.rotation, begins=True)
        return _token_only(means, wanted, action_id)

    return _rotation(means, plan)


def _end_manage_token(means: Means) -> Workings:
    def plan(request: EndTokenRequest, action_id: str) -> Plan:
        return plan_token_end(means.clusters[request.ref.cluster], request.ref)

    return Workings(plan, TokenEnder(means.clusters, _of(plan)), means.left)


def _rotation(means: Means, plan: Replan) -> Workings:
    def rooms(action: Action) -> Sequence[str]:
        name = environment_of(action.ref, means.environments).name
        return [f"{ROTATE}:{name}:{n}" for n in range(means.rotations_at_once(name))]

    executor = Rotator(means.applier, _of(plan), observing=means.observing)
    return Workings(plan, executor, means.left, rooms, second_look(means.clusters))


def _token_only(means: Means, wanted: Wanted, action_id: str) -> Plan:
    return plan_token_only(
        means.clusters[wanted.ref.cluster],
        wanted,
        action_id,
        instances=means.instances,
        check=means.planner.check,
    )


def _regenerate(means: Means) -> Workings:
    survey = Survey(means.caches)

    def plan(request: KeyRequest, action_id: str) -> Plan:
        cluster = means.clusters[request.ref.cluster]
        return plan_regeneration(survey, cluster, request.ref, request.key)[0]

    executor = Regenerator(
        survey,
        means.clusters,
        means.keys,
        means.instances,
        means.custody,
        means.authorize,
        allowed=means.regenerate_keys,
    )
    return Workings(plan, executor, key_left)


def _delete(means: Means) -> Workings:
    def plan(request: RemovalRequest, action_id: str) -> Plan:
        cluster = means.clusters[request.ref.cluster]
        return removal_plan(cluster, installed(cluster, request.ref), volumes=request.volumes)

    return Workings(plan, Remover(means.clusters), means.left)


KINDS: tuple[Kind, ...] = (
    Kind(DEPLOY, DeployRequest, _deployment("Deploy again"), fixable=True, declares=True),
    Kind(
        ROLLBACK,
        RollbackRequest,
        _deployment("Roll it back again", wanted=_gone_back),
        fixable=True,
        declares=True,
        replaces=True,
    ),
    Kind(ADOPT, DeployRequest, _deployment("Adopt it again", adopts=True), fixable=True),
    Kind(SCALE, ScaleRequest, _scale, fixable=True, declares=True),
    Kind(RESTART, RestartRequest, _restart, fixable=True, again=_restart_again),
    Kind(ROTATE, RotateRequest, _rotate),
    Kind(MANAGE_TOKEN, ManageTokenRequest, _manage_token),
    Kind(END_MANAGE_TOKEN, EndTokenRequest, _end_manage_token),
    Kind(REGENERATE, KeyRequest, _regenerate, windows=False, every_environment=True),
    Kind(DELETE, RemovalRequest, _delete, windows=False),
)
"""Every kind of change there is."""


def by_name(kinds: Sequence[Kind]) -> Mapping[str, Kind]:
    """The table by name."""
    return {kind.name: kind for kind in kinds}


def codec_of(kinds: Sequence[Kind]) -> Codec:
    """What reads and writes actions of these kinds."""
    return Codec({kind.name: kind.request for kind in kinds})


def _installed(means: Means, ref: GatewayRef) -> GatewaySpec:
    return installed(means.clusters[ref.cluster], ref).spec


def _check_counted(cluster: Cluster, spec: GatewaySpec) -> None:
    """Conflict where something else sets the replicas: it would undo any number set by hand."""
    remedy = (
        "Deploy it with different autoscaling limits instead: `--set autoscaling.maxReplicas=N`."
    )
    if spec.autoscaling.most is not None:
        who = "An autoscaler"
    else:
        found = autoscalers_of(spec.ref.name, cluster.list(AUTOSCALER, spec.ref.namespace))
        who, remedy = ", ".join(found), "Change its minReplicas or maxReplicas instead."
        if not found and spec.replicas == "external":
            who, remedy = (
                "Something other than this bot",
                ("Deploy it with a fixed number of replicas: `--replicas N`."),
            )
    if who:
        raise Conflict(
            f"{who} sets the replicas of {spec.ref}.",
            meaning="A number set by hand would be overwritten.",
            remedy=remedy,
        )


def _of(plan: Replan) -> Callable[[Action], Plan]:
    """The plan of an action, made once more."""
    return lambda action: plan(action.request, action.id)
