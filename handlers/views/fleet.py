"""All gateways, what needs attention first, in pages. Each has an entry of two lines, which a phone
shows as they are, and a third where somebody should look at it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from deploy.access import Environment
from deploy.errors import GatewayBotError
from deploy.health.attention import BROKEN, SOON, WRONG, Sign
from deploy.health.fleet import DOWN, Row, Selection
from deploy.health.status import GatewaySummary
from handlers.views.places import PRODUCTION, heading
from handlers.views.renewals import OFFERS
from handlers.views.reply import Block, Reply
from handlers.views.text import (
    button,
    context,
    counted,
    cut,
    date,
    escape,
    header,
    section,
    sections,
)
from handlers.views.words import fleet as words
from handlers.views.words.evidence import brief, of_link, sentence

PAGE = 15
"""Gateways of one page: a message holds about 13,000 characters, a person's eye fewer."""
_REASONS = 1500
"""Characters that the reasons may take together, of at most `_WHY` each."""
_WHY = 400
_UNSEEN = 4
_AWAY = 5
_SAID = 350
_FRESH = 15.0
"""Seconds for which a look at a gateway is of this moment."""

SIGNS: Mapping[str, str] = {
    "connected": "🟢",
    "no trouble seen": "🔵",
    "unknown": "⚪",
    "degraded": "🟠",
    "stale token": "🟠",
    "cut off": "🔴",
    "denied": "🔴",
    "not ready": "🔴",
    "down": "🔴",
}
URGENT: Mapping[int, str] = {DOWN: "🔴", BROKEN: "🔴", WRONG: "🟠", SOON: "🟡"}
"""The sign of a gateway that somebody should look at, by how soon; else it has that of its state."""
_ORDER = "🔴🟠🟡⚪🔵🟢"
WELL = ("connected", "no trouble seen")
"""States in which nobody need look at a gateway."""
_IN_FACTS = (Sign.DOWN, Sign.NOT_READY, Sign.TOKEN_EXPIRES, Sign.TOKEN_EXPIRED)
"""What the figures of a gateway show already."""
_UNSUPPORTED = ("unsupported", "preview")
_DAY = "{date_short_pretty}"


@dataclass(frozen=True)
class Page:
    """What of the table is shown: its buttons carry the next one."""

    number: int = 0
    selection: Selection = field(default_factory=Selection)

    def value(self) -> str:
        """As a button carries it."""
        return json.dumps({"page": self.number, **asdict(self.selection)})

    @classmethod
    def parse(cls, value: str) -> "Page":
        """What a button carried; the first page of everything where it is nothing of ours."""
        try:
            found = json.loads(value)
            selection = Selection(
                str(found["text"])[:100],
                str(found["environment"])[:100],
                str(found["cluster"])[:100],
                found["attention"] is True,
            )
            return cls(max(0, min(int(found["page"]), 10_000)), selection)
        except (ValueError, KeyError, TypeError):
            return cls()


def overview(
    rows: Sequence[Row],
    failed: Mapping[str, GatewayBotError],
    now: float,
    page: Page | None = None,
    unseen: Sequence[str] = (),
    left_out: Sequence[str] = (),
    *,
    buttons: bool = True,
) -> Reply:
    """A page of every gateway on every cluster that answered; `unseen` is what of these cannot be
    seen, `left_out` where nothing is looked at."""
    page = page or Page()
    chosen = [row for row in rows if page.selection.takes(row)]
    pages = max(1, -(-len(chosen) // PAGE))
    number = min(page.number, pages - 1)
    shown = chosen[number * PAGE : (number + 1) * PAGE]
    away = list(failed.items())
    blocks: list[Block] = [_trouble(name, error, rows) for name, error in away[:_AWAY]]
    if len(away) > _AWAY:
        others = ", ".join(f"`{escape(name)}`" for name, _ in away[_AWAY:])
        blocks.append(
            context(cut(f":warning: These clusters do not answer either: {others}", 1000))
        )
    blocks += [context(f":warning: {escape(cut(text, _SAID))}") for text in unseen[:_UNSEEN]]
    if len(unseen) > _UNSEEN:
        blocks.append(context(f"… and {len(unseen) - _UNSEEN} more that cannot be seen."))
    blocks += [context(cut(escape(" ".join(left_out)), 800))] if left_out else []
    if rows or not failed:
        blocks.append(context(_counts(chosen)))
    if shown:
        blocks += sections(_entries(shown, now), "\n\n")
        blocks += _unmanageable(shown)
        blocks.append(section(_next(shown[0])))
    elif rows:
        blocks.append(section("No gateway matches."))
    elif (unseen or left_out) and not failed:
        blocks.append(section("No self-hosted gateway is seen where this bot can look."))
    elif not failed:
        blocks.append(section("No self-hosted gateway runs on the clusters this bot looks at."))
    if buttons and rows:
        blocks.append(_buttons(number, pages, page.selection))
    needing = sum(row.urgency > 0 for row in chosen)
    title = "Gateways" + (f", page {number + 1} of {pages}" if pages > 1 else "")
    if not chosen and failed:
        summary = f"What runs on {', '.join(sorted(failed))} is not known"
    elif not chosen and (unseen or left_out):
        summary = "No gateway is seen where this bot can look"
    else:
        summary = f"{counted(len(chosen), 'gateway')}, " + (
            f"{needing} {_needs(needing)} attention" if chosen else "none running"
        )
    return Reply(summary, (header(title), *blocks))


def _needs(count: int) -> str:
    return "needs" if count == 1 else "need"


def _trouble(name: str, error: GatewayBotError, rows: Sequence[Row]) -> Block:
    text = f":warning: *{escape(cut(error.happened, _SAID))}* {escape(cut(error.meaning, _SAID))}"
    old = [row.summary for row in rows if row.summary.ref.cluster == name]
    if old:
        since = date(min(summary.as_of for summary in old), "{time}")
        are = "is" if len(old) == 1 else "are"
        text += f" Its {counted(len(old), 'gateway')} below {are} as of {since}."
    return section(text.strip())


def _counts(rows: Sequence[Row]) -> str:
    """Each gateway counts once: by how soon somebody should look at it, else by its state."""
    needing = sum(row.urgency > 0 for row in rows)
    told = f"*{counted(len(rows), 'gateway')}* · " + (
        f"*{needing} {_needs(needing)} attention*" if needing else "none needs attention"
    )
    in_production = sum(row.production for row in rows)
    if in_production:
        told += f" · {PRODUCTION} {in_production} in production"
    alike = Counter((sign_of(row), _word(row)) for row in rows)
    ordered = sorted(alike.items(), key=lambda each: _ORDER.index(each[0][0]))
    counts = " · ".join(f"{sign} {count} {word}" for (sign, word), count in ordered)
    return f"{told}\n{counts}" if counts else told


def sign_of(row: Row, urgency: int | None = None) -> str:
    """How a gateway is at a glance, the same wherever it is listed."""
    own = SIGNS[row.state]
    return own if own == "🔴" else URGENT.get(row.urgency if urgency is None else urgency, own)


def _word(row: Row) -> str:
    """Its state as it is counted. Where pods are not ready nothing can be known of their link."""
    if row.state == "unknown" and row.summary.ready < row.summary.desired:
        return "not ready"
    return "with a warning" if row.urgency and row.state in WELL else row.state


def _entries(rows: Sequence[Row], now: float) -> list[str]:
    """Two lines for each gateway, and why somebody should look at it for the first of these."""
    entries, told, left = [], 0, _REASONS
    for row in rows:
        lines = [_which(row), _facts(row, now)]
        reasons = escape(" ".join(_why(row)))
        left -= min(len(reasons), _WHY)
        if reasons and left > 0:
            told += 1
            lines.append(f":warning: {cut(reasons, _WHY)}")
        entries.append("\n".join(lines))
    needing = sum(bool(_why(row)) for row in rows)
    if needing > told:
        entries.append(f"… and {needing - told} more of these need attention.")
    return entries


def _which(row: Row) -> str:
    ref = row.summary.ref
    where = f"on {escape(ref.cluster)}/{escape(ref.namespace)}"
    named = heading(f"*{escape(ref.name)}* {where}", environment(row))
    return f"{sign_of(row)} {named}"


def environment(row: Row) -> Environment:
    """The environment of a gateway, as far as it is named."""
    return Environment(escape(row.environment), production=row.production)


def _facts(row: Row, now: float) -> str:
    """Its state, pods, image and token. Times are absolute, for nothing redraws the message."""
    s = row.summary
    looked = row.seen.at
    old = f" at {date(looked, '{time}')}" if now - looked > _FRESH else ""
    # Where pods are not ready the figures say enough, and what is wrong is said below.
    state = "" if _word(row) in ("not ready", "with a warning") else row.state
    pods = [f"{s.ready} of {counted(s.desired, 'pod')} ready{'' if state else old}"]
    if s.updated != s.desired:
        pods.append(f"{s.updated} up to date")
    if s.available != s.ready:
        pods.append(f"{s.available} available")
    marked = row.support.state in _UNSUPPORTED
    support = f" ({escape(row.support.summary)})" if marked else ""
    image = f"`{escape(cut(s.tag or '?', 40))}`{support}"
    shown = [f"{state}{old}"] if state else []
    return " · ".join([*shown, *pods, image, _token_words(s, now)])


def _token_words(summary: GatewaySummary, now: float) -> str:
    """What is known against the token goes before how long it is good."""
    expires_at = summary.token_expires_at
    if summary.token_source == "none":
        return "no token: Entra ID"
    if expires_at is not None and expires_at <= now:
        return f"*token expired* {date(expires_at, _DAY)}"
    if summary.has(Sign.TOKEN_MISSING):
        return "*token missing*"
    if summary.has(Sign.TOKEN_REFUSED):
        return "*token refused*"
    if expires_at is None:
        return "token expiry unknown"
    if summary.has(Sign.TOKEN_EXPIRES):
        return f"*token expires* {date(expires_at)}"
    return f"token until {date(expires_at, _DAY)}"


def _next(first: Row) -> str:
    """Where to look next: at the most urgent of those shown, or at any."""
    ref = escape(str(first.summary.ref))
    if first.urgency > 0:
        return words.start_with(escape(first.summary.ref.name), ref)
    return words.see_one(ref)


def _unmanageable(rows: Sequence[Row]) -> list[Block]:
    others = [row.summary for row in rows if not row.summary.manageable]
    if not others:
        return []
    listed = ", ".join(f"`{escape(str(s.ref))}` ({escape(s.kind)})" for s in others)
    said = "This bot changes Deployments only. Shown, but not manageable here:"
    return [context(cut(f"{said} {listed}", 800))]


def _why(row: Row) -> list[str]:
    beat = row.seen.heartbeat
    s = row.summary
    reasons = [brief(each) for each in s.findings if each.sign not in _IN_FACTS]
    if beat.level == "unknown" and _word(row) == "not ready":
        # Why pods do not run says more than that they are not ready.
        if not s.has(Sign.NOT_RUNNING):
            reasons.append(sentence(beat.evidence))
    elif beat.level not in WELL:
        reasons.append(of_link(beat.level, beat.evidence))
    if row.summary.renewable and row.summary.renewal is not None:
        renewal = row.summary.renewal
        reasons.append(words.renew(renewal, f"{OFFERS[renewal].command} {row.summary.ref}"))
    return reasons


def _buttons(number: int, pages: int, selection: Selection) -> Block:
    elements: list[dict[str, Any]] = []
    if number > 0:
        elements.append(button("◀ Back", "status_back", Page(number - 1, selection).value()))
    if number + 1 < pages:
        elements.append(button("Next ▶", "status_next", Page(number + 1, selection).value()))
    other = Selection(
        selection.text, selection.environment, selection.cluster, not selection.attention
    )
    name = "Show all" if selection.attention else "Only what needs attention"
    elements.append(button(name, "status_attention", Page(0, other).value()))
    elements.append(button("Refresh", "status_again", Page(number, selection).value()))
    return {"type": "actions", "elements": elements}
