"""Submitting and closing modals."""

import copy

from bot.sandbox.slack import forms
from bot.sandbox.slack.delivery import Delivery
from bot.sandbox.slack.interactions import Desk
from bot.sandbox.slack.model import JSON, SlackError, User

_BAD_RESPONSE = {"ok": False, "error": "invalid_view_response"}


async def submit(desk: Desk, user: User, view: JSON, given: JSON) -> JSON:
    """Press the modal's submit button; `given` is `state.values` as far as it differs from the
    start values. Answers with errors by block id, from the client's own checks or the app's."""
    values = forms.state_values(view["blocks"], {**view["state"]["values"], **given})
    _attach(desk, view["blocks"], values)
    if errors := forms.check_inputs(view["blocks"], values):
        return {"ok": True, "errors": errors}
    view["state"]["values"] = values
    payload = {
        **desk.envelope("view_submission", user),
        "view": copy.deepcopy(view),
        "response_urls": _response_urls(desk, user, view),
    }
    answer = await desk.courier.deliver(Delivery("interactive", payload, accepts_response=True))
    if answer.error is not None:
        return {"ok": False, "error": answer.error}
    return _follow(desk, user, view, answer.payload or {})


def _attach(desk: Desk, blocks: list[JSON], values: JSON) -> None:
    """Put the file objects where a client gives the ids of what was uploaded."""
    for block, element in forms.interactive(blocks):
        if element["type"] == "file_input":
            value = values[block["block_id"]][element["action_id"]]
            ids = [str(file["id"] if isinstance(file, dict) else file) for file in value["files"]]
            known = (desk.state.files.get(file_id) for file_id in ids)
            value["files"] = [copy.deepcopy(file.meta) for file in known if file is not None]


async def close(desk: Desk, user: User, view: JSON, cleared: bool) -> JSON:
    """Press Cancel, or with `cleared` the X that closes every modal."""
    stack = desk.views.stack(user.id)
    cleared = cleared or view["clear_on_close"]
    told = stack[0] if cleared and stack else view
    payload = {
        **desk.envelope("view_closed", user, trigger=False),
        "view": copy.deepcopy(told),
        "is_cleared": cleared,
    }
    if cleared:
        desk.views.close_all(user.id)
    else:
        desk.views.close(user.id, view["id"])
    if told["notify_on_close"]:
        await desk.courier.deliver(Delivery("interactive", payload))
    return {"ok": True}


def _follow(desk: Desk, user: User, view: JSON, response: JSON) -> JSON:
    """Do what the app answered."""
    action = response.get("response_action")
    if action == "errors":
        errors = response.get("errors")
        inputs = {b["block_id"] for b in view["blocks"] if b["type"] == "input"}
        if not isinstance(errors, dict) or not errors or not set(errors) <= inputs:
            return _BAD_RESPONSE
        return {"ok": True, "errors": errors}
    try:
        if action == "update":
            desk.views.update(user.id, view, response.get("view"))
        elif action == "push":
            desk.views.push(user.id, response.get("view"))
        elif action == "clear":
            desk.views.close_all(user.id)
        elif action is None:
            desk.views.close(user.id, view["id"])
        else:
            return _BAD_RESPONSE
    except SlackError as refusal:
        messages = refusal.extra.get("response_metadata", {}).get("messages", [])
        return {**_BAD_RESPONSE, "detail": [refusal.error, *messages]}
    return {"ok": True}


def _response_urls(desk: Desk, user: User, view: JSON) -> list[JSON]:
    urls = []
    for block, element in forms.interactive(view["blocks"]):
        if not element.get("response_url_enabled"):
            continue
        chosen = view["state"]["values"][block["block_id"]][element["action_id"]]
        channel = chosen.get("selected_conversation") or chosen.get("selected_channel")
        if channel:
            url, _ = desk.response_urls.mint("actions", user.id, channel)
            urls.append(
                {
                    "block_id": block["block_id"],
                    "action_id": element["action_id"],
                    "channel_id": channel,
                    "response_url": url,
                }
            )
    return urls
