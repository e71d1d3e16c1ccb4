"""Posts in channels about tokens that expire: a message for each gateway, and a weekly digest."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.access import Environment
from deploy.actions.versions import reading
from deploy.expiry.rotation_stops import RotationStop
from deploy.expiry.tracked import AZURE_EVENTS, AZURE_EXPIRED, Tracked, WarningEntry
from deploy.gateway import GatewayRef
from deploy.observed.workloads import DEPLOYMENT
from handlers.views.places import heading, mark, named
from handlers.views.renewals import OFFERS
from handlers.views.reply import Block, Reply, View
from handlers.views.text import (
    button,
    context,
    counted,
    cut,
    date,
    duration,
    escape,
    fitting,
    section,
    sections,
)
from handlers.views.words.reasons import given

SNOOZE, RESUME = "expiry_snooze", "expiry_resume"
SNOOZE_MODAL = "expiry_snooze_modal"
REASON, DURATION = "snooze_reason", "snooze_duration"
DURATIONS: Mapping[str, tuple[str, float]] = {
    "1d": ("One day", 86_400.0),
    "3d": ("Three days", 3 * 86_400.0),
    "7d": ("A week", 7 * 86_400.0),
    "14d": ("Two weeks", 14 * 86_400.0),
}
_BROADCAST = 86_400.0
"""From a day before the expiry on, what is posted in the thread is shown in the channel as well."""
_SNOOZES_LOST = (
    ":warning: The bot's data was reset: if this was snoozed before, it no longer is. Snooze it again "
    "if nobody needs to know."
)
_RESTARTABLE = ("StatefulSet", "DaemonSet")
"""Kinds of workloads that `kubectl rollout restart` knows, beside Deployments."""
_SHOWN = 20
_LISTED = 30
_LINES = 6000
"""Characters of a listing; a message holds about 13,000."""
_UNSEEN = 5
_NAMED = 10


def headline(tracked: Tracked, *, production: bool) -> str:
    """An episode in one sentence, for notifications."""
    where = named(Environment(tracked.facts.environment, production=production))
    snoozed = f", snoozed by <@{tracked.snoozed_by}>" if _is_snoozed(tracked) else ""
    how = _ended(tracked) if tracked.over else f"{_headline(tracked)}{snoozed}"
    return f"{tracked.ref} ({where}) {how}"


def _is_snoozed(tracked: Tracked) -> bool:
    return tracked.snoozed and tracked.snoozed_until is not None and not tracked.over


def message(
    tracked: Tracked, *, production: bool = False, refound: bool = False
) -> tuple[str, list[Block]]:
    """The one message of an episode, as it is now: text for notifications, and blocks. `refound`:
    what Redis knew when it was posted is lost."""
    environment = Environment(tracked.facts.environment, production=production)
    text = headline(tracked, production=production)
    if tracked.over:
        name = f"{mark(environment)}`{escape(str(tracked.ref))}`"
        sign = ":grey_question:" if tracked.over == "unwatched" else ":white_check_mark:"
        return text, [section(f"{sign} {name} {_over(tracked)}")]
    what = f"*{_title(tracked, environment)}*"
    blocks: list[Block] = [section(f"{_sign(tracked)} {what}\n{_meaning(tracked)}".rstrip())]
    facts = tracked.facts
    if facts.why:
        blocks.append(context(f":warning: {escape(cut(facts.why, 300))}"))
    blocks.append(context(_known_by(tracked)))
    if tracked.unrotated:
        why = escape(cut(tracked.unrotated, 600))
        blocks.append(context(f":no_entry_sign: Not rotated automatically: {why}"))
    said = [e for e in tracked.entries if e.event in AZURE_EVENTS and e.episode == tracked.episode]
    if said:
        blocks.append(context(_said(said[-1])))
    if tracked.snoozed and tracked.snoozed_until is not None:
        blocks.append(
            context(
                f":zzz: Snoozed by <@{tracked.snoozed_by}> until {date(tracked.snoozed_until)}: "
                f"{escape(given(cut(tracked.snoozed_why, 300)))}"
            )
        )
    elif refound:
        blocks.append(context(_SNOOZES_LOST))
    ref = str(tracked.ref)
    buttons = [button("Snooze…", SNOOZE, ref), button("Status", "show_status", ref)]
    by_hand = _by_hand(tracked)
    if by_hand:
        blocks.append(context(by_hand))
    if facts.rotatable:
        renew = OFFERS[facts.renewal]
        buttons.insert(0, button(renew.label, renew.click, ref, style="primary"))
        if renew.note:
            blocks.append(context(renew.note))
    blocks.append({"type": "actions", "elements": buttons})
    return text, blocks


def _by_hand(tracked: Tracked) -> str:
    """How a token is renewed that this bot cannot rotate, because its pods are in no Deployment;
    empty where it can."""
    facts, ref = tracked.facts, tracked.ref
    if facts.kind == DEPLOYMENT or facts.source == "credential":
        return ""
    made = f"of gateway {escape(facts.gateway)} " if facts.gateway else ""
    put = f"into Secret {escape(facts.secret)}" if facts.secret else "where its pods read it"
    restart = f"kubectl -n {ref.namespace} rollout restart {facts.kind.lower()}/{ref.name}"
    restarted = f"`{escape(restart)}`" if facts.kind in _RESTARTABLE else "restart its pods"
    return (
        f"It runs in a {escape(facts.kind)}, which this bot does not change. Make a new token {made}in "
        f"the Azure portal, put it {put}, then: {restarted}."
    )


def note(entry: WarningEntry) -> tuple[str, bool]:
    """One line of the thread, and whether the channel sees it as well."""
    expires = f" {date(entry.expires_at)}" if entry.expires_at else ""
    if entry.event == "warning":
        threshold = entry.threshold or 0.0
        if threshold == 0:
            return f":red_circle: It expired{expires}.", True
        left = f"less than {duration(threshold)} left"
        return f":hourglass: It expires{expires}: {left}.", threshold <= _BROADCAST
    if entry.event == "snoozed":
        return f":zzz: <@{entry.who}> snoozed this: {escape(given(cut(entry.detail, 500)))}", False
    if entry.event in AZURE_EVENTS:
        return _said(entry), False
    lines = {
        "renewed": ":white_check_mark: It was renewed.",
        "gone": ":white_check_mark: It no longer runs.",
        "unwatched": ":grey_question: Its cluster or namespace is no longer in the settings.",
        "signs in": ":white_check_mark: It signs in to Entra ID now, and has no token.",
    }
    return lines.get(entry.event, escape(entry.event)), False


def snooze_form(ref: str, channel: str) -> View:
    """The modal that asks why, and for how long."""
    options = [
        {"text": {"type": "plain_text", "text": text}, "value": value}
        for value, (text, _) in DURATIONS.items()
    ]
    return {
        "type": "modal",
        "callback_id": SNOOZE_MODAL,
        "private_metadata": json.dumps({"ref": ref, "channel": channel}),
        "title": {"type": "plain_text", "text": "Snooze"},
        "submit": {"type": "plain_text", "text": "Snooze"},
        "close": {"type": "plain_text", "text": "Back"},
        "blocks": [
            section(
                f"No warnings about `{escape(ref)}` for a while. The expiry itself is reported anyway."
            ),
            {
                "type": "input",
                "block_id": REASON,
                "label": {"type": "plain_text", "text": "Why?"},
                "hint": {"type": "plain_text", "text": "The channel and the audit trail show it."},
                "element": {
                    "type": "plain_text_input",
                    "action_id": REASON,
                    "max_length": 300,
                },
            },
            {
                "type": "input",
                "block_id": DURATION,
                "label": {"type": "plain_text", "text": "For how long?"},
                "element": {
                    "type": "static_select",
                    "action_id": DURATION,
                    "options": options,
                    "initial_option": options[0],
                },
            },
        ],
    }


def snooze_read(private_metadata: str, values: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """What the modal was sent with: gateway, channel, reason and the chosen duration. Unreadable
    where it is not a form of this version's."""
    reason = str(((values.get(REASON) or {}).get(REASON) or {}).get("value") or "").strip()
    chosen = ((values.get(DURATION) or {}).get(DURATION) or {}).get("selected_option") or {}
    with reading("The form"):
        kept = json.loads(private_metadata)
        return str(kept["ref"]), str(kept["channel"]), reason, str(chosen.get("value", ""))


def stop_title(stop: RotationStop, *, production: bool) -> str:
    """A stop in one sentence, for notifications."""
    where = escape(named(Environment(stop.environment, production=production)))
    if stop.resumed_by:
        return f"<@{stop.resumed_by}> resumed automatic rotation in {where}"
    return f"Automatic rotation stopped in {where}: {counted(stop.failures, 'rotation')} failed"


def stopped(stop: RotationStop, *, production: bool = False) -> tuple[str, list[Block]]:
    """That nothing more is rotated automatically, and how it continues; or who resumed it."""
    where = named(Environment(stop.environment, production=production))
    title = f"Automatic rotation stopped in {where}"
    what = counted(stop.failures, "rotation")
    why = section(
        f":octagonal_sign: *{escape(title)}*\n{what} failed in a row, so none is started now. "
        f"Last: {escape(cut(stop.last, 300))}\nWarnings continue. Fix the cause, then resume rotation."
    )
    if stop.resumed_by:
        end = context(f"Resumed by <@{stop.resumed_by}>.")
    else:
        end = {"type": "actions", "elements": [button("Resume", RESUME, stop.environment)]}
    return stop_title(stop, production=production), [why, end]


def goes_on(stop: RotationStop) -> str:
    """That a stop is over, for each channel that was notified."""
    who = f":arrow_forward: <@{stop.resumed_by}> resumed automatic rotation in "
    return f"{who}{escape(stop.environment)}."


def snoozed(tracked: Tracked) -> Reply:
    """What whoever snoozed it reads."""
    until = date(tracked.snoozed_until) if tracked.snoozed_until else "now"
    return Reply(f"Warnings about the token of {tracked.ref} are snoozed until {until}.")


def listing(
    found: Sequence[Tracked],
    now: float,
    unreadable: Sequence[GatewayRef] = (),
    unseen: Sequence[str] = (),
) -> tuple[str, list[Block]]:
    """Gateways with when their tokens expire, the first to expire first; and those of which this
    bot cannot read it. `unseen` says what of the clusters cannot be seen."""
    title = "When tokens expire"
    found = sorted(found, key=lambda tracked: not tracked.facts.refused_since)
    left = [_unreadable(unreadable)] if unreadable else []
    left += [context(f":warning: {escape(cut(text, 300))}") for text in unseen[:_UNSEEN]]
    if not found and left:
        return title, [section("No token is known where this bot can look."), *left]
    if not found:
        return title, [section("No gateway is known whose token could expire.")]
    lines = fitting((_line(tracked, now) for tracked in found[:_LISTED]), _LINES)
    blocks: list[Block] = [section(f"*{title}*"), *sections(lines)]
    if len(found) > len(lines):
        blocks.append(context(f"… and {counted(len(found) - len(lines), 'more gateway')}."))
    return title, [*blocks, *left]


def digest_title(found: Sequence[Tracked]) -> str:
    """A digest's heading."""
    return f"Tokens this week: {counted(len(found), 'gateway')}"


def digest(found: Sequence[Tracked], now: float) -> tuple[str, list[Block]]:
    """What a channel hears once a week: of whose tokens it would be warned, and how they are."""
    with_token = [t for t in found if t.facts.source != "none"]
    refused = [t for t in with_token if t.facts.refused_since is not None]
    known = [t for t in with_token if t.facts.expires_at is not None and t not in refused]
    expired = [t for t in known if (t.facts.expires_at or 0.0) <= now]
    soon = [t for t in known if t not in expired and t.warned is not None]
    unknown = [t for t in with_token if t.facts.expires_at is None and t not in refused]
    entra = len(found) - len(with_token)
    title = digest_title(found)
    parts = [f"{len(expired)} expired", f"{len(soon)} expiring soon", f"{len(unknown)} unknown"]
    if refused:
        parts.insert(0, f"{len(refused)} refused by Azure")
    if entra:
        parts.append(f"{entra} with an Entra ID sign-in and no token")
    blocks: list[Block] = [section(f":calendar: *{title}*\n{' · '.join(parts)}")]
    shown = (*refused, *expired, *soon, *unknown)
    lines = fitting((_line(t, now) for t in shown[:_SHOWN]), _LINES)
    left = len(shown) - len(lines)
    blocks += sections(lines)
    if left:
        blocks.append(context(f"… and {counted(left, 'more gateway')}."))
    if not lines:
        blocks.append(context("Every token is good for longer than its first warning."))
    return f"Tokens of {counted(len(found), 'gateway')} this week: {', '.join(parts)}", blocks


def _unreadable(refs: Sequence[GatewayRef]) -> Block:
    listed = ", ".join(f"`{escape(str(ref))}`" for ref in refs[:_NAMED])
    more = f" and {counted(len(refs) - _NAMED, 'more gateway')}" if len(refs) > _NAMED else ""
    return context(
        f":warning: This version of the bot cannot read the records of {listed}{more}. "
        "Run the same version everywhere."
    )


def _line(tracked: Tracked, now: float) -> str:
    """A gateway and its token, a line each. Times are absolute, for nothing redraws the message."""
    sign, said = _listed(tracked, now)
    ref = tracked.ref
    where = f"*{escape(ref.name)}* on {escape(ref.cluster)}/{escape(ref.namespace)}"
    snoozed = " :zzz:" if tracked.snoozed else ""
    return f"{sign} {where}{snoozed}\n{said}"


def _listed(tracked: Tracked, now: float) -> tuple[str, str]:
    facts = tracked.facts
    if facts.source == "none":
        return ":large_blue_circle:", "signs in to Entra ID and has no token"
    if facts.expires_at is None:
        return ":white_circle:", f"unknown: {escape(cut(facts.why, 120))}"
    if facts.expires_at <= now:
        return ":red_circle:", f"expired {date(facts.expires_at)}"
    text = f"expires {date(facts.expires_at)}"
    if not facts.why:
        sign = ":large_yellow_circle:" if tracked.warned is not None else ":large_blue_circle:"
        return sign, f"{text}{_keeping(tracked)}"
    sign = ":red_circle:" if facts.refused_since is not None else ":warning:"
    return sign, f"{text}. *{escape(cut(facts.why, 200))}*{_mending(tracked)}"


def _mending(tracked: Tracked) -> str:
    """What is done about a token that Azure refuses; empty where nothing shows that it does."""
    if tracked.facts.refused_since is None:
        return ""
    if not tracked.facts.rotatable:
        return f" {_by_hand(tracked)}".rstrip()
    why = escape(cut(tracked.unrotated, 200))
    unrotated = f" Not rotated automatically: {why}" if why else ""
    command = OFFERS[tracked.facts.renewal].command
    return f" Renew it: `{command} {escape(str(tracked.ref))}`.{unrotated}"


def _keeping(tracked: Tracked) -> str:
    """What is offered for a token that expires soon and that nothing renews; empty for others."""
    renew = OFFERS[tracked.facts.renewal]
    if not renew.note or not tracked.facts.rotatable or tracked.warned is None:
        return ""
    return f". Keep it valid: `{renew.command} {escape(str(tracked.ref))}`"


def _title(tracked: Tracked, environment: Environment) -> str:
    """Whose token expires, where and when."""
    ref, expires_at = tracked.ref, tracked.facts.expires_at
    what = "Entra app's secret" if tracked.facts.source == "credential" else "token"
    where = f"{ref.name} on {ref.cluster}/{ref.namespace}"
    whose = f"The {what} of {escape(heading(where, environment))}"
    if expires_at is None:
        return f"{whose}: expiry not known"
    return f"{whose} {'expired' if expires_at <= tracked.now else 'expires'} {date(expires_at)}"


def _headline(tracked: Tracked) -> str:
    """For notifications, which are read at once: with how long it is still good."""
    expires_at = tracked.facts.expires_at
    what = "an Entra app's secret" if tracked.facts.source == "credential" else "a token"
    if expires_at is None:
        return f"has {what} whose expiry is not known"
    if expires_at <= tracked.now:
        return f"has {what} that has expired"
    return f"has {what} that expires in {duration(expires_at - tracked.now)}"


def _meaning(tracked: Tracked) -> str:
    expires_at = tracked.facts.expires_at
    if expires_at is None:
        return ""
    if expires_at <= tracked.now:
        return (
            "Azure has refused it since then. Running pods may still serve with the last configuration; "
            "a restarted one may not start."
        )
    return "After that, its pods get no configuration changes from Azure, and a restarted pod may not start."


def _said(entry: WarningEntry) -> str:
    what = "has expired" if entry.event == AZURE_EXPIRED else "is about to expire"
    return f":cloud: Azure reports that the token of instance `{escape(entry.detail)}` {what}."


def _known_by(tracked: Tracked) -> str:
    return {
        "annotation": "The expiry was written down when the token was made.",
        "token": "The expiry was read from the token's text.",
        "credential": "Its last day was written down with the gateway. Renew it in Entra ID.",
        "none": "It signs in to Entra ID.",
        "unknown": "The expiry cannot be read now; this is what was last known.",
    }[tracked.facts.source]


def _sign(tracked: Tracked) -> str:
    warned = tracked.warned
    if warned == 0:
        return ":red_circle:"
    return ":large_yellow_circle:" if warned and warned <= _BROADCAST else ":hourglass:"


def _over(tracked: Tracked) -> str:
    expires_at = tracked.facts.expires_at
    until = f" It is good until {date(expires_at)}." if expires_at and _renewed(tracked) else ""
    return f"{_ended(tracked)}.{until}"


def _ended(tracked: Tracked) -> str:
    """How an episode ended, without a full stop."""
    if not _renewed(tracked):
        return _ENDED[tracked.over]
    what = "secret of its Entra app" if tracked.facts.source == "credential" else "token"
    return f"has a new {what}"


def _renewed(tracked: Tracked) -> bool:
    return tracked.over not in _ENDED


_ENDED = {
    "gone": "no longer runs",
    "unwatched": "is on a cluster or in a namespace that this bot no longer looks at",
    "signs in": "signs in to Entra ID now: there is no token that expires",
    "back": "runs with a token again",
}
