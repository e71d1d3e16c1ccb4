"""Which token a gateway's pods are to hold."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenPlan:
    """Which Secret the pods read their token from, and whether a token must be minted into it.

    `secret` is None for a gateway that signs in to Entra ID and so has no token. `key` and
    `seconds`, the lifetime, are those of a token that is to be minted; `previous` is the Secret to
    which a rotation goes back if the new token is refused.
    """

    secret: str | None
    mint: bool
    expires_at: str | None
    """Of a kept token: when it expires, ISO 8601 UTC; None when unknown or still to be minted."""
    reason: str
    key: str = ""
    seconds: int = 0
    previous: str = ""
