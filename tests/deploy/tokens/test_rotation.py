"""What a rotation plans: which key, for how long, and where there is nothing to rotate."""

import datetime
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import Conflict, InvalidInput
from deploy.specs.options import Auth, KeyRef
from deploy.tokens.rotation import (
    Rotation,
    parse_key,
    parse_lifetime,
    rotated_token,
    rotation_from_mapping,
    rotation_to_mapping,
)
from deploy.tokens.token import LONGEST, SecretFacts
from tests.support.gateway_bed import SPEC

Key = Literal["primary", "secondary"]
DAY, HOUR = datetime.timedelta(days=1), datetime.timedelta(hours=1)
EXPIRES = datetime.datetime(2026, 12, 1, 10, 0, tzinfo=datetime.UTC)
GUID = "11111111-2222-3333-4444-555555555555"
KEYS = st.sampled_from([None, "primary", "secondary"])


def live(key: Key | None) -> SecretFacts:
    return SecretFacts("edge-1-token-old", "edge-1", EXPIRES, "annotation", True, key)


@pytest.mark.parametrize(
    ("in_use", "asked", "made_with"),
    [
        ("primary", None, "secondary"),
        ("secondary", None, "primary"),
        (None, None, "secondary"),
        ("primary", "primary", "primary"),
        ("secondary", "primary", "primary"),
    ],
)
def test_the_other_key_is_taken_unless_one_is_asked_for(
    in_use: Key | None, asked: Key | None, made_with: str
) -> None:
    plan = rotated_token(SPEC, live(in_use), "value", "ABC234", Rotation(asked))
    assert (plan.key, plan.mint) == (made_with, True)
    assert (plan.secret, plan.previous) == ("edge-1-token-abc234", "edge-1-token-old")


def test_a_plan_says_with_which_key_the_token_in_use_was_made() -> None:
    known = rotated_token(SPEC, live("primary"), "value", "ABC234", Rotation())
    assert known.reason == (
        "The token in use was made with the primary key. It expires 2026-12-01 10:00 UTC."
    )
    same = rotated_token(SPEC, live("primary"), "value", "ABC234", Rotation("primary"))
    assert "primary key, which is used again." in same.reason
    unknown = rotated_token(SPEC, live(None), "value", "ABC234", Rotation())
    assert unknown.reason.startswith("It is not known which key made the token in use.")


def test_a_gateway_that_signs_in_to_entra_has_nothing_to_rotate() -> None:
    identity = replace(SPEC, auth=Auth("workloadIdentity", client_id=GUID, tenant_id=GUID))
    with pytest.raises(Conflict, match="by a workload identity"):
        rotated_token(identity, live("primary"), "value", "ABC234", Rotation())
    secret = KeyRef("app", "secret")
    app = replace(SPEC, auth=Auth("entraApp", client_id=GUID, tenant_id=GUID, client_secret=secret))
    with pytest.raises(Conflict, match="renewed in Entra ID"):
        rotated_token(app, live("primary"), "value", "ABC234", Rotation())


@pytest.mark.parametrize(
    ("facts", "key", "why"),
    [(None, "value", "no longer exists"), (live("primary"), "config.service.auth.key", "by hand")],
)
def test_what_could_not_be_gone_back_to_is_not_rotated(
    facts: SecretFacts | None, key: str, why: str
) -> None:
    with pytest.raises(Conflict, match=why):
        rotated_token(SPEC, facts, key, "ABC234", Rotation())


@pytest.mark.parametrize(
    ("text", "lifetime"),
    [("20d", 20 * DAY), ("36h", 36 * HOUR), (" 1D ", DAY), ("30d", LONGEST), ("720h", LONGEST)],
)
def test_a_lifetime_is_days_or_hours(text: str, lifetime: datetime.timedelta) -> None:
    assert parse_lifetime(text) == lifetime


@pytest.mark.parametrize(
    "text", ["", "20", "d", "0d", "-1d", "1.5d", "20m", "20 d", "1d12h", "31d", "721h", "٣d"]
)
def test_any_other_lifetime_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_lifetime(text)
    assert refused.value.field == "ttl"


@given(st.text(max_size=8))
def test_no_text_gives_a_lifetime_that_azure_would_not_take(text: str) -> None:
    try:
        lifetime = parse_lifetime(text)
    except InvalidInput:
        return
    assert HOUR <= lifetime <= LONGEST


@pytest.mark.parametrize("text", ["first", "", "PRIMARY KEY"])
def test_there_are_two_keys(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a key"):
        parse_key(text)
    assert parse_key("Secondary") == "secondary"


@given(st.builds(Rotation, KEYS, st.integers(3600, int(LONGEST.total_seconds())).map(
    lambda seconds: datetime.timedelta(seconds=seconds))))  # fmt: skip
def test_a_rotation_is_read_back_as_it_was_written(rotation: Rotation) -> None:
    assert rotation_from_mapping(rotation_to_mapping(rotation)) == rotation
