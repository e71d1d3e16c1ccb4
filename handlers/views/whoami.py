"""What one person may do where, and why."""

from collections.abc import Sequence

from deploy.access import Standing, Verdict
from deploy.actions.windows import Window
from deploy.changes.authority import Powers
from deploy.commands import Command
from handlers.views.deciders import mentions
from handlers.views.permission import reason
from handlers.views.reply import Block, Reply
from handlers.views.text import context, date, escape, header, section
from handlers.views.words.reasons import given

_SHOWN = 15
_STANDINGS = {
    Standing.MEMBER: "a member of this workspace",
    Standing.GUEST: "a guest in this workspace: you may do only what the settings name you for",
    Standing.DEACTIVATED: "deactivated in this workspace: you may do only what the settings name you for",
    Standing.FOREIGN: "not a member of this workspace",
}


def powers(
    found: Sequence[Powers], windows: Sequence[Window], user: str, standing: Standing
) -> Reply:
    """What the person is, what they may do environment by environment, and the windows that are
    open for them."""
    you = f"You are <@{user}>, `{user}`, {_STANDINGS[standing]}."
    blocks: list[Block] = [header("What you may do"), context(you)]
    for each in found:
        environment = each.environment
        places = f"{', '.join(environment.clusters)} / {', '.join(environment.namespaces)}"
        lines = [
            f"*{escape(environment.name)}*  `{escape(places)}`",
            _line("ask for changes", each.ask),
        ]
        if environment.approval is not None:
            what = (
                f"approve them ({environment.approval.quorum} needed of "
                f"{mentions(environment.approval.approvers)})"
            )
            lines.append(_line(what, each.approve))
        elif environment.production:
            lines.append(":no_entry: production without approvers: nobody can change it")
        else:
            lines.append(":bulb: no approval needed: the requester confirms")
        lines.append(_line("read logs, differences, findings and manifests", each.inspect))
        if each.freeze is not None:
            lines.append(
                f":snowflake: frozen until {date(each.freeze.ends.timestamp())}: "
                f"{escape(given(each.freeze.reason))}"
            )
        blocks.append(section("\n".join(lines)))
    blocks += [_window(window) for window in windows[:_SHOWN]]
    blocks.append(
        context("Gateways in no environment count as production: nobody may change them.")
    )
    return Reply("What you may do", tuple(blocks))


def _line(what: str, verdict: Verdict) -> str:
    sign = ":white_check_mark:" if verdict.allowed else ":no_entry:"
    return f"{sign} {what}: {reason(verdict)}"


def _window(window: Window) -> Block:
    ref = window.ref
    return section(
        f":unlock: *Approval window on {ref.name}, {ref.cluster}/{ref.namespace}*: you confirm its "
        f"changes alone until *{date(window.until)}*, except {Command('delete')} and "
        f"{Command('regenerate-key')}. Opened by <@{window.by}>: "
        f"{escape(given(window.reason))}"
    )
