"""What Slack's errors mean for whoever called."""

from slack_sdk.errors import SlackApiError

_UNSURE = ("fatal_error", "internal_error", "request_timeout", "service_unavailable")


def unsure(error: SlackApiError) -> bool:
    """Whether what Slack refused may have been done all the same."""
    return error.response.status_code >= 500 or error.response.get("error") in _UNSURE
