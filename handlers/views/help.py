"""Help: what there is, how each verb is used, and buttons for the usual ones."""

from collections.abc import Sequence
from typing import Protocol

from handlers.views.commands import runs
from handlers.views.reply import Block, Reply
from handlers.views.text import button, context, escape, header, section, sections
from handlers.views.words import help as words


class OptionWords(Protocol):
    """What help says of an option."""

    @property
    def name(self) -> str: ...
    @property
    def usage(self) -> str: ...
    @property
    def help(self) -> str: ...


class VerbWords(Protocol):
    """What help says of a verb."""

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def group(self) -> words.Group: ...
    @property
    def usage(self) -> str: ...
    @property
    def options(self) -> Sequence[OptionWords]: ...
    @property
    def examples(self) -> Sequence[str]: ...


def overview(command: str, verbs: Sequence[VerbWords]) -> Reply:
    """Every verb with its one-line summary, under what people come for."""
    usual = [
        button(words.DEPLOY, "open_deploy", "help", style="primary"),
        button(words.STATUS, "show_status", ""),
        runs(words.PENDING, "pending"),
    ]
    blocks: list[Block] = [
        header(words.TITLE),
        context(words.how(command)),
        {"type": "actions", "elements": [each for each in usual if each]},
    ]
    for group in words.Group:
        lines = [f"`{verb.name}` {escape(verb.summary)}" for verb in verbs if verb.group is group]
        blocks += sections([f"*{group}*", *lines]) if lines else []
    blocks.append(context(words.more(command)))
    return Reply(f"{command}: " + ", ".join(verb.name for verb in verbs), tuple(blocks))


def usage(command: str, verb: VerbWords) -> Reply:
    """One verb: grammar, options and examples."""
    blocks: list[Block] = [section(f"*`{command} {escape(verb.usage)}`*\n{escape(verb.summary)}")]
    if verb.options:
        blocks.append(
            section(
                "\n".join(
                    f"`{escape(option.usage)}`  {escape(option.help)}" for option in verb.options
                )
            )
        )
    if verb.examples:
        blocks.append(context(*(f"`{command} {escape(example)}`" for example in verb.examples)))
    return Reply(f"{command} {verb.usage}", tuple(blocks))
