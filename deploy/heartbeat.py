"""What evidence there is that a gateway still talks to Azure. Pure.

No public API tells the heartbeat that the Azure portal shows. What pods log and answer is all
there is, so each pod gets a level with the evidence for it, and a gateway is as well as its worst
pod. Event names: issues 193, 269 and 328 and pull request 371 of the gateway's repository.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from deploy.masking import mask_secrets
from deploy.times import epoch

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

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_TROUBLE = ("ConfigurationApiV2NotAvailable", "ErrorResolvingHostname")
_NO_AUTH = "No valid authentication was configured"
_POLLED = re.compile(r"\bNoNewEvents\b")
_REFUSED = re.compile(r"StatusCode: (Unauthorized|Forbidden)")
_EXCEPTION = re.compile(r"exception\"?: ?\"?(?P<text>[^\"]+)")


@dataclass(frozen=True)
class PodEvidence:
    """What was found out about one pod.

    `log` holds lines that each begin with the kubelet's timestamp; None where it could not be read,
    `log_error` then says why. `answers` says whether the status path answered 200; None where
    nobody could ask, `status_error` then says why. `stale` is why the pod holds an old token.
    """

    pod: str
    ready: bool
    state: str = ""
    answers: bool | None = None
    status_error: str = ""
    log: str | None = None
    log_error: str = ""
    stale: str = ""


@dataclass(frozen=True)
class Evidence:
    """All there is about one gateway at `now` (epoch seconds)."""

    pods: tuple[PodEvidence, ...]
    now: float


@dataclass(frozen=True)
class PodHeartbeat:
    """One pod's level and the evidence for it; `since` in epoch seconds, where known."""

    pod: str
    level: Level
    evidence: str
    since: float | None = None


@dataclass(frozen=True)
class Heartbeat:
    """A gateway's level, which is its worst pod's, and the evidence for it."""

    level: Level
    evidence: str
    since: float | None = None
    pods: tuple[PodHeartbeat, ...] = ()


@dataclass(frozen=True)
class LinkSigns:
    """What a log says of the link to Azure. Times are epoch seconds.

    `trouble_since` is the first warning after the last sign of success.
    """

    polled_at: float | None = None
    trouble_since: float | None = None
    trouble_at: float | None = None
    denied: bool = False
    line: str = ""


def heartbeat_of(evidence: Evidence) -> Heartbeat:
    """The level of a gateway and of each of its pods."""
    pods = tuple(_judge(pod, evidence.now) for pod in evidence.pods)
    if not pods:
        return Heartbeat("unknown", "There is no pod that could talk to Azure.")
    worst = max(pods, key=lambda pod: _RANKS.index(pod.level))
    alike = [pod for pod in pods if pod.level == worst.level]
    since = min((pod.since for pod in alike if pod.since is not None), default=None)
    text = (
        f"{len(alike)} of {len(pods)} pods: {worst.evidence}" if len(pods) > 1 else worst.evidence
    )
    return Heartbeat(worst.level, text, since, pods)


def read_log(lines: Iterable[str]) -> LinkSigns:
    """Go through log lines, oldest first; text, JSON and the broken JSON of before 2.9 alike."""
    polled = since = at = None
    denied, shown = False, ""
    for raw in lines:
        stamp, _, line = raw.partition(" ")
        if _POLLED.search(line):
            polled, since, at, denied, shown = epoch(stamp), None, None, False, ""
        elif _NO_AUTH in line or any(name in line for name in _TROUBLE):
            at = epoch(stamp)
            since = since or at
            # One refusal makes it a refusal: what follows may be the same in other words.
            denied = bool(_REFUSED.search(line)) or _NO_AUTH in line
            shown = _short(line)
    return LinkSigns(polled, since, at, denied, shown)


def _judge(pod: PodEvidence, now: float) -> PodHeartbeat:
    signs = read_log((pod.log or "").splitlines())
    level, text, since = _level(pod, signs, now)
    if pod.stale and _RANKS.index(level) < _RANKS.index("stale token"):
        return PodHeartbeat(pod.pod, "stale token", pod.stale)
    return PodHeartbeat(pod.pod, level, text, since)


def _level(pod: PodEvidence, signs: LinkSigns, now: float) -> tuple[Level, str, float | None]:
    if signs.trouble_at is not None:
        ago = now - signs.trouble_at
        if ago > _STILL:
            text = f"the last link warning is {_span(ago)} old, and nothing was said since"
            return "unknown", f"{text}: {signs.line}", signs.trouble_at
        if signs.denied:
            return "denied", f"Azure refuses the gateway: {signs.line}", signs.trouble_since
        return "cut off", f"Azure is not reached: {signs.line}", signs.trouble_since
    if signs.polled_at is not None and now - signs.polled_at <= _RECENT:
        ago = max(0.0, now - signs.polled_at)
        return "connected", f"last successful configuration poll {_span(ago)} ago", signs.polled_at
    if pod.log is None:
        return "unknown", f"its log cannot be read: {pod.log_error}", None
    if not pod.ready:
        return "unknown", f"it is not ready ({pod.state})", None
    if pod.answers is None:
        return "unknown", f"its status path cannot be asked: {pod.status_error}", None
    if not pod.answers:
        return "unknown", f"its status path does not answer: {pod.status_error}", None
    text = "ready, its status path answers, and no link warning in the last 10 min"
    return "no trouble seen", text, None


def _short(line: str) -> str:
    line = mask_secrets(_COLOR.sub("", line)).strip()
    exception = _EXCEPTION.search(line)
    text = exception["text"] if exception else line
    return text if len(text) <= 200 else text[:199] + "…"


def _span(seconds: float) -> str:
    return f"{round(seconds)} s" if seconds < 120 else f"{round(seconds / 60)} min"
