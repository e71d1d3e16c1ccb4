"""Log lines in a message, and as a file."""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.logs.lines import Line, written
from handlers.views.reply import Reply
from handlers.views.text import context, counted, cut, escape, fence, section
from handlers.views.words import logs as words

SHOWN = 25
_LIMIT = 2500
"""Characters of lines before they are broken to the width of a phone."""
_LINE = 300
"""A message shows so much of a line; the file has the whole."""
_POD_LETTERS = 5
_TROUBLES = 5


@dataclass(frozen=True)
class ReadSoFar:
    """What is known beside the lines; `gateway` is whose they are, and where that is. `waiting` are pods
    whose container has not started, with Kubernetes' word for why. `follow` is the command that shows
    what comes next, where this message does not."""

    gateway: str = ""
    pods: Sequence[str] = ()
    total: int = 0
    skipped: int = 0
    trouble: Sequence[str] = ()
    waiting: Sequence[tuple[str, str]] = ()
    follow: str = ""


def lines(found: Sequence[Line], told: ReadSoFar, *, waiting: bool = False) -> tuple[Reply, bool]:
    """The newest lines that fit, the oldest of them first; and whether that is not all of them."""
    texts = texts_of(found, told.pods)
    shown: list[str] = []
    used = 0
    for text in reversed(texts[-SHOWN:]):
        line = cut(text, _LINE)
        used += len(escape(line)) + 1
        if used > _LIMIT and shown:
            break
        shown.insert(0, line)
    more = len(shown) < told.total or any(len(text) > _LINE for text in texts)
    body = section(fence(shown, 2900)[0] if shown else f"_{_nothing(told, waiting)}_")
    count = counted(told.total, "line")
    notes = [escape(told.gateway)] if told.gateway else []
    if told.total or not told.waiting:
        notes.append(count)
    if told.skipped:
        notes.append(f"{counted(told.skipped, 'line')} skipped: they came too fast")
    notes.append(f"{counted(len(told.pods), 'pod')}")
    blocks = [body, context(" · ".join(notes))]
    blocks += [
        context(f":hourglass: {words.not_started(escape(name), escape(cut(why, 200)))}")
        for name, why in told.waiting[:_TROUBLES]
    ]
    if len(told.waiting) > _TROUBLES:
        blocks.append(context(words.more_not_started(len(told.waiting) - _TROUBLES)))
    blocks += [context(f":warning: {escape(text)}") for text in told.trouble[:_TROUBLES]]
    if len(told.trouble) > _TROUBLES:
        blocks.append(context(f"… and {len(told.trouble) - _TROUBLES} more that went wrong."))
    if told.follow:
        blocks.append(context(words.follow(escape(told.follow))))
    return Reply(f"{count} of the logs of {told.gateway}", tuple(blocks)), more


def _nothing(told: ReadSoFar, waiting: bool) -> str:
    """Why there is no line."""
    if told.waiting and len(told.waiting) >= len(told.pods):
        return words.NONE_STARTED
    if waiting:
        return "Nothing yet."
    if not told.pods:
        return "There is no pod that could have logged anything."
    return "There is no line to show." if told.trouble else "No line matches."


def texts_of(found: Sequence[Line], pods: Sequence[str]) -> list[str]:
    """Each line as text; with the end of its pod's name where there are several."""
    several = len(pods) > 1
    return [written(line, pod=line.pod[-_POD_LETTERS:] if several else "") for line in found]


def no_file(reason: str) -> str:
    """The whole log is not in the thread."""
    return f":warning: The whole log could not be sent as a file: {escape(reason)}."


def left() -> Reply:
    """A follow whose bot is gone: what it had shown is not known any longer."""
    text = "The bot that followed these logs was restarted. Ask again to continue."
    return Reply(text, (section(f":information_source: {text}"),))
