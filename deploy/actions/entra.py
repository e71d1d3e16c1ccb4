"""Sign-in to Azure Managed Redis by Entra ID: a token is the password, and is renewed before it ends.

`redis-entraid` renews it and signs live connections in again (AUTH); what is here keeps that going
while Entra ID is away, for every pool of connections.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

from azure.core.credentials import TokenCredential
from redis.auth.err import RequestTokenErr
from redis.auth.idp import IdentityProviderInterface
from redis.auth.token import JWToken, TokenInterface
from redis.auth.token_manager import RetryPolicy, TokenManagerConfig
from redis.exceptions import RedisError
from redis_entraid.cred_provider import EntraIdCredentialsProvider

from deploy.actions.redis_faults import NotSignedIn

log = logging.getLogger(__name__)

SCOPE = "https://redis.azure.com/.default"
_RENEWED_AT = 0.7
"""Of a token's life; what is left is for an Entra ID that is away."""
_AGAIN_SECONDS = 15.0


class _Tokens(IdentityProviderInterface):
    """Tokens of the bot's own credential. redis-entraid gives up renewing after three tries within
    milliseconds, for good; here a renewal is tried until it succeeds."""

    def __init__(self, credential: TokenCredential, scope: str, again_seconds: float) -> None:
        self._credential = credential
        self._scope = scope
        self._again_seconds = again_seconds
        self._closed = threading.Event()
        self._first: TokenInterface | None = None
        self._renews = False

    def request_token(self, force_refresh: bool = False) -> TokenInterface:
        """A token; with `force_refresh` that is a renewal, in the background. RequestTokenErr."""
        if not force_refresh:
            token = self._ask()
            self._first = None if self._renews else token
            return token
        if self._first is not None:
            # The renewals begin by asking for what somebody signs in with at this moment.
            first, self._first, self._renews = self._first, None, True
            return first
        while True:
            try:
                return self._ask()
            except RequestTokenErr as error:
                if self._closed.wait(self._again_seconds):
                    raise
                log.warning("the token for Redis is not renewed yet: %s", error)

    def close(self) -> None:
        """Renew nothing more."""
        self._closed.set()

    def _ask(self) -> TokenInterface:
        try:
            return JWToken(self._credential.get_token(self._scope).token)
        except Exception as error:  # whatever a credential raises; its text may quote an answer
            raise RequestTokenErr(f"Entra ID gave no token ({type(error).__name__})") from error


class EntraSignIn(EntraIdCredentialsProvider):  # type: ignore[misc]  # it has no types
    """One for all clients of a bot. redis-entraid keeps one listener, and redis-py registers no client
    that is made from a URL: what is signed in again is therefore named here."""

    def __init__(
        self,
        credential: TokenCredential,
        scope: str = SCOPE,
        *,
        again_seconds: float = _AGAIN_SECONDS,
    ) -> None:
        self._tokens = _Tokens(credential, scope, again_seconds)
        config = TokenManagerConfig(_RENEWED_AT, 0, 0, RetryPolicy(0, 0))
        super().__init__(self._tokens, config)
        self._lock = threading.Lock()
        self._pools: list[Callable[[], Iterable[Any]]] = []
        self._listener.on_next = self._renewed
        self._listener.on_error = self._failed

    def get_credentials(self) -> tuple[str, str]:
        """Object id and token. NotSignedIn where Entra ID gives none."""
        with self._lock:
            try:
                user, token = super().get_credentials()
            except RequestTokenErr as error:
                raise NotSignedIn(str(error)) from error
        return user, token

    def signs_in(self, pools: Callable[[], Iterable[Any]]) -> None:
        """Those pools of connections too, whatever they are by then."""
        self._pools.append(pools)

    def on_next(self, callback: Callable[[Any], None]) -> None:
        """Nothing: redis-py names pools of some clients, of a cluster the new ones alone."""

    def on_error(self, callback: Callable[[Exception], None]) -> None:
        """Nothing: what redis-py passes raises in a thread that nobody watches."""

    def close(self) -> None:
        """Renew nothing more."""
        self._tokens.close()
        with contextlib.suppress(AttributeError):
            self._token_mgr.stop()

    def _renewed(self, token: TokenInterface) -> None:
        for pool in (pool for pools in list(self._pools) for pool in pools()):
            try:
                pool.re_auth_callback(token)
            except (RedisError, OSError) as error:
                # One pool's dead connection must not end the renewals.
                log.info("connections to Redis sign in anew: %s", type(error).__name__)

    def _failed(self, error: Exception) -> None:
        log.warning("the token for Redis is no longer renewed: %s", error)
