"""Messages for everybody in a channel."""

from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

CLOSED = (
    "not_in_channel",
    "channel_not_found",
    "is_archived",
    "restricted_action",
    "restricted_action_read_only_channel",
    "restricted_action_thread_only_channel",
)
"""Why Slack lets the bot post no message in a channel, whatever the message is."""


def post(slack: WebClient, channel: str, user: str, **message: Any) -> dict[str, str]:
    """Post for everybody in the channel, or for the person alone where the bot may not post.

    Where it is, by `channel` and `ts`. Raises what Slack's client raises.
    """
    try:
        posted = slack.chat_postMessage(channel=channel, **message)
    except SlackApiError as error:
        if error.response.get("error") not in CLOSED:
            raise
        posted = slack.chat_postMessage(channel=user, **message)
    return {"channel": str(posted["channel"]), "ts": str(posted["ts"])}
