"""Deciding an action that is named by its ID, or by its gateway where only one of it fits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.actions.action import Action, State
from deploy.actions.decision import Decision
from deploy.actions.store import ActionStore
from deploy.changes.authority import Authority
from deploy.changes.decide import Decider
from deploy.errors import Ambiguous
from handlers.slack.payloads import Request
from handlers.views import refusals
from handlers.views.reply import Reply
from handlers.views.words import named as words

NAMED = "ID or gateway"
"""The argument of such a verb."""


@dataclass(frozen=True)
class Needs:
    """What every verb that decides by text works with."""

    store: ActionStore
    authority: Authority
    decider: Decider


Fits = Callable[[Action, str], bool]
"""Whether the decision of that person is one that the action waits for."""


def runs(action: Action, user: str) -> bool:
    """It can be stopped."""
    return action.state is State.RUNNING


def not_begun(action: Action, user: str) -> bool:
    """It can be taken back."""
    return action.state in (State.PENDING, State.APPROVED)


def awaits_approval(action: Action, user: str) -> bool:
    """It waits for an approver."""
    return action.state is State.PENDING and action.policy.by == "approvers"


def awaits_yes(action: Action, user: str) -> bool:
    """It waits for an approver, or for that person's own confirmation."""
    own = action.state is State.PENDING and action.requester == user
    return awaits_approval(action, user) or own


def named(
    needs: Needs, request: Request, fits: Fits, own: bool | None = None, digest: str = ""
) -> Action:
    """The action that was typed: by its ID, or the only one of that gateway that `fits`.

    Of several, those are meant that this person has asked for, with `own`, or that others have, where
    it is False; and those whose plan has the `digest`. The same request means the same action however
    often it is worked on. NotFound where there is none, Ambiguous where several fit.
    """
    word = request.gateway
    for known in (word.upper(), needs.store.meant(request.id)):
        action = needs.store.get(known)
        if action is not None:
            return action
    of_it = tuple(each for each in needs.store.open() if _is_of(each, word))
    fitting = [each for each in of_it if fits(each, request.user)]
    for narrower in (
        [each for each in fitting if digest and each.digest.startswith(digest)],
        [each for each in fitting if own is (each.requester == request.user)],
    ):
        fitting = narrower or fitting
    if len(fitting) == 1:
        found = fitting[0]
        meant = needs.store.meant(request.id, found.id)
        return found if meant == found.id else needs.store.get(meant) or found
    if fitting:
        raise Ambiguous(
            words.several(word, request.verb),
            field="gateway",
            candidates=tuple(each.id for each in fitting),
            told={each.id: words.told(each) for each in fitting},
            remedy=words.NAME_ONE,
        )
    raise words.none_fits(word, request.verb, of_it)


def _is_of(action: Action, word: str) -> bool:
    """Whether the word names its gateway, in full or by the end of its name."""
    wanted = word.strip().lower().split("/")
    return str(action.ref).split("/")[-len(wanted) :] == wanted


def beside(needs: Needs, action: Action) -> Sequence[Action]:
    """What else is open on the gateway of an action."""
    return [each for each in needs.store.open_on(action.ref) if each.id != action.id]


def reply_to(decision: Decision, counted: str) -> Reply:
    """What to answer: `counted` where the decision counted, else why it did not."""
    if decision.counted:
        return Reply(counted)
    return refusals.refused(decision.result, decision.action)
