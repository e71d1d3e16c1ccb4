"""What is remembered of one gateway's token: when it expires, and what happened to it. Pure data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from deploy.actions.versions import check, reading
from deploy.gateway import GatewayRef
from deploy.health.status import Renewal
from deploy.observed.workloads import DEPLOYMENT

VERSION = 2
"""Of the form in which a record is stored."""

MESSAGES = "expiry"
"""What the index of messages calls those of warnings."""

Source = Literal["annotation", "token", "credential", "none", "unknown"]
"""How an expiry is known: our annotation, or the token's text. A `credential` is an Entra app's
secret or certificate whose last day somebody wrote down; `none` signs in to Entra ID without."""


AZURE_EXPIRED, AZURE_NEAR = "azure expired", "azure near"
AZURE_EVENTS = (AZURE_EXPIRED, AZURE_NEAR)
_ENDS = ("renewed", "gone", "unwatched", "signs in")
_HEARD = "heard:"


@dataclass(frozen=True)
class ExpiryFacts:
    """One gateway as a scan found it.

    `expires_at` in epoch seconds. `gateway` is its name in API Management, empty where nothing
    tells. `why` says why the expiry is unknown, or what is wrong with the token. `refused_since` is
    since when Azure is seen to refuse it, None where it is not; `refused_often` that this is more
    than one refusal or two. `kind` is that of its workload, `secret` where its token is, `renewal` what
    gives it a new one.
    """

    ref: GatewayRef
    gateway: str
    environment: str
    expires_at: float | None
    source: Source
    thresholds: tuple[float, ...]
    channels: tuple[str, ...]
    why: str = ""
    refused_since: float | None = None
    refused_often: bool = False
    kind: str = DEPLOYMENT
    secret: str = ""
    renewal: Renewal = "rotate"

    @property
    def rotatable(self) -> bool:
        """Whether this bot can give it a new token: it changes Deployments alone, and no secret of
        an Entra app."""
        return self.kind == DEPLOYMENT and self.source != "credential"


@dataclass(frozen=True)
class WarningEntry:
    """One thing that happened to a gateway's token. `number` counts from 1, `at` is Redis' time.

    `event` is `warning` (with `threshold`, seconds before the expiry), `renewed`, `gone`,
    `unwatched` (its cluster or namespace left the settings), `signs in`, `snoozed`, `woken` or one of
    AZURE_EVENTS (Event Grid reported it of the instance in `detail`).
    """

    number: int
    event: str
    at: float
    episode: int
    threshold: float | None = None
    expires_at: float | None = None
    who: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Tracked:
    """A gateway's record. An episode is the time from a first warning until the token is renewed:
    it has one message in each channel.

    `episode` is its number, 0 before the first; later ones have greater numbers. `heard` are the
    channels that were to be notified of it since it began. `warned` is the tightest threshold of this expiry
    that was passed. `over` says how it ended: as the entry's event, or `back` once a gateway that was
    gone, or signed in, has a token again. `unrotated` is why its token, which is due, is not rotated
    automatically. `now` is Redis' time when it was read.
    """

    facts: ExpiryFacts
    now: float
    version: int
    episode: int
    warned: float | None
    over: str
    snoozed_until: float | None
    snoozed_by: str
    snoozed_why: str
    entries: tuple[WarningEntry, ...]
    heard: tuple[str, ...]
    unrotated: str = ""

    @property
    def ref(self) -> GatewayRef:
        """Which gateway."""
        return self.facts.ref

    @property
    def snoozed(self) -> bool:
        """Whether it is snoozed now."""
        return self.snoozed_until is not None and self.snoozed_until > self.now

    def places(self) -> tuple[str, ...]:
        """Every channel that is to be notified of this episode, or may have been."""
        if self.episode == 0:
            return ()
        wanted = () if self.over else self.facts.channels
        return tuple(dict.fromkeys([*wanted, *self.heard]))

    def during(self, episode: int) -> "Tracked":
        """The record as that earlier episode left it; itself for the current one."""
        if episode == self.episode:
            return self
        mine = [entry for entry in self.entries if entry.episode == episode]
        end = mine[-1] if mine and mine[-1].event in _ENDS else None
        # Where the log no longer has its end: it ended, and now there is a token to be warned of.
        expires_at = end.expires_at if end else None
        facts = replace(self.facts, expires_at=expires_at, why="", refused_since=None)
        over = end.event if end else "back"
        return replace(self, facts=facts, episode=episode, over=over, unrotated="")


@dataclass(frozen=True)
class MessageKey:
    """Which message of warnings one is: there is one in each channel, for each episode."""

    channel: str
    ref: GatewayRef
    episode: int

    def __str__(self) -> str:
        return f"{self.channel}|{self.ref}#{self.episode}"

    @staticmethod
    def parse(text: str) -> "MessageKey":
        """From its text."""
        channel, _, rest = text.partition("|")
        ref, _, episode = rest.rpartition("#")
        return MessageKey(channel, GatewayRef.parse(ref), int(episode))


def facts_to_mapping(facts: ExpiryFacts) -> dict[str, Any]:
    """The facts, JSON-able, the expiry left out: it is a field of its own."""
    refused = {} if facts.refused_since is None else {"refused_since": facts.refused_since}
    renewal = {} if facts.renewal == "rotate" else {"renewal": facts.renewal}
    often = {"refused_often": True} if facts.refused_often else {}
    other = {} if facts.kind == DEPLOYMENT else {"kind": facts.kind, "secret": facts.secret}
    return {
        "gateway": facts.gateway,
        "environment": facts.environment,
        "source": facts.source,
        "thresholds": list(facts.thresholds),
        "channels": list(facts.channels),
        "why": facts.why,
        **refused,
        **renewal,
        **often,
        **other,
    }


def record_name(ref: GatewayRef) -> str:
    """How a record is named where it cannot be read."""
    return f"The record of the token of {ref}"


def tracked_of(
    ref: GatewayRef, fields: Mapping[str, str], entries: Sequence[str], now_ms: int
) -> Tracked:
    """The record from its hash and its log. Unreadable where a newer bot wrote it, or where it is
    damaged."""
    name = record_name(ref)
    with reading(name):
        check(name, fields.get("format"), VERSION)
        return _tracked(ref, fields, entries, now_ms)


def _tracked(
    ref: GatewayRef, fields: Mapping[str, str], entries: Sequence[str], now_ms: int
) -> Tracked:
    body = json.loads(fields["body"])
    facts = ExpiryFacts(
        ref=ref,
        gateway=body["gateway"],
        environment=body["environment"],
        expires_at=_moment(fields, "expires"),
        source=body["source"],
        thresholds=tuple(body["thresholds"]),
        channels=tuple(body["channels"]),
        why=body["why"],
        refused_since=body.get("refused_since"),
        renewal=body.get("renewal", "rotate"),
        refused_often=bool(body.get("refused_often")),
        kind=str(body.get("kind", DEPLOYMENT)),
        secret=str(body.get("secret", "")),
    )
    return Tracked(
        facts=facts,
        now=now_ms / 1000,
        version=int(fields.get("version", 0)),
        episode=int(fields.get("episode", 0)),
        warned=float(fields["warned"]) if fields.get("warned") else None,
        over=fields.get("over", ""),
        snoozed_until=_moment(fields, "snoozed"),
        snoozed_by=fields.get("snoozed_by", ""),
        snoozed_why=fields.get("snoozed_why", ""),
        entries=tuple(_entry(json.loads(text)) for text in entries),
        heard=tuple(
            sorted(
                name.removeprefix(_HEARD)
                for name, episode in fields.items()
                if name.startswith(_HEARD) and episode == fields.get("episode")
            )
        ),
        unrotated=fields.get("unrotated", ""),
    )


def _moment(fields: Mapping[str, str], name: str) -> float | None:
    return int(fields[name]) / 1000 if fields.get(name) else None


def _entry(data: Mapping[str, Any]) -> WarningEntry:
    event, detail = str(data["event"]), str(data["detail"])
    if event == "azure":
        # As it was stored when both stood in the detail.
        kind, _, detail = detail.partition(" ")
        event = f"azure {kind}"
    return WarningEntry(
        number=int(data["number"]),
        event=event,
        at=data["at"] / 1000,
        episode=int(data["episode"]),
        threshold=float(data["threshold"]) if data["threshold"] != "" else None,
        expires_at=float(data["expires"]) / 1000 if data["expires"] != "" else None,
        who=str(data["who"]),
        detail=detail,
    )
