"""What is posted once in the thread of a batch's message, and in other channels. Pure."""

import hashlib
from collections.abc import Sequence

from deploy.access import Environment
from deploy.actions.action import Action, State
from deploy.commands import Command
from deploy.policy import People
from handlers.views.action import title_of
from handlers.views.batch_state import (
    FAILED,
    BatchState,
    counts,
    grouped,
    names_of,
    title,
    where,
)
from handlers.views.deciders import mentions
from handlers.views.places import named
from handlers.views.text import counted, date, escape, lowered
from handlers.views.words.kinds import KIND_WORDS


def calls(state: BatchState) -> list[tuple[str, str]]:
    """One line for each set of approvers who are to decide: a key, and what is said to them.

    What was planned anew is called for separately.
    """
    anew = _anew(state)
    called = [(_key(each.policy.approvers, each.id if each.id in anew else ""), each)
              for each in state.to_approve]  # fmt: skip
    return [
        (key, _call(state, [action for _, action in together]))
        for key, together in grouped(called, lambda each: each[0])
    ]


def calls_elsewhere(state: BatchState) -> list[tuple[str, str, str]]:
    """The same where approvers of other environments decide who are not asked in this channel: a
    key, the channel, and what is said there. What was planned anew is called for separately."""
    asked, anew = state.batch.selection.channel, _anew(state)
    found = [
        (
            ":".join((channel, requirement.environment, *({action.id} & anew))),
            channel,
            requirement,
            action,
        )
        for action in state.to_approve
        for requirement in action.policy.open
        if asked not in requirement.channels
        for channel in requirement.channels
    ]
    said = []
    for key, together in grouped(found, lambda each: each[0]):
        _, channel, requirement, action = together[0]
        what = title_of(action) if action.id in anew else title(state)
        text = (
            f"<@{state.batch.selection.requester}> requests a change in <#{asked}> that approvers of "
            f"{escape(requirement.environment)} must approve too: {lowered(what)}. "
            f"{mentions(requirement.approvers)}: `/gateway pending` lists the plans."
        )
        said.append((key, channel, text))
    return said


def unseen(state: BatchState) -> str:
    """What to do where the message is in the requester's direct messages in place of the channel."""
    return (
        f"The bot is not allowed to post in <#{state.batch.selection.channel}>, so no approver sees this. "
        "Invite it there and ask again, or have one of them type "
        f"{Command('approve')} with the ID of each."
    )


def reminder(waiting: Sequence[Action]) -> str:
    """For those who have not decided yet."""
    people = _everybody(waiting)
    until = min(each.expires_at for each in waiting)
    still = "still waits" if len(waiting) == 1 else "still wait"
    return (
        f"{mentions(people)}: {counted(len(waiting), 'plan')} {still} for a decision, "
        f"until {date(until)}."
    )


def end(state: BatchState) -> str:
    """How it ended, for whoever asked."""
    failed = [row for row in state.rows if row.action and row.action.state in FAILED]
    named = f" Look at {names_of(each.ref.name for each in failed)}." if failed else ""
    sign = ":x:" if failed else ":white_check_mark:"
    if not failed and not any(a.state is State.SUCCEEDED for a in state.actions):
        sign = ":information_source:"
    asked = f"<@{state.batch.selection.requester}> Your request to {lowered(title(state))}"
    return f"{sign} {asked} has ended: {', '.join(counts(state))}.{named}"


def failed(state: BatchState) -> bool:
    """Whether people beside the requester should know of how it ended."""
    return any(action.state in FAILED for action in state.actions)


def _anew(state: BatchState) -> set[str]:
    """The actions that took the place of others."""
    return {m.action for m in state.batch.members if len(m.actions) > 1}


def _call(state: BatchState, waiting: Sequence[Action]) -> str:
    selection = state.batch.selection
    who = f"{mentions(waiting[0].policy.approvers)}: <@{selection.requester}> asks to"
    ids = {each.id for each in waiting}
    rows = tuple(row for row in state.rows if row.action is not None and row.action.id in ids)
    if len(waiting) == 1:
        (row,) = rows
        environment = Environment(row.environment, production=row.production)
        where_it_is = f" ({escape(named(environment))})" if row.environment else ""
        what = lowered(title_of(waiting[0]))
        return f"{who} {what}{where_it_is}. Please look at the plan in this thread."
    words = KIND_WORDS[selection.kind].of_several(counted(len(waiting), "gateway"))
    place = where(BatchState(state.batch, rows))
    return f"{who} {lowered(words)} on {place}. Please look at the plans in this thread."


def _key(people: People, anew: str) -> str:
    named = hashlib.sha256(f"{people.groups} {people.users}".encode()).hexdigest()[:8]
    return f"{named}:{anew}" if anew else named


def _everybody(actions: Sequence[Action]) -> People:
    users = dict.fromkeys(u for each in actions for u in each.policy.approvers.users)
    groups = dict.fromkeys(g for each in actions for g in each.policy.approvers.groups)
    return People(tuple(users), tuple(groups))
