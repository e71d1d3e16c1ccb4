"""What evidence there is that a gateway still talks to Azure. Pure.

No public API tells the heartbeat that the Azure portal shows. What pods log and answer, which token
they hold and what Azure's events say is all there is, so each pod gets a level with the evidence
for it, and a gateway is as well as its worst pod. Without evidence the level is `unknown`, and why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from deploy.health.link_signs import LinkSigns, read_log

Level = Literal["connected", "no trouble seen", "unknown", "stale token", "cut off", "denied"]

_RANKS: tuple[Level, ...] = (
    "connected",
    "no trouble seen",
    "unknown",
    "stale token",
    "cut off",
    "denied",
)
WINDOW = 600.0
"""How far back, in seconds, logs are read."""
_RECENT = 60.0
"""A gateway polls its configuration every ten seconds; after a minute a sign says little."""
_STILL = 120.0
"""For this long after the last warning the link still counts as broken."""
NEEDED = 120.0
"""How much of the log must have been read to say that it holds no warning: a gateway that gets no
answer waits 100 seconds before it says so."""


@dataclass(frozen=True)
class AzureEvent:
    """What Azure said of one instance by Event Grid: that its token has expired or soon will.

    Times are epoch seconds. `instance` is how Azure names it; that it is the pod's name is not
    documented, so an event whose instance is not a pod is taken as about every pod with that token.
    """

    instance: str
    expired: bool
    expires_at: float
    at: float

    @property
    def order(self) -> tuple[float, bool, float]:
        """What is greater counts, in whatever order events came: of when they tell.

        That a token is near its expiry is about a time before that, also where it came without a
        time or with a late one; so it never unsays that this token has expired.
        """
        moment = self.at if self.expired else min(self.at, self.expires_at)
        return (moment, self.expired, self.expires_at)


@dataclass(frozen=True)
class PodEvidence:
    """What was found out about one pod.

    `log` holds lines that each begin with the kubelet's timestamp; None where it could not be read,
    `log_error` then says why. `log_cut` says that there was more than was read, `unlogged` why a
    link warning would not be in the log at all. `answers` says whether the status path answered
    200; None where nobody could ask, `status_error` then says why. `stale` is why the pod holds an
    old token, `event` what Azure said of it. `started_at` is in epoch seconds, where known.
    """

    pod: str
    ready: bool
    state: str = ""
    answers: bool | None = None
    status_error: str = ""
    log: str | None = None
    log_error: str = ""
    log_cut: bool = False
    unlogged: str = ""
    stale: str = ""
    event: AzureEvent | None = None
    started_at: float | None = None


@dataclass(frozen=True)
class Evidence:
    """All there is about one gateway at `now` (epoch seconds). `unasked` counts further pods."""

    pods: tuple[PodEvidence, ...]
    now: float
    unasked: int = 0


@dataclass(frozen=True)
class PodHeartbeat:
    """One pod's level and the evidence for it. `since` when it is so, in epoch seconds, where known;
    `refusals` is how often it was refused since its last success. `answered`: that it is denied is
    Azure's own answer, and not that it has nothing to ask Azure with."""

    pod: str
    level: Level
    evidence: str
    since: float | None = None
    refusals: int = 0
    answered: bool = True


@dataclass(frozen=True)
class Refusal:
    """What is known against the token in use, whatever its expiry.

    `proven`: pods that hold it show that Azure refuses it; else it is suspected of that. `why` is for
    people, without a full stop; `since` in epoch seconds; `secret` the token's identity; `times`
    how often one pod was refused since; `killer` what of others ran right before, in a sentence
    without a full stop, empty where nothing is known to have.
    """

    proven: bool
    why: str
    since: float
    secret: str = ""
    times: int = 0
    killer: str = ""


@dataclass(frozen=True)
class Heartbeat:
    """A gateway's level, which is its worst pod's, and the evidence for it. `refusal` is what is
    known against its token: the one place from which every view and warning takes that."""

    level: Level
    evidence: str
    since: float | None = None
    pods: tuple[PodHeartbeat, ...] = ()
    refusal: Refusal | None = None


def heartbeat_of(evidence: Evidence) -> Heartbeat:
    """The level of a gateway and of each of its pods."""
    return heartbeat_of_pods(
        tuple(_judge(pod, evidence.now) for pod in evidence.pods), evidence.unasked
    )


def heartbeat_of_pods(pods: Sequence[PodHeartbeat], unasked: int = 0) -> Heartbeat:
    """The level of a gateway whose pods have these, and `unasked` more."""
    if not pods:
        return Heartbeat("unknown", "there is no pod that could talk to Azure")
    worst = max(pods, key=lambda pod: _RANKS.index(pod.level))
    alike = [pod for pod in pods if pod.level == worst.level]
    since = min((pod.since for pod in alike if pod.since is not None), default=None)
    total = len(pods) + unasked
    text = f"{len(alike)} of {total} pods: {worst.evidence}" if total > 1 else worst.evidence
    if unasked:
        text += f" ({unasked} more were not asked)"
    return Heartbeat(worst.level, text, since, tuple(pods))


def worse(one: Level, other: Level) -> bool:
    """Whether `one` is a worse level than `other`."""
    return _RANKS.index(one) > _RANKS.index(other)


def _judge(pod: PodEvidence, now: float) -> PodHeartbeat:
    signs = read_log((pod.log or "").splitlines())
    level, text, since = _level(pod, signs, now)
    event = pod.event
    if (
        event is not None
        and event.expired
        and not (signs.polled_at is not None and signs.polled_at > event.at)
        and worse("denied", level)
    ):
        text = f"Azure reported {_span(max(0.0, now - event.at))} ago that its token has expired"
        return PodHeartbeat(pod.pod, "denied", text, event.expires_at)
    if pod.stale and worse("stale token", level):
        return PodHeartbeat(pod.pod, "stale token", pod.stale)
    return PodHeartbeat(pod.pod, level, text, since, signs.refusals, bool(signs.answer))


def _level(pod: PodEvidence, signs: LinkSigns, now: float) -> tuple[Level, str, float | None]:
    if signs.trouble_at is not None:
        return _troubled(signs, now)
    if signs.polled_at is not None:
        ago = max(0.0, now - signs.polled_at)
        if ago <= _RECENT:
            text = f"last successful configuration poll {_span(ago)} ago"
            return "connected", text, signs.polled_at
        # It writes down each poll, so that none is there means more than that no warning is.
        text = f"its last successful configuration poll was {_span(ago)} ago"
        return "unknown", text, signs.polled_at
    missing = _missing(pod)
    if missing:
        return "unknown", missing, None
    # Before it started it could not have complained.
    covered = min(WINDOW, max(0.0, now - pod.started_at)) if pod.started_at else WINDOW
    if pod.log_cut:
        covered = now - signs.first_at if signs.first_at is not None else 0.0
        if covered < NEEDED:
            text = f"it logs so much that only the last {_span(covered)} could be read"
            return "unknown", text, None
    text = f"ready, its status path answers, and no link warning in the last {_span(covered)}"
    return "no trouble seen", text, None


def _troubled(signs: LinkSigns, now: float) -> tuple[Level, str, float | None]:
    ago = now - (signs.trouble_at or now)
    if ago > _STILL:
        text = f"the last link warning was {_span(ago)} ago, and nothing was logged since"
        return "unknown", f"{text}: {signs.line}", signs.trouble_at
    if signs.denied:
        said = "Azure refuses the gateway" if signs.answer else "it does not contact Azure"
        return "denied", f"{said}: {signs.line}", signs.trouble_since
    if signs.answer:
        text = f"the configuration endpoint answers {signs.answer}: {signs.line}"
        return "cut off", text, signs.trouble_since
    return "cut off", f"Azure cannot be reached: {signs.line}", signs.trouble_since


def _missing(pod: PodEvidence) -> str:
    """What is not known that would have to be; empty where all of it is."""
    if pod.log is None:
        return f"its log cannot be read: {pod.log_error or 'nobody asked for it'}"
    if not pod.ready:
        return "running, but not ready" if pod.state == "Running" else f"not ready ({pod.state})"
    if pod.answers is None:
        return f"its status path cannot be checked: {pod.status_error or 'nobody asked'}"
    if not pod.answers:
        return f"its status path does not answer: {pod.status_error}"
    return f"its log would not show a link warning: {pod.unlogged}" if pod.unlogged else ""


def _span(seconds: float) -> str:
    return f"{round(seconds)} s" if seconds < 120 else f"{round(seconds / 60)} min"
