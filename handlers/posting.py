"""Messages for everybody in a channel."""

from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError


def post(slack: WebClient, channel: str, user: str, **message: Any) -> dict[str, str]:
    """Post for everybody in the channel, or for the person alone where the bot is no member.

    Where it is, by `channel` and `ts`. Raises what Slack's client raises.
    """
    try:
        posted = slack.chat_postMessage(channel=channel, **message)
    except SlackApiError as error:
        if error.response.get("error") not in ("not_in_channel", "channel_not_found"):
            raise
        posted = slack.chat_postMessage(channel=user, **message)
    return {"channel": str(posted["channel"]), "ts": str(posted["ts"])}
