"""Why somebody may not do something, as an error for that person."""

from deploy.access import Environment, Ground, Right, Verdict
from deploy.errors import Refused

_NOTHING = "Nothing was changed."
_PERSON = {
    Ground.GUEST: (
        "You are a guest in this workspace, and guests may do only what the settings allow them "
        "by name."
    ),
    Ground.DEACTIVATED: (
        "Your account is deactivated, and deactivated accounts may do only what the settings "
        "allow them by name."
    ),
    Ground.FOREIGN: "You are not a member of the workspace that this bot belongs to.",
}
_RIGHT = {
    Right.INSPECT: "Only those who request or approve changes in {0} may read logs, differences, "
    "findings and manifests there.",
    Right.ASK: "You are not allowed to request changes in {0}.",
    Right.OPEN_WINDOW: "Only approvers of {0} may open an approval window there.",
    Right.CLOSE_WINDOW: "Only approvers of {0} may close an approval window there.",
    Right.SNOOZE: "Only those who request or approve changes in {0} may snooze warnings there.",
    Right.RESUME: "You are not allowed to resume automatic rotation in {0}.",
    Right.DECIDE: "Only approvers can approve or deny this.",
    Right.CONFIRM: "You are no longer allowed to request changes in {0}.",
    Right.STOP: "Only the requester or an approver may stop this or keep it waiting.",
}
_REASON = {
    Ground.OTHER_CHANNEL: "Changes in {0} cannot be requested from this channel.",
    Ground.NO_APPROVERS: "Changes in {0} require no approval, so there are no approval windows.",
    Ground.NO_WINDOWS: "{0} does not allow approval windows.",
    Ground.NOT_OWN: "Only the requester may do this.",
    Ground.OWN_REQUEST: "You requested this, so somebody else must approve or deny it.",
    Ground.REQUESTER_DECIDES: "Only the requester can confirm this.",
}


class NotAllowed(Refused):
    """Somebody may not do something. `verdict` says why, and who may, or where, for the view."""

    def __init__(self, happened: str, verdict: Verdict, *, meaning: str, remedy: str) -> None:
        super().__init__(happened, meaning=meaning, remedy=remedy)
        self.verdict = verdict


def refusal(right: Right, verdict: Verdict, user: str, environment: Environment) -> NotAllowed:
    """The error for a verdict that does not allow `user` to do it in that environment."""
    remedy = ""
    if verdict.reason in _PERSON:
        happened = _PERSON[verdict.reason]
        if verdict.reason is not Ground.FOREIGN:
            remedy = f"Ask whoever runs this bot to add the user ID {user} to its settings."
    else:
        happened = _REASON.get(verdict.reason) or _RIGHT[right]
    return NotAllowed(happened.format(environment.name), verdict, meaning=_NOTHING, remedy=remedy)
