"""A request in a few lines, for lists of them: what changes from what to what, who asked, since and
until when, and what it still needs. Pure."""

import re
from typing import Any

from deploy.access import Environment
from deploy.actions.action import Action, State
from deploy.images.names import image_name
from deploy.plans.plan import FieldChange, ObjectChange, Plan
from deploy.policy import Requirement
from handlers.views import ways_out
from handlers.views.action import title_of
from handlers.views.deciders import agreed, mentions
from handlers.views.places import heading
from handlers.views.plan import replicas_of
from handlers.views.text import counted, cut, date, escape

_SHOWN = 3
"""So many fields beside image, replicas and token are named; of the others their number is enough."""
_VALUE, _PART, _REASON = 24, 60, 120
_OWN = ("gateway-bot.io/", "app.kubernetes.io/")
"""Labels and annotations that follow from other fields."""
_RESTART = '["gateway-bot.io/restarted-at"]'
_SETTING = re.compile(r'\["([^"]+)"\]$|\[([^\]]+)\]\.value$')
_SPACE = re.compile(r"\s+")
_TOKEN_REFERENCE = ".valueFrom.secretKeyRef.name"


def text_of(action: Action, environment: Environment | None, more: str = "") -> str:
    """The request as mrkdwn; `more` is a last line, such as what its reader may do about it."""
    lines = [
        f"*{escape(heading(title_of(action), environment))}*",
        escape(difference(action.plan)),
        f"`{action.id}` · {_asked(action)}",
        f"Reason: {_line(escape(action.why), _REASON)}" if action.why else "",
        needed(action),
        more,
    ]
    return "\n".join(line for line in lines if line)


def difference(plan: Plan) -> str:
    """What changes in a few words, such as `image 2.10.2 → 2.12.1, replicas 2 → 5`; empty where
    nothing on the cluster does."""
    if _has(plan, "Deployment", "create"):
        return f"new: image {plan.tag}, replicas {replicas_of(plan.spec)}"
    if _has(plan, "Deployment", "delete"):
        deleted = sum(change.change == "delete" for change in plan.changes)
        return f"image {plan.tag}, replicas {replicas_of(plan.spec)} → deleted ({counted(deleted, 'object')})"
    fields = [(c, f) for c in plan.changes if c.change == "update" for f in c.fields]
    by_importance = sorted(fields, key=lambda each: not each[1].path.endswith(".image"))
    first = [
        *(said for c, f in by_importance if (said := _headline(c, f))),
        *([_token(plan)] if plan.token.mint else []),
        *(["restarts the pods"] if any(_restarts(f) for _, f in fields) else []),
    ]
    others = [
        *(_said(f) for c, f in fields if _counts(plan, c, f)),
        *(f"{_DONE[c.change]} {c.kind}" for c in plan.changes if c.change in _DONE),
    ]
    rest = len(others) - _SHOWN
    named = others if rest < 2 else [*others[:_SHOWN], counted(rest, "more change")]
    return ", ".join([*first, *named])


def needed(action: Action) -> str:
    """What a request waits for, as a sentence; how it stands, once it is decided."""
    if action.state is State.RUNNING:
        return _running(action)
    if action.state is State.APPROVED:
        return f"{agreed(action)}. It has not started yet."
    if action.state is not State.PENDING:
        return f"{action.state.value.capitalize()}."
    if action.plan.denied:
        return "The rules forbid it, so nobody can approve it."
    if action.policy.by == "requester":
        return f"Waiting for <@{action.requester}> to confirm."
    several = len(action.policy.open) > 1
    still = [said for each in action.policy.open if (said := _still(action, each, several))]
    return f"Needs {' and '.join(still)}." if still else "Has every approval that it needs."


_DONE = {"create": "new", "delete": "deletes"}


def _asked(action: Action) -> str:
    who = "the bot" if action.automatic else f"<@{action.requester}>"
    until = f" · open until {date(action.expires_at)}" if action.state is State.PENDING else ""
    return f"asked by {who} {date(action.created_at)}{until}"


def _still(action: Action, requirement: Requirement, several: bool) -> str:
    """What that environment still requires; empty where it has it."""
    have = sum(vote.counts_for(requirement.environment) for vote in action.votes)
    left = requirement.quorum - have
    if left < 1:
        return ""
    what = counted(left, "more approval" if have else "approval")
    where = f" for {escape(requirement.environment)}" if several else ""
    return f"{what} of {mentions(requirement.approvers)}{where}"


def _running(action: Action) -> str:
    if action.stop_by:
        return f"<@{action.stop_by}> stopped it; it ends at the next safe point."
    progress = action.progress or {}
    if "desired" not in progress:
        return "Running."
    figures = f"{progress['ready']} of {counted(int(progress['desired']), 'pod')} ready."
    stuck = ways_out.headline(action)
    return f":warning: {escape(stuck)}. {figures}" if stuck else f"Running: {figures}"


def _restarts(field: FieldChange) -> bool:
    """Whether that is what the change is for: a rollback takes the mark of a restart away."""
    return field.path.endswith(_RESTART) and field.new is not None


def _has(plan: Plan, kind: str, change: str) -> bool:
    return any(each.kind == kind and each.change == change for each in plan.changes)


def _headline(change: ObjectChange, field: FieldChange) -> str:
    """What everybody looks for first; empty for any other field."""
    if change.kind != "Deployment":
        return ""
    if field.path == "spec.replicas":
        return f"replicas {_value(field.old)} → {_value(field.new)}"
    if field.path.endswith(".image") and isinstance(field.old, str) and isinstance(field.new, str):
        return f"image {_images(field.old, field.new)}"
    return ""


def _images(old: str, new: str) -> str:
    """By their versions, and whole where these do not tell them apart."""
    before, after = image_name(old), image_name(new)
    if before.repository == after.repository:
        return f"{before.version or '?'} → {after.version or '?'}"
    return f"{cut(old, _PART)} → {cut(new, _PART)}"


def _token(plan: Plan) -> str:
    return f"new token from the {plan.token.key} key" if plan.token.key else "new token"


def _counts(plan: Plan, change: ObjectChange, field: FieldChange) -> bool:
    """Whether a field is a change of its own, and does not follow from what is said already."""
    if _headline(change, field):
        return False
    if plan.token.mint and field.path.endswith(_TOKEN_REFERENCE):
        return False
    return not any(own in field.path for own in _OWN)


def _said(field: FieldChange) -> str:
    found = _SETTING.search(field.path)
    plain = re.sub(r"\[[^\]]*\]", "", field.path)
    name = (found[1] or found[2]) if found else ".".join(plain.split(".")[-2:])
    if any(isinstance(value, dict | list) for value in (field.old, field.new)):
        return f"{_line(name, _PART)} changed"
    return f"{_line(name, _PART)} {_value(field.old)} → {_value(field.new)}"


def _value(value: Any) -> str:
    if value is None:
        return "unset"
    return _line(str(value), _VALUE)


def _line(text: str, limit: int) -> str:
    return cut(_SPACE.sub(" ", text).strip(), limit)
