"""Whether those whom an environment names can approve and ask for changes there, as Slack says who they are."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from slack_sdk import WebClient

from bot.doubt import Doubtful
from bot.proofs.results import Find
from deploy.access import Environment, Standing
from deploy.errors import GatewayBotError, Unavailable
from deploy.policy import People
from handlers.slack import api_errors
from handlers.slack.people import Team, UserGroups

T = TypeVar("T")
_ASKED = 100
"""So many people are asked about, for all environments together."""


class Standings:
    """Who is in which group and what people are, each asked of Slack once for all environments."""

    def __init__(self, client: WebClient) -> None:
        self._groups, self._team = UserGroups(client), Team(client)
        self._members: dict[str, frozenset[str] | Unavailable] = {}
        self._standings: dict[str, Standing | Unavailable] = {}
        self._lock = threading.Lock()

    def members(self, group: str) -> frozenset[str]:
        """Who is in a group. Unavailable when Slack does not say."""
        with self._lock:
            return _once(self._members, group, self._groups.members)

    def standing(self, user: str) -> Standing | None:
        """What a person is in the workspace; None once Slack was asked
        about as many as it answers. Unavailable when it does not say."""
        with self._lock:
            if user not in self._standings and len(self._standings) >= _ASKED:
                return None
            return _once(self._standings, user, self._team.standing)


def _once(kept: dict[str, T | Unavailable], key: str, ask: Callable[[str], T]) -> T:
    """What was answered the first time."""
    if key not in kept:
        try:
            kept[key] = ask(key)
        except Unavailable as error:
            kept[key] = error
    found = kept[key]
    if isinstance(found, Unavailable):
        raise found
    return found


def approving(standings: Standings, environment: Environment) -> Find:
    """Whether as many people as have to can approve in an environment."""

    def approve() -> str:
        approval = environment.approval
        if approval is None:
            raise Unavailable(
                "It has no approvers, so nobody can change anything there.",
                remedy="Add `approval` to that environment in the settings.",
            )
        some = _able(standings, approval.approvers)
        needed = "1 approval" if approval.quorum == 1 else f"{approval.quorum} approvals"
        are = "is" if approval.quorum == 1 else "are"
        if some.able < approval.quorum and not some.unasked:
            raise Unavailable(
                f"{some.people} can approve there, and {needed} {are} needed.",
                meaning=_joined(some.amiss, _WHO_COUNTS),
                remedy=some.remedy or "Add people to the group, or lower the quorum.",
            )
        if some.able < approval.quorum:
            raise _not_asked(
                f"{some.people[0].upper()}{some.people[1:]} can approve there, and {needed} {are} needed.",
                some,
            )
        return _with_doubt(
            f"{needed} needed; {some.people} can give {_it(approval.quorum)}",
            some,
        )

    return approve


def _it(quorum: int) -> str:
    return "it" if quorum == 1 else "them"


def requesting(standings: Standings, people: People) -> Find:
    """Whether somebody can ask for changes."""

    def request() -> str:
        some = _able(standings, people)
        if not some.able and not some.unasked:
            raise Unavailable(
                "Nobody can ask for changes there.",
                meaning=_joined(some.amiss, _WHO_COUNTS),
                remedy=some.remedy
                or "Add people to the group, or correct `requesters` of that environment.",
            )
        if not some.able:
            raise _not_asked("Whether somebody can ask for changes there is not known.", some)
        return _with_doubt(f"{some.people} can ask for changes", some)

    return request


_TOO_MANY = "Slack does not answer more questions about people now."
_WHO_COUNTS = "Deactivated accounts, and guests who are not named, do not count."


@dataclass(frozen=True)
class _Some:
    """How many people can do something, what is wrong with who is named and how to correct it, and how
    many people and groups nothing is known of: Slack answers about a hundred questions of people a minute
    (users.info is of tier 4)."""

    able: int
    amiss: tuple[str, ...]
    remedy: str
    unasked: int

    @property
    def people(self) -> str:
        people = "1 person" if self.able == 1 else f"{self.able} people"
        return f"at least {people}" if self.unasked else people


def _able(standings: Standings, people: People) -> _Some:
    named, amiss, remedy, unasked = set(people.users), [], "", 0
    known = set(named)
    for group in people.groups:
        try:
            members = standings.members(group)
        except Unavailable as error:
            if says(error, _later):
                unasked += 1
            elif says(error, api_errors.no_such_group):
                amiss.append(f"The workspace has no user group {group}.")
                remedy = "Correct the group in the settings."
            else:
                raise
            continue
        if not members:
            amiss.append(f"The user group {group} has nobody in it.")
        known |= members
    able = 0
    for user in sorted(known):
        try:
            standing = standings.standing(user)
        except Unavailable as error:
            if says(error, _later):
                unasked += 1
            elif says(error, api_errors.no_such_user):
                amiss.append(f"The workspace has no user {user}.")
                remedy = remedy or "Correct the user in the settings."
            else:
                raise
            continue
        unasked += standing is None
        able += standing is Standing.MEMBER or (standing is Standing.GUEST and user in named)
    return _Some(able, tuple(amiss), remedy, unasked)


def _later(error: Exception) -> bool:
    return api_errors.meaning(error) is api_errors.Meaning.LATER


def says(error: GatewayBotError, what: Callable[[Exception], bool]) -> bool:
    """Whether what an error of ours was made of is that."""
    return isinstance(error.__cause__, Exception) and what(error.__cause__)


def _not_asked(happened: str, some: _Some) -> Doubtful:
    return Doubtful(
        happened,
        meaning=_joined(some.amiss, _TOO_MANY),
        remedy="Run the check again in a minute.",
    )


def _with_doubt(said: str, some: _Some) -> str:
    if some.amiss:
        raise Doubtful(f"{said}. {_joined(some.amiss)}", remedy="Correct the settings.")
    return said


def _joined(sentences: Iterable[str], *more: str) -> str:
    return " ".join([*sentences, *more])
