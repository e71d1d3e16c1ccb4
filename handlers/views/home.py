"""The Home tab: what somebody has to do first, then what they should know, then where to look further. Pure."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.access import Environment, Freeze
from deploy.actions.action import Action
from deploy.actions.audit import AuditEntry
from deploy.actions.pauses import Pause
from deploy.actions.windows import Window
from deploy.annotations import MANAGER
from deploy.errors import GatewayBotError
from deploy.expiry.automatic import turn_at
from deploy.expiry.prospects import Prospect
from deploy.health.attention import BROKEN, Sign
from deploy.health.fleet import DOWN, Row
from deploy.health.heartbeat import Heartbeat
from deploy.health.status import GatewaySummary
from handlers.views import fleet, freezes, history, pauses, request_line
from handlers.views.action import value
from handlers.views.menus import Choice, menu
from handlers.views.places import EnvironmentOf, heading
from handlers.views.renewals import OFFERS, Rotation
from handlers.views.reply import Block, Reply, View
from handlers.views.steps import next_step
from handlers.views.text import (
    SECTION_LIMIT,
    button,
    context,
    cut,
    date,
    escape,
    header,
    section,
)
from handlers.views.words import home as words
from handlers.views.words import status as status_words
from handlers.views.words.evidence import brief, of_all_pods, of_link, sentence
from handlers.views.words.incidents import STATES

REVIEW, MORE, MENU, REFRESH = "home_review", "home_more", "home_menu", "home_refresh"
STATUS, LOGS, RESTART, ROTATE = "home_status", "home_logs", "home_restart", "home_rotate"
DEPLOY, PAGE, KEEP = "home_deploy", "home_page", "home_keep"
IN_MODALS: Mapping[str, str] = {
    "action_show": REVIEW,
    **dict.fromkeys(("status_back", "status_next", "status_attention", "status_again"), PAGE),
}
"""What buttons of replies are called in a modal that the tab opened."""

SOON_SECONDS = 7 * 86_400.0
"""Tokens that expire within this time are shown."""
_AHEAD_SECONDS = 86_400.0
"""Freezes that begin within this time are shown; later ones postpone what is to begin in them."""
_REQUESTS, _ROWS, _LINES, _GATEWAYS = 8, 8, 6, 12
"""So many of a section are shown; all sections together stay below Slack's 100 blocks."""
_LINE = 400


@dataclass(frozen=True)
class Home:
    """What the tab of `user` shows, as it was at `at` (epoch seconds).

    `decide` are requests that this person may decide now, `asked` their own open ones. `rows` are
    all gateways, the most urgent first, and `own` those of them that this person changed lately.
    `failed` are clusters that cannot be looked at. `pauses` hold, `freezes` hold or begin within
    the time of `SOON_SECONDS`. `unread` are the
    sections that could not be read, each with why, and `notes` say what else cannot be seen.
    `rotations` are how tokens are renewed automatically, by environment, and `prospects` what keeps
    them from it, None where that is not known.
    """

    user: str
    at: float
    decide: Sequence[Action] = ()
    asked: Sequence[Action] = ()
    rows: Sequence[Row] = ()
    own: Sequence[Row] = ()
    failed: Mapping[str, GatewayBotError] = field(default_factory=dict)
    pauses: Sequence[Pause] = ()
    freezes: Sequence[tuple[Environment, Freeze]] = ()
    windows: Sequence[Window] = ()
    changes: Sequence[AuditEntry] = ()
    unread: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    rotations: Mapping[str, Rotation] = field(default_factory=dict)
    prospects: Mapping[str, Prospect] | None = field(default_factory=dict)


def view(home: Home, environment_of: EnvironmentOf) -> View:
    """The whole tab."""
    read_at = context(words.read_at(date(home.at, "{date_short_pretty} at {time_secs}")))
    return {"type": "home", "blocks": [*_content(home, environment_of), read_at, _last()]}


def digest(home: Home, environment_of: EnvironmentOf) -> str:
    """What tells two states of the tab apart; when they were read does not."""
    text = json.dumps(_content(home, environment_of), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def refusal(reply: Reply) -> View:
    """For whoever may see nothing here."""
    return {"type": "home", "blocks": list(reply.blocks)}


def plain(command: str) -> View:
    """For when the tab cannot be drawn, or Slack does not accept it."""
    return {"type": "home", "blocks": [section(words.plain(command)), _last()]}


def _content(home: Home, environment_of: EnvironmentOf) -> list[Block]:
    needing = [row for row in home.rows if _urgency(row) > 0 and not _expires_only(row, home)]
    urgent = needing[: max(0, _ROWS - len(home.failed))]
    # Each gateway is shown once: whatever else is wrong with it goes before its token.
    shown = {row.summary.ref for row in urgent}
    expiring = [row for row in _expiring(home) if row.summary.ref not in shown]
    blocks = [
        *_requests(words.DECIDE, home.decide, environment_of, words.REVIEW, style="primary"),
        *_requests(words.ASKED, home.asked, environment_of, words.SHOW),
        *_attention(urgent, len(needing), home),
    ]
    if not blocks and not home.unread and not expiring:
        blocks = [section(words.QUIET)] if home.rows else [section(words.NO_GATEWAYS)]
    unread = list(dict.fromkeys(home.unread))
    blocks += [context(words.unread(what, escape(cut(why, 300)))) for what, why in unread[:_LINES]]
    notes = list(dict.fromkeys(home.notes))
    blocks += [context(f":warning: {escape(cut(text, 600))}") for text in notes[:_LINES]]
    blocks += _tokens(expiring, home)
    blocks += _freezes(home)
    blocks += _changes(home.changes, environment_of)
    blocks += _gateways(home, [*urgent, *expiring[:_LINES]])
    return blocks


def _requests(
    title: str, actions: Sequence[Action], environment_of: EnvironmentOf, label: str, **more: Any
) -> list[Block]:
    rows = [
        section(
            cut(request_line.text_of(action, environment_of(action.ref)), 1500),
            accessory=button(label, REVIEW, value(action), **more),
        )
        for action in actions[:_REQUESTS]
    ]
    return _bounded(title, rows, len(actions) - len(rows), "pending")


def _attention(urgent: Sequence[Row], needing: int, home: Home) -> list[Block]:
    """The clusters that do not answer and the `urgent` ones of the gateways `needing` attention."""
    rows = [_cluster(name, error, home.rows) for name, error in list(home.failed.items())[:_ROWS]]
    rows += [
        _with_menu(cut(_trouble(row, home), 1500), row.summary, renewable=_expires_soon(row, home))
        for row in urgent
    ]
    left = needing + len(home.failed) - len(rows)
    found = _bounded(words.ATTENTION, rows, left, "status --attention")
    outage = any(row.production and _urgency(row) > 0 for row in home.rows)
    told = [] if home.failed or outage else [words.NOT_PRODUCTION]
    told += _shared_causes(urgent)
    if found and told:
        found.insert(1, context(" ".join(told)))
    return found


def _shared_causes(rows: Sequence[Row]) -> list[str]:
    """Which of them have the same trouble with the link to Azure on the same evidence: one cause, perhaps,
    to look for once."""
    beats = [row.seen.heartbeat for row in rows]
    linked = [beat for beat in beats if beat.level in ("cut off", "denied")]
    counts = Counter((beat.level, of_all_pods(beat.evidence)) for beat in linked)
    return [
        words.same_cause(count, STATES[level], all_of=count == len(rows))
        for (level, _), count in counts.items()
        if count > 1
    ]


def _urgency(row: Row) -> int:
    """How soon somebody should look at it. That no round has looked at its link yet, as right after its
    deployment, is not a reason."""
    beat = row.seen.heartbeat
    unseen = beat.level == "unknown" and not beat.pods and not row.summary.findings
    return 0 if unseen else row.urgency


def _cluster(name: str, error: GatewayBotError, rows: Sequence[Row]) -> Block:
    old = sum(row.summary.ref.cluster == name for row in rows)
    return section(words.cluster_unread(escape(name), escape(cut(error.happened, 500)), old))


def _trouble(row: Row, home: Home) -> str:
    summary = row.summary
    name = escape(summary.ref.name)
    outage = row.urgency == DOWN and row.production
    title = words.outage(name) if outage else f"{fleet.sign_of(row)} *{name}*"
    beat = row.seen.heartbeat
    found = of_link(beat.level, of_all_pods(beat.evidence))
    # What makes it as urgent as it is shown goes first.
    if summary.findings and summary.findings[0].urgency >= min(row.urgency, BROKEN):
        found = _telling(summary, beat)
    lines = [escape(cut(found.replace("..", "."), _LINE)), _running(summary)]
    # That it has expired says nothing that the line with its renewal does not say.
    expired = bool(summary.findings) and (found, Sign.TOKEN_EXPIRED) == (
        summary.findings[0].text,
        summary.findings[0].sign,
    )
    if expired and _expires_soon(row, home):
        lines[0] = _token_expires(row, home)
    if step := next_step(row):
        lines.append(status_words.to_do(escape(step)))
    if not expired and _expires_soon(row, home):
        lines.append(_token_expires(row, home))
    return "\n".join([f"{title}  {_place(row)}", *lines])


def _telling(summary: GatewaySummary, beat: Heartbeat) -> str:
    """The most urgent finding; the figures show how many pods are ready, so why they are not comes first."""
    first = summary.findings[0]
    if first.sign not in (Sign.DOWN, Sign.NOT_READY):
        return brief(first)
    causes = [each for each in summary.findings if each.sign is Sign.NOT_RUNNING]
    if not causes and beat.level == "unknown" and beat.pods:
        return sentence(of_all_pods(beat.evidence))
    return brief(causes[0] if causes else first)


def _place(row: Row) -> str:
    ref = row.summary.ref
    return heading(f"`{escape(ref.cluster)}/{escape(ref.namespace)}`", fleet.environment(row))


def _expires_soon(row: Row, home: Home) -> bool:
    summary = row.summary
    at = summary.token_expires_at
    return at is not None and summary.token_source != "none" and at - home.at < SOON_SECONDS


def _expires_only(row: Row, home: Home) -> bool:
    """Whether nothing but its token, which expires soon, needs attention."""
    found = row.summary.findings
    alone = bool(found) and all(each.sign is Sign.TOKEN_EXPIRES for each in found)
    return alone and row.urgency == found[0].urgency and _expires_soon(row, home)


def _expiring(home: Home) -> list[Row]:
    """The gateways whose tokens expire soon, the first to expire first."""
    found = [row for row in home.rows if _expires_soon(row, home)]
    return sorted(found, key=lambda row: (row.summary.token_expires_at or 0.0, row.summary.ref))


def _tokens(expiring: Sequence[Row], home: Home) -> list[Block]:
    rows = [_token(row, home) for row in expiring[:_LINES]]
    return _bounded(words.TOKENS, rows, len(expiring) - len(rows), "expiring")


def _token(row: Row, home: Home) -> Block:
    """Whose token expires, and how it is renewed."""
    summary = row.summary
    name, at = f"*{escape(summary.ref.name)}*  {_place(row)}", summary.token_expires_at or 0.0
    text = words.token(name, date(at), _renewal(row, home), expired=at <= home.at)
    return _with_menu(text, summary, renewable=True)


def _token_expires(row: Row, home: Home) -> str:
    at = row.summary.token_expires_at or 0.0
    return words.token_expires(date(at), _renewal(row, home), expired=at <= home.at)


def _rotation(row: Row, home: Home) -> Rotation:
    return home.rotations.get(row.environment, Rotation())


def _renewal(row: Row, home: Home) -> str:
    """How its token is renewed, as far as that is known."""
    summary, rotation = row.summary, _rotation(row, home)
    if summary.renewal is None:
        return words.not_changed(escape(summary.kind))
    if summary.renewal == "manage":
        return words.not_ours(f"{OFFERS['manage'].command} {escape(str(summary.ref))}")
    if rotation.rule.mode == "off":
        return words.NOT_RENEWED
    if not rotation.channel:
        return words.NO_CHANNEL
    if home.prospects is None:
        return ""
    prospect = home.prospects.get(row.environment, Prospect())
    if prospect.stopped:
        return words.rotation_stopped(escape(row.environment))
    if summary.ref in prospect.ended:
        return words.rotation_ended(prospect.ended[summary.ref].value)
    turn = turn_at(summary.ref, summary.token_expires_at or 0.0, rotation.rule.before)
    begins = _after_freezes(max(turn, home.at), row.environment, home.freezes)
    when = date(begins) if begins > home.at else ""
    frozen = begins > max(turn, home.at)
    if rotation.rule.mode == "auto":
        asked = [escape(each) for each in _elsewhere(row, home.rows)]
        return words.renewed_automatically(when, frozen=frozen, asked=asked)
    return words.renewed_once_approved(rotation.channel, when, frozen=frozen)


def _after_freezes(
    at: float, environment: str, found: Sequence[tuple[Environment, Freeze]]
) -> float:
    """The first moment from `at` on in which the environment is not frozen."""
    spans = [(f.starts.timestamp(), f.ends.timestamp()) for e, f in found if e.name == environment]
    for starts, ends in sorted(spans):
        if starts <= at < ends:
            at = ends
    return at


def _elsewhere(row: Row, rows: Sequence[Row]) -> list[str]:
    """The other environments where a gateway of the same name in API Management runs: they may govern its
    token as well."""
    gateway = row.summary.gateway
    same = {each.environment for each in rows if gateway and each.summary.gateway == gateway}
    return sorted(same - {row.environment})


def _freezes(home: Home) -> list[Block]:
    lines = [pauses.line(each) for each in home.pauses]
    lines += [
        freezes.line(environment, freeze, home.at)
        for environment, freeze in home.freezes
        if freeze.starts.timestamp() <= home.at + _AHEAD_SECONDS
    ]
    for window in home.windows:
        ref = window.ref
        lines.append(
            words.window(
                *(escape(ref.name), f"`{escape(ref.cluster)}/{escape(ref.namespace)}`"),
                *(f"<@{window.requester}>", date(window.until), f"<@{window.by}>"),
            )
        )
    return _listed(words.FREEZES, lines, "whoami")


def _changes(entries: Sequence[AuditEntry], environment_of: EnvironmentOf) -> list[Block]:
    if not entries:
        return []
    every = history.lines_of(entries, environment_of)
    lines = [cut(line, 480) for line in every[:_LINES]]
    return _bounded(words.CHANGES, [section("\n".join(lines))], len(every) - _LINES, "history")


def _gateways(home: Home, shown: Sequence[Row]) -> list[Block]:
    """Those that are not `shown` as in need of attention, which has the same menu."""
    told = {row.summary.ref for row in shown}
    own = {row.summary.ref for row in home.own}
    every = [*home.own, *(row for row in home.rows if row.summary.ref not in own)]
    ordered = [row for row in every if row.summary.ref not in told]
    rows = [_with_menu(_gateway(row), row.summary) for row in ordered[:_GATEWAYS]]
    title = words.OTHER_GATEWAYS if told else words.GATEWAYS
    return _bounded(title, rows, len(ordered) - len(rows), "status")


def _gateway(row: Row) -> str:
    summary = row.summary
    mark = fleet.sign_of(row, _urgency(row))
    state = f"{row.state} · " if row.state in fleet.WELL and not _urgency(row) else ""
    return f"{mark} *{escape(summary.ref.name)}*  {_place(row)}\n{state}{_running(summary)}"


def _running(summary: GatewaySummary) -> str:
    facts = [words.pods(summary.ready, summary.desired)]
    image = f"`{escape(cut(summary.tag, 40))}`" if summary.tag else ""
    facts += [words.image(image, summary.updated, summary.desired)] if image else []
    return " · ".join(facts)


def _with_menu(text: str, summary: GatewaySummary, *, renewable: bool = False) -> Block:
    """`renewable` offers a new token also where others deploy the gateway."""
    ref = str(summary.ref)
    ours = summary.manageable and summary.managed_by == MANAGER
    choices = [Choice(words.STATUS, STATUS, ref), Choice(words.LOGS, LOGS, ref)]
    choices += [Choice(words.RESTART, RESTART, ref)] if ours else []
    if ours or (renewable and summary.renewal == "rotate"):
        choices.append(Choice(words.ROTATE, ROTATE, ref))
    elif renewable and summary.renewal == "manage":
        choices.append(Choice(words.KEEP, KEEP, ref))
    if ours:
        choices.append(Choice(words.DEPLOY_ONE, DEPLOY, summary.gateway or summary.ref.name))
    drawn = menu(MENU, choices)
    return section(text, accessory=drawn) if drawn else section(text)


def _listed(title: str, lines: Sequence[str], verb: str) -> list[Block]:
    """A section of one line each."""
    shown = [cut(line, SECTION_LIMIT // _LINES) for line in lines[:_LINES]]
    rows = [section("\n".join(shown))] if shown else []
    return _bounded(title, rows, len(lines) - len(shown), verb)


def _bounded(title: str, rows: Sequence[Block], left: int, verb: str) -> list[Block]:
    """A section under its title, with the button of what shows the rest."""
    if not rows:
        return []
    more = [button(words.more(left), MORE, verb)] if left > 0 else []
    rest: list[Block] = [{"type": "actions", "elements": more}] if more else []
    return [header(title), *rows, *rest]


def _last() -> Block:
    return {
        "type": "actions",
        "elements": [
            button(words.REFRESH, REFRESH, "home"),
            button(words.DEPLOY, DEPLOY, "", style="primary"),
            button(words.HELP, MORE, "help"),
        ],
    }
