"""Gateway tokens: what their text tells, how long to ask for, and when a new one is needed.

A token's text is `<gateway>&<yyyyMMddHHmm>&<signature>`, UTC, to the minute. Microsoft documents
the lifetime (30 days at most) but not the text as a contract, so the expiry we wrote down ourselves
is the record and the text a cross-check.
"""

import datetime
import re
from dataclasses import dataclass, field
from typing import Literal, Self, get_args

from deploy.commands import Command
from deploy.errors import Conflict
from deploy.specs.gateway_spec import GatewaySpec
from deploy.times import minute
from deploy.tokens.token_plan import TokenPlan

EXPIRES_AT = "gateway-bot.io/token-expires-at"
TOKEN_KEY = "gateway-bot.io/token-key"
"""With which of its gateway's two keys a token was made: its text does not tell."""
LAYOUT_KEY = "value"
"""The key of the Secret in which the portal's YAML keeps the token."""

_TEXT = re.compile(
    r"(?:GatewayKey )?(?P<gateway>[^&\s]+)&(?P<expiry>\d{12})&(?P<signature>[A-Za-z0-9+/]+={0,2})"
)
_NO_SIGNATURE = "0000"
_SECRET_NAME = re.compile(r".+-token-[0-9a-z]{6}")
"""Six letters and digits are an action's id."""
KeyType = Literal["primary", "secondary"]
KEYS: tuple[KeyType, ...] = get_args(KeyType)

LONGEST = datetime.timedelta(days=30) - datetime.timedelta(hours=1)
"""Azure takes 30 days at most; an hour allows for clocks that differ."""
ENOUGH = datetime.timedelta(days=7)
"""Azure Advisor starts to warn seven days before a token expires."""


@dataclass(frozen=True)
class Token:
    """A gateway token, without the `GatewayKey ` prefix. Its value is kept out of every repr."""

    gateway: str
    expires_at: datetime.datetime
    value: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a token's text, with or without prefix; None when it is not of that form."""
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            return None
        try:
            expiry = datetime.datetime.strptime(found["expiry"], "%Y%m%d%H%M")
        except ValueError:
            return None
        value = text.strip().removeprefix("GatewayKey ")
        return cls(found["gateway"], expiry.replace(tzinfo=datetime.UTC), value)

    @property
    def unsigned(self) -> str:
        """A text of the same gateway and expiry that opens nothing, to be kept instead."""
        return f"{self.gateway}&{self.expires_at:%Y%m%d%H%M}&{_NO_SIGNATURE}"


@dataclass(frozen=True)
class SecretFacts:
    """What a Secret shows of the token it holds, the token itself left out.

    `key` is None for a token that something else made, or this bot before it noted the key; `uid` is
    the Secret's own, which another of the same name does not have. `kept` says that this bot keeps
    the token of a gateway there that others deploy.
    """

    name: str
    gateway: str | None = None
    expires_at: datetime.datetime | None = None
    source: str = "unknown"
    immutable: bool = False
    key: KeyType | None = None
    uid: str = ""
    kept: bool = False

    @property
    def identity(self) -> str:
        """What tells this token from others, also from the next one in a Secret that is written over;
        empty where nothing does."""
        if self.immutable or not self.uid or self.expires_at is None:
            return self.uid
        return f"{self.uid}/{self.expires_at:%Y%m%d%H%M}"


def key_type(text: str) -> KeyType | None:
    """The key of that name, None where there is no such."""
    return "primary" if text == "primary" else "secondary" if text == "secondary" else None


def expiry_for(now: datetime.datetime, lifetime: datetime.timedelta = LONGEST) -> datetime.datetime:
    """The expiry to ask for: whole minutes, since a token's text has only those."""
    return (now + min(lifetime, LONGEST)).replace(second=0, microsecond=0)


def iso(moment: datetime.datetime) -> str:
    """A moment as ARM and our annotations write it, `2026-11-23T15:04:05Z`."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plan_token(
    *,
    spec: GatewaySpec,
    now: datetime.datetime,
    live_secret: SecretFacts | None,
    action_id: str,
    layout_key: str = LAYOUT_KEY,
) -> TokenPlan:
    """Keep the Secret the pods use while it is right and good for a week, else plan a new one.

    A gateway that signs in to Entra ID has none. `layout_key` is under which key the pods read it.

    A Secret that is not immutable was not made by this bot: its content may change under running
    pods, so it is replaced too.
    """
    if spec.auth.kind != "token":
        return TokenPlan(None, mint=False, expires_at=None, reason="It signs in to Entra ID.")
    live = live_secret
    if live is None:
        return new_token(spec, action_id, "There is no token yet.")
    if not live.immutable:
        return new_token(spec, action_id, "The Secret in use is not this bot's own.")
    if layout_key != LAYOUT_KEY:
        why = f"Its pods read the token in use from a key other than `{LAYOUT_KEY}`."
        return new_token(spec, action_id, why)
    if live.gateway is not None and live.gateway != spec.apim.gateway:
        why = (
            f"The token in use belongs to gateway {live.gateway}; these pods will serve "
            f"{spec.apim.gateway} instead."
        )
        return new_token(spec, action_id, why)
    if live.expires_at is None:
        return new_token(spec, action_id, "Nothing tells when the token in use expires.")
    if live.expires_at - now < ENOUGH:
        return new_token(spec, action_id, f"The token in use expires {minute(live.expires_at)}.")
    return TokenPlan(
        secret=live.name,
        mint=False,
        expires_at=iso(live.expires_at),
        reason="The token in use is good for more than seven days.",
    )


def kept_token(spec: GatewaySpec, live: SecretFacts | None) -> TokenPlan:
    """Keep the token in use, however long it is good for. Conflict where its Secret is gone."""
    if spec.auth.kind != "token":
        return TokenPlan(None, mint=False, expires_at=None, reason="It signs in to Entra ID.")
    if live is None:
        raise Conflict(
            f"The Secret that {spec.ref} reads its token from no longer exists.",
            meaning="New pods would not start.",
            remedy=f"Deploy it again, which creates a new token: {Command('deploy', spec.ref)}.",
        ).offering(Command("deploy", spec.ref))
    ends = iso(live.expires_at) if live.expires_at else None
    return TokenPlan(live.name, mint=False, expires_at=ends, reason="The token in use stays.")


def new_token(
    spec: GatewaySpec,
    action_id: str,
    reason: str,
    *,
    key: KeyType = "primary",
    lifetime: datetime.timedelta = LONGEST,
) -> TokenPlan:
    """A token to be minted into a Secret of the action's own name."""
    return TokenPlan(
        secret=token_secret_name(spec, action_id),
        mint=True,
        expires_at=None,
        reason=reason,
        key=key,
        seconds=int(min(lifetime, LONGEST).total_seconds()),
    )


def token_secret_name(spec: GatewaySpec, action_id: str) -> str:
    """The Secret of the token that an action mints. An id has no hyphen."""
    return f"{spec.ref.name}-token-{action_id.lower()}"


def is_token_secret_name(name: str) -> bool:
    """Whether some action's token would be put into a Secret of that name."""
    return _SECRET_NAME.fullmatch(name) is not None
