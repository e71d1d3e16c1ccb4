"""Signing in to an image registry, as its answer 401 asks for.

Bearer is the token scheme of github.com/distribution/distribution, docs/content/spec/auth/token.md and
oauth.md (read 2026-11-30), which Azure Container Registry follows (github.com/Azure/acr,
docs/AAD-OAuth.md; read 2026-11-30). Whether a refresh token is posted or sent as a password is tried in
the order of github.com/containerd/containerd, core/remotes/docker/authorizer.go (read 2026-11-30).

Credentials go to the registry that they are of, and to where its own answer over TLS says that tokens
are made. containerd 1.2 sent them to any host that a manifest named and that answered 401
(CVE-2020-15157, in github.com/golang/vulndb/issues/1335; read 2026-11-30).
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from deploy.errors import Refused, Unavailable
from deploy.images.logins import Login
from deploy.images.wire import Answer

CLIENT_ID = "gateway-bot"
_LONGEST = 4096
_WORD = re.compile(
    r"""([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s?=\s?(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?"""
)
_DOCS = "docs/install.md, “Image registries”"
_TRIES_PASSWORD = (400, 401, 404, 405)
"""Registries that make no token by POST answer so."""

Ask = Callable[[str, str, Mapping[str, str], str | None], Answer]
"""Method, URL, headers and the form to send."""


@dataclass(frozen=True)
class Challenge:
    """How a registry wants to be signed in to; `parameters` by name in lower case."""

    scheme: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Entry:
    """What to send as `Authorization`, empty for nothing; `proven` says that the registry has accepted
    the login, so that a refusal is of rights."""

    authorization: str = field(default="", repr=False)
    proven: bool = False


def challenges(header: str) -> list[Challenge]:
    """What a WWW-Authenticate header asks for, in its order (RFC 9110, 11.6.1)."""
    found: list[tuple[str, dict[str, str]]] = []
    for word in _WORD.finditer(header[:_LONGEST]):
        name, quoted, plain = word.groups()
        if quoted is None and plain is None:
            found.append((name.lower(), {}))
        elif found:
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1][1].setdefault(name.lower(), value)
    return [Challenge(scheme, parameters) for scheme, parameters in found]


def sign_in(registry: str, header: str, login: Login | None, ask: Ask) -> Entry:
    """What lets the bot in at `registry`, its address without a path.

    Refused for a wrong login, for none where one is needed, and where the place that makes tokens
    cannot be trusted; Unavailable where that does not answer.
    """
    asked = challenges(header)
    bearer = next((each for each in asked if each.scheme == "bearer"), None)
    if bearer is not None:
        return _with_token(registry, bearer, login, ask)
    if login is None:
        raise no_login(registry)
    if any(each.scheme == "basic" for each in asked):
        return Entry(_basic(login))
    raise Unavailable(
        f"The image registry {registry} requires a kind of sign-in that the bot does not support.",
        remedy="Use a registry that supports Bearer or Basic authentication.",
        answered=True,
    )


def no_login(registry: str) -> Refused:
    """That the registry wants to know who asks, and the bot cannot say."""
    return Refused(
        f"The image registry {registry} requires sign-in, and the bot has no credentials for it.",
        meaning="The list of tags is unknown.",
        remedy=f"Give the bot credentials: {_DOCS}.",
    )


def in_the_open(registry: str) -> Refused:
    """That whoever is on the way could read the login."""
    return Refused(
        f"The image registry {registry} requires sign-in over plain HTTP.",
        meaning="The bot sends credentials only over HTTPS, so the list of tags is unknown.",
        remedy=f"Change the registry's address to https:// in the settings: {_DOCS}.",
    )


def wrong_login(registry: str, login: Login) -> Refused:
    """That the registry does not accept the login."""
    who = "the refresh token" if login.renews else f"the password of “{login.user[:80]}”"
    return Refused(
        f"The image registry {registry} rejected {who}.",
        meaning="It is wrong or has expired, so the list of tags is unknown.",
        remedy=f"Renew it in {login.source}." if login.source else "Renew it.",
    )


def _with_token(registry: str, challenge: Challenge, login: Login | None, ask: Ask) -> Entry:
    realm = challenge.parameters.get("realm", "")
    _check_realm(registry, realm)
    named = {
        name: challenge.parameters[name]
        for name in ("service", "scope")
        if challenge.parameters.get(name)
    }
    if login is None:
        answer = _by_get(realm, named, None, ask)
    elif login.renews:
        form = {"grant_type": "refresh_token", "refresh_token": login.secret}
        answer = ask("POST", realm, {}, urlencode({**form, **named, "client_id": CLIENT_ID}))
        if answer.status in _TRIES_PASSWORD:
            answer = _by_get(realm, named, login, ask)
    else:
        answer = _by_get(realm, named, login, ask)
    if answer.status in (400, 401, 403):
        raise wrong_login(registry, login) if login is not None else no_login(registry)
    if answer.status != 200:
        raise Unavailable(
            f"The image registry {registry} did not issue a token for sign-in: it answered "
            f"{answer.status}.",
            retry_after=answer.retry_after,
        )
    return Entry(f"Bearer {_token(registry, answer)}", proven=login is not None)


def _by_get(realm: str, named: Mapping[str, str], login: Login | None, ask: Ask) -> Answer:
    joined = "&" if urlsplit(realm).query else "?"
    headers = {} if login is None else {"Authorization": _basic(login)}
    return ask(
        "GET", f"{realm}{joined}{urlencode({**named, 'client_id': CLIENT_ID})}", headers, None
    )


def _check_realm(registry: str, realm: str) -> None:
    """Refused for a place that somebody on the way could have put there."""
    try:
        here, there = urlsplit(registry), urlsplit(realm)
        trusted = _origin(here) == _origin(there) or here.scheme == there.scheme == "https"
        sound = trusted and bool(there.hostname) and "@" not in there.netloc
    except ValueError:
        sound = False
    if not sound:
        raise Refused(
            f"The image registry {registry} asks for credentials to be sent to "
            f"{realm[:120] or 'no address'}.",
            meaning=(
                "The bot sends them only to the registry itself, or over HTTPS to an address "
                "that the registry gave over HTTPS."
            ),
            remedy="Change the registry's address to https:// in the settings.",
        )


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or {"https": 443, "http": 80}.get(url.scheme)


def _token(registry: str, answer: Answer) -> str:
    body: Any = answer.json()
    token = (body.get("token") or body.get("access_token")) if isinstance(body, dict) else None
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
        raise Unavailable(
            f"The image registry {registry} returned an answer that is not a sign-in token."
        )
    return token


def _basic(login: Login) -> str:
    return f"Basic {base64.b64encode(f'{login.user}:{login.secret}'.encode()).decode()}"
