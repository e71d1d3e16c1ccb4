"""The one message of an action, in every state of its life: a pure function of its record."""

import json
from collections.abc import Callable, Sequence

from deploy.access import Environment
from deploy.actions.action import Action, Denial, Outcome, State
from deploy.actions.pauses import Pause
from deploy.commands import Command
from deploy.observed.causes import Cause
from deploy.observed.history import is_first_revision
from deploy.plans.plan import Plan
from deploy.rollouts.ways_out import has_pods
from deploy.rules.finding import Finding
from handlers.views import fixes, pauses, rollout, ways_out
from handlers.views import plan as plan_view
from handlers.views.commands import runs
from handlers.views.deciders import RAN, agreed, bound, people, who_decides
from handlers.views.notification import sentence
from handlers.views.places import EnvironmentOf, heading, mark, named
from handlers.views.renewals import OFFERS
from handlers.views.reply import Block, Reply
from handlers.views.text import (
    button,
    confirm,
    context,
    cut,
    date,
    duration,
    escape,
    header,
    section,
)
from handlers.views.words import rollout as rollout_words
from handlers.views.words import ways_out as way_words
from handlers.views.words.beside import not_changed_yet, others_open
from handlers.views.words.kinds import KIND_WORDS, KindWords
from handlers.views.words.reasons import given
from handlers.views.words.status import to_do

_DIFF_LIMIT = 2500
_DENIED_SECTIONS = 3
"""Those that deny come first, and a message holds about 13,000 characters."""

_SIGNS = {
    State.PENDING: ":raised_hand:",
    State.APPROVED: ":hourglass_flowing_sand:",
    State.RUNNING: ":rocket:",
    State.SUCCEEDED: ":white_check_mark:",
    State.FAILED: ":x:",
    State.STOPPED: ":octagonal_sign:",
    State.UNKNOWN: ":grey_question:",
    State.DENIED: ":no_entry:",
    State.CANCELLED: ":wastebasket:",
    State.EXPIRED: ":hourglass:",
    State.SUPERSEDED: ":arrows_counterclockwise:",
}


def sign_of(action: Action) -> str:
    """How it stands, at a glance. A success that leaves something to do is none without reserve."""
    if action.state is State.SUCCEEDED and action.outcome is not None and action.outcome.remedy:
        return ":warning:"
    if ways_out.headline(action):
        return ":warning:"
    return _SIGNS[action.state]


def render(
    action: Action,
    environment_of: EnvironmentOf | None = None,
    *,
    beside: Sequence[Action] = (),
    paused: Pause | None = None,
) -> tuple[str, list[Block]]:
    """The message: text for notifications and screen readers, and the blocks. `beside` is what else is
    pending or under way on its gateway, and `paused` keeps it from starting once it is decided."""
    plan = action.plan
    environment = environment_of(action.ref) if environment_of is not None else None
    title = heading(title_of(action), environment)
    line = _state_line(action, environment)
    blocks: list[Block] = [header(title), section(f"{sign_of(action)} {line}")]
    if action.state is State.PENDING:
        blocks[1:1] = [section(others_open(beside))] if beside else []
        if paused is not None and not plan.denied:
            blocks.insert(1, section(pauses.of_plan(paused)))
        blocks += [*plan_view.denied(plan), plan_view.what(plan)]
        blocks += plan_view.blocks(plan, _DIFF_LIMIT, action.created_at, action.id)
        blocks += [context(bound(action)), _buttons(action, plan, environment)]
    else:
        blocks += rollout.blocks(action)
        blocks.append(context(*_wait(action), _footer(action, plan)))
        more = [_details_button(action), button("Status", "show_status", str(action.ref))]
        blocks.append({"type": "actions", "elements": [*_exits(action, title, environment), *more]})
    return sentence(action, environment), blocks


def _exits(action: Action, title: str, environment: Environment | None) -> list[Block]:
    """The buttons that do something about it."""
    if action.state is State.APPROVED:
        return [button("Cancel", "action_cancel", value(action))]
    if action.state is State.RUNNING and not action.stop_by:
        exits = ways_out.of_running(action, title, value(action))
        return [_stop_button(action, environment), *exits]
    if action.state in _ASK_AGAIN:
        return [_again_button(action, way_words.ASK_AGAIN)]
    return ways_out.of_failed(action, _again_button(action, way_words.TRY_AGAIN))


_ENDED = {
    State.SUCCEEDED: way_words.DONE,
    State.FAILED: way_words.FAILED,
    State.UNKNOWN: way_words.UNKNOWN,
}
_ASK_AGAIN = (State.EXPIRED, State.DENIED, State.CANCELLED)


def _words(action: Action) -> KindWords:
    return KIND_WORDS[action.kind]


def title_of(action: Action) -> str:
    """What it does to which gateway, where."""
    place = f"{action.ref.cluster}/{action.ref.namespace}"
    return _words(action).title.format(name=action.ref.name, place=place, request=action.request)


def _before_it_begins(action: Action) -> str:
    progress = action.progress or {}
    if progress.get("waiting_for"):
        return f"Waiting for action {escape(str(progress['waiting_for']))} to end."
    if progress.get("queued"):
        return f"Waiting for its turn: other actions run on cluster {action.ref.cluster}."
    return "Starting…"


def _state_line(action: Action, environment: Environment | None) -> str:
    outcome = action.outcome
    if action.state is State.PENDING:
        return "\n".join([*_asking(action), *who_decides(action, environment)])
    if action.state is State.APPROVED:
        return f"{agreed(action)}. {pauses.of_waiting(action) or _before_it_begins(action)}"
    if action.state is State.RUNNING:
        return _running_line(action)
    if action.state is State.DENIED:
        return f"*Denied by <@{action.decided_by}>: {escape(given(action.reason))}*\nNothing was changed."
    if action.state is State.CANCELLED:
        return f"Cancelled by <@{action.requester}>. Nothing was changed."
    if action.state is State.EXPIRED:
        if action.decided_at is not None:
            return f"{agreed(action)}, but it could not begin in time. Nothing was changed."
        if lapsed(action):
            return (
                "The approval window was closed before this was confirmed. Nothing was changed; "
                "ask again: approvers will decide."
            )
        return "Nobody decided in time. Nothing was changed; ask again to continue."
    if outcome is None:
        return action.state.value.capitalize()
    by = [f"Stopped by <@{action.stop_by}>."] if action.state is State.STOPPED else []
    happened = ended(action, outcome)
    remedy = to_do(escape(outcome.remedy)) if outcome.remedy else ""
    words = [*by, f"*{escape(happened)}*", escape(outcome.meaning), remedy]
    return "\n".join(word for word in words if word)


def ended(action: Action, outcome: Outcome) -> str:
    """What happened, with how it ended where the sentence alone may not say it."""
    said = _ENDED.get(action.state)
    return way_words.ended(said, outcome.happened) if said else outcome.happened


def lapsed(action: Action) -> bool:
    """Whether it expired before its time, with the approval window that it rested on."""
    ended = action.state is State.EXPIRED and action.updated_at < action.expires_at
    return ended and bool(action.policy.windows)


def _asking(action: Action) -> list[str]:
    wanted = _words(action).infinitive
    # Of a batch's members none notifies anybody separately.
    who = "" if action.batch else f"<@{action.requester}> wants to {wanted}. "
    lines = [f"{who}*Nothing has changed yet.*"]
    if action.why:
        lines.append(f"Reason: {escape(given(action.why))}")
    if action.denied:
        lines.append(_denied_before(action.denied, wanted))
    if action.policy.break_glass:
        lines.append(
            f":rotating_light: *Break-glass: this overrides a freeze.* "
            f"{escape(given(action.policy.break_glass))}"
        )
    return lines


def _denied_before(denied: Denial, wanted: str) -> str:
    whose = f"<@{denied.requester}>'s request `{denied.action}`" if denied.action else "a request"
    return (
        f":no_entry: <@{denied.by}> denied {whose} to {wanted} {date(denied.at)}: "
        f"{escape(given(denied.reason))}"
    )


def _running_line(action: Action) -> str:
    progress = action.progress or {}
    if action.stop_by:
        return f"<@{action.stop_by}> stopped this. It ends at the next safe point…"
    if "desired" not in progress:
        step = action.steps[-1] if action.steps else None
        return escape(step.detail or step.name) + "…" if step else "Starting…"
    stuck = ways_out.headline(action)
    doing = f"*{escape(stuck)}*\n" if stuck else f"{_doing(action)}: "
    serving = progress.get("serving", 0) if progress.get("old") else 0
    still = rollout_words.serving(serving) if serving else ""
    if ways_out.is_first(action) and not progress["ready"]:
        still = rollout_words.FIRST
    # Whoever reads that it is stuck wants to know first whether anybody is served.
    figures = (progress["ready"], progress["desired"])
    if stuck and still:
        line = f"{doing}{still}\n{_figures(action, figures)}"
    else:
        line = f"{doing}*{rollout_words.ready(*figures)}*"
    if progress.get("old") and not serving:
        line += f", {rollout_words.left(progress['old'])}"
    ending = rollout.ending(action)
    if ending:
        line += f", {ending}"
    if still and not stuck:
        line += f"\n{still}"
    if progress.get("stale_since"):
        line += (
            f"\n:warning: The cluster has not answered since {date(progress['stale_since'])}; "
            "this is the last that was seen."
        )
    return "\n".join([line, *ways_out.said(action)])


def _figures(action: Action, figures: tuple[int, int]) -> str:
    """How many pods are ready, where another line says who serves."""
    if ways_out.is_first(action):
        return f"*{rollout_words.ready(*figures)}*"
    return rollout_words.ready_of_new(*figures)


def _doing(action: Action) -> str:
    """What the run is at, where a rollout is not all of it."""
    step = action.steps[-1] if action.steps else None
    if step is not None and step.name in set(Cause):
        return f"*{escape(step.detail)}* Going back to the previous token"
    if step is not None and step.name in ("verify", "collect"):
        return escape(step.detail)
    return "Rolling out"


def _buttons(action: Action, plan: Plan, environment: Environment | None) -> Block:
    carried = value(action)
    title = title_of(action)
    words = _words(action)
    question = words.question.format(
        title=escape(title), tag=escape(plan.tag), summary=plan_view.summary(plan)
    )
    if environment is not None:
        # Before the question, which a dialog cuts.
        question = f"*{escape(named(environment))}*\n{question}"
    by_approvers = action.policy.by == "approvers"
    yes = button(
        "Approve" if by_approvers else "Confirm",
        "action_approve" if by_approvers else "action_confirm",
        carried,
        style="danger" if words.danger else "primary",
        confirm=confirm(
            cut(f"{mark(environment)}{title}", 100),
            question,
            "Approve" if by_approvers else words.button.format(request=action.request),
        ),
    )
    others = [button("Cancel", "action_cancel", carried), _details_button(action)]
    if by_approvers:
        no = button("Deny", "action_deny", carried)
        if not words.danger:
            no["style"] = "danger"
        others.insert(0, no)
    return {"type": "actions", "elements": others if plan.denied else [yes, *others]}


def _details_button(action: Action) -> Block:
    return button("Details", "action_details", value(action))


def _stop_button(action: Action, environment: Environment | None) -> Block:
    return button(
        _words(action).stop,
        "action_stop",
        value(action),
        confirm=confirm(
            cut(f"{mark(environment)}Stop: {title_of(action)}", 100),
            way_words.STOP_QUESTION,
            _words(action).stop,
        ),
    )


def _again_button(action: Action, label: str) -> Block:
    if action.automatic:
        # The bot asked for it, and it clicks on nothing.
        offer = OFFERS["rotate"]
        return button(offer.label, offer.click, str(action.ref))
    return button(label, "action_again", value(action))


def value(action: Action) -> str:
    """What a button carries: which action, and the digest of what was shown."""
    return json.dumps({"id": action.id, "digest": action.digest})


def _wait(action: Action) -> list[str]:
    """That there is nothing to do, while it runs as it should."""
    well = action.state is State.RUNNING and not action.stop_by and not ways_out.said(action)
    return [rollout_words.WAIT] if well else []


def _footer(action: Action, plan: Plan) -> str:
    parts = [*people(action)]
    # Of pods it is said how long they took.
    if action.decided_at is not None and action.state in RAN and not has_pods(action):
        took = round(action.updated_at - action.decided_at)
        parts += [f"took {duration(took)}"] if took else []
    parts.append(f"image `{escape(plan.tag)}`")
    parts.append(f"action `{action.id}`")
    if action.why:
        parts.append(f"Reason: {escape(given(action.why))}")
    return " · ".join(parts)


def no_change(plan: Plan, beside: Sequence[Action] = ()) -> Reply:
    """What is asked for is applied already; what does not run as that says is shown, and what else is
    pending or under way."""
    spec = plan.spec
    others = [section(not_changed_yet(beside))] if beside else []
    if plan.unsettled:
        text = f"{spec.ref} already has these settings, but it does not run as it should."
        exits = [
            button("Status", "show_status", str(spec.ref)),
            runs(way_words.DELETE, f"delete {spec.ref}", "delete")
            if plan.live is not None and is_first_revision(plan.live)
            else runs(way_words.ROLL_BACK, f"rollback {spec.ref}", "rollback"),
        ]
        return Reply(
            text,
            (
                *others,
                section(f":warning: {escape(text)}"),
                *plan_view.findings_in_full(plan.unsettled),
                {"type": "actions", "elements": [each for each in exits if each]},
            ),
        )
    text = f"No change: {spec.ref} is deployed exactly like this already ({plan.tag})."
    return Reply(
        text,
        (
            *others,
            section(f":ok_hand: {escape(text)}"),
            context(
                f"{Command('status', spec.ref)} shows how its pods are; "
                f"{Command('restart', spec.ref)} replaces them."
            ),
        ),
    )


WithFix = Callable[[Finding], str]
"""The command that asks for the same as a finding advises; empty where that cannot be typed."""


def denied(
    plan: Plan, with_fix: WithFix | None = None, environment: Environment | None = None
) -> Reply:
    """Why what is asked for cannot be decided, with every finding; nothing is kept of it, so a
    *Fix* is a command of its own."""
    ref = plan.spec.ref
    title = heading(f"{ref.name} on {ref.cluster}/{ref.namespace}", environment)
    return Reply(
        f"{title}: the rules forbid it. Nothing was changed.",
        (
            header(title),
            *plan_view.denied(plan),
            plan_view.what(plan),
            *plan_view.findings_in_full(plan.findings)[:_DENIED_SECTIONS],
            *(fixes.commands(plan, with_fix) if with_fix is not None else ()),
            context("Nothing was changed."),
        ),
    )
