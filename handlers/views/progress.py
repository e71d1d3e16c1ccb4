"""What is shown while an answer is on its way for long."""

from collections.abc import Sequence

from deploy.waits import Wait
from handlers.views.reply import Reply
from handlers.views.text import cut, escape, section

_NAMED = 3


def working(planning: bool, what: str, waits: Sequence[Wait]) -> Reply:
    """That the bot is at it, at `what` where that has words, and what it waits for."""
    doing = "Planning" if planning else "Working on"
    named = f" `{escape(cut(what, 60))}`" if what else ("" if planning else " it")
    sentences = [f"{doing}{named}…"]
    whom = list(dict.fromkeys(each.whom for each in waits))
    if whom:
        more = len(whom) - _NAMED
        listed = whom[:_NAMED] + ([f"{more} more"] if more > 0 else [])
        sentences.append(f"Waiting for {_joined(listed)}.")
    sentences += dict.fromkeys(each.why for each in waits if each.why)
    text = " ".join(sentences[:1] + [escape(each) for each in sentences[1:]])
    return Reply(text, (section(f":hourglass_flowing_sand: {text}"),))


def _joined(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
