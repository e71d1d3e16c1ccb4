"""A plan as a person reads it in ten seconds, on a phone too: what changes, what that costs, and what
has to be weighed. What only informs is in `details`."""

import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.annotations import CONFIG_ANNOTATION, PART_OF_LABEL, RESTART_ANNOTATION
from deploy.images.names import image_name
from deploy.plans.plan import FieldChange, ObjectChange, Plan
from deploy.rendering.labels import EARLIER_LABEL
from deploy.rules import RULE_IDS
from deploy.rules.finding import Finding
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.overlay import NEW
from deploy.specs.spec import spec_to_mapping
from handlers.views import fixes
from handlers.views.columns import WIDTH, columns, shortened
from handlers.views.costs import costs
from handlers.views.replicas import replicas_of
from handlers.views.reply import Block
from handlers.views.text import SECTION_LIMIT, context, counted, cut, escape, fence, section
from handlers.views.words import plans as words
from handlers.views.words.reasons import given

_SIGNS = {"create": "+", "update": "~", "delete": "-"}
_FINDING_SIGNS = {"deny": ":no_entry:", "warning": ":warning:", "info": ":bulb:"}
_FINDINGS_SHOWN = 5
_WARNINGS_SHOWN = 3
_LINES_SHOWN = 20
_SETTINGS_SHOWN = 8
"""Of a new gateway, beside what its objects' own lines tell."""
_VALUE_LIMIT = 60
_WARNING_LIMIT = 400
_BEFORE = 10
_BELOW = " " * 6
"""Deeper than the rest of a path that takes two lines."""
_OF_PODS = "spec.template.spec."
"""What the paths of most fields begin with; a message leaves it out where there is no room."""
_TOLD = frozenset(
    {
        *("gateway", "apim.instance", "apim.endpoint", "cluster", "namespace", "name"),
        *("image.repository", "image.tag", "replicas", "resources.cpu", "resources.memory"),
        *("autoscaling.minReplicas", "autoscaling.maxReplicas"),
    }
)
"""Where in a spec stands what a new gateway's objects, or the plan's head, tell anyway."""
_RECOMMENDED = 'labels["app.kubernetes.io/'
"""Kubernetes' recommended labels: they tell whose an object is, which one line tells as well."""
_CONFIG_HASH = f'spec.template.metadata.annotations["{CONFIG_ANNOTATION}"]'
_RESTARTED = f'spec.template.metadata.annotations["{RESTART_ANNOTATION}"]'
_RELABELLED = frozenset(f'metadata.labels["{label}"]' for label in (PART_OF_LABEL, EARLIER_LABEL))
_RELABELLING = f"label {PART_OF_LABEL} replaces {EARLIER_LABEL}"


def lines(plan: Plan, limit: int | None = _VALUE_LIMIT) -> list[str]:
    """Every change, an object and its fields at a time; the token's Secret without its value.

    A value is shown in at most `limit` characters, whole without one.
    """
    text = []
    if plan.token.mint:
        text += [f"+ Secret {plan.token.secret}", "  new token; its value is never shown"]
    relabelled = [change for change in plan.changes if _paths(change) == _RELABELLED]
    others = [change for change in plan.changes if change not in relabelled]
    # What people look for first comes first, whatever the order in which it is applied.
    configured = any(each.kind == "ConfigMap" and each.change == "update" for each in others)
    for change in sorted(others, key=lambda change: change.kind != "Deployment"):
        text += _object(change, limit, brief=configured and limit is not None)
        if change.kind == "Deployment" and change.change == "create":
            text += [f"  {path}: {_value(value, limit)}" for path, value in _more(plan.spec)]
    if relabelled:
        text.append(f"~ {counted(len(relabelled), 'object')}: {_RELABELLING}")
        if limit is None:
            text += [f"  {change.kind} {change.name}" for change in relabelled]
    return text


def blocks(plan: Plan, limit: int, at: float | None = None, key: str = "") -> list[Block]:
    """What changes, in at most `limit` characters; what that costs; what has to be weighed. `at` is when
    it was made (epoch seconds); with the `key` of its action, findings have their *Fix* buttons."""
    every = _first(plan) if plan.first else lines(plan)
    shown, left = fence(every[:_LINES_SHOWN], limit)
    left += max(0, len(every) - _LINES_SHOWN)
    found: list[Block] = [section(shown)]
    if left:
        found.append(context(f"… and {counted(left, 'more line')}: see Details."))
    found.append(section("\n".join(f"• {each}" for each in costs(plan, at))))
    if plan.conflicts:
        owners = sorted({conflict.manager for conflict in plan.conflicts})
        found.append(
            context(
                f":warning: Takes over {counted(len(plan.conflicts), 'field')} "
                f"from {escape(', '.join(owners))}."
            )
        )
    found += _findings(plan, key)
    found += [context(text) for text in warnings(plan)[:_WARNINGS_SHOWN]]
    more = len(plan.warnings) - _WARNINGS_SHOWN
    if more > 0:
        found.append(context(f"… and {counted(more, 'more warning')}: see Details."))
    return found


def what(plan: Plan) -> Block:
    """The image and the pods, before and after where these change, and whose gateway that is."""
    spec = plan.spec
    image, replicas = _changed(plan, ".image"), _changed(plan, "spec.replicas")
    before = image_name(str(image.old)).version if image is not None and image.old else ""
    from_tag = f"`{escape(before)}` → " if before and before != plan.tag else ""
    count = replicas_of(spec)
    if replicas is not None and replicas.old is not None and replicas.new is not None:
        count = f"{replicas.old} → {replicas.new}"
    return section(
        f"*Image* {from_tag}`{escape(plan.tag)}` · *Replicas* {count}\n"
        f"*Gateway* `{escape(spec.apim.gateway)}` in API Management `{escape(spec.apim.instance)}`"
    )


def _changed(plan: Plan, path: str) -> FieldChange | None:
    """The field of the Deployment whose path ends so, where it changes."""
    return next(
        (
            field
            for change in plan.changes
            if change.kind == "Deployment" and change.change == "update"
            for field in change.fields
            if field.path.endswith(path)
        ),
        None,
    )


def warnings(plan: Plan) -> list[str]:
    """What the API server warns of."""
    return [
        f":warning: Kubernetes warns: {escape(cut(text, _WARNING_LIMIT))}" for text in plan.warnings
    ]


def denied(plan: Plan) -> list[Block]:
    """That the plan cannot be confirmed, where rules forbid it."""
    if not plan.denied:
        return []
    return [
        section(
            ":no_entry: *This cannot be confirmed: the rules forbid it.* Change what is asked for, "
            "or have an exemption put into the settings."
        )
    ]


def findings_in_full(findings: Sequence[Finding]) -> list[Block]:
    """Every finding with its rule and reason, as many to a section as Slack takes."""
    texts: list[str] = []
    for finding in findings:
        said = f"`{finding.rule}` {finding.severity}: " + escape(
            f"{finding.what} {finding.why} {finding.fix} {_exemption(finding)}".rstrip()
        )
        if texts and len(texts[-1]) + len(said) < SECTION_LIMIT:
            texts[-1] += f"\n{said}"
        else:
            texts.append(said)
    return [section(text) for text in texts]


def summary(plan: Plan) -> str:
    """How much changes, in a few words."""
    created = plan.token.mint + sum(change.change == "create" for change in plan.changes)
    updated = sum(change.change == "update" for change in plan.changes)
    parts = [f"creates {counted(created, 'object')}"] if created else []
    parts += [f"changes {counted(updated, 'object')}"] if updated else []
    deleted = sum(change.change == "delete" for change in plan.changes)
    parts += [f"deletes {counted(deleted, 'object')}"] if deleted else []
    return " and ".join(parts) or "changes nothing on the cluster"


def _findings(plan: Plan, key: str) -> list[Block]:
    """The first findings that have to be weighed, which are the most severe, each with the button that
    fixes it, and what else has such a button. A rule's advice, and what was agreed on before, only
    informs."""
    offered = {id(finding): button for finding, button in fixes.offered(plan, key)} if key else {}
    weighed = [finding for finding in plan.findings if _is_weighed(finding)]
    first = weighed[:_FINDINGS_SHOWN]
    shown = [f for f in plan.findings if id(f) in offered or any(f is each for each in first)]
    found = [_finding(finding, offered.get(id(finding))) for finding in shown]
    more = sum(not any(f is each for each in shown) for f in weighed)
    left = words.under_details(more, len(plan.findings) - len(shown) - more)
    return [*found, *([context(left)] if left else [])]


def _is_weighed(finding: Finding) -> bool:
    agreed = finding.exempted is not None and not finding.exempted.expired
    return not agreed and (finding.severity != "info" or finding.rule not in RULE_IDS)


def _finding(finding: Finding, button: Block | None) -> Block:
    """Advice is small; what its button does is said there, where that has room for it."""
    fix = "" if button and not button["text"]["text"].endswith("…") else finding.fix
    parts = (finding.what, fix, _exemption(finding))
    said = escape(" ".join(part for part in parts if part))
    text = f"{_FINDING_SIGNS[finding.severity]} {said}"
    if button:
        return section(text, accessory=button)
    return section(text) if _is_weighed(finding) else context(text)


def _exemption(finding: Finding) -> str:
    exempted = finding.exempted
    if exempted is None:
        return ""
    if exempted.expired:
        return f"Its exemption ended on {exempted.until}."
    return f"Exempted until {exempted.until}: {given(exempted.reason)}"


def _first(plan: Plan) -> list[str]:
    """What a gateway that is not there yet comes to: its objects, what its pods ask for, by what it is
    reached, and what else was asked for. Its fields are under *Details*."""
    created = [each for each in plan.changes if each.change == "create"]
    kinds = Counter(each.kind for each in created)
    kinds["Secret"] += plan.token.mint
    first = sorted((kind for kind in kinds if kinds[kind]), key=lambda kind: kind != "Deployment")
    text = [f"+ {', '.join(words.objects(kinds[kind], kind) for kind in first)}"]
    for each in created:
        told = {field.path: str(field.new) for field in each.fields}
        if each.kind == "Deployment" and "requests" in told:
            text.append(f"  {words.each_pod(told['requests'])}")
        if each.kind == "Service" and told.get("type", "ClusterIP") != "ClusterIP":
            text.append(f"  {told['type']}: {told.get('ports', '')}")
    usual = spec_to_mapping(plan.spec).get("placement", {}) == NEW["placement"]
    more = [
        (path, value)
        for path, value in _more(plan.spec)
        if not (usual and path.startswith("placement."))
    ]
    text += [f"  {path}: {_value(value, _VALUE_LIMIT)}" for path, value in more[:_SETTINGS_SHOWN]]
    if len(more) > _SETTINGS_SHOWN:
        text.append(f"  … {counted(len(more) - _SETTINGS_SHOWN, 'more setting')}: see Details")
    for change in plan.changes:
        text += [] if change in created else _object(change, _VALUE_LIMIT, brief=False)
    return text


def _more(spec: GatewaySpec) -> list[tuple[str, Any]]:
    """What is asked for of a new gateway beside what its objects' own lines tell."""
    return [(p, v) for p, v in _flat("", spec_to_mapping(spec)) if p not in _TOLD]


def _flat(path: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        return [(path, value)]
    inner = [(f"{path}.{key}" if path else str(key), value[key]) for key in value]
    return [pair for name, given in inner for pair in _flat(name, given)]


def _object(change: ObjectChange, limit: int | None, *, brief: bool) -> list[str]:
    """A `brief` one says in words that pods restart with the configuration that is shown as well."""
    head = f"{_SIGNS[change.change]} {change.kind} {change.name}"
    fields: Sequence[FieldChange] = change.fields
    relabelled = _paths(change) >= _RELABELLED
    if relabelled:
        fields = [field for field in fields if field.path not in _RELABELLED]
    labels = [field for field in fields if _RECOMMENDED in field.path]
    hashes = [field for field in fields if brief and field.path == _CONFIG_HASH]
    marks = [field for field in fields if limit is not None and field.path == _RESTARTED]
    told = [*labels, *hashes, *marks]
    others = [field for field in fields if field not in told]
    shown = [head, *(line for field in others for line in _field(field, change.change, limit))]
    if hashes:
        shown.append("  pods restart with the new settings  ↻")
    elif marks and not any(field.restarts_pods for field in others):
        shown.append("  pods restart  ↻")
    if relabelled:
        shown.append(f"  {_RELABELLING}")
    if labels:
        mark = "  ↻" if any(field.restarts_pods for field in labels) else ""
        gone = " → (removed)" if all(field.new is None for field in labels) else ""
        shown.append(f"  {counted(len(labels), 'label')} app.kubernetes.io/*{gone}{mark}")
    return shown


def _paths(change: ObjectChange) -> frozenset[str]:
    return frozenset(field.path for field in change.fields)


def _field(field: FieldChange, change: str, limit: int | None) -> list[str]:
    """Its path and values, below each other where a phone would break the line anywhere."""
    mark = "  ↻" if field.restarts_pods and change == "update" else ""
    old, new = _values(field, limit)
    values = f"{old} → {new}" if old else new
    line = f"  {field.path}: {values}{mark}"
    if columns(line) <= WIDTH:
        return [line]
    path = f"  {field.path}:{mark}"
    if limit is not None and columns(path) > WIDTH and field.path.startswith(_OF_PODS):
        path = f"  …{field.path.removeprefix(_OF_PODS)}:{mark}"
    if not old or columns(f"{_BELOW}{values}") <= WIDTH:
        return [path, f"{_BELOW}{values}"]
    return [path, f"{_BELOW}{old} →", f"{_BELOW}{new}"]


def _values(field: FieldChange, limit: int | None) -> tuple[str, str]:
    """The value before, empty where there was none, and after."""
    if field.old is None:
        return "", _value(field.new, limit)
    if field.new is None:
        return _value(field.old, limit), "(removed)"
    if field.path.endswith(".image"):
        return _images(field.old, field.new)
    old, new = _value(field.old, None), _value(field.new, None)
    if limit is not None and max(len(old), len(new)) > limit:
        # Two long values are told apart from where they begin to differ.
        same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))
        start = max(0, len(list(same)) - _BEFORE)
        old, new = (("…" if start else "") + text[start:] for text in (old, new))
    return _value(old, limit), _value(new, limit)


def _images(old: str, new: str) -> tuple[str, str]:
    """Both images, without the registry and path that they share."""
    if old.rpartition("/")[0] == new.rpartition("/")[0]:
        old, new = old.rpartition("/")[2], new.rpartition("/")[2]
    return old, new


def _value(value: Any, limit: int | None) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = text.replace("\n", "⏎")
    return shown if limit is None else shortened(shown, limit)
