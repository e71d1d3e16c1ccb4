import base64
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.gateway import ApimGateway, GatewayRef
from deploy.observed.token_facts import secret_facts
from deploy.specs.gateway_spec import GatewaySpec
from deploy.tokens.token import LONGEST, SecretFacts, Token, expiry_for, iso, plan_token

NOW = datetime.datetime(2026, 11, 23, 15, 4, 5, tzinfo=datetime.UTC)
SPEC = GatewaySpec(
    ref=GatewayRef("west", "dev", "edge-1"),
    apim=ApimGateway("contoso", "edge-1", "contoso.configuration.azure-api.net"),
    tag="2.11.1",
)


def days(count: float) -> datetime.timedelta:
    return datetime.timedelta(days=count)


@pytest.mark.parametrize("prefix", ["", "GatewayKey "])
def test_a_token_tells_its_gateway_and_expiry(prefix: str) -> None:
    token = Token.parse(f"{prefix}k8s-a&202212171240&{'A' * 86}==")
    assert token is not None
    assert token.gateway == "k8s-a"
    assert iso(token.expires_at) == "2022-12-17T12:40:00Z"
    assert not token.value.startswith("GatewayKey")
    assert "AAAA" not in repr(token)


@pytest.mark.parametrize(
    "text", ["", "ey.J.x", "a&b&c", "a&202213171240&AAAA", "a&202212171240&", "a&20221217&AAAA"]
)
def test_what_is_no_token_is_unknown_and_never_valid(text: str) -> None:
    assert Token.parse(text) is None


@given(st.text(max_size=80))
def test_reading_a_token_never_fails(text: str) -> None:
    Token.parse(text)
    data = base64.b64encode(text.encode()).decode()
    facts = secret_facts({"metadata": {"name": "s"}, "data": {"value": data}})
    assert facts.source in ("token", "unknown")


def test_no_more_than_azure_allows_is_asked_for() -> None:
    assert expiry_for(NOW) - NOW <= LONGEST < days(30)
    assert expiry_for(NOW, days(90)) == expiry_for(NOW)
    assert iso(expiry_for(NOW, days(1))) == "2026-11-24T15:04:00Z"


def facts(left: float, *, gateway: str = "edge-1", immutable: bool = True) -> SecretFacts:
    return SecretFacts("edge-1-token-old", gateway, NOW + days(left), "annotation", immutable)


@pytest.mark.parametrize(
    ("live", "mints"),
    [
        (None, True),
        (facts(20), False),
        (facts(7.5), False),
        (facts(6.9), True),
        (facts(-1), True),
        (facts(20, gateway="other"), True),
        (facts(20, immutable=False), True),
        (SecretFacts("edge-1-token-old", immutable=True), True),
    ],
)
def test_a_token_is_kept_only_while_it_is_right_and_good_for_a_week(
    live: SecretFacts | None, mints: bool
) -> None:
    plan = plan_token(spec=SPEC, now=NOW, live_secret=live, action_id="7K3MAB")
    assert plan.mint is mints
    assert plan.secret == ("edge-1-token-7k3mab" if mints else "edge-1-token-old")
    assert plan.reason


def test_a_plan_that_gives_the_pods_to_another_gateway_says_so() -> None:
    other = facts(20, gateway="other")
    plan = plan_token(spec=SPEC, now=NOW, live_secret=other, action_id="7K3MAB")
    assert plan.reason.endswith("belongs to gateway other; these pods will serve edge-1 instead.")
