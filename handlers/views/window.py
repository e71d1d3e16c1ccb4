"""The message of an approval window."""

from deploy.actions.windows import Window
from handlers.views.reply import Block, Reply
from handlers.views.text import button, context, date, escape, header, section


def message(window: Window) -> tuple[str, list[Block]]:
    """While it is open, with the button that closes it; and when it no longer is."""
    ref = window.ref
    title = f"Approval window on {ref.name}, {ref.cluster}/{ref.namespace}"
    blocks: list[Block] = [header(title)]
    if window.open:
        line = (
            f":unlock: <@{window.requester}> may change this gateway alone until "
            f"*{date(window.until)}*. Each change is shown, and recorded with its plan."
        )
    else:
        by = f" by <@{window.closed_by}>" if window.closed_by else ""
        line = f":lock: Closed{by} {date(window.until)}. Changes need an approval again."
    blocks.append(section(f"{line}\nReason: {escape(window.reason)}"))
    blocks.append(context(f"Opened by <@{window.by}> {date(window.opened_at)}"))
    if window.open:
        close = button("Close now", "window_close", window.key, style="danger")
        blocks.append({"type": "actions", "elements": [close]})
    return title, blocks


def gone() -> Reply:
    """There is no longer such a window."""
    return Reply("This window is gone: it was too old, or the bot's store was emptied.")
