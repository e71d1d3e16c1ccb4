"""Checks the tokens of Entra ID with which Event Grid delivers.

They are signed by the tenant, for this audience, with Event Grid's role ("Deliver events to
Microsoft Entra protected endpoints").
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import jwt
import requests

from deploy.entra_faults import SIGN_IN
from deploy.errors import Unavailable
from deploy.link_faults import Kind, fault_of

log = logging.getLogger(__name__)

ROLE = "AzureEventGridSecureWebhookSubscriber"
"""The app role that is assigned to Event Grid's service principal."""
_AGAIN_SECONDS = 60.0
_KEPT_SECONDS = 3600.0
_LEEWAY_SECONDS = 120
_TIMEOUT_SECONDS = 5


class EntraTokens:
    """Keys are fetched when they are needed, and kept for an hour."""

    def __init__(
        self,
        session: requests.Session,
        *,
        authority: str,
        tenant: str,
        audience: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        base = f"{authority.rstrip('/')}/{tenant}"
        self._session = session
        self._url = f"{base}/discovery/v2.0/keys"
        self._issuers = [f"{base}/v2.0", f"https://sts.windows.net/{tenant}/"]
        self._audience = audience
        self._clock = clock
        self._keys: dict[str, Any] = {}
        self._fetched_at = float("-inf")
        self._lock = threading.Lock()

    def __call__(self, token: str) -> bool:
        """Whether it is good. Unavailable where the tenant's keys cannot be fetched."""
        try:
            key = self._key(str(jwt.get_unverified_header(token).get("kid", "")))
            if key is None:
                return False
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._audience,
                issuer=self._issuers,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.InvalidTokenError as error:
            # Only what is wrong with it: its text is a secret.
            log.warning("a token of Entra ID was refused: %s", type(error).__name__)
            return False
        return ROLE in (claims.get("roles") or ())

    def _key(self, kid: str) -> Any:
        with self._lock:
            age = self._clock() - self._fetched_at
            # A key that is not known may be new; a sender of nonsense must not make us ask for ever.
            if age > _KEPT_SECONDS or (kid not in self._keys and age > _AGAIN_SECONDS):
                self._keys = self._fetched()
                self._fetched_at = self._clock()
            return self._keys.get(kid)

    def _fetched(self) -> dict[str, Any]:
        try:
            answer = self._session.get(self._url, timeout=_TIMEOUT_SECONDS)
            answer.raise_for_status()
            keys = jwt.PyJWKSet.from_dict(answer.json()).keys
        except (requests.RequestException, ValueError, jwt.PyJWTError) as error:
            fault = fault_of(error, SIGN_IN, self._url)
            why = "its answer is not readable" if fault.kind is Kind.UNKNOWN else fault.what
            raise Unavailable(
                f"Entra ID did not return its signing keys ({why}).",
                meaning="The Event Grid delivery cannot be verified. Azure retries it.",
                remedy=fault.remedy,
                lasts=fault.lasts,
            ) from error
        return {str(key.key_id): key.key for key in keys}
