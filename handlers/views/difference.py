"""What a plan changes, in a few words for lists and for other plans of the same gateway. Pure."""

import re
from typing import Any

from deploy.images.names import image_name
from deploy.plans.plan import FieldChange, ObjectChange, Plan
from handlers.views.replicas import replicas_of
from handlers.views.text import counted, cut

_SHOWN = 3
"""So many fields beside image, replicas and token are named; of the others their number is enough."""
_VALUE, _PART = 24, 60
_OWN = ("gateway-bot.io/", "app.kubernetes.io/")
"""Labels and annotations that follow from other fields."""
_RESTART = '["gateway-bot.io/restarted-at"]'
_SETTING = re.compile(r'\["([^"]+)"\]$|\[([^\]]+)\]\.value$')
_SPACE = re.compile(r"\s+")
_TOKEN_REFERENCE = ".valueFrom.secretKeyRef.name"
_DONE = {"create": "new", "delete": "deletes"}


def difference(plan: Plan) -> str:
    """What changes in a few words, such as `image 2.10.2 → 2.12.1, replicas 2 → 5`; empty where
    nothing on the cluster does."""
    if _has(plan, "Deployment", "create"):
        return f"new gateway: image {plan.tag}, replicas {replicas_of(plan.spec)}"
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
        return f"{line(name, _PART)} changed"
    return f"{line(name, _PART)} {_value(field.old)} → {_value(field.new)}"


def _value(value: Any) -> str:
    if value is None:
        return "unset"
    return line(str(value), _VALUE)


def line(text: str, limit: int) -> str:
    """The text on one line, cut at that length."""
    return cut(_SPACE.sub(" ", text).strip(), limit)
