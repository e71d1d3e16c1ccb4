"""Who may come in to the registry: Basic, or tokens that are made beside it as the distribution's token
specification and Azure Container Registry have it."""

import base64
import binascii
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

_PLACE = "/oauth2/token"
_REFRESH_USER = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Accounts:
    """Passwords by user. `refresh_tokens` are taken too, by POST or as the password of a user of zeros;
    `strangers` are users who come in but may not pull. With `anonymous` everybody may pull who asks
    for a token first. `realm` is where tokens are made, where that is not here."""

    passwords: Mapping[str, str]
    refresh_tokens: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()
    scheme: Literal["bearer", "basic"] = "bearer"
    anonymous: bool = False
    token_seconds: float = 300
    realm: str | None = None
    takes_post: bool = True


@dataclass
class Door:
    """Lets in whoever may pull; `made` are the tokens, with their end and the repository that they are
    for, empty for none."""

    accounts: Accounts
    made: dict[str, tuple[float, str]] = field(default_factory=dict)

    def routes(self) -> list[web.RouteDef]:
        """Where tokens are made."""
        return [web.get(_PLACE, self._by_password), web.post(_PLACE, self._by_form)]

    def challenge(self, url: str, request: web.Request) -> str | None:
        """What to answer 401 with; None for whoever may come in."""
        kind, _, shown = request.headers.get("Authorization", "").partition(" ")
        if self.accounts.scheme == "basic":
            user = self._user_of(shown) if kind == "Basic" else None
            return (
                None if user and user not in self.accounts.strangers else 'Basic realm="registry"'
            )
        ends, allowed = self.made.get(shown, (0.0, "")) if kind == "Bearer" else (0.0, "")
        name = request.match_info.get("name", allowed)
        if allowed and allowed == name and time.monotonic() < ends:
            return None
        scope = f',scope="repository:{name}:pull"' if name else ""
        error = ',error="insufficient_scope"' if time.monotonic() < ends else ""
        realm = self.accounts.realm or f"{url}{_PLACE}"
        return f'Bearer realm="{realm}",service="{request.host}"{scope}{error}'

    async def _by_password(self, request: web.Request) -> web.Response:
        kind, _, shown = request.headers.get("Authorization", "").partition(" ")
        if not kind and self.accounts.anonymous:
            return self._token(_pulled(request.query.get("scope")))
        user = self._user_of(shown) if kind == "Basic" else None
        if user is None:
            return _refusal(401)
        stranger = user in self.accounts.strangers
        return self._token("" if stranger else _pulled(request.query.get("scope")))

    async def _by_form(self, request: web.Request) -> web.Response:
        if not self.accounts.takes_post:
            return _refusal(405)
        form = await request.post()
        if form.get("grant_type") != "refresh_token":
            return _refusal(400)
        if form.get("refresh_token") not in self.accounts.refresh_tokens:
            return _refusal(401)
        scope = form.get("scope")
        return self._token(_pulled(scope if isinstance(scope, str) else None), name="access_token")

    def _user_of(self, shown: str) -> str | None:
        try:
            user, _, password = base64.b64decode(shown, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        if user == _REFRESH_USER:
            return user if password in self.accounts.refresh_tokens else None
        known = self.accounts.passwords.get(user)
        return (
            user
            if known is not None and secrets.compare_digest(known.encode(), password.encode())
            else None
        )

    def _token(self, repository: str, *, name: str = "token") -> web.Response:
        token = secrets.token_urlsafe(24)
        self.made[token] = time.monotonic() + self.accounts.token_seconds, repository
        return web.json_response({name: token, "expires_in": int(self.accounts.token_seconds)})


def _pulled(scope: str | None) -> str:
    """The repository that a scope is for, where it is to be pulled from."""
    kind, _, rest = (scope or "").partition(":")
    name, _, actions = rest.rpartition(":")
    return name if kind == "repository" and "pull" in actions.split(",") else ""


def _refusal(status: int) -> web.Response:
    body = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
    return web.json_response(body, status=status)
