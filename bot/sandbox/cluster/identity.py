"""Who makes a request."""

from dataclasses import dataclass

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"


@dataclass(frozen=True)
class Identity:
    """A user and the groups the API server's authenticator found for it."""

    user: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def all_groups(self) -> tuple[str, ...]:
        """The groups, with the one every signed-in user is in."""
        known = self == ANONYMOUS or AUTHENTICATED in self.groups
        return self.groups if known else (*self.groups, AUTHENTICATED)


ANONYMOUS = Identity("system:anonymous", ("system:unauthenticated",))
CONTROLLER_MANAGER = Identity("system:kube-controller-manager", (MASTERS,))
