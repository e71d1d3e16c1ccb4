"""Posts a message once in a channel, whoever tries and however often."""

from collections.abc import Mapping
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from deploy.expiry.notices import Notices, Turn
from handlers.slack.api_errors import unsure
from handlers.views.reply import Block

EVENT_TYPE = "gateway_notice"
SKEW_SECONDS = 300.0
"""By how much Slack's clock may differ from Redis'."""
_PAGE = 200


def find_message(
    slack: WebClient,
    channel: str,
    thread: str | None,
    since: float,
    event_type: str,
    payload: Mapping[str, Any],
) -> str | None:
    """The ts of a message with this metadata that was posted after `since` (epoch seconds)."""
    more: dict[str, Any] = {
        "channel": channel,
        "oldest": str(since - SKEW_SECONDS),
        "include_all_metadata": True,
        "limit": _PAGE,
    }
    while True:
        answer: Any = (
            slack.conversations_replies(ts=thread, **more)
            if thread
            else slack.conversations_history(**more)
        )
        for message in answer["messages"]:
            metadata = message.get("metadata") or {}
            if metadata.get("event_type") == event_type and (
                metadata.get("event_payload") == payload
            ):
                return str(message["ts"])
        cursor = (answer.get("response_metadata") or {}).get("next_cursor")
        if not cursor:
            return None
        more["cursor"] = cursor


class Poster:
    """`slack` must repeat nothing by itself."""

    def __init__(self, slack: WebClient, notices: Notices) -> None:
        self._slack = slack
        self._notices = notices

    def post(self, channel: str, name: str, text: str, blocks: list[Block]) -> bool:
        """Post the notice of that name; whether it is there, by whomever: False while another bot
        is at it. Raises what Slack or Redis raises; calling it again is safe."""
        notice = f"{channel}:{name}"
        turn = self._notices.begin(notice)
        if not isinstance(turn, Turn):
            return turn == "sent"
        payload = {"id": notice}
        if turn.since is not None and find_message(
            self._slack, channel, None, turn.since, EVENT_TYPE, payload
        ):
            self._notices.end(notice, sent=True)
            return True
        self._notices.mark(notice)
        try:
            self._slack.chat_postMessage(
                channel=channel,
                text=text,
                blocks=blocks,
                metadata={"event_type": EVENT_TYPE, "event_payload": payload},
            )
        except SlackApiError as error:
            if not unsure(error):
                self._notices.end(notice, sent=False)
            raise
        self._notices.end(notice, sent=True)
        return True
