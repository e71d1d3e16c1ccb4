"""Whether this machine's clock agrees with those of Redis, Slack and Azure.

A clock that NTP keeps is off by milliseconds, and a Date header, which has whole seconds and was on its way,
by two seconds at most; so more than five is a clock that nobody keeps. At a minute it is a failure: the
expiry in a token's text has minutes, approvals and freezes begin and end by it, and of the five minutes
after which requests that Slack signed are refused (docs.slack.dev, verifying requests) the rest is what is
left for the clock to drift on. HTTP mode's requests, sign-ins to Entra ID and TLS all fail some minutes on.
"""

import email.utils
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests

from bot.clients import redis_of
from bot.doubt import Doubtful
from bot.proofs.results import Prove, found
from bot.settings import Secrets, Settings
from deploy.actions.connection import now_of
from deploy.errors import GatewayBotError, Unavailable
from deploy.sentences import joined

DOUBT_SECONDS = 5.0
FAIL_SECONDS = 60.0
_TIMEOUT = (5, 10)
Clock = Callable[[], float]
"""Epoch seconds."""


def proofs(settings: Settings, given: Secrets, here: Clock = time.time) -> dict[str, Prove]:
    """One proof."""
    others: dict[str, Clock] = {
        "Redis": lambda: _redis_time(settings, given),
        "Slack": lambda: _date_of(f"{settings.slack.api_url.rstrip('/')}/api.test"),
        "Azure": lambda: _date_of(settings.azure.arm_endpoint or settings.azure.home.arm),
    }
    return {"clock": lambda: [found("clock", lambda: _compared(others, here))]}


def _compared(others: dict[str, Clock], here: Clock) -> str:
    with ThreadPoolExecutor(len(others)) as pool:
        read = pool.map(lambda clock: _ahead(clock, here), others.values())
        told = dict(zip(others, read, strict=True))
    ahead = {name: seconds for name, seconds in told.items() if seconds is not None}
    if not ahead:
        raise Doubtful(
            "The clock could not be compared: neither Redis nor Slack nor Azure gave the time.",
            remedy="Run the check again once they can be reached.",
        )
    off = {name: each for name, each in ahead.items() if abs(each) > DOUBT_SECONDS}
    if not off:
        return f"agrees with {joined(list(ahead), 'and')} to within {DOUBT_SECONDS:.0f} s"
    told_off = joined([_off(name, each) for name, each in off.items()], "and")
    kind = Unavailable if max(map(abs, off.values())) > FAIL_SECONDS else Doubtful
    # Slack and Azure are right; Redis runs on a machine of somebody's own.
    whose = "the clock of Redis" if list(off) == ["Redis"] and len(ahead) > 1 else "this clock"
    raise kind(
        f"This machine's clock is {told_off}.",
        meaning="Requests that Slack signed are refused at five minutes, and approvals, freezes and "
        "tokens seem to end sooner or later than they do.",
        remedy=f"Set {whose} right with NTP (on Kubernetes, on each node).",
    )


def _ahead(clock: Clock, here: Clock) -> float | None:
    """By how many seconds this machine's clock is ahead of another one; None where that one was not read,
    which the proof of its own service reports."""
    asked = here()
    try:
        told = clock()
    except (GatewayBotError, requests.RequestException, ValueError):
        return None
    # It was read somewhere between question and answer.
    return min(max(told, asked), here()) - told


def _off(name: str, seconds: float) -> str:
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} {name}'s"


def _redis_time(settings: Settings, given: Secrets) -> float:
    client = redis_of(settings, given)(retries=1, retry_timeouts=False)
    try:
        return now_of(client)
    finally:
        client.close()


def _date_of(url: str) -> float:
    """The Date of an answer, whatever it is. ValueError where it has none."""
    answer = requests.get(url, timeout=_TIMEOUT, allow_redirects=False)
    return email.utils.parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
