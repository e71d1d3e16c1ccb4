"""Asks the authority whether a request may be worked on, before its verb runs."""

import dataclasses
from collections.abc import Callable, Mapping

from deploy.access import Right
from deploy.changes.authority import Authority
from deploy.health.cache import ClusterCache
from handlers.fleet import find
from handlers.slack.payloads import Request, Submission, click_of, form_of
from handlers.verbs.verb import AnyVerb, BoundVerb, ByClick, Run
from handlers.views.reply import Reply

_OF_A_GATEWAY = frozenset({Right.INSPECT, Right.OPEN_WINDOW, Right.CLOSE_WINDOW, Right.SNOOZE})
"""The rights that the environment of a running gateway decides. ASK is asked about where the
change would be, by whatever proposes it; rights about an action by whatever decides it."""


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


def clicked(click: ByClick, needs: Needs) -> Run:
    """A button's work, for everybody who may see anything here."""
    return _seen(needs, lambda request: click(click_of(request)))


def filled(form: Callable[[Submission], Reply | None], needs: Needs) -> Run:
    """What a sent form comes to, likewise."""
    return _seen(needs, lambda request: form(form_of(request)))


def seen(run: Run, needs: Needs) -> Run:
    """The answer, likewise."""
    return _seen(needs, run)


def _seen(needs: Needs, run: Run) -> Run:
    def checked(request: Request) -> Reply | None:
        needs.authority.check(Right.SEE, request.user)
        return run(request)

    return checked


def sent(bound: BoundVerb, submit: Callable[[Submission], Request], needs: Needs) -> Run:
    """The verb, once the form that it was sent by has been checked."""
    run = guarded(bound, needs)
    return lambda request: run(submit(form_of(request)))


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
