"""Timestamps and ids in the shapes Slack gives them."""

import secrets
import string
import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since the epoch."""

_LETTERS = string.ascii_uppercase + string.digits
_BLOCK_LETTERS = string.ascii_letters + string.digits + "+/"


class Ids:
    """Gives out ids; message timestamps rise and never repeat in one workspace."""

    def __init__(self, clock: Clock = time.time) -> None:
        self._clock = clock
        self._last = 0

    def ts(self) -> str:
        """A message timestamp: ten digits, a dot, six digits."""
        self._last = max(self._last + 1, int(self._clock() * 1_000_000))
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"

    def make(self, prefix: str) -> str:
        """An id such as V0ABC12345."""
        return f"{prefix}0" + "".join(secrets.choice(_LETTERS) for _ in range(9))

    def block_id(self) -> str:
        """What Slack generates for a block that came without one."""
        return "".join(secrets.choice(_BLOCK_LETTERS) for _ in range(5))

    def view_hash(self) -> str:
        """`<ts>.<8 characters>`."""
        seconds = self.ts().partition(".")[0]
        return f"{seconds}.{''.join(secrets.choice(string.ascii_letters) for _ in range(8))}"

    def trigger(self) -> str:
        """`<digits>.<digits>.<hex>`."""
        whole, _, part = self.ts().partition(".")
        return f"{whole}{part}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
