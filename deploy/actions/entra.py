"""Sign-in to Azure Managed Redis by Entra ID: a token is the password, and is renewed before it ends.

`redis-entraid` renews it and signs live connections in again (AUTH); what is here keeps that going
while Entra ID is away, for every pool of connections.
"""

import asyncio
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

from deploy.actions.redis_faults import NotSignedIn, SignInSilent
from deploy.entra_faults import sign_in_fault
from deploy.flight import Flight

log = logging.getLogger(__name__)

SCOPE = "https://redis.azure.com/.default"
_RENEWED_AT = 0.7
"""Of a token's life; what is left is for an Entra ID that is away."""
_AGAIN_SECONDS = 15.0
_ASKED_SECONDS = 30.0
_KEPT_SECONDS = 240.0
"""azure-identity returns the token that it has until 300 seconds before its end."""
_SILENT = "Entra ID does not answer"


class _Tokens(IdentityProviderInterface):
    """Tokens of the bot's own credential, of which the newest is kept. redis-entraid gives up renewing
    after three tries within milliseconds, for good; here a renewal is tried until it succeeds."""

    def __init__(self, credential: TokenCredential, scope: str, again_seconds: float) -> None:
        self._credential = credential
        self._scope = scope
        self._again_seconds = again_seconds
        self._closed = threading.Event()
        self._asking = Flight(self._ask, "token for Redis")
        self._lock = threading.Lock()
        self._newest: TokenInterface | None = None
        self._renewed: TokenInterface | None = None

    @property
    def closed(self) -> bool:
        """Whether nothing is renewed any longer."""
        return self._closed.is_set()

    def within(self, seconds: float) -> TokenInterface:
        """The newest while it is valid, without asking; else one that Entra ID gives within so many
        seconds. RequestTokenErr, TimeoutError."""
        return self._valid() or self._asking.wait(seconds)

    def request_token(self, force_refresh: bool = False) -> TokenInterface:
        """Another valid token than the last time; it waits until there is one. RequestTokenErr once
        nothing is renewed any longer."""
        while (token := self._another()) is None:
            why = self._why_not()
            if self._another() is None:
                log.log(*why)
                if self._closed.wait(self._again_seconds):
                    raise RequestTokenErr("the token is no longer renewed")
        self._renewed = token
        return token

    def close(self) -> None:
        """Renew nothing more."""
        self._closed.set()

    def _valid(self) -> TokenInterface | None:
        newest = self._newest
        return None if newest is None or newest.is_expired() else newest

    def _another(self) -> TokenInterface | None:
        valid, renewed = self._valid(), self._renewed
        if valid is None or renewed is None or valid.get_value() != renewed.get_value():
            return valid
        return None

    def _why_not(self) -> tuple[int, str, str]:
        """Ask for another, and say why there is none if that is so, as a line of the log."""
        line = "the token for Redis is not renewed yet: %s"
        try:
            token = self._asking.wait(_ASKED_SECONDS)
        except RequestTokenErr as error:
            return logging.WARNING, line, str(error)
        except TimeoutError:
            return logging.WARNING, line, _SILENT
        if token.ttl() > _KEPT_SECONDS * 1000:
            return logging.DEBUG, line, "azure-identity keeps it until its last minutes"
        return logging.WARNING, line, "Entra ID gave no newer one"

    def _ask(self) -> TokenInterface:
        try:
            token = JWToken(self._credential.get_token(self._scope).token)
        except Exception as error:  # whatever a credential raises; its text may quote an answer
            fault = sign_in_fault(error)
            told = f"{fault.what}, {fault.code}" if fault.code else fault.what
            raise RequestTokenErr(f"Entra ID gave no token ({told})") from error
        if token.is_expired():
            raise RequestTokenErr("Entra ID gave a token that has expired")
        with self._lock:
            known = self._newest
            # One that was asked for long ago may come last.
            if known is None or token.get_expires_at_ms() >= known.get_expires_at_ms():
                self._newest = token
        return token


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
        self._again_seconds = again_seconds
        config = TokenManagerConfig(_RENEWED_AT, 0, 0, RetryPolicy(0, 0))
        super().__init__(self._tokens, config)
        self._lock = threading.Lock()
        self._begun = False
        self._pools: list[Callable[[], Iterable[Any]]] = []
        self._listener.on_next = self._renewed
        self._listener.on_error = self._failed

    def get_credentials(self, seconds: float = _ASKED_SECONDS) -> tuple[str, str]:
        """Object id and token. NotSignedIn where Entra ID gives none, SignInSilent where it has not
        within so many seconds."""
        try:
            token = self._tokens.within(seconds)
        except RequestTokenErr as error:
            raise NotSignedIn(str(error)) from error
        except TimeoutError:
            raise SignInSilent(_SILENT) from None
        self._renews()
        return token.try_get("oid"), token.get_value()

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

    def _renews(self) -> None:
        with self._lock:
            begun, self._begun = self._begun, True
        if not begun:
            # It waits for its first renewal, which a connection must not.
            threading.Thread(
                target=self._token_mgr.start,
                args=(self._listener, True),
                name="renewals of the token for Redis",
                daemon=True,
            ).start()

    def _renewed(self, token: TokenInterface) -> None:
        for pool in (pool for pools in list(self._pools) for pool in pools()):
            try:
                pool.re_auth_callback(token)
            except (RedisError, OSError) as error:
                # One pool's dead connection must not end the renewals.
                log.info("connections to Redis sign in anew: %s", type(error).__name__)

    def _failed(self, error: Exception) -> None:
        """Begin the renewals anew. redis-entraid calls it in the thread of its timers and ends with
        it; its start() would wait there for itself."""
        if self._tokens.closed:
            return
        log.warning("the token for Redis is not renewed yet: %s", type(error).__name__)
        loop = asyncio.get_running_loop()
        loop.call_later(self._again_seconds, self._token_mgr._renew_token)
