"""Everything a workspace remembers: people, channels, messages, files, views on the Home tab.

Changes are announced to the page's listeners and to whoever saves snapshots.
"""

import base64
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace

from bot.sandbox.slack.ids import Clock, Ids
from bot.sandbox.slack.model import JSON, PERSON_KINDS, AppConfig, Channel, User, UserGroup
from bot.sandbox.slack.stream import Broadcast


@dataclass
class File:
    """An uploaded file: Slack's file object and its bytes."""

    meta: JSON
    content: bytes = b""
    complete: bool = False
    secret: str = field(default="", repr=False)


class State:
    """The workspace's memory. Messages are Slack's own message JSON, keyed by channel and ts."""

    def __init__(
        self,
        *,
        team: JSON,
        app: AppConfig,
        users: Sequence[User],
        usergroups: Sequence[UserGroup],
        channels: Sequence[Channel],
        broadcast: Broadcast,
        changed: Callable[[], None],
        clock: Clock,
    ) -> None:
        self.team = team
        self.app = app
        self.clock = clock
        self.ids = Ids(clock)
        self._broadcast = broadcast
        self._changed = changed
        self._start = (tuple(users), tuple(usergroups), tuple(channels))
        self.clear()

    def clear(self) -> None:
        """Back to how the workspace was first set up."""
        users, usergroups, channels = self._start
        self.users = {user.id: user for user in users}
        app = self.app
        self.users.setdefault(
            app.bot_user_id,
            User(app.bot_user_id, app.name.lower().replace(" ", "-"), app.name, is_bot=True),
        )
        self.usergroups = {group.id: group for group in usergroups}
        self.channels = {channel.id: channel for channel in channels}
        self.messages: dict[str, dict[str, JSON]] = {}
        self.past_elements: dict[tuple[str, str], dict[tuple[str, str], JSON]] = {}
        self.ephemerals: dict[str, list[tuple[str, JSON]]] = {}
        self.files: dict[str, File] = {}
        self.homes: dict[str, JSON] = {}
        self.read_marks: dict[str, dict[str, str]] = {}
        self.scheduled: dict[str, JSON] = {}
        self.pins: dict[str, list[str]] = {}
        self.bookmarks: dict[str, list[JSON]] = {}

    def announce(self, event: JSON, sees: Callable[[str], bool] | None = None) -> None:
        """Tell the page (those it concerns), and that there is something to save."""
        self._broadcast.publish(event, sees)
        self._changed()

    def save(self) -> None:
        """Say that there is something to save."""
        self._changed()

    def user(self, ref: object) -> User | None:
        """By id or by name, with or without the at-sign."""
        if not isinstance(ref, str):
            return None
        name = ref.removeprefix("@")
        return self.users.get(ref) or next(
            (user for user in self.users.values() if user.name == name), None
        )

    def set_kind(self, user: User, kind: JSON) -> User:
        """Make somebody a guest or a member, deactivate or reactivate them; `kind` is fields of
        User."""
        user = replace(user, **kind)
        self.users[user.id] = user
        self.announce({"type": "state"})
        return user

    def team_of(self, user_id: str) -> JSON:
        """The workspace somebody belongs to, as id, name and domain."""
        user = self.users.get(user_id)
        return user.home._asdict() if user is not None and user.home is not None else self.team

    def usergroup(self, ref: object) -> UserGroup | None:
        """By id or handle."""
        if not isinstance(ref, str):
            return None
        handle = ref.removeprefix("@")
        return self.usergroups.get(ref) or next(
            (group for group in self.usergroups.values() if group.handle == handle), None
        )

    def channel(self, ref: object) -> Channel | None:
        """By id or by name, with or without the hash; `@ana` is the app's conversation with ana."""
        if not isinstance(ref, str):
            return None
        if ref.startswith("@") and (user := self.user(ref)):
            pair = {self.app.bot_user_id, user.id}
            return next(
                (c for c in self.channels.values() if c.is_im and set(c.members) == pair), None
            )
        name = ref.removeprefix("#")
        return self.channels.get(ref) or next(
            (c for c in self.channels.values() if c.name == name and not c.is_im), None
        )

    def open_im(self, user: User) -> tuple[Channel, bool]:
        """The conversation between the app and `user`, and whether it had to be made."""
        if (present := self.channel(f"@{user.name}")) is not None:
            return present, False
        pair = (self.app.bot_user_id, user.id)
        channel = Channel(self.ids.make("D"), user.name, True, "", pair, is_im=True)
        self.channels[channel.id] = channel
        self.announce({"type": "state"}, lambda u: u == user.id)
        return channel, True

    def set_member(self, channel: Channel, user_id: str, member: bool) -> Channel:
        """Let someone join or leave."""
        members = [m for m in channel.members if m != user_id] + ([user_id] if member else [])
        channel = replace(channel, members=tuple(members))
        self.channels[channel.id] = channel
        self.announce({"type": "state"})
        return channel

    def present(self, channel: Channel) -> list[str]:
        """Who is in a channel now: Slack removes deactivated people from every channel."""
        gone = {user.id for user in self.users.values() if user.deleted}
        return [member for member in channel.members if member not in gone]

    def is_shared(self, channel: Channel) -> bool:
        """Whether people of another workspace are in the channel."""
        return self.teams_of(channel) != [self.team["id"]]

    def teams_of(self, channel: Channel) -> list[str]:
        """The ids of the workspaces that share the channel, this one first."""
        others = {self.team_of(member)["id"] for member in self.present(channel)}
        return [self.team["id"], *sorted(others - {self.team["id"]})]

    def set_usergroup(self, group: UserGroup, users: Sequence[str]) -> None:
        """Replace who is in a user group."""
        self.usergroups[group.id] = replace(group, users=tuple(users))
        self.announce({"type": "state"})

    def groups_of(self, user_id: str) -> list[UserGroup]:
        """The user groups somebody is in."""
        return [group for group in self.usergroups.values() if user_id in group.users]

    def sees(self, channel_id: str) -> Callable[[str], bool]:
        """Who may see what happens in a channel: every full member of the workspace, unless it is
        private, and whoever is in it."""
        channel = self.channels[channel_id]

        def sees(user_id: str) -> bool:
            user = self.users.get(user_id)
            closed = channel.is_private or (user is not None and user.is_confined)
            return not closed or user_id in channel.members

        return sees

    def in_channel(self, channel_id: str) -> Iterator[JSON]:
        """Messages of a channel, oldest first, replies included."""
        yield from self.messages.get(channel_id, {}).values()

    def message(self, channel_id: str, ts: object) -> JSON | None:
        """One message everybody in the channel sees."""
        return self.messages.get(channel_id, {}).get(ts) if isinstance(ts, str) else None

    def ephemeral(self, user_id: str, channel_id: str, ts: object) -> JSON | None:
        """One message only `user_id` sees."""
        return next(
            (m for c, m in self.ephemerals.get(user_id, []) if c == channel_id and m["ts"] == ts),
            None,
        )

    def snapshot(self) -> JSON:
        """All that outlives a restart; messages only one person saw do not, as in Slack."""
        return copy.deepcopy(
            {
                "channels": [
                    {**asdict(c), "members": list(c.members)} for c in self.channels.values()
                ],
                "usergroups": {g.id: list(g.users) for g in self.usergroups.values()},
                "people": {
                    user.id: {name: getattr(user, name) for name in PERSON_KINDS}
                    for user in self.users.values()
                },
                "messages": {c: list(m.values()) for c, m in self.messages.items()},
                "files": [
                    {"meta": f.meta, "content": base64.b64encode(f.content).decode()}
                    for f in self.files.values()
                    if f.complete
                ],
                "homes": self.homes,
                "read_marks": self.read_marks,
                "scheduled": self.scheduled,
                "pins": self.pins,
                "bookmarks": self.bookmarks,
            }
        )

    def restore(self, data: JSON) -> None:
        """Take over what `snapshot` returned."""
        self.clear()
        data = copy.deepcopy(data)
        for channel in data.get("channels", []):
            self.channels[channel["id"]] = Channel(
                **{
                    **channel,
                    "members": tuple(channel["members"]),
                    "pending": tuple(channel.get("pending", ())),
                }
            )
        for group_id, users in data.get("usergroups", {}).items():
            if group_id in self.usergroups:
                self.usergroups[group_id] = replace(self.usergroups[group_id], users=tuple(users))
        for user_id, kind in data.get("people", {}).items():
            if user_id in self.users:
                self.users[user_id] = replace(self.users[user_id], **kind)
        self.messages = {
            channel: {message["ts"]: message for message in messages}
            for channel, messages in data.get("messages", {}).items()
        }
        self.files = {
            file["meta"]["id"]: File(file["meta"], base64.b64decode(file["content"]), complete=True)
            for file in data.get("files", [])
        }
        for name in ("homes", "read_marks", "scheduled", "pins", "bookmarks"):
            setattr(self, name, data.get(name, {}))
