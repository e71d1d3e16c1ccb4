"""What a message to the bot asks for, and what is answered to one that is not a complete command: why, how
the verb is used, or a button: for its form, since Slack opens one only on a click, or for what counts at once
and was said in the middle of a sentence.
"""

import dataclasses
from collections.abc import Container, Sequence
from dataclasses import dataclass

from deploy.access import Right
from deploy.errors import InvalidInput
from handlers.slack.mentions import Said
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
_ANYWHERE = frozenset({Right.SEE, Right.INSPECT, Right.ASK})
"""The rights to what a sentence with the bot's name in it may bring: answers, and plans, which change
nothing. Everything else counts at once, and “do not let it stop edge-1” is not meant."""


@dataclass(frozen=True)
class Needs:
    """`command` is what people type in Slack, `verbs` what may follow it."""

    command: str
    verbs: Sequence[AnyVerb]


def asked_by(
    message: Said, verbs: Sequence[AnyVerb], slash: str, forms: Container[str]
) -> Request | None:
    """The request, which is to `run` where the message is not a complete command; None where the bot is
    only spoken of. `forms` are the verbs that have one."""
    if not (message.addressed or _begins_with(verbs, message.text)):
        return None
    unclear = Request(
        id=message.id,
        verb=SAID,
        user=message.user,
        channel=message.channel,
        options={"text": message.text},
        said=True,
        thread=message.thread,
    )
    try:
        command = parse(message.text, verbs, slash)
    except InvalidInput:
        return unclear
    verb = command.verb
    request = dataclasses.replace(
        unclear, verb=verb.name, gateway=command.gateway, options=command.options
    )
    takes_form = verb.name in forms and verb.incomplete(request)
    counts = message.addressed or verb.right_for(request) in _ANYWHERE
    return request if counts and not (command.help or takes_form) else unclear


def _begins_with(verbs: Sequence[AnyVerb], text: str) -> bool:
    """Whether it begins with a verb: in the middle of a sentence the bot may only be spoken of."""
    first = text.casefold().split(maxsplit=1)[:1]
    return any(word in (verb.name, *verb.synonyms) for verb in verbs for word in first)


def run(needs: Needs, request: Request) -> Reply:
    """InvalidInput for what is not understood."""
    command = parse(str(request.options.get("text", "")), needs.verbs, needs.command)
    if command.help:
        return help_view.usage(needs.command, command.verb)
    asked = typed(command.verb, command.gateway, command.options)
    asks = dataclasses.replace(request, options=command.options)
    counts = command.verb.right_for(asks) not in _ANYWHERE
    said, label = (words.meant, words.RUN) if counts else (words.needs_form, words.OPEN_FORM)
    text = said(escape(needs.command), escape(asked))
    blocks: list[Block] = [section(text)]
    button = runs(label, asked, style="primary")
    blocks += [{"type": "actions", "elements": [button]}] if button else []
    return Reply(text, tuple(blocks))
