"""views.*: modals and the Home tab."""

from bot.sandbox.slack import forms
from bot.sandbox.slack.api.call import Args, Context, Method
from bot.sandbox.slack.blocks import check_view
from bot.sandbox.slack.model import JSON, SlackError, refused_arguments


def _view(context: Context, args: Args) -> object:
    """Checked before the trigger is used up, as a bad view leaves it usable.

    A `file_input` needs files:read; by which name Slack refuses it without is not documented.
    """
    view = args.json("view")
    if view is None:
        raise refused_arguments("missing required field: view")
    if problems := check_view(view):
        raise refused_arguments(*problems)
    blocks = view["blocks"] if isinstance(view, dict) else ()
    if any(element["type"] == "file_input" for _, element in forms.interactive(blocks)):
        context.need_scope("files:read")
    return view


def open_view(context: Context, args: Args) -> JSON:
    """views.open."""
    view = _view(context, args)
    user = context.triggers.exchange(args.required("trigger_id"))
    return {"view": context.views.open(user, view)}


def push_view(context: Context, args: Args) -> JSON:
    """views.push."""
    view = _view(context, args)
    user = context.triggers.exchange(args.required("trigger_id"))
    return {"view": context.views.push(user, view)}


def update_view(context: Context, args: Args) -> JSON:
    """views.update."""
    view = _view(context, args)
    if "view_id" in args:
        found = context.views.find(args.text("view_id"))
    elif "external_id" in args:
        found = context.views.find_external(args.text("external_id"))
    else:
        raise refused_arguments("missing required field: view_id or external_id")
    if found is None:
        raise SlackError("not_found")
    user, present = found
    return {"view": context.views.update(user, present, view, args.text("hash"))}


def publish_view(context: Context, args: Args) -> JSON:
    """views.publish."""
    if not context.app.home_tab_enabled:
        raise SlackError("not_enabled")
    user = context.user(args.required("user_id"), "invalid_arguments")
    return {"view": context.views.publish(user.id, _view(context, args), args.text("hash"))}


METHODS = (
    Method("views.open", open_view, "t4"),
    Method("views.push", push_view, "t4"),
    Method("views.update", update_view, "t4"),
    Method("views.publish", publish_view, "t4"),
)
