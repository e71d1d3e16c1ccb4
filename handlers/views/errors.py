"""How a mistake or a trouble is shown to the person who met it."""

from collections.abc import Callable, Mapping

from deploy.changes.refusal import NotAllowed
from deploy.errors import Ambiguous, Conflict, GatewayBotError, InvalidInput, Unavailable
from handlers.views.commands import runs
from handlers.views.permission import instead
from handlers.views.reply import Block, Reply
from handlers.views.text import context, duration, escape, section

_CANDIDATES = 10


class LinkedConflict(Conflict):
    """A conflict whose meaning links to channels or people: `links` is a sentence of mrkdwn."""

    def __init__(self, happened: str, *, links: str, remedy: str) -> None:
        super().__init__(happened, remedy=remedy)
        self.links = links


class Misspelt(InvalidInput):
    """A command with one word wrong; `meant` is the whole of it as it was probably meant, without
    the slash command that it follows. `runs` says whether a click may run that."""

    def __init__(self, happened: str, *, field: str, slash: str, meant: str, runs: bool) -> None:
        super().__init__(happened, field=field, remedy=f"Did you mean `{slash} {meant}`?")
        self.meant = meant
        self.runs = runs


class InForm(InvalidInput):
    """What is wrong in a form: `marked` says it of each field by name, so that all are seen at once."""

    def __init__(self, marked: Mapping[str, str]) -> None:
        super().__init__(" ".join(marked.values()), field=next(iter(marked), ""))
        self.marked = marked


def trouble(error: GatewayBotError, typed: Callable[[str], str] | None = None) -> Reply:
    """What happened, what it means and what to do, for the person's eyes only.

    `typed` is the command that went wrong, with another gateway in it: one that its name can mean is
    chosen by a button then, unless that cannot be typed (empty).
    """
    lines = [f":warning: *{escape(error.happened)}*"]
    if error.meaning:
        lines.append(escape(error.meaning))
    if isinstance(error, NotAllowed):
        lines.append(instead(error.verdict))
    if isinstance(error, LinkedConflict):
        lines.append(error.links)
    blocks: list[Block] = [section("\n".join(line for line in lines if line))]
    if error.remedy:
        blocks.append(context(escape(error.remedy)))
    if isinstance(error, Misspelt) and error.runs:
        run = runs("Run it", error.meant, style="primary")
        blocks += [{"type": "actions", "elements": [run]}] if run else []
    if isinstance(error, Ambiguous) and typed is not None:
        told = error.told
        shown = error.candidates[:_CANDIDATES]
        blocks += [_candidate(name, typed(name), told.get(name, "")) for name in shown]
    return Reply(str(error), tuple(blocks))


def _candidate(name: str, command: str, told: str) -> Block:
    named = section(f"`{escape(name)}` {escape(told)}".rstrip())
    chosen = runs("This one", command)
    return {**named, "accessory": chosen} if chosen else named


def busy(waiting: int, *, own: bool, seconds: float) -> Unavailable:
    """So many requests are waiting that another one is not accepted, for about so many seconds."""
    whose = f"{waiting} of your requests" if own else f"{waiting} requests"
    return Unavailable(
        f"The bot is busy: {whose} are waiting already.",
        meaning="This one was not accepted.",
        remedy=f"Try again in about {duration(seconds)}.",
        retry_after=seconds,
        untouched=True,
    )


def damaged() -> Reply:
    """That the stored request can no longer be read."""
    text = "Your request could not be read again and was not carried out; please ask once more."
    return Reply(text, (section(f":warning: {text}"),))


def unexpected(reference: str) -> Reply:
    """An error nobody foresaw; the log holds it under `reference`."""
    text = "Something went wrong inside the bot, and this request was not carried out."
    return Reply(
        text,
        (
            section(f":warning: *{text}*"),
            context(f"Tell whoever runs the bot: its log has the details under `{reference}`."),
        ),
    )
