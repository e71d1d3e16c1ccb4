"""`/gateway window`: let one person change one gateway for a while without asking each time."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from deploy.access import Right
from deploy.actions.store import ActionStore
from deploy.actions.windows import Window, Windows
from deploy.changes.authority import Authority
from deploy.changes.decide import checked_reason
from deploy.errors import GatewayBotError, InvalidInput, NotFound, Refused, Unavailable
from deploy.health.cache import ClusterCache
from handlers.actions.asking import in_person
from handlers.fleet import find
from handlers.messages.posting import post
from handlers.slack import replies
from handlers.slack.payloads import Click, Request
from handlers.verbs.verb import Option, Verb
from handlers.views import errors
from handlers.views import window as view
from handlers.views.reply import Reply

log = logging.getLogger(__name__)

_MENTION = re.compile(r"<@(?P<id>[UW][A-Z0-9]{2,20})(?:\|[^>]*)?>|(?P<bare>[UW][A-Z0-9]{2,20})")
_MINUTES = 30
_LOST = ("message_not_found", "channel_not_found", "cant_update_message", "is_archived")
"""Why Slack will never change a message again."""


@dataclass(frozen=True)
class Needs:
    """The windows, what rests on them, and where they are shown."""

    slack: WebClient
    caches: Mapping[str, ClusterCache]
    authority: Authority
    windows: Windows
    store: ActionStore


def run(needs: Needs, request: Request) -> Reply | None:
    """Open one, in the name of an approver, and tell the channel; or close one by text."""
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
    earlier = needs.windows.find(ref, person)
    if earlier is not None and earlier.made_by != request.id:
        # It ends with the new one: what shows it as open, or rests on it, is to say so.
        needs.windows.close(earlier.key, by=request.user)
        report_ended(needs.slack, needs.windows, needs.store)
    window = needs.windows.open(
        ref, person, by=request.user, reason=reason, seconds=seconds, request_id=request.id
    )
    if window.place is None:
        needs.windows.placed(window, _posted(needs, request, window))
    return None


def _posted(needs: Needs, request: Request, window: Window) -> dict[str, str]:
    """Its message. Unavailable where Slack takes none, for nobody is to have a window unseen."""
    text, blocks = view.message(window)
    try:
        return post(needs.slack, request.channel, request.user, text=text, blocks=blocks)
    except (SlackApiError, SlackClientError, OSError) as error:
        needs.windows.close(window.key, by=request.user)
        raise Unavailable(
            "Slack did not take the message of the window.",
            meaning="The window is closed again, for nobody would have seen it.",
            remedy="Open it once more.",
        ) from error


def _close(needs: Needs, request: Request) -> Reply:
    ref, person = find(needs.caches, request.gateway), _user(str(request.options.get("for", "")))
    needs.windows.check_readable(ref, person)
    window = needs.windows.find(ref, person)
    if window is None:
        raise NotFound(f"No window is open for that person on {ref}.")
    needs.windows.close(window.key, by=request.user)
    report_ended(needs.slack, needs.windows, needs.store)
    return Reply(f"The window for <@{person}> on {ref} is closed.")


def report_ended(slack: WebClient, windows: Windows, store: ActionStore) -> None:
    """Have the messages of windows that are over say so, and end what waits for a confirmation
    within one of them."""
    ended = windows.ended()
    keys = {window.key for window in ended}
    for action in store.open() if keys else ():
        if keys.intersection(action.policy.windows):
            store.lapse(action.id)
    for window in ended:
        if window.place is None or _shown(slack, window, window.place):
            windows.settled(window)


def _shown(slack: WebClient, window: Window, place: Mapping[str, str]) -> bool:
    """Whether the window's message says how it is, or nothing can make it."""
    text, blocks = view.message(window)
    try:
        slack.chat_update(channel=place["channel"], ts=place["ts"], text=text, blocks=blocks)
    except SlackApiError as error:
        reason = error.response.get("error")
        log.warning("the message of window %s is not changed: %s", window.key, reason)
        return reason in _LOST
    except (SlackClientError, OSError) as error:
        log.warning("Slack did not answer for window %s: %s", window.key, type(error).__name__)
        return False
    return True


def close(needs: Needs, click: Click) -> None:
    """Any approver closes it."""
    key = click.value
    try:
        window = needs.windows.at(key)
        if window is None:
            reply: Reply | None = view.gone()
        else:
            environment = needs.authority.environment(window.ref)
            needs.authority.check(Right.CLOSE_WINDOW, click.user, environment)
            needs.windows.close(key, by=click.user)
            report_ended(needs.slack, needs.windows, needs.store)
            reply = None
    except GatewayBotError as error:
        reply = errors.trouble(error)
    if reply is not None:
        replies.send(needs.slack, reply, user=click.user, channel=click.channel, response_url="")


def _user(text: str) -> str:
    found = _MENTION.fullmatch(text.strip())
    if found is None:
        raise InvalidInput(
            "Required: `--for`." if not text else f"“{text[:40]}” is nobody in this workspace.",
            field="for",
            remedy="Mention one person: --for @ana.",
        )
    return found["id"] or found["bare"]


VERB = Verb(
    "window",
    "lets one person change one production gateway alone for a while; approvers open it",
    Needs,
    run,
    Right.OPEN_WINDOW,
    gateway="required",
    option_rights={"close": Right.CLOSE_WINDOW},
    options=(
        Option("for", "who", "@PERSON"),
        Option("minutes", "how long, 60 at most; 30 when left out", "N", "number"),
        Option("reason", "why", "TEXT"),
        Option("close", "close the one that is open for that person", kind="flag"),
    ),
    examples=(
        'window edge-1 --for @ana --minutes 45 --reason "restoring the link"',
        "window edge-1 --for @ana --close",
    ),
    clicks={"window_close": close},
)
