"""Why somebody may do something or may not, in words with the mark-up of Slack."""

from deploy.access import Ground, Verdict
from handlers.views.deciders import mentions

_WORDS = {
    Ground.MEMBER: "member of this workspace",
    Ground.ANYONE: "anyone in this workspace may",
    Ground.NAMED: "named in the settings",
    Ground.OWN: "requested by you",
    Ground.GUEST: "you are a guest, and the settings do not name you for this",
    Ground.DEACTIVATED: "your account is deactivated, and the settings do not name it for this",
    Ground.FOREIGN: "you are not a member of this workspace",
    Ground.NOT_NAMED: "the settings name neither you nor a group that you are in",
    Ground.NO_APPROVERS: "nothing here needs an approval",
    Ground.NO_WINDOWS: "the settings allow none",
    Ground.NOT_OWN: "requested by somebody else",
    Ground.OWN_REQUEST: "requested by you",
    Ground.REQUESTER_DECIDES: "the requester decides",
}


def reason(verdict: Verdict) -> str:
    """The reason as a clause."""
    if verdict.reason is Ground.IN_GROUP:
        return f"member of {mentions(verdict.people)}"
    if verdict.reason is Ground.OTHER_CHANNEL:
        return f"only in {_channels(verdict)}"
    return _WORDS[verdict.reason]


def instead(verdict: Verdict) -> str:
    """Who may, or where, as a sentence; empty where nobody may, or anybody."""
    if verdict.channels:
        return f"Ask in {_channels(verdict)}."
    return f"Allowed: {mentions(verdict.people)}." if verdict.people else ""


def _channels(verdict: Verdict) -> str:
    return " or ".join(f"<#{channel}>" for channel in verdict.channels)
