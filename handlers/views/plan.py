"""A plan as a person reads it in ten seconds: what appears, what changes, what restarts."""

import json
from typing import Any

from deploy.plan import FieldChange, ObjectChange, Plan
from handlers.views.text import Block, context, counted, cut, escape, fence, section

_SIGNS = {"create": "+", "update": "~", "delete": "-"}
_VALUE_LIMIT = 60
_RECOMMENDED = 'labels["app.kubernetes.io/'
"""Kubernetes' recommended labels: they tell whose an object is, which one line tells as well."""


def lines(plan: Plan) -> list[str]:
    """Every change, an object and its fields at a time; the token's Secret without its value."""
    text = []
    if plan.token.mint:
        text.append(f"+ Secret {plan.token.secret}  (new token; its value is never shown)")
    # What people look for first comes first, whatever the order in which it is applied.
    for change in sorted(plan.changes, key=lambda change: change.kind != "Deployment"):
        text += _object(change)
    return text


def blocks(plan: Plan, limit: int) -> list[Block]:
    """The changes in at most `limit` characters, and how much is left out."""
    shown, left = fence(lines(plan), limit)
    found: list[Block] = [section(shown)]
    if left:
        found.append(context(f"… and {counted(left, 'more line')}: see Details."))
    found.append(context(" · ".join(_effects(plan))))
    for finding in plan.findings:
        sign = ":no_entry:" if finding.severity == "deny" else ":bulb:"
        sign = ":warning:" if finding.severity == "warning" else sign
        found.append(context(f"{sign} {escape(finding.what)} {escape(finding.fix)}"))
    if plan.conflicts:
        owners = sorted({conflict.manager for conflict in plan.conflicts})
        found.append(
            context(
                f":warning: Takes over {counted(len(plan.conflicts), 'field')} "
                f"from {escape(', '.join(owners))}."
            )
        )
    return found


def summary(plan: Plan) -> str:
    """How much changes, in a few words."""
    created = plan.token.mint + sum(change.change == "create" for change in plan.changes)
    updated = sum(change.change == "update" for change in plan.changes)
    parts = [f"creates {counted(created, 'object')}"] if created else []
    parts += [f"changes {counted(updated, 'object')}"] if updated else []
    deleted = sum(change.change == "delete" for change in plan.changes)
    parts += [f"deletes {counted(deleted, 'object')}"] if deleted else []
    return " and ".join(parts) or "changes nothing on the cluster"


def _effects(plan: Plan) -> list[str]:
    going = {change.kind for change in plan.changes if change.change == "delete"}
    if "Deployment" in going:
        kept = "PersistentVolumeClaim" not in going and plan.spec.backup.size is not None
        volumes = ["Its volume is kept"] if kept else []
        return [summary(plan).capitalize(), ":wastebasket: Ends every pod", *volumes]
    new = any(c.kind == "Deployment" and c.change == "create" for c in plan.changes)
    if new:
        pods = f"Starts {counted(plan.spec.least_replicas, 'pod')}"
    elif plan.restarts_pods:
        pods = ":arrows_counterclockwise: Replaces the running pods, one after another"
    else:
        pods = "Restarts no pod"
    return [summary(plan).capitalize(), pods, _token(plan)]


def _token(plan: Plan) -> str:
    if plan.token.secret is None:
        return "Signs in to Entra ID, without a token"
    if plan.token.mint:
        return "New gateway token, up to 30 days"
    if plan.token.expires_at:
        return f"Keeps its token until {escape(plan.token.expires_at[:16].replace('T', ' '))} UTC"
    return "Keeps its token"


def _object(change: ObjectChange) -> list[str]:
    head = f"{_SIGNS[change.change]} {change.kind} {change.name}"
    labels = [field for field in change.fields if _RECOMMENDED in field.path]
    others = [field for field in change.fields if _RECOMMENDED not in field.path]
    shown = [head, *(_field(field, change.change) for field in others)]
    if labels:
        mark = "  ↻" if any(field.restarts_pods for field in labels) else ""
        shown.append(f"    {counted(len(labels), 'label')} app.kubernetes.io/*{mark}")
    return shown


def _field(field: FieldChange, change: str) -> str:
    mark = "  ↻" if field.restarts_pods and change == "update" else ""
    if field.old is None:
        return f"    {field.path}: {_value(field.new)}{mark}"
    if field.path.endswith(".image") and field.new is not None:
        return f"    {field.path}: {_images(field.old, field.new)}{mark}"
    if field.new is None:
        return f"    {field.path}: {_value(field.old)} → (removed){mark}"
    return f"    {field.path}: {_value(field.old)} → {_value(field.new)}{mark}"


def _images(old: str, new: str) -> str:
    """Both images, without the registry and path that they share."""
    if old.rpartition("/")[0] == new.rpartition("/")[0]:
        old, new = old.rpartition("/")[2], new.rpartition("/")[2]
    return f"{old} → {new}"


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return cut(text.replace("\n", "⏎"), _VALUE_LIMIT)
