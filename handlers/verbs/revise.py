"""`/gateway scale`, `restart` and `rollback`: changes of a gateway that this bot has deployed."""

import dataclasses
import datetime

from deploy.errors import Conflict, InvalidInput
from deploy.observed.history import chosen, revisions
from deploy.observed.installed import Installed, installed
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from deploy.tokens.token import iso
from handlers.actions.proposal import DECISION_OPTIONS, check_allowed, find, propose
from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs.verb import Option, Verb
from handlers.views.reply import Reply

_TAKE_OVER = Option("take-over", "also change fields that another field manager owns", kind="flag")


def scale(services: Services, request: Request) -> Reply | None:
    """Another number of pods."""
    gateway = _gateway(services, request)
    if gateway.spec.autoscaling.most is not None:
        raise Conflict(
            f"An autoscaler counts the pods of {gateway.spec.ref}.",
            meaning="It would undo any number given by hand.",
            remedy="Deploy it with other bounds of autoscaling.",
        )
    if "replicas" not in request.options:
        raise InvalidInput(
            "How many pods is missing.",
            field="replicas",
            remedy=f"Write {services.command} scale {request.gateway} --replicas 3.",
        )
    wanted = spec_to_mapping(gateway.spec) | {"replicas": request.options["replicas"]}
    return propose(services, request, spec_from_mapping(wanted), take_over=_taking(request))


def restart(services: Services, request: Request) -> Reply | None:
    """New pods of the same version, one after another."""
    spec = _gateway(services, request).spec
    moment = iso(datetime.datetime.now(datetime.UTC))
    rollout = dataclasses.replace(spec.rollout, restarted_at=moment)
    wanted = dataclasses.replace(spec, rollout=rollout)
    return propose(services, request, wanted, take_over=_taking(request))


def rollback(services: Services, request: Request) -> Reply | None:
    """What an earlier revision was deployed with, on as many pods as run now.

    The token stays the one in use: an older one may have expired.
    """
    gateway = _gateway(services, request)
    ref = gateway.spec.ref
    sets = services.clusters[ref.cluster].list("ReplicaSet", ref.namespace)
    known = revisions(gateway.deployment, sets)
    revision = chosen(known, request.options.get("to-revision"))
    if revision.spec is None:
        raise Conflict(
            f"Revision {revision.number} of {ref} was not deployed by this bot.",
            meaning="So it is not known what it was deployed with.",
            remedy=f"`kubectl rollout undo --to-revision={revision.number}` can bring it back.",
        )
    wanted = {key: value for key, value in revision.spec.items() if key != "replicas"}
    now = spec_to_mapping(gateway.spec)
    if "replicas" in now and "autoscaling" not in wanted:
        wanted["replicas"] = now["replicas"]
    return propose(services, request, spec_from_mapping(wanted), take_over=_taking(request))


def _gateway(services: Services, request: Request) -> Installed:
    ref = find(services, request.gateway)
    check_allowed(services, request, ref)
    return installed(services.clusters[ref.cluster], ref)


def _taking(request: Request) -> bool:
    return bool(request.options.get("take-over"))


SCALE = Verb(
    "scale",
    "changes how many pods a gateway has",
    scale,
    gateway="required",
    options=(Option("replicas", "how many pods", "N", "number"), _TAKE_OVER, *DECISION_OPTIONS),
    examples=("scale edge-1 --replicas 4",),
)
RESTART = Verb(
    "restart",
    "replaces a gateway's pods, one after another",
    restart,
    gateway="required",
    options=(_TAKE_OVER, *DECISION_OPTIONS),
    examples=("restart edge-1",),
)
ROLLBACK = Verb(
    "rollback",
    "brings an earlier revision of a gateway back",
    rollback,
    gateway="required",
    options=(
        Option("to-revision", "which one; the one before when left out", "N", "number"),
        _TAKE_OVER,
        *DECISION_OPTIONS,
    ),
    examples=("rollback edge-1", "rollback edge-1 --to-revision 3"),
)
