"""The table of all gateways: what needs attention first, in pages."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from deploy.errors import GatewayBotError
from deploy.health.attention import Sign
from deploy.health.fleet import Row, Selection
from deploy.health.status import GatewaySummary
from handlers.views.places import PRODUCTION
from handlers.views.renewals import OFFERS
from handlers.views.reply import Block, Reply
from handlers.views.text import (
    button,
    context,
    counted,
    cut,
    duration,
    escape,
    fence,
    header,
    section,
    table,
)

PAGE = 15
"""Rows of one page: a message holds about 13,000 characters, a person's eye fewer."""
_TOLD = 8
_UNSEEN = 8
_NAME, _PLACE = 30, 28
_BLANK = "\u3000"
"""A space as wide as a sign."""

SIGNS: Mapping[str, str] = {
    "connected": "🟢",
    "no trouble seen": "🔵",
    "unknown": "⚪",
    "stale token": "🟠",
    "cut off": "🔴",
    "denied": "🔴",
    "down": "🔴",
}
_UNSUPPORTED = ("unsupported", "preview")


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
    blocks: list[Block] = [_trouble(name, error, rows, now) for name, error in failed.items()]
    blocks += [context(f":warning: {escape(cut(text, 600))}") for text in unseen[:_UNSEEN]]
    blocks += [context(escape(" ".join(left_out)[:2000]))] if left_out else []
    if rows or not failed:
        blocks.append(context(_counts(chosen)))
    if shown:
        blocks.append(section(fence(table(_table(shown, now)), 2900)[0]))
        blocks += _reasons(shown)
    elif rows:
        blocks.append(section("No gateway is like that."))
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
            f"{needing} {'needs' if needing == 1 else 'need'} attention"
            if chosen
            else "none running"
        )
    return Reply(summary, (header(title), *blocks))


def _trouble(name: str, error: GatewayBotError, rows: Sequence[Row], now: float) -> Block:
    text = f":warning: *{escape(error.happened)}* {escape(error.meaning)}"
    old = [row.summary for row in rows if row.summary.ref.cluster == name]
    if old:
        age = duration(now - min(summary.as_of for summary in old))
        text += f" Its {counted(len(old), 'gateway')} below are as of {age} ago."
    return section(text.strip())


def _counts(rows: Sequence[Row]) -> str:
    levels = Counter(row.state for row in rows)
    counts = "   ".join(
        f"{SIGNS[level]} {levels[level]} {level}" for level in SIGNS if levels[level]
    )
    needing = sum(row.urgency > 0 for row in rows)
    told = f"*{counted(len(rows), 'gateway')}*, " + (
        f"*{needing}* to look at" if needing else "nothing to look at"
    )
    in_production = sum(row.production for row in rows)
    if in_production:
        told += f"   {PRODUCTION} {in_production} in production"
    return f"{told}   {counts}" if counts else told


def _table(rows: Sequence[Row], now: float) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = [
        (
            *(2 * _BLANK, "GATEWAY", "PLACE", "READY", "NEW", "AVAIL"),
            *("IMAGE", "TOKEN", "HEARTBEAT", "AGE"),
        )
    ]
    for row in rows:
        s = row.summary
        mark = "!" if row.support.state in _UNSUPPORTED else ""
        lines.append(
            (
                SIGNS[row.state] + (PRODUCTION if row.production else _BLANK),
                cut(s.ref.name, _NAME),
                cut(f"{s.ref.cluster}/{s.ref.namespace}", _PLACE),
                f"{s.ready}/{s.desired}",
                str(s.updated),
                str(s.available),
                cut(f"{s.tag or '?'}{mark}", 16),
                _token_word(s, now),
                f"{row.state}{_age(row, now)}",
                duration(now - s.created_at),
            )
        )
    return lines


def _age(row: Row, now: float) -> str:
    """How old the look is, where it is not of this moment."""
    age = now - row.seen.at
    return f" {duration(age)} ago" if age > 15 else ""


def _token_word(summary: GatewaySummary, now: float) -> str:
    """The token in a word: what is known against it goes before how long it is good."""
    left = token_left(summary.token_source, summary.token_expires_at, now)
    words = {Sign.TOKEN_MISSING: "MISSING", Sign.TOKEN_REFUSED: "REFUSED"}
    if left == "EXPIRED":
        return left
    return next((word for sign, word in words.items() if summary.has(sign)), left)


def token_left(source: str, expires_at: float | None, now: float) -> str:
    """How long a token is still good, in a word."""
    if source == "none":
        return "-"
    if expires_at is None:
        return "unknown"
    return duration(expires_at - now) if expires_at > now else "EXPIRED"


def _reasons(rows: Sequence[Row]) -> list[Block]:
    """One line for each gateway that needs attention, the first few; and what a mark means."""
    found = [(row, reasons) for row in rows if (reasons := _why(row))]
    blocks = [
        context(
            f":warning: *{escape(row.summary.ref.name)}* ({escape(str(row.summary.ref))}): "
            + cut(escape(" ".join(reasons)), 700)
        )
        for row, reasons in found[:_TOLD]
    ]
    if len(found) > _TOLD:
        blocks.append(context(f"… and {len(found) - _TOLD} more of these to look at."))
    marked = {row.support.summary for row in rows if row.support.state in _UNSUPPORTED}
    if marked:
        blocks.append(context(f"! image: {', '.join(sorted(marked))}"))
    cut_short = [row.summary.ref.name for row in rows if len(row.summary.ref.name) > _NAME]
    if cut_short:
        names = ", ".join(f"`{escape(name)}`" for name in cut_short)
        blocks.append(context(f"Names in full: {cut(names, 2900)}"))
    others = [row.summary for row in rows if not row.summary.manageable]
    if others:
        listed = ", ".join(f"`{escape(str(s.ref))}` ({escape(s.kind)})" for s in others)
        blocks.append(
            context(f"This bot changes Deployments only. Shown, but not manageable here: {listed}.")
        )
    return blocks


def _why(row: Row) -> list[str]:
    beat = row.seen.heartbeat
    reasons = list(row.summary.attention)
    if beat.level not in ("connected", "no trouble seen"):
        reasons.append(f"{beat.level.capitalize()}: {beat.evidence}.".replace("..", "."))
    if row.summary.renewable and row.summary.renewal is not None:
        command = OFFERS[row.summary.renewal].command
        reasons.append(f"Renew it: `{command} {row.summary.ref}`.")
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
    elements.append(button("Look again", "status_again", Page(number, selection).value()))
    return {"type": "actions", "elements": elements}
