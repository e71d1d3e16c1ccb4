"""What `should_escape` makes of a command's text: Slack's own marks for what it recognises in it.

`&`, `<` and `>` become entities, people, groups and channels their ids, and addresses links: as they
are where they were typed with a scheme, else with what was typed as the label
(slackhq/slack-api-docs, page_formatting.md; docs.slack.dev/messaging/formatting-message-text).
"""

import html
import re

from bot.sandbox.slack.state import State

_HOST = r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:com|net|org|io|dev|cloud|app|eu|us|de)"
_FOUND = re.compile(
    r'(?P<url>https?://[^\s<>"“”|]+)'
    rf"|(?<![\w.@/+-])(?P<mail>[a-z0-9._+-]+@{_HOST})(?![\w@-])"
    rf'|(?<![\w.@/-])(?P<host>{_HOST}(?::[0-9]+)?(?:/[^\s<>"“”|]*)?)(?![\w@-])'
    r"|(?<![\w<])(?P<mention>[@#][\w.-]*\w)",
    re.IGNORECASE,
)
_AFTER = ".,;:!?)]}'’"
"""What ends a sentence and no address."""


_MARKED = re.compile(r"(<(?:[@#!]|https?:|mailto:)[^<>]*>)")
_ENTITY = re.compile(r"(&(?:amp|lt|gt);)")
_MENTION = re.compile(r"(?<![\w<])[@#][\w.-]*\w")


def in_message(state: State, text: str) -> str:
    """The text of a message as the app gets it: people, groups and channels that the composer has
    recognised are their ids alone. What is marked already stays."""
    return "".join(
        part if index % 2 else _sent(state, part) for index, part in enumerate(_MARKED.split(text))
    )


def _sent(state: State, text: str) -> str:
    found, end = [], 0
    for match in _MENTION.finditer(text):
        marked = _mentioned(state, match.group())
        mark = f"{marked.partition('|')[0]}>" if "|" in marked else marked
        found += [_once(text[end : match.start()]), mark]
        end = match.end()
    return "".join([*found, _once(text[end:])])


def _once(text: str) -> str:
    """As plain text, where what is escaped already stays."""
    return "".join(
        part if index % 2 else _plain(part) for index, part in enumerate(_ENTITY.split(text))
    )


def escaped(state: State, text: str) -> str:
    """The text as the app gets it."""
    found, end = [], 0
    for match in _FOUND.finditer(text):
        kind, whole = str(match.lastgroup), match.group()
        address = whole.rstrip(_AFTER) if kind in ("url", "host") else whole
        found += [_plain(text[end : match.start()]), _marked(state, kind, address)]
        end = match.start() + len(address)
    return "".join([*found, _plain(text[end:])])


def _marked(state: State, kind: str, found: str) -> str:
    shown = _plain(found)
    if kind == "mention":
        return _mentioned(state, found)
    if kind == "url":
        return f"<{shown}>"
    return f"<{'mailto:' if kind == 'mail' else 'http://'}{shown}|{shown}>"


def _mentioned(state: State, found: str) -> str:
    """Only people, groups and channels that exist."""
    sign, name = found[0], found[1:]
    if sign == "@" and (user := state.user(name)):
        return f"<@{user.id}|{user.name}>"
    if sign == "@" and (group := state.usergroup(name)):
        return f"<!subteam^{group.id}|@{group.handle}>"
    if sign == "#" and (channel := state.channel(name)):
        return f"<#{channel.id}|{channel.name}>"
    return _plain(found)


def _plain(text: str) -> str:
    return html.escape(text, quote=False)
