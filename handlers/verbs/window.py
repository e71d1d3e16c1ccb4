"""`/gateway window`: let one person change one gateway for a while without asking each time."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from slack_sdk import WebClient

from deploy.access import Right
from deploy.actions.store import ActionStore
from deploy.actions.windows import MESSAGES, Windows, check_length
from deploy.changes.authority import Authority
from deploy.changes.decide import checked_reason
from deploy.errors import InvalidInput, NotFound, Refused
from deploy.health.cache import ClusterCache
from handlers.actions.asking import in_person
from handlers.fleet import find
from handlers.messages.lost_messages import LostStore
from handlers.slack.payloads import Click, Request
from handlers.verbs.verb import Option, Verb
from handlers.views import window as view
from handlers.views.reply import Reply
from handlers.views.words.help import Group

_MENTION = re.compile(r"<@(?P<id>[UW][A-Z0-9]{2,20})(?:\|[^>]*)?>|(?P<bare>[UW][A-Z0-9]{2,20})")
_MINUTES = 30


@dataclass(frozen=True)
class Needs:
    """The windows, what rests on them, and where they are shown; `lost` has messages ended of which
    there is no record."""

    slack: WebClient
    caches: Mapping[str, ClusterCache]
    authority: Authority
    windows: Windows
    store: ActionStore
    lost: LostStore


def run(needs: Needs, request: Request) -> Reply | None:
    """Open one, in the name of an approver; its message in the channel is the answer, and the window
    counts once it is shown. Or close one by text."""
    if request.options.get("close"):
        return _close(needs, request)
    if in_person(request):
        raise Refused(
            "A window is opened in a channel, where its person and the other approvers see it.",
            remedy="Type this in a channel that they read.",
        )
    ref = find(needs.caches, request.gateway)
    person = _user(str(request.options.get("for", "")))
    if needs.authority.person(person) == needs.authority.person(request.user):
        raise Refused("Nobody opens a window for themselves.")
    reason = checked_reason(str(request.options.get("reason", "")))
    seconds = int(request.options.get("minutes", _MINUTES)) * 60
    # First: what is refused must not end the one that is open.
    check_length(seconds)
    environment = needs.authority.environment(ref)
    if not needs.authority.may(Right.ASK, person, environment).allowed:
        raise Refused(
            f"That person is not allowed to request changes in {environment.name}, so a window would not "
            "help them.",
            remedy="Open it for somebody who is.",
        )
    earlier = needs.windows.latest(ref, person)
    if earlier is not None and not earlier.over and earlier.made_by != request.id:
        # It ends with the new one: what rests on it is to say so.
        needs.windows.close(earlier.key, by=request.user)
        report_ended(needs.windows, needs.store)
    needs.windows.open(
        ref, person, by=request.user, reason=reason, seconds=seconds, channel=request.channel,
        request_id=request.id,
    )  # fmt: skip
    return None


def _close(needs: Needs, request: Request) -> Reply:
    ref, person = find(needs.caches, request.gateway), _user(str(request.options.get("for", "")))
    window = needs.windows.latest(ref, person)
    if window is None or window.over:
        raise NotFound(f"No window is open for that person on {ref}.")
    needs.windows.close(window.key, by=request.user)
    report_ended(needs.windows, needs.store)
    return Reply(f"The window for <@{person}> on {ref} is closed.")


def report_ended(windows: Windows, store: ActionStore) -> None:
    """End the requests for a confirmation within a window that is over, and have its message say
    so."""
    ended = windows.ended()
    keys = {window.key for window in ended}
    for action in store.open() if keys else ():
        if keys.intersection(action.policy.windows):
            store.lapse(action.id)
    for window in ended:
        windows.reported(window)


def close(needs: Needs, click: Click) -> Reply | None:
    """Any approver closes it."""
    window = needs.windows.at(click.value)
    if window is None:
        needs.lost.clicked(click, MESSAGES, click.value)
        return view.gone()
    environment = needs.authority.environment(window.ref)
    needs.authority.check(Right.CLOSE_WINDOW, click.user, environment)
    needs.windows.close(click.value, by=click.user)
    report_ended(needs.windows, needs.store)
    return None


def _user(text: str) -> str:
    found = _MENTION.fullmatch(text.strip())
    if found is None:
        raise InvalidInput(
            "Required: `--for`." if not text else f"“{text[:40]}” is not a mention of a person.",
            field="for",
            remedy="Mention one person: --for @ana.",
        )
    return found["id"] or found["bare"]


VERB = Verb(
    "window",
    "lets one person change one production gateway without approvals for a while",
    Needs,
    run,
    Right.OPEN_WINDOW,
    group=Group.DECIDE,
    gateway="required",
    option_rights={"close": Right.CLOSE_WINDOW},
    options=(
        Option("for", "who", "@person", required=True),
        Option("minutes", "how long, 60 at most; 30 when left out", "number", "number"),
        Option("reason", "why", "text", required=True, unless="close"),
        Option("close", "close the one that is open for that person", kind="flag"),
    ),
    examples=(
        'window edge-1 --for @ana --minutes 45 --reason "restoring the link"',
        "window edge-1 --for @ana --close",
    ),
    clicks={"window_close": close},
)
