"""Who makes a request: by a bearer token, given at start or minted, or by a client certificate; and as
whom, where somebody is impersonated."""

import datetime
import secrets
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from multidict import CIMultiDictProxy

from bot.sandbox.cluster.errors import bad_request, unauthorized
from bot.sandbox.cluster.identity import ANONYMOUS, Identity
from bot.sandbox.cluster.objects import parse_time, timestamp, utc_now
from bot.sandbox.cluster.rbac import Attributes

_EXTRA = "impersonate-extra-"
_ACCOUNT = "system:serviceaccount:"
_AUTHENTICATION = "authentication.k8s.io"


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

    def admit(self, token: str, who: Identity, seconds: float) -> None:
        """Accept a token that somebody else signs in with, for so long."""
        end = utc_now() + datetime.timedelta(seconds=seconds)
        self._minted[token] = (who, end.isoformat())

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


def certified(peer: Mapping[str, Any] | None) -> Identity | None:
    """The identity of a client certificate that TLS has verified but for its time; None where that is
    over."""
    if not peer or ssl.cert_time_to_seconds(peer["notAfter"]) < time.time():
        return None
    names = [pair for part in peer["subject"] for pair in part]
    users = [value for key, value in names if key == "commonName"]
    groups = tuple(value for key, value in names if key == "organizationName")
    return Identity(users[0], groups) if users else None


def impersonated(headers: CIMultiDictProxy[str]) -> Identity | None:
    """Whom a request is to be made as. ApiError 400, as a real one, without a user."""
    user = headers.get("Impersonate-User", "")
    groups = tuple(headers.getall("Impersonate-Group", ()))
    uid = headers.get("Impersonate-Uid", "")
    keys = dict.fromkeys(key for key in map(str.lower, headers) if key.startswith(_EXTRA))
    extra = tuple((unquote(key[len(_EXTRA) :]), tuple(headers.getall(key))) for key in keys)
    if user:
        if not groups and user.startswith(_ACCOUNT) and user.count(":") == 3:
            groups = service_account(*user.split(":")[2:]).groups
        return Identity(user, groups, uid, extra)
    if groups or uid or extra:
        raise bad_request("requested groups, a uid or extra without impersonating a user name")
    return None


def needed_to_be(who: Identity) -> Iterator[Attributes]:
    """The rights that impersonating somebody takes."""
    if who.user.startswith(_ACCOUNT) and who.user.count(":") == 3:
        _, _, namespace, name = who.user.split(":")
        yield Attributes("impersonate", resource="serviceaccounts", namespace=namespace, name=name)
    else:
        yield Attributes("impersonate", resource="users", name=who.user)
    for group in who.groups:
        yield Attributes("impersonate", resource="groups", name=group)
    for key, values in who.extra:
        for value in values:
            yield Attributes(
                "impersonate", _AUTHENTICATION, "userextras", subresource=key, name=value
            )
    if who.uid:
        yield Attributes("impersonate", _AUTHENTICATION, "uids", name=who.uid)


def service_account(namespace: str, name: str) -> Identity:
    """The identity of a service account."""
    return Identity(
        f"system:serviceaccount:{namespace}:{name}",
        ("system:serviceaccounts", f"system:serviceaccounts:{namespace}"),
    )
