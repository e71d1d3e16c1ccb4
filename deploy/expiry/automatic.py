"""Which tokens are rotated automatically, and when. Pure; moments are in epoch seconds."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from deploy.actions.action import State
from deploy.gateway import GatewayRef

Mode = Literal["auto", "ask", "off"]
_DAY = 86_400.0
RETRY_SECONDS = 3600.0
"""After a rotation that failed, and was taken back, the next try waits so long."""
REFUSED_SECONDS = 300.0
"""So long Azure must be seen to refuse a token before it is renewed. A single refusal counts for two
minutes, and is known of for about two more until the next look and scan: that alone must renew
nothing."""
REFUSED_OFTEN_SECONDS = 20.0
"""So long where it refused the token again and again. That Azure is not refusing every gateway of the
instance, which no new token mends, is settled before (deploy.health.common_refusals)."""
REFUSED_AGAIN_SECONDS = _DAY
"""After a new token that was refused as well, or that could not be made: the reason is another one."""
ASK_AGAIN_SECONDS = _DAY
"""After nobody decided in time."""

ASKED_AT_ONCE = 10
"""So many wait for people's decisions in one environment at a time."""


@dataclass(frozen=True)
class Automatic:
    """How an environment's tokens are rotated automatically.

    `before` is how long before the expiry it is done, in seconds. After `failures` in a row nothing
    more is begun. In mode `auto` the environment names the approval it rests on.
    """

    mode: Mode = "off"
    before: float = 7 * _DAY
    at_once: int = 1
    failures: int = 2


@dataclass(frozen=True)
class Attempt:
    """What was last begun for a gateway's token of that expiry; `state` is how it stands now.

    `state` is None for one that never became an action, because planning it failed; `asking` says
    that it waits for people, though the settings would approve it.
    """

    expires_at: float
    number: int
    at: float
    state: State | None
    asking: bool = False


@dataclass(frozen=True)
class Candidate:
    """A gateway with a token that expires. `refused_since` is since when Azure is seen to refuse it,
    None where it is not; `refused_often` that it did so more than once or twice."""

    ref: GatewayRef
    expires_at: float
    attempt: Attempt | None = None
    refused_since: float | None = None
    refused_often: bool = False


def spread(ref: GatewayRef, before: float) -> float:
    """By how many seconds a gateway's turn is earlier than it need be, at most a day: tokens that
    were made together are not rotated together."""
    number = int.from_bytes(hashlib.sha256(str(ref).encode()).digest()[:8], "big")
    return min(_DAY, before / 7) * number / 2**64


def turn_at(ref: GatewayRef, expires_at: float, before: float) -> float:
    """When a gateway's token is to be rotated."""
    return expires_at - before - spread(ref, before)


def room(candidates: Sequence[Candidate], rule: Automatic) -> int:
    """How many may be begun now, so that never more run at once than allowed.

    Several are put before people at a time, for the runner lets no more run than allowed
    (deploy.changes.kinds), and one that nobody decides is to hold up no other.
    """
    if rule.mode == "off":
        return 0
    going_on = [c.attempt for c in candidates if c.attempt is not None and _open(c.attempt)]
    asking = sum(attempt.asking for attempt in going_on)
    if rule.mode == "ask":
        return max(0, max(rule.at_once, ASKED_AT_ONCE) - len(going_on))
    return max(0, min(rule.at_once - len(going_on) + asking, ASKED_AT_ONCE - asking))


def queue(candidates: Sequence[Candidate], rule: Automatic, now: float) -> tuple[Candidate, ...]:
    """Those whose turn it is, as long as there is room: first those whose token is refused, then the
    first to expire.

    Those of which nothing came, because they could not be planned or their plan did not hold, are
    behind the others, the one that waits longest first: else hundreds of them that never can be
    would take every turn. What a person denied, took back or stopped is not begun again for the same
    token; nor is what succeeded, should its new expiry not be seen: else it would be rotated for ever.
    """
    if not room(candidates, rule):
        return ()
    due = [
        c
        for c in candidates
        if (now >= turn_at(c.ref, c.expires_at, rule.before) or _refused(c, now))
        and _free(c.attempt, c, now)
    ]
    return tuple(
        sorted(due, key=lambda c: (_in_vain_since(c), not _refused(c, now), c.expires_at, c.ref))
    )


def _refused(candidate: Candidate, now: float) -> bool:
    """Whether its token is to be renewed because Azure refuses it. Not again within an hour, and after
    a failure not within a day: what a new token did not mend, the next will not, and failures in a row
    stop automatic rotation for the whole environment."""
    tried, since = candidate.attempt, candidate.refused_since
    lasts = REFUSED_OFTEN_SECONDS if candidate.refused_often else REFUSED_SECONDS
    if since is None or now - since < lasts:
        return False
    if tried is None:
        return True
    same = tried.expires_at == candidate.expires_at
    failed = same and tried.state in (State.FAILED, State.UNKNOWN)
    return now - tried.at >= (REFUSED_AGAIN_SECONDS if failed else RETRY_SECONDS)


def _in_vain_since(candidate: Candidate) -> float:
    """When nothing came of its last try, for the same token; zero where there was none such."""
    tried = candidate.attempt
    if tried is None or tried.expires_at != candidate.expires_at:
        return 0.0
    return tried.at if tried.state in (None, State.SUPERSEDED) else 0.0


def _open(attempt: Attempt | None) -> bool:
    return attempt is not None and attempt.state in (State.PENDING, State.APPROVED, State.RUNNING)


def _free(attempt: Attempt | None, candidate: Candidate, now: float) -> bool:
    if attempt is None or attempt.expires_at != candidate.expires_at:
        return not _open(attempt)
    waits = {
        None: RETRY_SECONDS,
        State.FAILED: RETRY_SECONDS,
        State.UNKNOWN: RETRY_SECONDS,
        State.SUPERSEDED: 0.0,
        State.EXPIRED: ASK_AGAIN_SECONDS,
    }
    wait = waits.get(attempt.state)
    return wait is not None and now - attempt.at >= wait
