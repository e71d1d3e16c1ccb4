"""What is offered where a new token mends a gateway: one button and one command, by whose token it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deploy.expiry.automatic import Automatic
from deploy.gateway import GatewayRef
from deploy.health.status import Renewal

ROTATE, MANAGE = "expiry_rotate", "expiry_manage"


@dataclass(frozen=True)
class Rotation:
    """How the tokens of an environment are rotated automatically, and the channel where it is said and
    asked; nothing is rotated without one."""

    rule: Automatic = field(default_factory=Automatic)
    channel: str = ""


RenewalOf = Callable[[GatewayRef], Renewal | None]
"""How this bot can renew a gateway's token; None where it cannot, or where nothing is known of it."""


@dataclass(frozen=True)
class Offer:
    """A button, the command that does the same, and what is to be said of it."""

    label: str
    click: str
    command: str
    note: str = ""


OFFERS: Mapping[Renewal, Offer] = {
    "rotate": Offer("Renew token…", ROTATE, "/gateway rotate"),
    "manage": Offer(
        "Keep token valid…",
        MANAGE,
        "/gateway manage-token",
        "Others deploy this gateway. The bot can keep its token valid and touch nothing else.",
    ),
}
"""By how this bot can renew it."""
