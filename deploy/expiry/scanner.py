"""Brings what runs on the clusters into the tracker, whoever installed it.

One bot at a time does this, by a lease that saves work and nothing else: two that scan at once note
the same. A cluster that does not answer in full makes no gateway of it count as gone.
"""

import datetime
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from deploy.actions.codec import Unreadable
from deploy.errors import GatewayBotError
from deploy.expiry.tracked import ExpiryFacts, Source
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from deploy.health.attention import Sign
from deploy.health.cache import CachedGateway, ClusterCache
from deploy.health.levels import Seen
from deploy.health.status import GatewaySummary, summaries
from deploy.kube.places import Places
from deploy.observed.sign_in import credential_expires

log = logging.getLogger(__name__)

_LEASE_SECONDS = 40.0
OFTEN = 3
"""A pod that is refused asks again every ten seconds: so many refusals are not a blip."""
_AGAIN_SECONDS = 600.0
"""What has not changed is noted again after this, should another bot have died over it."""
_DOUBTS = (
    Sign.TOKEN_MISSING,
    Sign.TOKEN_REFUSED,
    Sign.TOKEN_OF_ANOTHER,
    Sign.TOKEN_SUSPECTED,
    Sign.TOKEN_UNKNOWN,
)
"""How long a token lasts is none of them: its words change daily, and each time would be noted."""
_SOURCES: Mapping[str, Source] = {"annotation": "annotation", "token": "token", "none": "none"}


@dataclass(frozen=True)
class Rules:
    """Of whom a gateway's warnings are, and when: its environment's."""

    environment: str
    thresholds: tuple[float, ...]
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Scan:
    """The gateways of one cluster; `whole` says whether all of them are there, but for those in the
    `blind` places. `places` are the namespaces that are looked at.

    `credentials` is when Entra apps' secrets or certificates end, in epoch seconds, where known.
    `refused` is since when Azure is seen to refuse which tokens, `often` those that it refused more
    than once or twice.
    """

    cluster: str
    gateways: Sequence[GatewaySummary]
    whole: bool
    credentials: Mapping[GatewayRef, float] = field(default_factory=dict)
    refused: Mapping[GatewayRef, float] = field(default_factory=dict)
    often: Collection[GatewayRef] = ()
    places: Places = field(default_factory=lambda: Places(""))
    blind: Collection[str | None] = ()


def scans_of(
    caches: Mapping[str, ClusterCache], last: Callable[[CachedGateway], Seen]
) -> tuple[Scan, ...]:
    """What every cluster's cache knows; one that knows nothing is left out. `last` is what was last
    seen of a gateway."""
    found = []
    for name, cache in caches.items():
        try:
            snapshot = cache.read(wait=2.0)
        except GatewayBotError as error:
            log.info("the tokens of cluster %s are not looked at: %s", name, error)
            continue
        told = {g.ref: credential_expires(g.deployment) for g in snapshot.gateways}
        credentials = {ref: _end_of(day) for ref, day in told.items() if day is not None}
        refusals = {g.ref: last(g).heartbeat.refusal for g in snapshot.gateways}
        weighed = [s.weighed(refusals[s.ref]) for s in summaries(snapshot, time.time())]
        proven = {ref: r for ref, r in refusals.items() if r is not None and r.proven}
        refused = {ref: r.since for ref, r in proven.items()}
        often = frozenset(ref for ref, r in proven.items() if r.times >= OFTEN)
        seen = (credentials, refused, often, snapshot.places, snapshot.blind)
        found.append(Scan(name, weighed, not snapshot.stale, *seen))
    return tuple(found)


class Scanner:
    """`scans` looks at the clusters, `rules_of` says whose a gateway's warnings are; `clusters` are
    all that the settings have, whether they answer or not."""

    def __init__(
        self,
        tracker: Tracker,
        scans: Callable[[], Sequence[Scan]],
        rules_of: Callable[[GatewayRef], Rules],
        clusters: Collection[str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tracker = tracker
        self._scans = scans
        self._rules_of = rules_of
        self._clusters = clusters
        self._clock = clock
        self._noted: dict[GatewayRef, tuple[ExpiryFacts, float]] = {}

    def scan(self) -> bool:
        """Look once, if this bot is the one that does; whether it was."""
        if not self._tracker.hold("warnings-scan", _LEASE_SECONDS):
            self._noted.clear()
            return False
        known = self._tracker.known()
        whole = [
            self._gone(ref, "unwatched")
            for ref in sorted(r for r in known if r.cluster not in self._clusters)
        ]
        for scan in self._scans():
            found = {summary.ref for summary in scan.gateways}
            for summary in scan.gateways:
                facts = facts_of(
                    summary,
                    self._rules_of(summary.ref),
                    scan.credentials.get(summary.ref),
                    scan.refused.get(summary.ref),
                    refused_often=summary.ref in scan.often,
                )
                whole.append(self._note(facts))
            if scan.whole:
                missing = (r for r in known if r.cluster == scan.cluster and r not in found)
                whole += [
                    self._gone(ref, "gone" if ref.namespace in scan.places else "unwatched")
                    for ref in sorted(missing)
                    if scan.places.of(ref.namespace) not in scan.blind
                ]
        if not all(whole):
            # A newer bot can note all of them: let it have the next turn.
            self.release()
        return True

    def release(self) -> None:
        """Let another bot scan at once."""
        self._tracker.let_go("warnings-scan")

    def _note(self, facts: ExpiryFacts) -> bool:
        """Whether it is noted; False where its record is left alone."""
        noted = self._noted.get(facts.ref)
        now = self._clock()
        if noted is not None and noted[0] == facts and now - noted[1] < _AGAIN_SECONDS:
            return True
        try:
            self._tracker.note(facts)
        except Unreadable:
            return False
        self._noted[facts.ref] = (facts, now)
        return True

    def _gone(self, ref: GatewayRef, how: str) -> bool:
        """As `_note`, of a gateway that is not seen."""
        try:
            self._tracker.gone(ref, how)
        except Unreadable:
            return False
        self._noted.pop(ref, None)
        return True


def facts_of(
    summary: GatewaySummary,
    rules: Rules,
    credential: float | None = None,
    refused_since: float | None = None,
    *,
    refused_often: bool = False,
) -> ExpiryFacts:
    """What the tracker is to know of one gateway. Pure.

    `credential` is when its Entra app's secret or certificate ends, where somebody wrote it down;
    `refused_since` since when Azure is seen to refuse its token, `refused_often` that it did so more
    than once or twice.
    """
    source = _SOURCES.get(summary.token_source, "unknown")
    expires_at = summary.token_expires_at
    if source == "none" and credential is not None:
        source, expires_at = "credential", credential
    doubts = [f.text for sign in _DOUBTS for f in summary.findings if f.sign is sign]
    why = doubts[0] if doubts else ""
    if source == "unknown" and not why:
        held = summary.token_where or (
            f"Secret {summary.token_secret}" if summary.token_secret else ""
        )
        why = (
            f"The token in {held} has no readable expiry."
            if held
            else "The bot cannot determine where its token is stored."
        )
    return ExpiryFacts(
        ref=summary.ref,
        gateway=summary.gateway,
        environment=rules.environment,
        expires_at=expires_at,
        source=source,
        thresholds=rules.thresholds,
        channels=rules.channels,
        why=why,
        refused_since=refused_since,
        refused_often=refused_often,
        kind=summary.kind,
        secret="" if summary.manageable else summary.token_secret,
        renewal=summary.renewal or "rotate",
    )


def _end_of(day: datetime.date) -> float:
    next_day = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
    return (next_day + datetime.timedelta(days=1)).timestamp()
