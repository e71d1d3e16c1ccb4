"""Asks the authority whether a request may be worked on, before its verb runs."""

import dataclasses

from deploy.access import Right
from handlers.fleet import find
from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs.verb import Run, Verb
from handlers.views.reply import Reply

_OF_A_GATEWAY = frozenset({Right.INSPECT, Right.OPEN_WINDOW, Right.CLOSE_WINDOW, Right.SNOOZE})
"""The rights that the environment of a running gateway decides on. ASK is asked about where the
change would be, by whatever proposes it; rights about an action by whatever decides on it."""


def guarded(verb: Verb) -> Run:
    """The verb, run only where the authority allows what is requested."""

    def run(services: Services, request: Request) -> Reply | None:
        return verb.run(services, permitted(services, verb, request))

    return run


def permitted(services: Services, verb: Verb, request: Request) -> Request:
    """The request, with the gateway that was judged named in full, so that no other one is meant
    when the verb runs.

    NotAllowed where the person may not do it; Unavailable where it cannot be read who they are;
    and what finding the gateway raises.
    """
    services.authority.check(Right.SEE, request.user)
    right = verb.right_for(request)
    if right not in _OF_A_GATEWAY or not request.gateway:
        return request
    ref = find(services.caches, request.gateway)
    environment = services.authority.environment(ref)
    services.authority.check(right, request.user, environment, channel=request.channel)
    return dataclasses.replace(request, gateway=str(ref))
