"""The message of what Redis has lost, of a request or window above all: how it ended, as far as that can be known.
Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.commands import Command
from deploy.gateway import GatewayRef
from deploy.rollouts.lost import Remains
from handlers.views.notification import first_sentence
from handlers.views.places import EnvironmentOf, placed
from handlers.views.reply import Block
from handlers.views.text import button, context, cut, escape, header, section
from handlers.views.words.kinds import KIND_WORDS

_BLOCKS = 49


@dataclass(frozen=True)
class LostRequest:
    """What its message still said of a request.

    `title` was its heading, `kind` and `gateway` what it was about, `by` the user id of the requester
    of it, each empty where the message does not say; `ran` that its run was under way. `reset` says that
    the bot's data was reset since the message was posted.
    """

    title: str
    kind: str
    gateway: str
    by: str
    ran: bool
    reset: bool


def ended(
    lost: LostRequest, remains: Remains | None, unread: str, environment_of: EnvironmentOf
) -> tuple[str, list[Block]]:
    """That nothing more comes of it, what the cluster holds, and what to do. Without `remains`
    the cluster could not be read: `unread` says why."""
    happened, meaning, remedy = _words(lost, remains, unread)
    sign = ":grey_question:" if _ran(lost, remains) else ":ghost:"
    parts = [f"{sign} *{escape(happened)}*", escape(meaning), escape(remedy)]
    blocks: list[Block] = [header(cut(lost.title, 150))] if lost.title else []
    blocks.append(section("\n".join(part for part in parts if part)))
    if lost.by:
        blocks.append(context(f"Asked for by <@{lost.by}>"))
    if lost.gateway:
        status = button("Status", "show_status", lost.gateway)
        blocks.append({"type": "actions", "elements": [status]})
    return _sentence(lost, remains, environment_of), blocks


def note(lost: LostRequest, remains: Remains | None, unread: str) -> str:
    """The same in the thread, for whoever asked: an edit notifies nobody."""
    words = " ".join(word for word in _words(lost, remains, unread) if word)
    return f"<@{lost.by}> {escape(words)}"


def window_closed(gateway: str, by: str, environment_of: EnvironmentOf) -> tuple[str, list[Block]]:
    """That an approval window is lost, and so is closed."""
    where = _where(gateway, environment_of)
    what = f"The approval window of <@{by}> on {where}" if gateway else "This approval window"
    text = f"{what} is closed: the bot's data was reset"
    return text, [section(f":lock: {text}. Changes need an approval again.")]


def stale(text: str, blocks: Sequence[Block]) -> tuple[str, list[Block]]:
    """That a message which showed something in motion no longer does; its buttons are gone."""
    kept = [block for block in blocks if block.get("type") != "actions"][:_BLOCKS]
    said = "No longer kept current: the bot's data was reset."
    return (
        f"{first_sentence(text)} until the bot's data was reset",
        [*kept, context(f":warning: {said}")],
    )


def _words(lost: LostRequest, remains: Remains | None, unread: str) -> tuple[str, str, str]:
    """What happened, what it means, and what to do."""
    look = f"Look at {Command('status', lost.gateway)}, then ask again if it is still needed."
    kind = KIND_WORDS.get(lost.kind)
    unknown = kind.lost if kind else ""
    if not lost.gateway:
        because = "its data was reset, or the request is too old"
        return f"The bot no longer has this request: {because}.", "", "Ask again if it is needed."
    if _ran(lost, remains):
        holds = f"The cluster holds: {remains.held}" if remains else _unread(unread)
        meaning = f"How far it got is not recorded. {unknown}".strip()
        return (
            f"The result is unknown: this was running, and {_because(lost)}.",
            f"{meaning} {holds}",
            look,
        )
    happened = f"This request is lost: {_because(lost)}."
    if remains is None:
        meaning = f"Whether it had started cannot be seen. {unknown}".strip()
        return happened, f"{meaning} {_unread(unread)}", look
    meaning = "It had not started, as far as the cluster shows, and can no longer be approved."
    again = f"`{lost.kind} {lost.gateway}`"
    return happened, meaning, f"Ask again with {again} if it is still needed."


def _ran(lost: LostRequest, remains: Remains | None) -> bool:
    return lost.ran or (remains is not None and remains.begun)


def _because(lost: LostRequest) -> str:
    return "the bot's data was reset" if lost.reset else "the bot's record of it is gone"


def _unread(why: str) -> str:
    return f"What the cluster holds cannot be read: {why}"


def _where(gateway: str, environment_of: EnvironmentOf) -> str:
    if not gateway:
        return ""
    ref = GatewayRef.parse(gateway)
    return placed(ref, environment_of(ref))


def _sentence(lost: LostRequest, remains: Remains | None, environment_of: EnvironmentOf) -> str:
    """For notifications."""
    if not lost.gateway:
        return "The bot no longer has this request: its data was reset, or the request is too old"
    whose = f"<@{lost.by}>'s request" if lost.by else "The request"
    how = "was lost as it ran, so how it ended is unknown" if _ran(lost, remains) else "was lost"
    where = _where(lost.gateway, environment_of)
    return f"{whose} to {lost.kind} {where} {how}: {_because(lost)}"
