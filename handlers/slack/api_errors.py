"""What each of Slack's errors means: the one table.

Errors are those of the methods' own pages (docs.slack.dev/reference/methods), each under the method
that documents it; what is documented for every method stands first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPException

from slack_sdk.errors import SlackApiError, SlackClientError

from deploy.link_faults import Place, fault_of


class Meaning(StrEnum):
    """What an error says of the call that was refused."""

    LATER = "later"
    """Not done. The same call may be accepted after a while."""
    UNSURE = "unsure"
    """Whether it was done is not known."""
    GONE = "gone"
    """The message that it is about is no longer there, or can no longer be changed."""
    CLOSED = "closed"
    """Nothing can be posted in that place, whatever it is."""
    REFUSED = "refused"
    """This content is not accepted; another may be."""
    TOO_LONG = "too long"
    """This content is too long."""
    FORBIDDEN = "forbidden"
    """The bot may not call anything until somebody mends its token."""
    NOT_GRANTED = "not granted"
    """The bot may not call this method until somebody gives it the right to."""
    UNKNOWN = "unknown"
    """Not in the table."""


_BY_MEANING: Mapping[Meaning, tuple[str, ...]] = {
    Meaning.LATER: (
        # Every method; the second spelling is chat.postMessage's own.
        *("ratelimited", "rate_limited"),
        # chat.postMessage: the workspace sends too many messages.
        "message_limit_exceeded",
    ),
    Meaning.UNSURE: (
        # Every method.
        *("fatal_error", "internal_error", "request_timeout", "service_unavailable"),
        # chat.update.
        "update_failed",
    ),
    Meaning.GONE: (
        # chat.update.
        *("message_not_found", "cant_update_message", "edit_window_closed", "is_inactive"),
        # conversations.replies, chat.postMessage in a thread.
        *("thread_not_found", "cannot_reply_to_message", "restricted_action_thread_locked"),
    ),
    Meaning.CLOSED: (
        # chat.postMessage.
        *("channel_not_found", "not_in_channel", "is_archived", "restricted_action"),
        *("restricted_action_read_only_channel", "restricted_action_thread_only_channel"),
        *("restricted_action_non_threadable_channel", "messages_tab_disabled"),
        # conversations.open, and chat.postMessage to a person.
        *("user_not_found", "user_disabled", "user_not_visible", "cannot_dm_bot"),
        # chat.postEphemeral.
        "user_not_in_channel",
    ),
    Meaning.REFUSED: (
        # chat.postMessage and chat.update.
        *("invalid_blocks", "invalid_blocks_format", "no_text", "too_many_attachments"),
        *("markdown_text_conflict", "attachment_payload_limit_exceeded", "block_mismatch"),
        *("invalid_metadata_format", "invalid_metadata_schema", "metadata_too_large"),
        *("metadata_must_be_sent_from_app", "streaming_state_conflict"),
        # Every method.
        *("invalid_arguments", "invalid_form_data", "invalid_charset"),
    ),
    Meaning.TOO_LONG: ("msg_too_long", "msg_blocks_too_long"),
    Meaning.FORBIDDEN: (
        # Every method.
        *("not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired"),
        *("org_login_required", "ekm_access_denied", "access_denied", "team_access_not_granted"),
    ),
    # Every method.
    Meaning.NOT_GRANTED: ("missing_scope", "not_allowed_token_type", "no_permission"),
}
TABLE: Mapping[str, Meaning] = {
    error: found for found, errors in _BY_MEANING.items() for error in errors
}
"""Each error that is known, and what it means."""


def meaning(error: Exception) -> Meaning:
    """What the failure of a call to Slack says of it; UNSURE where no answer came."""
    if not isinstance(error, SlackApiError):
        return Meaning.UNSURE
    if error.response.status_code == 429:
        return Meaning.LATER
    known = TABLE.get(name(error))
    # What is not a word of Slack's is its client's: of an answer that something on the way replaced.
    garbled = not name(error).replace("_", "").isalpha()
    if known is None and (garbled or error.response.status_code >= 500):
        return Meaning.UNSURE
    return known or Meaning.UNKNOWN


def name(error: Exception) -> str:
    """How Slack calls the error, or what kept its answer from coming."""
    if isinstance(error, SlackApiError):
        return str(error.response.get("error"))
    return type(error).__name__


@dataclass(frozen=True)
class Trouble:
    """Why a call failed, as a clause, and what to do. `lasts` says that waiting does not help."""

    what: str
    remedy: str
    lasts: bool = False


def trouble(error: Exception, url: str = "") -> Trouble:
    """In words for a person, of what Slack refused or what kept its answer from coming from `url`."""
    if not isinstance(error, SlackApiError):
        fault = fault_of(error, SLACK, url)
        return Trouble(fault.what, fault.remedy, fault.lasts)
    refusal = name(error)
    if found := _TOKENS.get(refusal):
        return Trouble(f"{found[0]}, {refusal}", f"For the operator of the bot: {found[1]}", True)
    lasts = meaning(error) in (Meaning.FORBIDDEN, Meaning.NOT_GRANTED)
    return Trouble(refusal, _CHECK_TOKEN if lasts else "Try again in a minute.", lasts)


SLACK = Place("slack.api_url", "SSL_CERT_FILE")
_CHECK_TOKEN = (
    "For the operator of the bot: Check the token, and compare its scopes with "
    "docs/slack-app-manifest.yaml."
)
_AGAIN = "Install the app again and use its new token."
_TOKENS: Mapping[str, tuple[str, str]] = {
    "not_authed": ("no token was sent", "Set the token."),
    "invalid_auth": ("the token is wrong", "Copy it from the settings of the Slack app again."),
    "account_inactive": ("the app or its bot was removed from the workspace", _AGAIN),
    "token_revoked": ("the token was revoked", _AGAIN),
    "token_expired": ("the token has expired", _AGAIN),
    "not_allowed_token_type": (
        "the token is of another kind",
        "SLACK_BOT_TOKEN takes a bot token (xoxb-…), SLACK_APP_TOKEN an app-level token (xapp-…).",
    ),
}
"""What each error of a token means, and what to do; every method documents them."""


def archived(error: Exception) -> bool:
    """Whether the channel is archived."""
    return name(error) == "is_archived"


def lacks_scope(error: Exception) -> bool:
    """Whether the app lacks a scope that the method needs."""
    return name(error) == "missing_scope"


def no_such_user(error: Exception) -> bool:
    """Whether there is no such user, or none that the app may see."""
    return name(error) in ("user_not_found", "user_not_visible")


def no_such_group(error: Exception) -> bool:
    """Whether there is no such user group."""
    return name(error) == "no_such_subteam"


def wait(error: Exception) -> float:
    """For how many seconds Slack says to wait; 0 where it does not say."""
    if not isinstance(error, SlackApiError):
        return 0.0
    given = str((error.response.headers or {}).get("Retry-After", ""))
    return float(given) if given.isdecimal() else 0.0


def everywhere(error: Exception) -> bool:
    """Whether Slack says to wait wherever a message goes, not only where this one was to go."""
    return name(error) == "message_limit_exceeded"


def opened_before(error: Exception) -> bool:
    """Whether a modal was opened already by what Slack delivered twice (docs.slack.dev, views.open)."""
    return name(error) == "exchanged_trigger_id"


def unsure(error: SlackApiError) -> bool:
    """Whether what Slack refused may have been done all the same."""
    return meaning(error) is Meaning.UNSURE


FAILURES = (SlackApiError, SlackClientError, OSError, HTTPException)
"""Everything that a call of Slack's client may raise."""
