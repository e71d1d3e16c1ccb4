"""Who a bearer token belongs to: the tokens given at start and those minted for service
accounts."""

import datetime
import secrets
from collections.abc import Mapping
from typing import Any

from bot.sandbox.cluster.errors import unauthorized
from bot.sandbox.cluster.identity import ANONYMOUS, Identity
from bot.sandbox.cluster.objects import parse_time, timestamp, utc_now


class Tokens:
    """The known bearer tokens. Never shown in a repr or an error."""

    def __init__(self, fixed: Mapping[str, Identity]) -> None:
        self._fixed = dict(fixed)
        self._minted: dict[str, tuple[Identity, str]] = {}

    def identify(self, authorization: str) -> Identity:
        """The identity of an Authorization header, anonymous without one. ApiError 401."""
        if not authorization:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise unauthorized()
        found = self._fixed.get(token.strip())
        if found is not None:
            return found
        minted = self._minted.get(token.strip())
        if minted is None or parse_time(minted[1]) < utc_now():
            raise unauthorized()
        return minted[0]

    def mint(self, namespace: str, account: str, seconds: int) -> tuple[str, str]:
        """A new token of a service account and the time it expires."""
        token = secrets.token_urlsafe(48)
        end = timestamp(utc_now() + datetime.timedelta(seconds=seconds))
        self._minted[token] = (service_account(namespace, account), end)
        return token, end

    def snapshot(self) -> dict[str, Any]:
        """The minted tokens."""
        return {
            token: {"user": who.user, "groups": list(who.groups), "expires": end}
            for token, (who, end) in self._minted.items()
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Take back minted tokens."""
        self._minted = {
            token: (Identity(raw["user"], tuple(raw["groups"])), raw["expires"])
            for token, raw in data.items()
        }


def service_account(namespace: str, name: str) -> Identity:
    """The identity of a service account."""
    return Identity(
        f"system:serviceaccount:{namespace}:{name}",
        ("system:serviceaccounts", f"system:serviceaccounts:{namespace}"),
    )
