"""What can go wrong, in words for a person.

Every error that reaches the edge is one of these; each says what happened, what it means and what
to do. Whatever a library raises is turned into one of them where the library is called.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from deploy.commands import Command


@dataclass(frozen=True)
class Meant:
    """What a part of a request was probably meant to be. `part` is `gateway`, the `cluster` or the
    `namespace` of where something runs, or an option such as `--tag`; several `values` are a choice."""

    part: str
    values: tuple[str, ...]


class GatewayBotError(Exception):
    """What went wrong, for the person who asked.

    `happened` is one sentence; `meaning` says what state things are in now; `remedy` what to do.
    `untouched` says that what was asked of a service was certainly not carried out, as where it
    refused; else that is not known. `meant` and `commands` are what can be asked for instead. Errors of
    one `reason` differ in what they name alone; empty where there is no such id.
    """

    untouched = True
    reason = ""
    meant: Meant | None = None
    commands: tuple[Command, ...] = ()

    def __init__(self, happened: str, *, meaning: str = "", remedy: str = "") -> None:
        super().__init__(happened)
        self.happened = happened
        self.meaning = meaning
        self.remedy = remedy

    def did_mean(self, part: str, *values: str) -> Self:
        """The same with what that part of the request was probably meant to be, where it is known."""
        if values:
            self.meant = Meant(part, values)
        return self

    def offering(self, *commands: Command) -> Self:
        """The same with commands that its remedy names and that can be run as they stand."""
        self.commands = commands
        return self

    def __str__(self) -> str:
        return " ".join(part for part in (self.happened, self.meaning, self.remedy) if part)


class InvalidInput(GatewayBotError):
    """The request itself cannot be right. `field` is the path of the value at fault, if known."""

    def __init__(
        self, happened: str, *, field: str = "", meaning: str = "", remedy: str = ""
    ) -> None:
        super().__init__(happened, meaning=meaning, remedy=remedy)
        self.field = field


class Ambiguous(InvalidInput):
    """A value that can mean several things; `candidates` are their full names, `field` is `gateway` or
    the name of an option. `told` says of each what it is, where its name does not."""

    def __init__(
        self,
        happened: str,
        *,
        field: str,
        candidates: tuple[str, ...],
        remedy: str,
        told: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(happened, field=field, remedy=remedy)
        self.did_mean("gateway" if field == "gateway" else f"--{field}", *candidates)
        self.told = told


class NotFound(GatewayBotError):
    """What was named does not exist where it was looked for."""


class Refused(GatewayBotError):
    """Not allowed: by our own rules, by Azure's or by the cluster's access control."""


class NotGranted(Refused):
    """The bot's credentials, or the rights they have, do not suffice: the cluster says so now."""


class Conflict(GatewayBotError):
    """Something else changed, holds or owns what this would change."""


class DeployedByOthers(Conflict):
    """A gateway that others installed, so this bot has no spec of it."""

    reason = "others-deploy"


class Unavailable(GatewayBotError):
    """A service did not answer, or answered that it cannot now; trying again later may work.

    `retry_after` is in seconds, where the service said. `answered` says that the service is there,
    and only something behind it is not; `lasts` that somebody has to mend something first.
    """

    def __init__(
        self,
        happened: str,
        *,
        meaning: str = "",
        remedy: str = "Try again in a minute.",
        retry_after: float | None = None,
        untouched: bool = False,
        answered: bool = False,
        lasts: bool = False,
    ) -> None:
        super().__init__(happened, meaning=meaning, remedy=remedy)
        self.retry_after = retry_after
        self.untouched = untouched
        self.answered = answered
        self.lasts = lasts


class Throttled(Unavailable):
    """A service answers that it was called too often, and refuses for a while."""
