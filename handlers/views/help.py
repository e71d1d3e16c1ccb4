"""Help: what there is, how each verb is used, and buttons for the usual ones."""

from collections.abc import Sequence
from typing import Protocol

from handlers.views.reply import Block, Reply
from handlers.views.text import button, context, escape, header, section


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
    def usage(self) -> str: ...
    @property
    def options(self) -> Sequence[OptionWords]: ...
    @property
    def examples(self) -> Sequence[str]: ...


def overview(command: str, verbs: Sequence[VerbWords]) -> Reply:
    """Every verb with its one-line summary."""
    lines = [f"*`{command} {verb.name}`*  {escape(verb.summary)}" for verb in verbs]
    blocks: list[Block] = [
        header("What I can do"),
        section("\n".join(lines)),
        {
            "type": "actions",
            "elements": [
                button("Deploy a gateway", "open_deploy", "help", style="primary"),
                button("Show status", "show_status", ""),
            ],
        },
        context(
            f"`{command} help VERB` shows how a verb is used. A gateway is called by its name, "
            "or by `cluster/namespace/name` where several have that name."
        ),
    ]
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
