"""Who is in which user group, as Slack says now."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from deploy.errors import Unavailable

log = logging.getLogger(__name__)

_KEPT_SECONDS = 60.0
"""For this long an answer counts: a click is judged by what was true a minute ago at most."""


class UserGroups:
    """Membership in user groups, asked of Slack and kept for a minute."""

    def __init__(self, slack: WebClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._slack = slack
        self._clock = clock
        self._kept: dict[str, tuple[float, frozenset[str]]] = {}
        self._lock = threading.Lock()

    def groups_of(self, user: str, groups: Sequence[str]) -> frozenset[str]:
        """Those of `groups` that `user` is in. Unavailable when Slack does not say."""
        return frozenset(group for group in groups if user in self.members(group))

    def members(self, group: str) -> frozenset[str]:
        """The user ids of a group. Unavailable when Slack does not say."""
        with self._lock:
            kept = self._kept.get(group)
        if kept is not None and self._clock() - kept[0] < _KEPT_SECONDS:
            return kept[1]
        asked_at = self._clock()
        try:
            answer = self._slack.usergroups_users_list(usergroup=group)
        except SlackApiError as error:
            raise _unreadable(group, str(error.response.get("error"))) from error
        except (SlackClientError, OSError) as error:
            raise _unreadable(group, type(error).__name__) from error
        members = frozenset(str(user) for user in answer["users"])
        with self._lock:
            self._kept[group] = (asked_at, members)
        return members


def _unreadable(group: str, reason: str) -> Unavailable:
    return Unavailable(
        f"Slack does not say who is in the group {group} ({reason}).",
        meaning="So it cannot be known who may decide, and nothing was decided.",
        remedy="Try again in a minute. The app needs the scope usergroups:read.",
    )


class Team:
    """The workspace that the bot's token belongs to; empty while Slack does not say."""

    def __init__(self, slack: WebClient) -> None:
        self._slack = slack
        self._id = ""
        self._user = ""

    def __call__(self) -> str:
        """The workspace's id: asked once, and remembered."""
        if not self._id:
            try:
                answer = self._slack.auth_test()
            except (SlackApiError, SlackClientError, OSError) as error:
                log.warning("Slack does not say which workspace this is: %s", type(error).__name__)
            else:
                self._id, self._user = str(answer["team_id"]), str(answer["user_id"])
        return self._id

    def bot_user(self) -> str:
        """The bot's own user id."""
        return self._user if self() else ""
