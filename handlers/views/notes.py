"""What is posted beside an action's message: lines in its thread, and words to its requester. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from deploy.access import Environment
from deploy.actions.action import Action, Event, Outcome
from deploy.commands import Command
from deploy.policy import Policy
from handlers.views import difference, ways_out
from handlers.views.action import ended, sign_of, title_of, value
from handlers.views.deciders import agreed, mentions
from handlers.views.places import EnvironmentOf, heading, mark
from handlers.views.reply import Block
from handlers.views.text import button, counted, date, escape, section
from handlers.views.words.reasons import given


@dataclass(frozen=True)
class Note:
    """One line owed to somebody; `key` tells it from every other one of its action, and `channel` is
    where it goes if it goes to one."""

    key: str
    to: Literal["thread", "requester", "window", "channel"]
    text: str
    broadcast: bool = False
    channel: str = ""
    blocks: tuple[Block, ...] = ()


def notes(
    action: Action,
    events: Sequence[Event],
    shown_in: str,
    environment_of: EnvironmentOf | None = None,
) -> tuple[Note, ...]:
    """What these events of the log of an action, whose message is in the channel `shown_in`, are
    worth saying. A line that calls somebody is all that their phone shows, so it says what and where.

    Where the requester alone decides, the message itself says it all but for the end and for a rollout
    that is stuck: an edit notifies nobody.
    """
    environment = environment_of(action.ref) if environment_of is not None else None
    if action.policy == Policy():
        told = (note for event in events for note in _ended(action, event))
    else:
        told = (n for event in events for n in _notes(action, event, shown_in, environment))
    whom = "" if action.automatic else f"<@{action.requester}> "
    return (*told, *_stuck(action, f"{whom}{_what(action, environment)}\n"))


def within(action: Action, events: Sequence[Event]) -> tuple[Note, ...]:
    """The same for an action whose message is in the thread of its batch's: what the batch's message
    does not say of it. Nobody is called."""
    beside = (note for event in events for note in _beside(action, event))
    return (*beside, *_stuck(action, f"*{escape(action.ref.name)}*: "))


def _stuck(action: Action, named: str) -> Iterator[Note]:
    """Once, when its rollout first gets stuck: the message is edited then, which notifies nobody."""
    found = ways_out.headline(action)
    if found:
        lines = " ".join([f":warning: *{escape(found)}.*", *ways_out.said(action)])
        yield Note("once:stuck", "thread", f"{named}{lines}")


def _beside(action: Action, event: Event) -> Iterator[Note]:
    if action.policy.windows and event.name == "approved":
        yield Note(f"{event.version}:window", "window", _inside(action))
    if event.name in _WITHIN:
        outcome = action.outcome if event.name in _ENDS else None
        # Its message says the rest.
        said = escape(ended(action, outcome)) if outcome else _line(action, event)
        sign = f"{_SIGNS[event.name]} " if event.name in _SIGNS else ""
        text = f"*{escape(action.ref.name)}*: {sign}{said}"
        yield Note(f"{event.version}:thread", "thread", text)


def _ended(action: Action, event: Event) -> Iterator[Note]:
    """For the requester, by name, where a person asked; what was reverted is for everybody."""
    reverted = event.name == _REVERTED
    if reverted or (event.name in _ENDS and not action.automatic):
        whom = "" if action.automatic else f"<@{action.requester}> "
        text = f"{whom}{_line(action, event)}"
        yield Note(f"{event.version}:thread", "thread", text, broadcast=reverted)


def _notes(
    action: Action, event: Event, shown_in: str, environment: Environment | None
) -> Iterator[Note]:
    if action.policy.windows and event.name == "approved":
        yield Note(f"{event.version}:window", "window", _inside(action))
    if event.name == "pending":
        yield from _elsewhere(action, event, environment)
    text = _unseen(action, shown_in) if event.name == "pending" else ""
    text = text or _line(action, event, environment)
    if text:
        broadcast = event.name in ("failed", "unknown", "stopped", _REVERTED)
        yield Note(f"{event.version}:thread", "thread", text, broadcast)
    asked = not action.automatic
    if asked and action.policy.by == "approvers" and event.name in _PERSONAL:
        yield Note(f"{event.version}:requester", "requester", _personal(action, text, environment))


_REVERTED = "reverted"
_ENDS = ("expired", "superseded", "succeeded", "failed", "stopped", "unknown")
_WITHIN = ("denied", "stop", "stopped", "failed", "unknown", "superseded", _REVERTED)
_SIGNS = {"failed": ":x:", "unknown": ":grey_question:", "stopped": ":octagonal_sign:"}
_PERSONAL = ("approved", "denied", *_ENDS, _REVERTED)


def _line(action: Action, event: Event, environment: Environment | None = None) -> str:
    who = f"<@{event.who}>"
    policy = action.policy
    if event.name == "pending":
        asked = "Its token is due for rotation." if action.automatic else f"{who} asked for this."
        if policy.by == "approvers":
            return (
                f"{_asked(action, environment)}\n{asked} {mentions(policy.approvers)}: please look at "
                f"the plan at the top of this thread, and approve or deny it there. "
                f"Open until {date(action.expires_at)}."
            )
        return asked
    if event.name == "break-glass":
        return f":rotating_light: {who} overrides a freeze with this: {escape(given(event.detail))}"
    if event.name == "approval":
        return f"{who} approved this; {_missing(action)}."
    if event.name == "approved":
        return f"{agreed(action)}, plan `{action.digest[:12]}`."
    if event.name == "reminder":
        return (
            f"{_what(action, environment)}\n{mentions(policy.approvers)}: this still waits for a "
            f"decision, until {date(action.expires_at)}."
        )
    return _ending(action, event)


def _elsewhere(action: Action, event: Event, environment: Environment | None) -> Iterator[Note]:
    """Where approvers of other environments decide who are not asked in this channel."""
    asked = str(action.origin.get("channel", ""))
    for requirement in action.policy.open:
        for channel in requirement.channels:
            if asked in requirement.channels or channel == asked:
                continue
            text = (
                f"{_asked(action, environment)}\n<@{action.requester}> asks for a change that "
                f"approvers of {escape(requirement.environment)} must approve too. "
                f"{mentions(requirement.approvers)}: please look at the plan, then approve or deny it."
            )
            show = button("Show", "action_show", value(action))
            yield Note(
                f"{event.version}:channel:{channel}",
                "channel",
                text,
                channel=channel,
                blocks=(section(text, accessory=show),),
            )


def _missing(action: Action) -> str:
    """What is needed beside the votes so far."""
    several = len(action.policy.open) > 1
    needed = [
        counted(each.quorum, "approval") + (f" for {escape(each.environment)}" if several else "")
        for each in action.policy.open
    ]
    return f"it needs {' and '.join(needed)}"


def _unseen(action: Action, shown_in: str) -> str:
    """What to do where the plan is in the requester's direct messages in place of the channel."""
    asked = str(action.origin.get("channel"))
    if action.policy.by != "approvers" or not asked.startswith(("C", "G")) or shown_in[:1] != "D":
        return ""
    return (
        f"The bot is not allowed to post in <#{asked}>, so no approver sees this. "
        f"Invite it there and ask again, or have one of them type {Command('approve', action.id)}."
    )


def _ending(action: Action, event: Event) -> str:
    outcome = action.outcome
    if event.name == "expired" and event.detail == "window":
        return "The approval window is closed. Nothing was changed."
    said = _in_full(action, outcome) if outcome else ""
    lines = {
        "denied": f"<@{event.who}> denied this: {escape(given(event.detail))}",
        "cancelled": f"<@{event.who}> cancelled this.",
        "expired": "The time for this is over. Nothing was changed.",
        "taken over": "The bot that worked on this is gone; another one continues.",
        "succeeded": f"{sign_of(action)} {escape(said)}",
        "stop": f"<@{event.who}> stopped this.",
        "stopped": f":octagonal_sign: {escape(said)}",
        "failed": f":x: {escape(said)}",
        "unknown": f":grey_question: {escape(said)}",
        "superseded": escape(said),
        _REVERTED: f":warning: {escape(event.detail)}",
    }
    return lines.get(event.name, "").strip()


def _in_full(action: Action, outcome: Outcome) -> str:
    happened = ended(action, outcome)
    more = " ".join(word for word in (outcome.meaning, outcome.remedy) if word)
    return f"{happened.removesuffix('.')}. {more}" if more else happened


def _inside(action: Action) -> str:
    return (
        f"<@{action.requester}> confirmed a change: {escape(action.kind)}, action `{action.id}`, "
        f"plan `{action.digest[:12]}`."
    )


def _asked(action: Action, environment: Environment | None) -> str:
    """What it does, and what that changes."""
    changes = escape(difference.difference(action.plan))
    return "\n".join(line for line in (_what(action, environment), changes) if line)


def _what(action: Action, environment: Environment | None) -> str:
    return f"*{escape(heading(title_of(action), environment))}*"


def _personal(action: Action, text: str, environment: Environment | None) -> str:
    ref = action.ref
    return f"{mark(environment)}Your request to {action.kind} {ref.name} on {ref.cluster}/{ref.namespace}: {text}"
