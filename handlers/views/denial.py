"""The modal that asks why a plan is denied."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.access import Environment
from deploy.actions.action import Action
from deploy.actions.versions import reading
from handlers.views.reply import View
from handlers.views.request_line import text_of
from handlers.views.text import section

CALLBACK = "action_deny_modal"
REASON = "deny_reason"


@dataclass(frozen=True)
class DenialForm:
    """What was sent: which plan of which action, and why; `copy` is the response_url of the copy of
    its message that was clicked, if it was one, which nobody else sees, and `modal` the name of the
    modal that it was shown in."""

    action_id: str
    digest: str
    channel: str
    reason: str
    copy: str
    modal: str = ""


def ask(
    action: Action,
    environment: Environment | None,
    digest: str,
    channel: str,
    copy: str,
    modal: str = "",
) -> View:
    """The modal for one plan: what would be denied, and why; `copy` and `modal` are as in
    `DenialForm`."""
    kept = {"id": action.id, "digest": digest, "channel": channel, "copy": copy, "modal": modal}
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "private_metadata": json.dumps(kept),
        "title": {"type": "plain_text", "text": f"Deny {action.id}"[:24]},
        "submit": {"type": "plain_text", "text": "Deny"},
        "close": {"type": "plain_text", "text": "Back"},
        "blocks": [
            section(text_of(action, environment)),
            {
                "type": "input",
                "block_id": REASON,
                "label": {"type": "plain_text", "text": "Why?"},
                "hint": {
                    "type": "plain_text",
                    "text": "The requester and the channel see it. A denial is final.",
                },
                "element": {
                    "type": "plain_text_input",
                    "action_id": REASON,
                    "multiline": True,
                    "max_length": 500,
                },
            },
        ],
    }


def read(private_metadata: str, values: Mapping[str, Mapping[str, Any]]) -> DenialForm:
    """What the modal was sent with. Unreadable where it is not a form of this version's."""
    reason = str(((values.get(REASON) or {}).get(REASON) or {}).get("value") or "")
    with reading("The form"):
        kept = json.loads(private_metadata)
        return DenialForm(
            str(kept["id"]),
            str(kept["digest"]),
            str(kept["channel"]),
            reason,
            str(kept.get("copy", "")),
            str(kept.get("modal", "")),
        )
