"""How a mistake or a trouble is shown to the person who met it."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from deploy.access import Frozen
from deploy.changes.refusal import NotAllowed
from deploy.commands import USUAL, Command
from deploy.errors import Ambiguous, Conflict, GatewayBotError, InvalidInput, Unavailable
from handlers.views.commands import runs
from handlers.views.permission import instead
from handlers.views.places import named, placed
from handlers.views.reply import Block, Reply
from handlers.views.text import context, date, duration, escape, section
from handlers.views.words import freezes as words
from handlers.views.words.mentions import NOTHING_RUN, OPEN_FORM, RUN
from handlers.views.words.reasons import given

_CANDIDATES = 10
Retyped: TypeAlias = Callable[[str, str], str]
"""The command that went wrong with another value for one of its parts (`Meant`), without the slash
command; empty where that cannot be typed."""


class LinkedConflict(Conflict):
    """A conflict whose meaning links to channels or people: `links` is a sentence of mrkdwn."""

    def __init__(self, happened: str, *, links: str, remedy: str) -> None:
        super().__init__(happened, remedy=remedy)
        self.links = links


class Misspelt(InvalidInput):
    """A command with one word wrong; `command` is the whole of it as it was probably meant, without
    the slash command that it follows. `runs` says whether a click may run that, `form` whether it opens a
    form."""

    def __init__(
        self,
        happened: str,
        *,
        field: str,
        slash: str,
        command: str,
        runs: bool,
        form: bool = False,
    ) -> None:
        super().__init__(happened, field=field, remedy=f"Did you mean `{slash} {command}`?")
        self.command = command
        self.runs = runs
        self.form = form


class InForm(InvalidInput):
    """What is wrong in a form: `marked` says it of each field by name, so that all are seen at once."""

    def __init__(self, marked: Mapping[str, str]) -> None:
        super().__init__(" ".join(marked.values()), field=next(iter(marked), ""))
        self.marked = marked


def trouble(error: GatewayBotError, retyped: Retyped = lambda part, value: "") -> Reply:
    """What happened, what it means and what to do, for the person's eyes only. What was probably meant
    is asked for with a button."""
    if isinstance(error, Frozen):
        return _frozen(error, retyped)
    lines = [f":warning: *{escape(error.happened)}*"]
    if error.meaning:
        lines.append(escape(error.meaning))
    if isinstance(error, Misspelt):
        lines.append(NOTHING_RUN)
    if isinstance(error, NotAllowed):
        lines.append(instead(error.verdict))
    if isinstance(error, LinkedConflict):
        lines.append(error.links)
    blocks: list[Block] = [section("\n".join(line for line in lines if line))]
    values = error.meant.values[:_CANDIDATES] if error.meant else ()
    commands = [retyped(error.meant.part, value) if error.meant else "" for value in values]
    remedy = f"Did you mean `{USUAL} {commands[0]}`?" if _one(commands) else error.remedy
    if remedy:
        blocks.append(context(escape(remedy)))
    if len(values) > 1:
        told = error.told if isinstance(error, Ambiguous) else {}
        blocks += [
            _candidate(value, command, told.get(value, ""))
            for value, command in zip(values, commands, strict=True)
        ]
    else:
        blocks += _run_buttons(error, commands)
    return Reply(str(error), tuple(blocks))


def _frozen(error: Frozen, retyped: Retyped) -> Reply:
    """Which freeze forbids a change of which gateway, and the command that overrides it."""
    command = retyped("--break-glass", words.REASON)
    until = date(error.freeze.ends.timestamp())
    frozen = placed(error.ref, error.environment) if error.ref else named(error.environment)
    lines = [
        f":snowflake: *{words.not_changed(escape(frozen), until)}*",
        words.because(escape(given(error.freeze.reason))),
    ]
    override = words.override(f"{USUAL} {escape(command)}") if command else escape(error.remedy)
    return Reply(str(error), (section("\n".join(lines)), section(override)))


def _one(commands: Sequence[str]) -> bool:
    """Whether there is one command alone, and it can be typed."""
    return len(commands) == 1 and bool(commands[0])


def _run_buttons(error: GatewayBotError, meant: Sequence[str]) -> list[Block]:
    """What runs the command as it was meant, or those that the remedy names."""
    label = RUN
    if isinstance(error, Misspelt):
        meant = [error.command] if error.runs else []
        label = OPEN_FORM if error.form else RUN
    elements = [runs(label, command) for command in meant]
    elements += [_offered(command, alone=len(error.commands) == 1) for command in error.commands]
    # Within a block no two may have the same action_id.
    return [{"type": "actions", "elements": [button]} for button in elements if button is not None]


def _offered(command: Command, *, alone: bool) -> Block | None:
    return runs(RUN if alone else f"Run {command.verb}", command.text)


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
            context(
                f"Report this to whoever runs the bot. The log has the details under `{reference}`."
            ),
        ),
    )
