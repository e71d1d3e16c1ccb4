"""Signing in to Redis with a user and a password that may change while the bot runs."""

from collections.abc import Callable, Iterable
from typing import Any

from deploy.actions.redis_address import address_of, login_of


class UrlLogin:
    """The user and password of a URL, which is asked for at each new connection."""

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url

    def get_credentials(self, seconds: float) -> tuple[str, str]:
        """For a new connection; nobody is waited for."""
        return login_of(address_of(self._url(), check_files=False)) or ("default", "")

    def signs_in(self, pools: Callable[[], Iterable[Any]]) -> None:
        """Nothing: Redis keeps a connection signed in when the password of its user changes
        (redis.io/docs/management/security/acl)."""
