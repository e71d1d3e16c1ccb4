"""How long the bot waits before it opens a Socket Mode connection again, or renews one. Pure."""

from collections.abc import Callable

RENEW_SECONDS = 300.0
LONGEST_RENEWAL = 18_000.0
"""About as long as Slack counts a connection whose end did not reach it."""

_FIRST, _LONGEST = 1.0, 30.0
_FIRST_REFUSED, _LONGEST_REFUSED = 15.0, 120.0


def retry_pause(failures: int, refused: bool, jitter: Callable[[], float]) -> float:
    """The seconds before the next attempt after so many failures in a row, at least one; `refused`
    says that Slack answered, and wants no connection. `jitter` is between 0 and 1, so that several
    bots do not come back together."""
    first, longest = (_FIRST_REFUSED, _LONGEST_REFUSED) if refused else (_FIRST, _LONGEST)
    whole = min(longest, first * 2.0 ** min(failures - 1, 20))
    return whole * (0.5 + jitter() / 2)


def renewal_pause(pause: float, usual: float, before: int, lost: int) -> float:
    """The seconds before the next renewal, where the last one came after `pause` and Slack counted
    `before` connections that no bot has before it, and `lost` after it.

    Where a renewal leaves one behind at Slack, more of them would lock the bot out: the pause grows
    fourfold.
    """
    if not lost:
        return usual
    return min(LONGEST_RENEWAL, pause * 4) if lost > before else pause
