"""A request in two lines: what, where, by whom, since when and until when. Pure."""

from deploy.access import Environment
from deploy.actions.action import Action, State
from handlers.views import plan as plan_view
from handlers.views.action import sign_of, title_of
from handlers.views.places import named
from handlers.views.text import cut, date, escape


def text_of(action: Action, environment: Environment | None, more: str = "") -> str:
    """What tells an open request from others, in Slack's mark-up; `more` is a last line."""
    place = f" · {escape(named(environment))}" if environment is not None else ""
    what = f"{sign_of(action)} *{escape(cut(title_of(action), 150))}*{place}"
    parts = [f"`{action.id}`", plan_view.summary(action.plan), f"<@{action.requester}>"]
    parts.append(f"since {date(action.created_at)}")
    if action.state is State.PENDING:
        parts.append(f"until {date(action.expires_at)}")
    else:
        parts.append(action.state.value)
    return "\n".join(line for line in (what, " · ".join(parts), more) if line)
