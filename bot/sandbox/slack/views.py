"""Modals and Home tabs: the stack of each person, hashes, what a view looks like to the app."""

import copy

from bot.sandbox.slack.blocks import check_view, view_too_large
from bot.sandbox.slack.messages import completed, with_block_ids
from bot.sandbox.slack.model import JSON, SlackError, refused_arguments
from bot.sandbox.slack.state import State

STACK_LIMIT = 3


class Views:
    """Every open modal, and the Home tab of everybody."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._stacks: dict[str, list[JSON]] = {}

    def stack(self, user_id: str) -> list[JSON]:
        """Open modals of a person, root first."""
        return self._stacks.get(user_id, [])

    def clear(self) -> None:
        """Close everything."""
        self._stacks.clear()

    def find(self, view_id: object) -> tuple[str, JSON] | None:
        """An open modal or a Home tab by id, and whose it is."""
        for user, view in self._all():
            if view["id"] == view_id:
                return user, view
        return None

    def find_external(self, external_id: str) -> tuple[str, JSON] | None:
        """The same by the app's own id."""
        for user, view in self._all():
            if external_id and view["external_id"] == external_id:
                return user, view
        return None

    def open(self, user_id: str, given: object) -> JSON:
        """Show a first modal; one that was open gives way."""
        view = self._new(self._checked(given, "modal"))
        self._stacks[user_id] = [view]
        self._announce(user_id)
        return view

    def push(self, user_id: str, given: object) -> JSON:
        """Put a modal on top. Raises SlackError not_found or push_limit_reached."""
        checked = self._checked(given, "modal")
        stack = self.stack(user_id)
        if not stack:
            raise SlackError("not_found")
        if len(stack) >= STACK_LIMIT:
            raise SlackError("push_limit_reached")
        view = self._new(checked)
        view["previous_view_id"] = stack[-1]["id"]
        view["root_view_id"] = stack[0]["id"]
        stack.append(view)
        self._announce(user_id)
        return view

    def update(self, user_id: str, view: JSON, given: object, known_hash: object = None) -> JSON:
        """Replace what a view shows. Raises SlackError hash_conflict."""
        checked = self._checked(given, view["type"], replaces=view)
        if known_hash and known_hash != view["hash"]:
            raise SlackError("hash_conflict")
        values = _kept_values(view, checked)
        fresh = self._new(checked)
        for name in ("id", "previous_view_id", "root_view_id"):
            fresh[name] = view[name]
        if not checked.get("external_id"):
            fresh["external_id"] = view["external_id"]
        fresh["state"]["values"] = values
        view.clear()
        view.update(fresh)
        self._announce(user_id, home=view["type"] == "home")
        return view

    def publish(self, user_id: str, given: object, known_hash: object = None) -> JSON:
        """Set somebody's Home tab. Raises SlackError hash_conflict."""
        present = self._state.homes.get(user_id)
        if present is not None:
            return self.update(user_id, present, given, known_hash)
        view = self._new(self._checked(given, "home"))
        self._state.homes[user_id] = view
        self._announce(user_id, home=True)
        return view

    def close(self, user_id: str, view_id: str) -> None:
        """Take a modal off; what lies under it shows again."""
        stack = self.stack(user_id)
        self._stacks[user_id] = [view for view in stack if view["id"] != view_id]
        self._announce(user_id)

    def close_all(self, user_id: str) -> None:
        """Take every modal off."""
        self._stacks.pop(user_id, None)
        self._announce(user_id)

    def _all(self) -> list[tuple[str, JSON]]:
        modals = [(user, view) for user, stack in self._stacks.items() for view in stack]
        return modals + list(self._state.homes.items())

    def _checked(self, given: object, kind: str, replaces: JSON | None = None) -> JSON:
        problems = check_view(given)
        if problems or not isinstance(given, dict):
            raise refused_arguments(*problems)
        if given["type"] != kind:
            raise refused_arguments(f'must be a "{kind}" view [json-pointer:/view/type]')
        if view_too_large(given):
            raise SlackError("view_too_large")
        holder = self.find_external(given.get("external_id") or "")
        if holder is not None and holder[1] is not replaces:
            raise SlackError("duplicate_external_id")
        return given

    def _new(self, given: JSON) -> JSON:
        state, app = self._state, self._state.app
        view_id = state.ids.make("V")
        view: JSON = {
            "id": view_id,
            "team_id": state.team["id"],
            "type": given["type"],
            "blocks": with_block_ids(given["blocks"], state.ids),
            "private_metadata": given.get("private_metadata") or "",
            "callback_id": given.get("callback_id") or "",
            "state": {"values": {}},
            "hash": state.ids.view_hash(),
            "title": completed(given.get("title") or {"type": "plain_text", "text": "View Title"}),
            "clear_on_close": bool(given.get("clear_on_close")),
            "notify_on_close": bool(given.get("notify_on_close")),
            "close": completed(given.get("close")),
            "submit": completed(given.get("submit")),
            "submit_disabled": bool(given.get("submit_disabled")),
            "previous_view_id": None,
            "root_view_id": view_id,
            "app_id": app.app_id,
            "external_id": given.get("external_id") or "",
            "app_installed_team_id": state.team["id"],
            "bot_id": app.bot_id,
        }
        return copy.deepcopy(view)

    def _announce(self, user_id: str, home: bool = False) -> None:
        self._state.announce(
            {"type": "home" if home else "views", "user": user_id}, lambda u: u == user_id
        )


def _kept_values(view: JSON, given: JSON) -> JSON:
    """What somebody had filled in and the new blocks still ask for, by block and action id."""
    blocks = {b.get("block_id") for b in given["blocks"]}
    return {block: values for block, values in view["state"]["values"].items() if block in blocks}
