"""What the rules say of a running gateway."""

from collections.abc import Sequence

from deploy.gateway import GatewayRef
from deploy.rules.finding import Finding
from handlers.views import plan as plan_view
from handlers.views.reply import Reply
from handlers.views.text import context, counted, escape, header, section

_SECTIONS = 4


def findings(ref: GatewayRef, found: Sequence[Finding]) -> Reply:
    """What the rules say of a running gateway."""
    if not found:
        text = f"{ref}: no findings."
        return Reply(text, (section(f":ok_hand: {escape(text)}"),))
    counts = [
        counted(count, noun)
        for noun in ("deny", "warning", "info")
        if (count := sum(finding.severity == noun for finding in found))
    ]
    text = f"{ref}: {', '.join(counts)}"
    blocks = plan_view.findings_in_full(found)
    shown = blocks[:_SECTIONS]
    left = sum(block["text"]["text"].count("\n") + 1 for block in blocks[_SECTIONS:])
    if left:
        shown.append(context(f"… and {counted(left, 'less severe finding')} not shown here."))
    return Reply(text, (header(f"Rules for {ref.name}"), *shown))
