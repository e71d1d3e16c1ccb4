"""Sets of requirements: kept as they were shown, and never laxer than they are today."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.policy import (
    People,
    Policy,
    Requirement,
    grown,
    policy_from_mapping,
    policy_to_mapping,
    stricter,
)

IDS = st.lists(st.sampled_from(["U1", "U2", "S1"]), max_size=2).map(tuple)
REQUIREMENTS = st.lists(
    st.builds(
        Requirement,
        st.sampled_from(["production", "staging", "development"]),
        st.builds(People, IDS, IDS),
        st.integers(1, 3),
        st.sampled_from(["", "W1"]),
    ),
    unique_by=lambda each: each.environment,
    max_size=3,
).map(tuple)
POLICIES = st.builds(Policy, REQUIREMENTS, st.sampled_from(["", "Ben"]), st.sampled_from(["", "x"]))


@given(policy=POLICIES)
def test_a_policy_is_read_back_as_it_was_written(policy: Policy) -> None:
    assert policy_from_mapping(json.loads(json.dumps(policy_to_mapping(policy)))) == policy


@given(shown=POLICIES, today=POLICIES)
def test_the_stricter_of_two_policies_asks_for_no_less_than_either_where_it_was_shown(
    shown: Policy, today: Policy
) -> None:
    both = stricter(shown, today)
    assert both.environments == shown.environments
    assert (both.by, both.windows, both.standing) == (shown.by, shown.windows, shown.standing)
    assert grown(shown, today) == today.environments - both.environments
    quorum = {each.environment: each.quorum for each in today.requirements}
    for before, after in zip(shown.requirements, both.requirements, strict=True):
        assert after.approvers == before.approvers
        assert after.quorum == max(before.quorum, quorum.get(before.environment, 1))


@given(policy=POLICIES)
def test_what_no_window_covers_is_left_to_people_who_are_all_approvers(policy: Policy) -> None:
    assert (policy.by == "approvers") is any(not each.window for each in policy.requirements)
    for each in policy.open:
        assert set(each.approvers.users) <= set(policy.approvers.users)
        assert set(each.approvers.groups) <= set(policy.approvers.groups)


@pytest.mark.parametrize(
    ("kept", "policy"),
    [
        ({"by": "requester", "quorum": 1, "window": ""}, Policy()),
        (
            {"by": "approvers", "quorum": 2, "window": ""},
            Policy((Requirement("", People(("U2",), ("S1",)), 2),)),
        ),
        (
            {"by": "requester", "quorum": 1, "window": "W1"},
            Policy((Requirement("", People(("U2",), ("S1",)), 1, "W1"),)),
        ),
        (
            {"by": "requester", "quorum": 1, "window": "", "standing": "Ben", "break_glass": "x"},
            Policy(standing="Ben", break_glass="x"),
        ),
    ],
)
def test_a_policy_that_an_earlier_bot_wrote_is_one_requirement_or_none(
    kept: dict[str, object], policy: Policy
) -> None:
    written = {"users": ["U2"], "groups": ["S1"], "standing": "", "break_glass": "", **kept}
    assert policy_from_mapping(written) == policy
