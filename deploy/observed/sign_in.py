"""Gateways that sign in to Entra ID instead of holding a token: what they need, and what expires.

Facts are those of "Use Microsoft Entra authentication for the self-hosted gateway" (azure-docs,
self-hosted-gateway-enable-azure-ad and self-hosted-gateway-enable-workload-identity, 2026).
"""

import datetime
import re

from deploy.kube.objects import Manifest
from deploy.observed import inventory
from deploy.observed.effective import EffectiveSettings, Origin
from deploy.specs.settings import AUTH
from deploy.tokens.token import Token

EXPIRES = "gateway-bot.io/client-secret-expires"
"""A day, on the Deployment of a gateway that this bot did not deploy."""
AUTH_KEY = f"{AUTH}.key"
"""Where the documentation's sample of 2026 has the token, `config.service.auth` being `key`."""
_KINDS = {"azureadapp": "entraApp", "workloadidentity": "workloadIdentity"}
_BY_KEY = "key"
_REFERRING = re.compile(r"(GatewayKey )?\$\([^()\s]+\)")
HIDDEN = "(hidden)"
"""Stands for a value that is set and not kept."""


def sign_in(deployment: Manifest, given: EffectiveSettings) -> str:
    """How a gateway proves who it is: `token`, `entraApp` or `workloadIdentity`. Pure.

    What its container is given counts; the spec this bot deployed it from only where that is not
    known.
    """
    found = given.find(AUTH)
    if found is not None and found.value is None:
        return "token"
    if found is not None and found.value:
        return _KINDS.get(found.value.strip().lower(), "token")
    return inventory.spec_field(deployment, "auth", "type") or "token"


def token_origin(given: EffectiveSettings) -> Origin | None:
    """Where the token stands that the container is given; None where nothing shows one. Pure.

    A whole Secret that was not read, or is gone, may hold it: then the origin has no key.
    """
    auth, by_key = given.find(AUTH), given.find(AUTH_KEY)
    if auth is not None and is_kind(auth.value or ""):
        return None
    said = by_key if auth is None or auth.value in ("", _BY_KEY) else auth
    if said is not None and said.value != "":
        return said.origin
    sources = (*given.absent, *given.unread)
    whole = [origin for origin in sources if origin.kind == "Secret"]
    return whole[-1] if whole else None


def is_kind(value: str) -> bool:
    """Whether a value says that a gateway signs in to Entra ID. Pure."""
    return value.strip().lower() in _KINDS


def sign_in_text(value: str) -> str:
    """What may be kept of a value that a gateway signs in with: never a token's signature, nor any
    text of an unknown form."""
    text = value.strip()
    token = Token.parse(text)
    if token is not None:
        return token.unsigned
    known = is_kind(text) or text in ("", _BY_KEY) or _REFERRING.fullmatch(text)
    return text if known else HIDDEN


def credential_expires(deployment: Manifest) -> datetime.date | None:
    """The last day of an Entra app's secret or certificate, where somebody wrote it down."""
    noted = (deployment["metadata"].get("annotations") or {}).get(EXPIRES, "")
    told = inventory.spec_field(deployment, "auth", "clientSecretExpires") or noted
    try:
        return datetime.date.fromisoformat(told)
    except ValueError:
        return None
