"""Times what Slack's payloads take before their ack."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from slack_bolt import BoltRequest, BoltResponse

from bot.dispatch import Dispatch
from deploy.waits import guarded
from handlers.verbs.verb import AnyVerb

_LOOKED_AT = 200
NO_VERB, OTHER = "", "other"
_KINDS = {
    "block_actions": "button",
    "view_submission": "form",
    "view_closed": "form",
    "block_suggestion": "options",
    "event_callback": "event",
}


class Heard:
    """The listeners, with what they take noted."""

    def __init__(
        self,
        listeners: Dispatch,
        verbs: Iterable[AnyVerb],
        command: str,
        took: Callable[[str, str, float], object],
    ) -> None:
        """`took` is called with the kind of a payload, the verb that was typed and the seconds."""
        self._listeners = listeners
        self._verbs = {word: each.name for each in verbs for word in (each.name, *each.synonyms)}
        self._command = command.casefold()
        self._took = took
        self._note = guarded(self._noted)

    def dispatch(self, request: BoltRequest, /) -> BoltResponse:
        """What Slack is answered."""
        began = time.monotonic()
        response = self._listeners.dispatch(request)
        self._note(request.body, time.monotonic() - began)
        return response

    def _noted(self, body: Mapping[str, Any], seconds: float) -> None:
        self._took(*self._read(body), seconds)

    def _read(self, body: Mapping[str, Any]) -> tuple[str, str]:
        if "command" not in body:
            return _KINDS.get(str(body.get("type")), OTHER), NO_VERB
        words = str(body.get("text") or "")[:_LOOKED_AT].casefold().split(maxsplit=2)
        if words and words[0] == self._command:
            del words[0]
        return "command", self._verbs.get(words[0], OTHER) if words else "help"
