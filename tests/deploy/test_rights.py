"""Who has which right: the rules alone, over everybody and every environment that there can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.access import (
    UNLISTED,
    Approval,
    Asker,
    Environment,
    Ground,
    Right,
    Standing,
    Verdict,
    among,
    may,
    may_confirm,
    may_decide,
    may_see,
    may_stop,
    may_take_back,
    people_of,
)
from deploy.policy import People, Policy, Requirement

USERS, GROUPS = ("U1", "U2", "U3"), ("S1", "S2")
BY_ACTION = (Right.DECIDE, Right.CONFIRM, Right.CANCEL, Right.STOP)
BY_ENVIRONMENT = tuple(right for right in Right if right not in BY_ACTION)
OUTSIDERS = (Standing.GUEST, Standing.DEACTIVATED, Standing.FOREIGN)

some_people = st.builds(
    People,
    st.lists(st.sampled_from(USERS), unique=True).map(tuple),
    st.lists(st.sampled_from(GROUPS), unique=True).map(tuple),
).filter(bool)
environments = st.builds(
    Environment,
    st.just("e"),
    production=st.booleans(),
    requesters=st.none() | some_people,
    channels=st.sampled_from(((), ("C1",))),
    approval=st.none() | st.builds(Approval, some_people, st.integers(1, 3)),
    windows=st.booleans(),
)
askers = st.builds(
    Asker,
    st.sampled_from(USERS),
    st.sampled_from(Standing),
    st.frozensets(st.sampled_from(GROUPS)),
    st.sampled_from((None, "C1", "C2")),
)


def needing(approvers: People) -> Policy:
    return Policy((Requirement("e", approvers),))


@given(environments, askers, st.sampled_from(BY_ENVIRONMENT))
def test_nobody_from_another_workspace_has_any_right(
    environment: Environment, asker: Asker, right: Right
) -> None:
    stranger = Asker(asker.user, Standing.FOREIGN, asker.groups, asker.channel)
    assert not may(right, environment, stranger).allowed
    assert not may_see((environment,), stranger).allowed
    assert not may_confirm(environment, stranger, stranger.user).allowed
    assert not may_take_back((environment,), stranger, stranger.user).allowed
    policy = needing(People((stranger.user,)))
    assert not may_decide(policy, stranger, own=False).allowed
    assert not may_stop(environment, policy, stranger, stranger.user).allowed


@given(environments, askers, st.sampled_from(BY_ENVIRONMENT), st.sampled_from(OUTSIDERS))
def test_a_guest_has_no_right_where_the_settings_do_not_name_them_by_user_id(
    environment: Environment, asker: Asker, right: Right, standing: Standing
) -> None:
    guest = Asker(asker.user, standing, frozenset(GROUPS), asker.channel)
    if not environment.names(guest.user):
        assert not may(right, environment, guest).allowed
        assert not may_confirm(environment, guest, guest.user).allowed
        assert not may_take_back((environment,), guest, guest.user).allowed


@given(environments, askers, st.sampled_from(BY_ENVIRONMENT), st.sampled_from(OUTSIDERS))
def test_no_outsider_may_what_a_member_in_the_same_place_may_not(
    environment: Environment, asker: Asker, right: Right, standing: Standing
) -> None:
    outside = Asker(asker.user, standing, asker.groups, asker.channel)
    inside = Asker(asker.user, Standing.MEMBER, asker.groups, asker.channel)
    if may(right, environment, outside).allowed:
        assert may(right, environment, inside).allowed


@given(environments, askers, st.sampled_from(BY_ENVIRONMENT))
def test_the_answer_depends_on_no_other_group_than_those_that_are_asked_about(
    environment: Environment, asker: Asker, right: Right
) -> None:
    people = people_of(right, environment)
    known: frozenset[str] = frozenset()
    if asker.user not in people.users:
        known = asker.groups.intersection(people.groups)
    less = Asker(asker.user, asker.standing, known, asker.channel)
    assert may(right, environment, less).allowed is may(right, environment, asker).allowed


@given(environments, askers)
def test_a_window_is_opened_by_an_approver_where_one_approval_is_enough_and_nowhere_else(
    environment: Environment, asker: Asker
) -> None:
    opens = may(Right.OPEN_WINDOW, environment, asker).allowed
    approval = environment.approval
    if approval is None or approval.quorum > 1 or not environment.windows:
        assert not opens
    else:
        assert opens is among(approval.approvers, asker).allowed
    if opens:
        assert may(Right.CLOSE_WINDOW, environment, asker).allowed


@given(environments, askers)
def test_whoever_requests_or_approves_changes_may_look_closely_and_nobody_may_decide_alone(
    environment: Environment, asker: Asker
) -> None:
    asks = may(Right.ASK, environment, asker).allowed
    approves = among(environment.approvers, asker).allowed
    if asks or approves:
        assert may(Right.INSPECT, environment, asker).allowed
    policy = needing(environment.approvers)
    assert not may_decide(policy, asker, own=True).allowed
    assert not may_decide(Policy(), asker, own=False).allowed


def test_somebody_is_one_of_some_people_by_name_or_by_group() -> None:
    people = People(("U1",), ("S1", "S2"))
    assert among(people, Asker("U1")) == Verdict(True, Ground.NAMED)
    in_group = Verdict(True, Ground.IN_GROUP, People(groups=("S2",)))
    assert among(people, Asker("U2", groups=frozenset({"S2", "S3"}))) == in_group
    assert among(people, Asker("U2")) == Verdict(False, Ground.NOT_NAMED, people)


@pytest.mark.parametrize("standing", [Standing.GUEST, Standing.DEACTIVATED])
def test_a_guest_counts_by_user_id_alone_and_only_for_what_names_them(standing: Standing) -> None:
    guest = Asker("U1", standing, frozenset({"S1"}))
    by_group = Environment("p", approval=Approval(People(groups=("S1",))))
    assert may(Right.RESUME, by_group, guest) == Verdict(False, Ground(standing.value))
    approver = Environment("p", production=True, approval=Approval(People(("U1",))))
    assert may(Right.INSPECT, approver, guest).allowed
    assert may(Right.OPEN_WINDOW, approver, guest).allowed
    assert not may(Right.ASK, approver, guest).allowed, "where anyone may, members are meant"
    requester = Environment("p", requesters=People(("U1",)))
    assert may(Right.ASK, requester, guest).allowed
    assert not may(Right.ASK, Environment("d"), guest).allowed
    assert may_see((Environment("d"), requester), guest) == Verdict(True, Ground.NAMED)


def test_requests_are_kept_to_people_and_channels() -> None:
    environment = Environment("p", requesters=People(("U1",)), channels=("C1", "C2"))
    assert may(Right.ASK, environment, Asker("U1", channel="C1")).allowed
    assert may(Right.ASK, environment, Asker("U1")).allowed
    elsewhere = may(Right.ASK, environment, Asker("U1", channel="C3"))
    assert elsewhere == Verdict(False, Ground.OTHER_CHANNEL, channels=("C1", "C2"))
    refused = may(Right.ASK, environment, Asker("U2", channel="C3"))
    assert refused.reason is Ground.NOT_NAMED, "where to ask is not for those who may not"
    assert may(Right.ASK, Environment("d"), Asker("U2", channel="C3")).allowed


def test_only_ones_own_request_is_confirmed_and_cancelled_and_others_are_stopped_by_approvers() -> (
    None
):
    environment = Environment("p", approval=Approval(People(groups=("S1",))))
    policy = needing(People(groups=("S2",)))
    assert may_confirm(environment, Asker("U1"), "U1").allowed
    assert may_take_back((environment,), Asker("U1"), "U1").allowed
    not_own = Verdict(False, Ground.NOT_OWN, People(("U1",)))
    assert may_confirm(environment, Asker("U2"), "U1") == not_own
    assert may_take_back((environment,), Asker("U2"), "U1") == not_own
    assert may_stop(environment, policy, Asker("U1"), "U1").allowed
    for group in ("S1", "S2"):
        by_group = Asker("U2", groups=frozenset({group}))
        assert may_stop(environment, policy, by_group, "U1").allowed
    refused = may_stop(environment, policy, Asker("U2"), "U1")
    assert refused == Verdict(False, Ground.NOT_NAMED, People(("U1",), ("S2", "S1")))


def test_a_requester_who_may_no_longer_ask_there_confirms_nothing_and_still_takes_it_back() -> None:
    here = Environment("p", requesters=People(("U5",), ("S1",)))
    elsewhere = Environment("d", requesters=People(("U0GUS",)))
    assert may_confirm(here, Asker("U1", groups=frozenset({"S1"})), "U1").allowed
    refused = Verdict(False, Ground.NOT_NAMED, People(("U5",), ("S1",)))
    assert may_confirm(here, Asker("U1"), "U1") == refused
    guest = Asker("U0GUS", Standing.GUEST)
    assert may_confirm(here, guest, "U0GUS") == Verdict(False, Ground.GUEST)
    for asker in (Asker("U1"), guest):
        assert may_take_back((here, elsewhere), asker, asker.user).allowed


@pytest.mark.parametrize("right", BY_ACTION)
def test_a_right_about_an_action_is_not_judged_by_an_environment(right: Right) -> None:
    with pytest.raises(ValueError, match="judged by the action"):
        may(right, UNLISTED, Asker("U1"))
