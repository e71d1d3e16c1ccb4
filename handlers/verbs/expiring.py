"""`/gateway expiring`: when tokens expire, and the buttons of the warnings about that."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from slack_sdk import WebClient

from deploy.access import Environment, Right
from deploy.actions.audit import AuditLog
from deploy.changes.authority import Authority
from deploy.changes.kinds import MANAGE_TOKEN, ROTATE
from deploy.errors import GatewayBotError, InvalidInput, NotFound
from deploy.expiry.tracked import Tracked
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from handlers.fleet import find, found_everywhere
from handlers.slack.payloads import Click, Request, Submission
from handlers.verbs.verb import Option, Verb
from handlers.views import expiry as view
from handlers.views import renewals
from handlers.views.reply import Reply
from handlers.views.words.help import Group

_REASON_LIMIT = 300
_SOON_SECONDS = 2.0
"""How long a cluster is waited for that has not answered yet."""


@dataclass(frozen=True)
class Needs:
    """`accept` makes a request safe and starts on it; `resume` resumes automatic rotation in an
    environment, in the name of a person, where it had stopped."""

    slack: WebClient
    caches: Mapping[str, ClusterCache]
    tracker: Tracker
    audit: AuditLog
    authority: Authority
    environments: tuple[Environment, ...]
    accept: Callable[[Request], None]
    resume: Callable[[str, str], bool]


def run(needs: Needs, request: Request) -> Reply | None:
    """The list, or, with `--snooze`, no more warnings about one gateway for a while."""
    if "snooze" in request.options:
        return _snooze(needs, request)
    unreadable: tuple[GatewayRef, ...] = ()
    unseen: tuple[str, ...] = ()
    if request.gateway:
        found = needs.tracker.find(find(needs.caches, request.gateway))
        listing = [found] if found is not None else []
    else:
        register = needs.tracker.register()
        listing = [t for t in register.tracked if t.over != "gone"]
        unreadable = register.unreadable
        seen = found_everywhere(needs.caches, _SOON_SECONDS)
        unseen = (
            *(_not_seen(error) for error in seen.failed.values()),
            *seen.unseen,
            *seen.left_out,
        )
    text, blocks = view.listing(listing, time.time(), unreadable, unseen)
    return Reply(text, tuple(blocks))


def _not_seen(error: GatewayBotError) -> str:
    return f"{error.happened} {error.meaning} {error.remedy}".replace("  ", " ").strip()


def rotate(needs: Needs, click: Click) -> Reply | None:
    """The button that renews a token: plan a rotation, as if whoever clicked had typed it."""
    return _accept(needs, click, ROTATE)


def manage(needs: Needs, click: Click) -> Reply | None:
    """The button that has the bot keep the token: as if whoever clicked had typed it."""
    return _accept(needs, click, MANAGE_TOKEN)


def _accept(needs: Needs, click: Click, verb: str) -> Reply | None:
    needs.accept(
        Request(
            id=f"click:{click.id}:{verb}",
            verb=verb,
            user=click.user,
            channel=click.channel,
            gateway=str(GatewayRef.parse(click.value)),
        )
    )
    return None


def snooze(needs: Needs, click: Click) -> Reply | None:
    """The Snooze button: ask why, and for how long."""
    ref = GatewayRef.parse(click.value)
    needs.slack.views_open(
        trigger_id=click.trigger_id, view=view.snooze_form(str(ref), click.channel)
    )
    return None


def submitted(needs: Needs, submission: Submission) -> Request:
    """The modal was sent: what is wrong in it stays in it; who may do it is checked as for the
    verb."""
    ref, channel, reason, chosen = view.snooze_read(submission.private_metadata, submission.values)
    _seconds(reason, chosen)
    options = {"snooze": chosen, "reason": reason}
    return Request(submission.id, VERB.name, submission.user, channel, "", ref, options)


def resume(needs: Needs, click: Click) -> Reply | None:
    """The Resume button: automatic rotation continues after it stopped."""
    environment = next((e for e in needs.environments if e.name == click.value), None)
    if environment is None:
        return Reply("The settings no longer have this environment.")
    needs.authority.check(Right.RESUME, click.user, environment)
    if not needs.resume(environment.name, click.user):
        return Reply("Automatic rotation continues already.")
    return None


def _snooze(needs: Needs, request: Request) -> Reply:
    if not request.gateway:
        raise InvalidInput("Required: a gateway.", field="gateway")
    ref = find(needs.caches, request.gateway)
    chosen, reason = str(request.options["snooze"]), str(request.options.get("reason", "")).strip()
    seconds = _seconds(reason, chosen)
    tracked = needs.tracker.snooze(
        ref, by=request.user, why=reason, seconds=seconds, request_id=request.id
    )
    if tracked is None:
        raise NotFound(
            f"There is no warning about {ref} that could be snoozed.",
            remedy="Its token may have been renewed in the meantime.",
        )
    _record(needs.audit, tracked, request.user, reason)
    return view.snoozed(tracked)


def _seconds(reason: str, chosen: str) -> float:
    """For how long it is snoozed. InvalidInput without a reason or with a time that is not offered."""
    if not reason:
        raise InvalidInput(
            "A reason is required: the channel and the audit trail show it.", field=view.REASON
        )
    if len(reason) > _REASON_LIMIT:
        raise InvalidInput(
            f"A reason can have at most {_REASON_LIMIT} characters.", field=view.REASON
        )
    if chosen not in view.DURATIONS:
        raise InvalidInput(
            f"A warning cannot be snoozed for “{chosen[:20]}”.",
            field=view.DURATION,
            remedy=f"Choose {', '.join(view.DURATIONS)}.",
        )
    return view.DURATIONS[chosen][1]


def _record(audit: AuditLog, tracked: Tracked, user: str, reason: str) -> None:
    entry = next(e for e in reversed(tracked.entries) if e.event == "snoozed")
    detail = {"until": tracked.snoozed_until, "reason": reason}
    audit.append(
        "snoozed",
        user,
        json.dumps(detail, sort_keys=True),
        ref=tracked.ref,
        subject=f"expiry-{tracked.ref}",
        kind="expiry",
        # Its number begins anew with a gateway that was gone for long; the trail still knows it.
        version=round(entry.at * 1000),
        at=entry.at,
    )


VERB = Verb(
    "expiring",
    "shows when tokens expire, and snoozes warnings",
    Needs,
    run,
    Right.SEE,
    group=Group.TOKENS,
    gateway="optional",
    option_rights={"snooze": Right.SNOOZE},
    options=(
        Option("snooze", "no warnings about it for this time", choices=tuple(view.DURATIONS)),
        Option("reason", "why it is snoozed", "text", required=True, goes_with="snooze"),
    ),
    examples=("expiring", 'expiring edge-1 --snooze 3d --reason "replaced on Friday"'),
    modal=view.SNOOZE_MODAL,
    submit=submitted,
    clicks={renewals.ROTATE: rotate, renewals.MANAGE: manage, view.RESUME: resume},
    opens={view.SNOOZE: snooze},
)
