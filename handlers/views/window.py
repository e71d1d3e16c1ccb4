"""The message of an approval window."""

from deploy.access import Environment
from deploy.actions.windows import Window
from deploy.commands import Command
from handlers.views.places import heading, placed
from handlers.views.reply import Block, Reply
from handlers.views.text import button, context, date, escape, header, section, utc
from handlers.views.words.reasons import given


def message(window: Window, environment: Environment) -> tuple[str, list[Block]]:
    """While it is open, with the button that closes it; and when it no longer is."""
    ref = window.ref
    on = f"Approval window on {ref.name}, {ref.cluster}/{ref.namespace}"
    title = heading(on, environment)
    blocks: list[Block] = [header(title)]
    if not window.over:
        line = (
            f":unlock: <@{window.requester}> may change this gateway alone until "
            f"*{date(window.until)}*, except {Command('delete')} and "
            f"{Command('regenerate-key')}. Each change is shown, and recorded with its plan."
        )
    else:
        by = f" by <@{window.closed_by}>" if window.closed_by else ""
        line = f":lock: Closed{by} {date(window.until)}. Changes need an approval again."
    blocks.append(section(f"{line}\nReason: {escape(given(window.reason))}"))
    blocks.append(context(f"Opened by <@{window.by}> {date(window.opened_at)}"))
    if not window.over:
        close = button("Close now", "window_close", window.key, style="danger")
        blocks.append({"type": "actions", "elements": [close]})
    return _sentence(window, environment), blocks


def _sentence(window: Window, environment: Environment) -> str:
    where = placed(window.ref, environment)
    if not window.over:
        return (
            f"<@{window.by}> opened an approval window in which <@{window.requester}> may change "
            f"{where} alone until {utc(window.until)}"
        )
    by = f"<@{window.closed_by}> closed the" if window.closed_by else "The"
    over = "" if window.closed_by else " is over"
    return f"{by} approval window of <@{window.requester}> on {where}{over}"


def plain(window: Window) -> str:
    """How it stands, in one sentence."""
    what = f"The approval window of <@{window.requester}> on {window.ref}"
    return f"{what} is closed." if window.over else f"{what} is open until {utc(window.until)}."


def unseen(window: Window) -> str:
    """For whoever opened one whose message Slack does not accept."""
    if window.over:
        return (
            f"The approval window for <@{window.requester}> on {window.ref} is closed. Slack did not "
            f"accept the update of its message in <#{window.channel}>, which may still show it as "
            "open."
        )
    return (
        f"The approval window for <@{window.requester}> on {window.ref} is not open: Slack did not "
        f"accept its message in <#{window.channel}>, so nobody would have seen it. Invite the bot to "
        "the channel, or open the window in another one."
    )


def gone() -> Reply:
    """There is no longer such a window."""
    return Reply("This window is gone: it was too old, or the bot's store was emptied.")
