"""Asks the authority whether a request may be worked on, before its verb runs."""

import dataclasses
from collections.abc import Mapping

from deploy.access import Right
from deploy.changes.authority import Authority
from deploy.health.cache import ClusterCache
from handlers.fleet import find
from handlers.slack.payloads import Request
from handlers.verbs.verb import AnyVerb, BoundVerb, Run
from handlers.views.reply import Reply

_OF_A_GATEWAY = frozenset({Right.INSPECT, Right.OPEN_WINDOW, Right.CLOSE_WINDOW, Right.SNOOZE})
"""The rights that the environment of a running gateway decides on. ASK is asked about where the
change would be, by whatever proposes it; rights about an action by whatever decides on it."""


@dataclasses.dataclass(frozen=True)
class Needs:
    """What says who may do what, and which gateway a name means."""

    authority: Authority
    caches: Mapping[str, ClusterCache]


def guarded(bound: BoundVerb, needs: Needs) -> Run:
    """The verb, run only where the authority allows what is requested."""

    def run(request: Request) -> Reply | None:
        return bound.run(permitted(needs, bound.verb, request))

    return run


def permitted(needs: Needs, verb: AnyVerb, request: Request) -> Request:
    """The request, with the gateway that was judged named in full, so that no other one is meant
    when the verb runs.

    NotAllowed where the person may not do it; Unavailable where it cannot be read who they are;
    and what finding the gateway raises.
    """
    needs.authority.check(Right.SEE, request.user)
    right = verb.right_for(request)
    if right not in _OF_A_GATEWAY or not request.gateway:
        return request
    ref = find(needs.caches, request.gateway)
    environment = needs.authority.environment(ref)
    needs.authority.check(right, request.user, environment, channel=request.channel)
    return dataclasses.replace(request, gateway=str(ref))
