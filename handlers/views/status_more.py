"""What only informs about one gateway, in a modal: pods, services, events, revisions, conditions."""

from collections.abc import Sequence

from deploy.actions.audit import AuditEntry
from deploy.gateway import GatewayRef
from deploy.health.belongings import EventSummary, ServiceSummary
from deploy.health.status import ConditionSummary, GatewayDetail
from deploy.images.names import image_name
from deploy.observed.history import Revision
from handlers.views import conditions, history
from handlers.views.reply import Block, View
from handlers.views.status import pod_entry, replica_course
from handlers.views.text import context, cut, date, escape, section, sections

_PODS = 60
_SERVICES = 15
_EVENTS = 10
_ACTIONS = 5
_SAID = 500


def loading(ref: GatewayRef) -> View:
    """The modal at once: Slack opens it only within three seconds of the click."""
    return _modal([section(f":hourglass_flowing_sand: Looking at `{escape(str(ref))}`…")])


def unread(said: str) -> View:
    """That nothing can be shown, and why."""
    return _modal([section(f":warning: {escape(cut(said, 2000))}")])


def modal(gateway: GatewayDetail, now: float, done: Sequence[AuditEntry] = ()) -> View:
    """`done` are the newest entries of the audit trail about it, newest first."""
    s = gateway.summary
    blocks: list[Block] = [
        context(f"`{escape(str(s.ref))}` as of {date(now, '{time_secs}')}"),
        *_part("Services", [_service(each) for each in gateway.services[:_SERVICES]]),
        *_part("Events", [_event(each) for each in gateway.events[:_EVENTS]]),
        *_part("Revisions", [_revision(each) for each in gateway.actions]),
        *_part("Last actions", history.lines_of(done, of=str(s.ref))[:_ACTIONS]),
        *_part("Conditions", [_condition(each) for each in gateway.conditions]),
        *_part("Pods", [pod_entry(each, s.token_secret) for each in gateway.pods[:_PODS]]),
    ]
    if len(gateway.pods) > _PODS:
        blocks.append(context(f"… and {len(gateway.pods) - _PODS} more."))
    course = replica_course(gateway.replicas, now)
    if course:
        blocks.append(context(course))
    if s.created_at:
        blocks.append(context(f"Installed by {escape(s.managed_by)} {date(s.created_at)}"))
    return _modal(blocks)


def _part(title: str, lines: Sequence[str]) -> list[Block]:
    if not lines:
        return []
    first, *others = lines
    return sections([f"*{title}*\n{first}", *others])


def _service(service: ServiceSummary) -> str:
    outside = (
        ""
        if service.external_ip == "-"
        else f" · outside `{escape(cut(service.external_ip, 300))}`"
    )
    return (
        f"`{escape(service.name)}` {escape(service.type)}\n"
        f"`{escape(service.cluster_ip)}`{outside} · {escape(cut(service.ports, 300))}"
        f" · since {date(service.created_at)}"
    )


def _event(event: EventSummary) -> str:
    sign = ":warning: " if event.type == "Warning" else ""
    said = f"{event.about}: {event.message}"
    return f"{sign}{date(event.at)} *{escape(event.reason)}*\n{escape(cut(said, _SAID))}"


def _condition(condition: ConditionSummary) -> str:
    if conditions.is_good(condition):
        return f"{escape(condition.type)} {escape(condition.status)}"
    return f":warning: {escape(cut(conditions.in_full(condition), _SAID))}"


def _revision(revision: Revision) -> str:
    who = f" by <@{escape(revision.requester)}>" if revision.requester else ""
    action = f" (`{escape(revision.action)}`)" if revision.action else ""
    tag = escape(cut(image_name(revision.image).version or "?", 100))
    return f"{revision.number}: `{tag}`{who}{action} {date(revision.created_at)}"


def _modal(blocks: list[Block]) -> View:
    return {
        "type": "modal",
        "callback_id": "status_more",
        "title": {"type": "plain_text", "text": "More details"},
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": blocks,
    }
