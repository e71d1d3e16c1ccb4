"""What is answered to a message that is no complete command: why, how the verb is used, or a button for
its form, since Slack opens one only on a click.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from handlers.slack.payloads import Request
from handlers.verbs.grammar import parse, typed
from handlers.verbs.verb import AnyVerb
from handlers.views import help as help_view
from handlers.views.commands import runs
from handlers.views.reply import Block, Reply
from handlers.views.text import escape, section
from handlers.views.words import mentions as words

SAID = "said"
"""Not in the table of verbs."""


@dataclass(frozen=True)
class Needs:
    """`command` is what people type in Slack, `verbs` what may follow it."""

    command: str
    verbs: Sequence[AnyVerb]


def run(needs: Needs, request: Request) -> Reply:
    """InvalidInput for what is not understood."""
    command = parse(str(request.options.get("text", "")), needs.verbs, needs.command)
    if command.help:
        return help_view.usage(needs.command, command.verb)
    asked = typed(command.verb, command.gateway, command.options)
    text = words.needs_form(escape(needs.command), escape(asked))
    blocks: list[Block] = [section(text)]
    button = runs(words.OPEN_FORM, asked, style="primary")
    blocks += [{"type": "actions", "elements": [button]}] if button else []
    return Reply(text, tuple(blocks))
