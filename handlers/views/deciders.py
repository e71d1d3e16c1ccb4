"""The people of an action: whoever asked for it, whoever may decide it until when, and whoever did. Pure."""

from collections.abc import Iterable

from deploy.access import Environment
from deploy.actions.action import Action, State
from deploy.policy import People, Requirement
from handlers.views.text import counted, date, escape, lowered

RAN = (State.SUCCEEDED, State.FAILED, State.STOPPED, State.UNKNOWN)
_WITHIN_WINDOW = " within an approval window"


def agreed(action: Action) -> str:
    """The people who agreed to it, as a sentence without its full stop."""
    if action.votes:
        return "Approved by " + _names(vote.by for vote in action.votes)
    within = _WITHIN_WINDOW if action.policy.windows else ""
    if action.policy.standing:
        return f"Approved by the settings: {escape(action.policy.standing)}"
    return f"Confirmed by <@{action.decided_by}>{within}"


def decided(action: Action) -> bool:
    """Whether it is known who agreed to it."""
    return bool(action.votes or action.decided_by or action.policy.standing)


def mentions(people: People) -> str:
    """Those people, so that Slack notifies them."""
    groups = [f"<!subteam^{group}>" for group in people.groups]
    return ", ".join([*groups, *(f"<@{user}>" for user in people.users)])


def _names(users: Iterable[str]) -> str:
    return " and ".join(f"<@{user}>" for user in users)


def who_decides(action: Action, environment: Environment | None) -> list[str]:
    """Whoever may decide it, and until when; nobody where the rules forbid it."""
    if action.plan.denied:
        return []
    until = date(action.expires_at)
    policy = action.policy
    if policy.by == "requester":
        whose = _WITHIN_WINDOW if policy.windows else ""
        who = "whoever asked for it" if action.batch else f"<@{action.requester}>"
        return [f"Only {who} can confirm this{whose}, until {until}."]
    # That of the place alone goes without saying; a token may be another environment's as well.
    here = environment.name if environment is not None else policy.open[0].environment
    several = {each.environment for each in policy.open} != {here}
    lines = [
        f"Needs {_needed(each, several, named=not action.batch)} by {until}, not from the requester."
        for each in policy.open
    ]
    if action.approvals:
        counted_so_far = ", ".join(_so_far(action, each, several) for each in policy.open)
        lines.append(
            f"*{counted_so_far}*, by {_names(vote.by for vote in action.votes)}; "
            "waiting for another person."
        )
    # When it starts is not known here: a pause, another action or a busy cluster may hold it.
    return [*lines, "Once approved, it needs no further step to start."]


def bound(action: Action) -> str:
    """What a decision is bound to."""
    return f"Action `{action.id}` · plan `{action.digest[:12]}`"


def _needed(requirement: Requirement, several: bool, *, named: bool) -> str:
    needed = counted(requirement.quorum, "approval")
    of = f"{needed} from {mentions(requirement.approvers)}" if named else needed
    return f"{of} for {escape(requirement.environment)}" if several or not named else of


def _so_far(action: Action, requirement: Requirement, several: bool) -> str:
    count = sum(vote.counts_for(requirement.environment) for vote in action.votes)
    of = f"{count} of {counted(requirement.quorum, 'approval')}"
    return f"{of} for {escape(requirement.environment)}" if several else of


def people(action: Action) -> list[str]:
    """Whoever asked for it and whoever agreed to it, and when; one person is named once."""
    asked = f"Asked for by <@{action.requester}> {date(action.created_at)}"
    if action.state not in (State.RUNNING, *RAN) or not decided(action):
        return [asked]
    when = f" {date(action.decided_at)}" if action.decided_at else ""
    alone = not action.votes and not action.policy.standing
    if alone and action.decided_by == action.requester:
        within = _WITHIN_WINDOW if action.policy.windows else ""
        return [f"Asked for and confirmed by <@{action.requester}>{within}{when}"]
    return [asked, f"{lowered(agreed(action))}{when}"]
