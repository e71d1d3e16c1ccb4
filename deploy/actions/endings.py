"""How a run ends about which its executor has nothing to say, in words. Pure."""

import dataclasses
from collections.abc import Sequence

from deploy.actions.action import Action, Outcome, State
from deploy.commands import Command
from deploy.errors import GatewayBotError


def too_many_tries(action: Action) -> Outcome:
    """One bot after the other ended while it worked on it."""
    return Outcome(
        State.UNKNOWN,
        f"{action.attempts - 1} attempts at this were interrupted.",
        "How far they got is unknown.",
        f"Check the gateway: {Command('status', action.ref)}. For details, search the bots' logs "
        f"for {action.id}.",
    )


def too_late() -> Outcome:
    """It was claimed, and did not begin, in the time it had."""
    return Outcome(
        State.FAILED,
        "This could not start in time.",
        "Nothing was changed.",
        "Request it again: the cluster may have changed since it was approved.",
    )


def not_begun(action: Action, error: GatewayBotError) -> Outcome:
    """The gateway's Lease cannot be had."""
    if action.begun:
        return Outcome(
            State.UNKNOWN,
            error.happened,
            "A bot that has since stopped had started this. How far it got is unknown.",
            error.remedy or f"Check the gateway: {Command('status', action.ref)}.",
        )
    meaning = " ".join(part for part in (error.meaning, "Nothing was changed.") if part)
    return Outcome(
        State.FAILED, error.happened, meaning, error.remedy or ("Request it again after that.")
    )


def forced(state: State, by: str, reason: str) -> Outcome:
    """Whoever keeps the bot ended it from outside."""
    return Outcome(
        state,
        f"An operator of the bot ended this: {reason}",
        f"It was ended from the command line, by {by}. What reached the cluster was not checked.",
        "Look at the gateway's status, and ask again if the change is still needed.",
    )


def unknown_kind(action: Action) -> Outcome:
    """No executor of this bot carries out such an action."""
    return Outcome(
        State.FAILED,
        f"This bot does not know how to carry out “{action.kind}”.",
        "Nothing was changed.",
        "Run the same version of the bot everywhere.",
    )


def broken(action: Action) -> Outcome:
    """The executor failed in a way that nobody foresaw."""
    return Outcome(
        State.UNKNOWN,
        "The bot failed while working on this.",
        "Which changes reached the cluster is unknown.",
        f"Check the gateway: {Command('status', action.ref)}. For details, search the bot's log "
        f"for {action.id}.",
    )


def stopped_unread(action: Action) -> Outcome:
    """It was stopped, and looking at what the cluster holds failed."""
    return Outcome(
        State.STOPPED,
        "This was stopped. Nothing more is written.",
        "The bot failed while reading the state of the cluster.",
        f"Check the gateway: {Command('status', action.ref)}. For details, search the bot's log "
        f"for {action.id}.",
    )


def unconfirmed(left: Outcome, names: Sequence[str]) -> Outcome:
    """The same, with the objects whose write may still take effect."""
    if not names:
        return left
    written = (
        f"The cluster did not confirm the last write of {', '.join(names)}: it may still take effect "
        "within a minute."
    )
    meaning = " ".join(part for part in (left.meaning, written) if part)
    return dataclasses.replace(left, meaning=meaning)
