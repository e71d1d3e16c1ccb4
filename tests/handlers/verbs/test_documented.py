"""docs/approvals.md says of each verb who may use it where, as the authority answers.

`WRITE_DOCS=1` writes the tables anew in place of comparing them.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from bot.clients import environments_of
from bot.settings import Settings
from deploy.access import UNLISTED, Environment, Right, Standing, policy_for
from deploy.actions.action import Action, State
from deploy.changes.authority import Authority
from deploy.errors import Refused
from deploy.gateway import GatewayRef
from deploy.policy import Policy
from handlers.verbs.table import VERBS
from tests.support.authority import NOW, People, authority

PAGE = Path(__file__).parents[3] / "docs" / "approvals.md"
SECTION = "## Who may do what\n"
PLACES = {"development": "dev", "production": "prod", "no environment": "elsewhere"}
PERSONS = {
    "requester": "U0REQ",
    "approver": "U0APP",
    "other": "U0OTHER",
    "guest": "U0GUEST",
    "foreigner": "U0FOREIGN",
    "deactivated": "U0GONE",
}
PEOPLE = People(
    # Groups do not make somebody of a guest.
    {"S0REQUEST": ("U0REQ", "U0GUEST"), "S0APPROVE": ("U0APP", "U0GUEST", "U0GONE")},
    {
        "U0GUEST": Standing.GUEST,
        "U0FOREIGN": Standing.FOREIGN,
        "U0GONE": Standing.DEACTIVATED,
    },
)
NOTHING: Any = None
"""Neither plan nor request is looked at."""
Row = tuple[str, tuple[str, ...]]
OF_ACTIONS = (Right.DECIDE, Right.CONFIRM, Right.CANCEL, Right.STOP)


def test_the_page_says_of_each_verb_who_may_use_it_where() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(SECTION)
    written, _, after = rest.partition("\n## ")
    intro = written[: written.index("### ")]
    made = "\n".join(tables(settings_of(intro)))
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(f"{before}{SECTION}{intro}{made}\n## {after}", encoding="utf-8")
        return
    assert written == intro + made, "run this test with WRITE_DOCS=1, and look at what changed"


def settings_of(text: str) -> Authority:
    """The authority over the settings that the page shows."""
    shown = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    rest = {
        "redis": {"url": "redis://localhost"},
        "apim": [{"name": "a", "subscription": "s", "resource_group": "g", "service": "a"}],
        "clusters": [{"name": "west", "context": "west"}],
    }
    return authority(*environments_of(Settings.model_validate({**rest, **shown})), people=PEOPLE)


def tables(judge: Authority) -> Iterator[str]:
    """One table for each place: verbs of which the same is true share a row."""
    for title, namespace in PLACES.items():
        ref = GatewayRef("west", namespace, "edge-1")
        yield f"### {title}\n\n| | {' | '.join(PERSONS)} |\n|---|{'---|' * len(PERSONS)}"
        rows = [
            (name, tuple(happens(judge, right, name, user, ref) for user in PERSONS.values()))
            for name, right in uses()
        ]
        for cells, same in itertools.groupby(sorted(rows, key=_order(rows)), lambda row: row[1]):
            names = " · ".join(name for name, _ in same)
            yield f"| {names} | {' | '.join(cells)} |"
        yield ""


def _order(rows: list[Row]) -> Callable[[Row], int]:
    first = list(dict.fromkeys(cells for _, cells in rows))
    return lambda row: first.index(row[1])


def uses() -> Iterator[tuple[str, Right]]:
    """Everything that can be done, and the right that it takes."""
    for verb in VERBS:
        yield f"`{verb.name}`", verb.right
        for option, right in verb.option_rights.items():
            yield f"`{verb.name} --{option}`", right
    yield "*Resume* (button)", Right.RESUME


def happens(judge: Authority, right: Right, name: str, user: str, ref: GatewayRef) -> str:
    """What comes of it, in a few words."""
    if right in OF_ACTIONS:
        return decided(judge, right, name, user, ref)
    environment = judge.environment(ref)
    if right is Right.RESUME and environment is UNLISTED:
        return "–"
    if not judge.may(right, user, environment, channel="C0OPS").allowed:
        return "refused"
    if right is not Right.ASK:
        return "allowed"
    policy = policy_of(environment, ref)
    if policy is None:
        return "refused"
    return "asks approvers" if policy.by == "approvers" else "confirms alone"


def decided(judge: Authority, right: Right, name: str, user: str, ref: GatewayRef) -> str:
    """What comes of deciding on the requester's change."""
    policy = policy_of(judge.environment(ref), ref)
    if policy is None:
        return "–"
    waiting = Action(
        id="AAAAAA", kind="deploy", ref=ref, state=State.PENDING, version=1,
        requester=PERSONS["requester"], person=PERSONS["requester"], policy=policy, digest="d",
        request=NOTHING, plan=NOTHING, origin={}, created_at=0, expires_at=0, updated_at=0,
    )  # fmt: skip
    if name == "`approve`" and policy.by == "requester":
        # By text, whose yes it takes is not for the person to know.
        right = Right.CONFIRM
    return "allowed" if judge.may_act(right, user, waiting).allowed else "refused"


def policy_of(environment: Environment, ref: GatewayRef) -> Policy | None:
    """Who decides on a change there, None where nobody may change anything."""
    try:
        return policy_for((environment,), ref, freezing=(environment,), now=NOW)
    except Refused:
        return None
