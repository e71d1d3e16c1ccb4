"""Who is in which user group, and what somebody is in this workspace, as Slack says now."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient

from deploy.access import Standing
from deploy.errors import Unavailable
from handlers.slack.api_errors import FAILURES, lacks_scope, trouble

log = logging.getLogger(__name__)

_KEPT_SECONDS = 60.0
"""For this long an answer counts: a click is judged by what was true a minute ago at most."""


@dataclass(frozen=True)
class Origin:
    """Where a payload comes from.

    `installed` is the workspace, or organization, whose bot it was sent to, empty where it does
    not say; `user` is who sent it.
    """

    installed: str
    user: str


def origin_of(body: Mapping[str, Any]) -> Origin:
    """The origin of a payload, as Slack's own SDK and its issues tell.

    A click in a channel shared with another workspace has the bot's workspace as `team`, and the
    person's as `user.team_id` (java-slack-sdk#1041); a form's `team` is the person's, and the bot's
    is `view.app_installed_team_id` (bolt-js#1614). In an Enterprise Grid `user.team_id` is any one
    of the person's workspaces (bolt-js#1875), and `team` may be null, `enterprise` given instead.
    An event names the bot's workspace alone, though people of others open its Home tab too, from a
    shared channel (bolt-js#1948); whose bot it is for stands in `authorizations` (bolt-python,
    slack_bolt/request/internals.py).
    """
    user, view, event = (_part(body, name) for name in ("user", "view", "event"))
    told = _installation(body)
    team = _part(body, "team").get("id") or told.get("team_id") or ""
    enterprise = _part(body, "enterprise").get("id") or told.get("enterprise_id") or ""
    wide = str(told.get("is_enterprise_install")).lower() == "true"
    installed = view.get("app_installed_team_id") or team or enterprise
    return Origin(
        installed=str(enterprise if wide else installed),
        user=str(user.get("id") or body.get("user_id") or event.get("user") or ""),
    )


def _installation(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where a payload says whose bot it is for."""
    granted = body.get("authorizations") or [body]
    return granted[0] if isinstance(granted[0], Mapping) else body


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    return value if isinstance(value, Mapping) else {}


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
        except FAILURES as error:
            raise _unreadable(group, error, self._slack.base_url) from error
        members = frozenset(str(user) for user in answer["users"])
        with self._lock:
            self._kept[group] = (asked_at, members)
        return members


def _unreadable(group: str, error: Exception, url: str) -> Unavailable:
    why = trouble(error, url)
    return Unavailable(
        f"Slack does not say who is in the group {group} ({why.what}).",
        meaning="The bot cannot check who may decide, so nothing was decided.",
        remedy=why.remedy + _needs("usergroups:read", error),
        lasts=why.lasts,
    )


def _needs(scope: str, error: Exception) -> str:
    return f" The app needs the scope {scope}." if lacks_scope(error) else ""


class Team:
    """The workspace that the bot's token belongs to, and what people are in it."""

    def __init__(self, slack: WebClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._slack = slack
        self._clock = clock
        self._id = ""
        self._enterprise = ""
        self._user = ""
        self._scopes: frozenset[str] = frozenset()
        self._people: dict[str, tuple[float, Standing]] = {}

    def __call__(self) -> str:
        """The workspace's id: asked once, and remembered; empty while Slack does not say."""
        if not self._id:
            try:
                answer = self._slack.auth_test()
            except FAILURES as error:
                why = trouble(error, self._slack.base_url).what
                log.warning("Slack does not say which workspace this is: %s", why)
            else:
                self._enterprise = str(answer.get("enterprise_id") or "")
                headers = {key.lower(): value for key, value in answer.headers.items()}
                scopes = str(headers.get("x-oauth-scopes") or "").split(",")
                self._scopes = frozenset(scope.strip() for scope in scopes)
                self._id, self._user = str(answer["team_id"]), str(answer["user_id"])
        return self._id

    def bot_user(self) -> str:
        """The bot's own user id."""
        return self._user if self() else ""

    def granted(self, scope: str) -> bool:
        """Whether the app has a scope; not while Slack does not say."""
        return bool(self()) and scope in self._scopes

    def may_own(self, origin: Origin) -> bool:
        """Whether a payload was sent to this workspace's bot, for all that is known so far: Slack
        is not asked."""
        return not self._id or origin.installed in (self._id, self._enterprise)

    def standing(self, user: str) -> Standing:
        """What `user` is in the workspace, kept for a minute. Unavailable while Slack does not
        say."""
        own = self()
        if not own:
            raise _unsaid_workspace()
        kept = self._people.get(user)
        if kept is not None and self._clock() - kept[0] < _KEPT_SECONDS:
            return kept[1]
        asked_at = self._clock()
        try:
            answer = self._slack.users_info(user=user)
        except FAILURES as error:
            raise _unknown(user, error, self._slack.base_url) from error
        standing = _standing(answer["user"], own)
        self._people[user] = (asked_at, standing)
        return standing


def _standing(person: Mapping[str, Any], own: str) -> Standing:
    """What `users.info` says of a person of the workspace `own`, or of another one. Where an app
    serves a whole organization, `own` is the organization."""
    everywhere = _part(person, "enterprise_user")
    teams = {person.get("team_id"), everywhere.get("enterprise_id")}
    if own not in teams.union(everywhere.get("teams") or ()):
        return Standing.FOREIGN
    if person.get("deleted"):
        return Standing.DEACTIVATED
    guest = person.get("is_restricted") or person.get("is_ultra_restricted")
    return Standing.GUEST if guest else Standing.MEMBER


def _unsaid_workspace() -> Unavailable:
    return Unavailable("Slack does not say which workspace this bot belongs to.")


def _unknown(user: str, error: Exception, url: str) -> Unavailable:
    why = trouble(error, url)
    return Unavailable(
        f"Slack does not say whether {user} is a member of this bot's workspace ({why.what}).",
        meaning="So nothing was done.",
        remedy=why.remedy + _needs("users:read", error),
        lasts=why.lasts,
    )
