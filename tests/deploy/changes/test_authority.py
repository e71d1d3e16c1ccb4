"""What somebody may do at this moment: settings, groups, guests, freezes and windows together."""

import dataclasses
import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.access import Approval, Environment, Freeze, Ground, Right, Standing, Verdict
from deploy.actions.action import Action, State
from deploy.actions.connection import connect
from deploy.actions.pauses import CLUSTER, ENVIRONMENT, Pause
from deploy.actions.windows import Windows
from deploy.changes.authority import Authority
from deploy.changes.decide import By, Decider
from deploy.changes.refusal import NotAllowed
from deploy.errors import Unavailable
from deploy.gateway import GatewayRef
from deploy.governance.requirements import GoverningEnvironment, TokenAuthority
from deploy.policy import People as Approvers
from deploy.policy import Policy, Requirement
from tests.support.authority import NOW, People, authority
from tests.support.redis_servers import started
from tests.support.windows import windows_of

PROD, DEV = GatewayRef("west", "prod", "edge-1"), GatewayRef("west", "dev", "edge-1")
NOTHING: Any = None
"""Neither plan nor request is looked at."""
APPROVERS = Approvers(users=("U0GUS",), groups=("S1",))
PRODUCTION = Environment("p", namespaces=("prod",), production=True, approval=Approval(APPROVERS))
DEVELOPMENT = Environment("d")
NEEDED = Policy((Requirement("p", APPROVERS),))
FREEZE = Freeze("Year end", NOW, NOW + datetime.timedelta(days=1))
GUESTS = {
    "U0GUS": Standing.GUEST,
    "U0SOL": Standing.GUEST,
    "U0DEE": Standing.DEACTIVATED,
    "U9EVE": Standing.FOREIGN,
}


@pytest.fixture
def windows(tmp_path: Path) -> Iterator[Windows]:
    for server in started("valkey", tmp_path / "redis"):
        assert isinstance(server, Valkey)
        client = connect(server.url)
        yield windows_of(client)


@pytest.fixture
def people() -> People:
    """U2 approves, and guests who are in the group of approvers too."""
    return People({"S1": ("U2", *GUESTS)}, dict(GUESTS))


def over(
    people: People, windows: Windows | None = None, production: Environment = PRODUCTION
) -> Authority:
    same = {"U1": "ana", "U11": "ana"}
    return authority(production, DEVELOPMENT, people=people, windows=windows, identities=same)


def test_a_window_counts_while_it_is_open_for_its_person_and_for_nobody_else(
    windows: Windows, people: People
) -> None:
    made = over(people, windows)
    window = windows.open(PROD, "U1", by="U2", reason="x", seconds=60, channel="C1", request_id="r")
    assert made.counts(window)
    assert [each.key for each in made.windows_for("U1")] == [window.key]
    assert made.windows_for("U3") == ()
    windows.close(window.key, by="U2")
    closed = windows.at(window.key)
    assert closed is not None
    assert not made.counts(closed)
    assert made.windows_for("U1") == ()


def opener_left_the_group(people: People) -> None:
    people.groups = {}


def opener_became_a_guest(people: People) -> None:
    people.standings = {**people.standings, "U2": Standing.GUEST}


def opener_was_deactivated(people: People) -> None:
    people.standings = {**people.standings, "U2": Standing.DEACTIVATED}


@pytest.mark.parametrize(
    "change", [opener_left_the_group, opener_became_a_guest, opener_was_deactivated]
)
def test_a_window_counts_no_longer_than_whoever_opened_it_is_an_approver(
    windows: Windows, people: People, change: Callable[[People], None]
) -> None:
    made = over(people, windows)
    window = windows.open(PROD, "U1", by="U2", reason="x", seconds=60, channel="C1", request_id="r")
    assert made.counts(window)
    change(people)
    assert not made.counts(window)
    assert made.windows_for("U1") == ()


def test_a_window_counts_no_longer_where_two_approvals_are_needed_by_now(
    windows: Windows, people: People
) -> None:
    window = windows.open(PROD, "U1", by="U2", reason="x", seconds=60, channel="C1", request_id="r")
    two = dataclasses.replace(PRODUCTION, approval=Approval(APPROVERS, quorum=2))
    assert not over(people, windows, two).counts(window)


def test_a_window_counts_no_longer_where_whoever_opened_it_is_its_own_person_by_now(
    windows: Windows, people: People
) -> None:
    window = windows.open(PROD, "U1", by="U2", reason="x", seconds=60, channel="C1", request_id="r")
    same = {"U1": "ana", "U2": "ana"}
    learned = authority(PRODUCTION, people=people, windows=windows, identities=same)
    assert over(people, windows).counts(window)
    assert not learned.counts(window)
    assert learned.windows_for("U1") == ()


def test_while_nobody_says_who_somebody_is_they_may_do_nothing(people: People) -> None:
    made = over(people)
    assert made.may(Right.CLOSE_WINDOW, "U2", PRODUCTION).allowed
    people.away = True
    for right in (Right.SEE, Right.ASK, Right.CLOSE_WINDOW):
        with pytest.raises(Unavailable):
            made.may(right, "U2", PRODUCTION)
    with pytest.raises(Unavailable):
        made.may(Right.SEE, "U0GUS")
    with pytest.raises(Unavailable):
        made.check_act(Right.CONFIRM, "U1", action(Policy()))
    with pytest.raises(Unavailable):
        made.check_request(DEV, "U1", "C1")


@pytest.mark.parametrize(
    ("user", "reason", "said"),
    [
        ("U0SOL", Ground.GUEST, "You are a guest in this workspace"),
        ("U0DEE", Ground.DEACTIVATED, "Your account is deactivated"),
        ("U9EVE", Ground.FOREIGN, "You are not a member of the workspace"),
    ],
)
def test_an_outsider_in_the_group_of_approvers_is_nobody_and_is_told_what_they_are(
    people: People, user: str, reason: Ground, said: str
) -> None:
    made = over(people)
    for right in (Right.SEE, Right.INSPECT, Right.ASK, Right.OPEN_WINDOW, Right.RESUME):
        with pytest.raises(NotAllowed, match=said) as refused:
            made.check(right, user, PRODUCTION, channel="C1")
        assert refused.value.verdict == Verdict(False, reason)
        assert (user in refused.value.remedy) is (reason is not Ground.FOREIGN)
    with pytest.raises(NotAllowed, match=said):
        made.check_act(Right.DECIDE, user, action(NEEDED))


def test_a_guest_whom_the_settings_name_may_do_what_that_gives_there_and_nothing_else(
    people: People,
) -> None:
    made = over(people)
    made.check(Right.SEE, "U0GUS")
    made.check(Right.OPEN_WINDOW, "U0GUS", PRODUCTION)
    assert made.may_act(Right.DECIDE, "U0GUS", action(NEEDED)).allowed
    for right in (Right.ASK, Right.INSPECT, Right.SNOOZE):
        with pytest.raises(
            NotAllowed, match="guests may do only what the settings allow them by name"
        ):
            made.check(right, "U0GUS", DEVELOPMENT)


def test_a_refusal_says_what_is_refused_and_who_may(people: People) -> None:
    asked = Environment("p", requesters=Approvers(("U5",)), approval=Approval(APPROVERS))
    made = authority(asked, people=people)
    for right, said in (
        (Right.ASK, "You are not allowed to request changes in p."),
        (Right.INSPECT, "Only those who request or approve changes in p may read logs"),
        (Right.SNOOZE, "may snooze warnings there"),
        (Right.OPEN_WINDOW, "Only approvers of p may open an approval window there."),
        (Right.CLOSE_WINDOW, "Only approvers of p may close an approval window there."),
        (Right.RESUME, "You are not allowed to resume automatic rotation in p."),
    ):
        with pytest.raises(NotAllowed, match=said) as refused:
            made.check(right, "U3", asked)
        assert refused.value.verdict.people
    with pytest.raises(NotAllowed, match="so there are no approval windows"):
        made.check(Right.OPEN_WINDOW, "U3", DEVELOPMENT)


def test_an_action_is_decided_on_by_who_may_and_by_nobody_else(people: People) -> None:
    made = over(people)
    own, waiting = action(Policy()), action(NEEDED)
    for right, user, about, allowed in (
        (Right.DECIDE, "U2", waiting, True),
        (Right.DECIDE, "U1", waiting, False),
        (Right.DECIDE, "U11", waiting, False),
        (Right.DECIDE, "U3", waiting, False),
        (Right.DECIDE, "U2", own, False),
        (Right.CONFIRM, "U1", own, True),
        (Right.CANCEL, "U1", own, True),
        (Right.CANCEL, "U2", own, False),
        (Right.STOP, "U1", own, True),
        (Right.STOP, "U2", own, True),
        (Right.STOP, "U3", own, False),
    ):
        assert made.may_act(right, user, about).allowed is allowed
        if allowed:
            made.check_act(right, user, about)
            continue
        with pytest.raises(NotAllowed):
            made.check_act(right, user, about)
    assert made.may_act(Right.DECIDE, "U11", waiting).reason is Ground.OWN_REQUEST


def test_a_request_is_refused_to_whoever_may_not_ask_in_that_channel(people: People) -> None:
    made = over(people, None, dataclasses.replace(PRODUCTION, channels=("C9",)))
    made.check_request(PROD, "U1", "C9")
    with pytest.raises(NotAllowed, match="cannot be requested from this channel") as refused:
        made.check_request(PROD, "U1", "C1")
    assert refused.value.verdict.channels == ("C9",)
    made.check_request(DEV, "U1", "C1")


def test_powers_are_told_with_their_reasons(people: People) -> None:
    frozen = dataclasses.replace(PRODUCTION, freezes=(FREEZE,), channels=("C9",))
    production, development = over(people, None, frozen).powers("U2", "C1")
    assert production.approve == Verdict(True, Ground.IN_GROUP, Approvers(groups=("S1",)))
    assert production.ask.channels == ("C9",)
    assert production.inspect.allowed
    assert production.freeze == FREEZE
    assert development.ask == Verdict(True, Ground.ANYONE)
    assert not development.approve.allowed
    assert development.freeze is None


def test_two_identities_are_one_person(people: People) -> None:
    made = over(people)
    assert made.person("U1") == made.person("U11") == "ana"
    assert made.person("U2") == "U2"


def action(policy: Policy) -> Action:
    """One of U1's on the production gateway."""
    return Action(
        id="AAAAAA", kind="deploy", ref=PROD, state=State.PENDING, version=1, requester="U1",
        person="ana", policy=policy, digest="d", request=NOTHING, plan=NOTHING, origin={},
        created_at=0, expires_at=0, updated_at=0,
    )  # fmt: skip


@pytest.mark.parametrize("standing", [Standing.GUEST, Standing.DEACTIVATED, Standing.FOREIGN])
@pytest.mark.parametrize("needed", [Policy(), NEEDED])
def test_whoever_became_an_outsider_since_they_asked_decides_on_nothing(
    people: People, needed: Policy, standing: Standing
) -> None:
    people.standings = {"U1": standing, "U2": standing}
    user = "U2" if needed.requirements else "U1"
    # Neither the store nor the policies are asked for anything more.
    store: Any = SimpleNamespace(get=lambda _: action(needed))
    nothing: Any = SimpleNamespace()
    decider = Decider(store, nothing, nothing, over(people), nothing)
    by = By(user, "d", "r")
    with pytest.raises(NotAllowed):
        decider.agree("AAAAAA", by)
    if needed.requirements:
        with pytest.raises(NotAllowed):
            decider.deny("AAAAAA", by, "no")
    with pytest.raises(NotAllowed):
        decider.cancel("AAAAAA", By("U1", "d", "r"))
    people.away = True
    with pytest.raises(Unavailable):
        decider.agree("AAAAAA", by)


def test_a_new_key_waits_for_the_end_of_a_pause_in_any_place_of_its_gateway() -> None:
    def held(*pauses: Pause, **more: Any) -> Pause | None:
        made = authority(PRODUCTION, DEVELOPMENT, pauses=pauses, sharing=shares.get, **more)
        return made.paused(wanted)

    wanted = dataclasses.replace(action(NEEDED), kind="regenerate-key", ref=DEV)
    governing = (GoverningEnvironment("p", ()),)
    elsewhere = GatewayRef("east", "dev", "edge-1")
    shared = TokenAuthority(governing, places=(elsewhere,))
    shares = SimpleNamespace(get=lambda action: shared)
    east, production = Pause(CLUSTER, "east"), Pause(ENVIRONMENT, "p")
    assert held(Pause(CLUSTER, "south"), east) == east
    assert held(production) == production, "who governs it decides for its gateways elsewhere"
    assert held(Pause(CLUSTER, "south")) is None
    shares.get = lambda action: None
    assert held(east, production) is None


def test_without_any_pause_nobody_is_asked_where_a_gateway_is() -> None:
    def sharing(action: Action) -> TokenAuthority:
        raise Unavailable("Redis does not say.")

    asked = dataclasses.replace(action(NEEDED), kind="regenerate-key", ref=DEV)
    assert authority(PRODUCTION, sharing=sharing).paused(asked) is None
    with pytest.raises(Unavailable):
        authority(PRODUCTION, pauses=(Pause(CLUSTER, "east"),), sharing=sharing).paused(asked)
