"""What one person may do about an action: its buttons where nobody else sees them. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deploy.access import Ground, Verdict
from deploy.actions.action import Action
from handlers.views import fixes, ways_out
from handlers.views.deciders import mentions
from handlers.views.reply import Block
from handlers.views.text import context
from handlers.views.words import deciding as words

APPROVE, CONFIRM, DENY = "action_approve", "action_confirm", "action_deny"
CANCEL, STOP, AGAIN = "action_cancel", "action_stop", "action_again"
DECIDING = frozenset({APPROVE, CONFIRM, DENY, CANCEL, STOP})
"""The buttons that decide what becomes of the action."""
REQUESTERS = frozenset({CANCEL, AGAIN, *fixes.ACTIONS})
"""The buttons that are for the requester alone, whatever is decided by whom."""
STOPPING = frozenset({STOP, ways_out.ROLL_BACK, ways_out.STOP_AND_DELETE, ways_out.KEEP_WAITING})
"""The buttons of whoever may stop what runs."""
JUDGED = frozenset({APPROVE, CONFIRM, DENY}) | STOPPING | REQUESTERS
"""The buttons that not everybody may click."""


@dataclass(frozen=True)
class Allowed:
    """The buttons of an action's message that one person may click, by action_id; and `note`, what
    that comes to, or why it is not more. `decides` says whether their decision would count now."""

    buttons: frozenset[str]
    note: str = ""
    decides: bool = False


def only(blocks: Iterable[Block], allowed: Allowed) -> list[Block]:
    """The message without the buttons that this person may not click, and why."""
    found: list[Block] = []
    for block in blocks:
        if block["type"] != "actions":
            found.append(_beside(block, allowed))
            continue
        elements = [e for e in block["elements"] if _may_click(e, allowed)]
        if elements:
            found.append({**block, "elements": elements})
    if not allowed.note:
        return found
    last = len(found) - 1 if found and found[-1]["type"] == "actions" else len(found)
    return [*found[:last], context(allowed.note), *found[last:]]


def for_requester(action: Action) -> Allowed:
    """What whoever asked may do, for a message that stands in their own direct messages."""
    mine = REQUESTERS | STOPPING
    if action.policy.by == "requester":
        return Allowed(mine | {CONFIRM})
    return Allowed(mine, words.OWN if not action.final else "")


def why_not(result: str, action: Action) -> str:
    """Why a decision would not count, by what would come of it (deploy.actions.decision)."""
    sentences = {
        "self": words.OWN,
        "voted": words.APPROVED_ALREADY,
        "not-requester": words.NOT_YOURS,
        "not-approver": words.NOT_AN_APPROVER,
        "expired": words.TOO_LATE,
        "window-closed": words.WINDOW_CLOSED,
        "forbidden": words.NOT_NOW,
    }
    return sentences.get(result, words.DECIDED).format(
        requester=action.requester, people=_approvers(action)
    )


def refused(verdict: Verdict, happened: str, action: Action) -> str:
    """Why somebody may not decide, by the verdict of the authority; `happened` is its sentence."""
    known = {
        Ground.OWN_REQUEST: words.OWN,
        Ground.NOT_NAMED: words.NOT_AN_APPROVER,
        Ground.NOT_OWN: words.NOT_YOURS,
        Ground.REQUESTER_DECIDES: words.NOT_YOURS,
    }
    sentence = known.get(verdict.reason)
    if sentence is None or (verdict.reason is Ground.NOT_NAMED and not action.policy.open):
        return happened
    return sentence.format(requester=action.requester, people=_approvers(action))


def _approvers(action: Action) -> str:
    return mentions(action.policy.approvers)


def _beside(block: Block, allowed: Allowed) -> Block:
    """The block without the button beside it, where this person may not click that."""
    button = block.get("accessory")
    if button is None or _may_click(button, allowed):
        return block
    return {key: value for key, value in block.items() if key != "accessory"}


def _may_click(element: Block, allowed: Allowed) -> bool:
    name = element["action_id"]
    return name not in JUDGED or name in allowed.buttons


def sorted_for(user: str, rows: Sequence[tuple[Action, Allowed]]) -> list[tuple[Action, Allowed]]:
    """Those that this person can decide first, then their own, so that what others decide alone does not
    crowd them out."""
    return sorted(rows, key=lambda row: (not row[1].decides, row[0].requester != user))
