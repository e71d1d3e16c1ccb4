"""The real authority over settings, people and a time that a test chooses."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from deploy.access import Environment, Identities, Standing
from deploy.actions.action import Action
from deploy.actions.pauses import Pause
from deploy.changes.authority import Authority
from deploy.errors import Unavailable
from deploy.governance.requirements import TokenAuthority

NOW = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC)


@dataclass
class People:
    """Who is in which group, and who is no member of the workspace; or Slack says neither."""

    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    standings: Mapping[str, Standing] = field(default_factory=dict)
    away: bool = False

    def groups_of(self, user: str, groups: Sequence[str]) -> frozenset[str]:
        """As Membership has it."""
        self._look()
        return frozenset(group for group in groups if user in self.groups.get(group, ()))

    def standing(self, user: str) -> Standing:
        """A member, where nothing else is said."""
        self._look()
        return self.standings.get(user, Standing.MEMBER)

    def _look(self) -> None:
        if self.away:
            raise Unavailable("Slack does not say.")


def authority(
    *environments: Environment,
    people: People | None = None,
    identities: Mapping[str, str] | None = None,
    windows: Any = None,
    clock: Callable[[], datetime.datetime] = lambda: NOW,
    pauses: Sequence[Pause] = (),
    sharing: Callable[[Action], TokenAuthority | None] = lambda action: None,
) -> Authority:
    """One over these environments; everybody is a member in no group where nothing is said."""
    known = people or People()
    none: Any = SimpleNamespace(find=lambda *_: None, at=lambda *_: None, open_for=lambda *_: ())
    return Authority(
        environments,
        Identities(identities or {}),
        known,
        known.standing,
        windows or none,
        clock=clock,
        pauses=lambda: pauses,
        sharing=sharing,
    )
