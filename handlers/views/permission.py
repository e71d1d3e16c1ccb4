"""Why somebody may do something or may not, in words with the mark-up of Slack."""

from deploy.access import Reason, Verdict
from handlers.views.action import mentions

_REASONS = {
    Reason.MEMBER: "member of this workspace",
    Reason.ANYONE: "anyone in this workspace may",
    Reason.NAMED: "named in the settings",
    Reason.OWN: "requested by you",
    Reason.GUEST: "you are a guest, and the settings do not name you for this",
    Reason.DEACTIVATED: "your account is deactivated, and the settings do not name it for this",
    Reason.FOREIGN: "you are not a member of this workspace",
    Reason.NOT_NAMED: "neither named in the settings nor in a group that is",
    Reason.NO_APPROVERS: "nothing here needs an approval",
    Reason.NO_WINDOWS: "the settings allow none",
    Reason.NOT_OWN: "requested by somebody else",
    Reason.OWN_REQUEST: "requested by you",
    Reason.REQUESTER_DECIDES: "the requester decides",
}


def reason(verdict: Verdict) -> str:
    """The reason as a clause."""
    if verdict.reason is Reason.IN_GROUP:
        return f"member of {mentions(verdict.people)}"
    if verdict.reason is Reason.OTHER_CHANNEL:
        return f"only in {_channels(verdict)}"
    return _REASONS[verdict.reason]


def instead(verdict: Verdict) -> str:
    """Who may, or where, as a sentence; empty where nobody may, or anybody."""
    if verdict.channels:
        return f"Ask in {_channels(verdict)}."
    return f"Allowed: {mentions(verdict.people)}." if verdict.people else ""


def _channels(verdict: Verdict) -> str:
    return " or ".join(f"<#{channel}>" for channel in verdict.channels)
