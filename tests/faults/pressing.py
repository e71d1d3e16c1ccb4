"""People press Stop on the message of an action: the button that it shows, as Slack hands the click on."""

import itertools
import json
from pathlib import Path
from typing import Any

from deploy.access import Environment
from deploy.actions.store import ActionStore
from deploy.changes.decide import Decider
from deploy.plans.requests import DeployRequest
from handlers.actions import decisions
from handlers.views import action as action_view
from handlers.views.words.kinds import KIND_WORDS
from tests.faults.stamping import STAMP
from tests.support import actions
from tests.support.annotating.kind import ANNOTATE
from tests.support.annotating.verb import WORDS
from tests.support.authority import authority
from tests.support.clicks import clicked, heard
from tests.support.needs import needs

APPROVER, BYSTANDER = "U9", "U5"
"""Who may stop it, and who may not."""
NEXT = "NEXT"
"""The action that waits for the gateway behind the one that is stopped."""
_BUTTON = "action_stop"


class StopButton:
    """The button of one action, and what was said to each who pressed it, in the file `heard_in`."""

    def __init__(self, store: ActionStore, action_id: str, heard_in: Path) -> None:
        KIND_WORDS[ANNOTATE] = WORDS
        decider: Any = Decider(
            store,
            policies=None,  # type: ignore[arg-type]
            renew=lambda action, request_id: None,
            authority=authority(Environment("development")),
            wake=lambda name: None,
        )
        self._needs = needs(decisions.Needs, store=store, decider=decider)
        self._store = store
        self._action_id = action_id
        self._heard_in = heard_in
        self._value = ""
        self._clicks = itertools.count()

    def press(self, *users: str) -> None:
        """They press it one after the other, on the message as it was before the first of them did."""
        action = self._store.get(self._action_id)
        assert action is not None
        _, blocks = action_view.render(action)
        shown = [e for b in blocks for e in b.get("elements", ()) if e.get("action_id") == _BUTTON]
        if shown:
            self._value = shown[0]["value"]
        # What has ended has no such button; somebody may still look at an older message.
        assert self._value, f"no Stop on the message of what is {action.state}"
        with self._heard_in.open("a") as file:
            for user in users:
                click = clicked(user, self._value, _BUTTON, at=f"{next(self._clicks)}.0")
                said = heard(lambda click=click: decisions.stop(self._needs, click))  # type: ignore[misc]
                file.write(f"{json.dumps([user, said])}\n")


def line_up_behind(store: ActionStore, action_id: str) -> None:
    """Somebody asks for another action of the same gateway, and confirms it."""
    before = store.get(action_id)
    assert before is not None
    plan = actions.plan_of(before.ref)
    request = DeployRequest(plan.spec)
    actions.ask(store, NEXT, kind=STAMP, ref=before.ref, plan=plan, request=request, ttl=600)
    actions.confirm(store, NEXT)


def wrong_answers(heard_in: Path, *, expected: list[tuple[str, str]] | None = None) -> list[str]:
    """What is wrong with what was said to those who pressed it: `expected` are who did and the beginning of
    what they hear; without it all of them are told that they may not."""
    said = [tuple(json.loads(line)) for line in heard_in.read_text().splitlines()]
    wanted = expected if expected is not None else [(BYSTANDER, _NOT_ALLOWED)] * len(said)
    fits = len(said) == len(wanted) > 0 and all(
        who == by and (told.startswith(words) if words else not told)
        for (who, told), (by, words) in zip(said, wanted, strict=True)
    )
    return [] if fits else [f"said was {said} and not {wanted}"]


_NOT_ALLOWED = "Only the requester or an approver may stop this"
PRESSED_BY_ALL = [
    (BYSTANDER, _NOT_ALLOWED),
    (APPROVER, ""),
    (APPROVER, "This is stopping already"),
    (BYSTANDER, _NOT_ALLOWED),
]
"""The wrong person, the right one, that one again, and the wrong one again: what each hears."""
PRESSED_ONCE = [(APPROVER, "")]
