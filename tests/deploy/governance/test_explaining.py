"""What a plan says of who else decides on it."""

from deploy.gateway import GatewayRef
from deploy.governance.explaining import findings
from deploy.governance.requirements import (
    GoverningEnvironment,
    GoverningReason,
    Place,
    TokenAuthority,
)

TARGET = GatewayRef("west", "dev", "edge-1")
HERE = GoverningEnvironment(
    "development",
    (GoverningReason("governed_by", "edge-*"), GoverningReason("target", str(TARGET))),
)


def test_the_targets_own_environment_does_not_decide_on_it_too() -> None:
    assert findings(TokenAuthority((HERE,)), TARGET, {"development"}) == ()
    there = GoverningEnvironment("production", (GoverningReason("seen", "west/prod/edge-1"),))
    (found,) = findings(TokenAuthority((HERE, there)), TARGET, {"production"})
    assert found.what.startswith(
        "This also requires approval for production: the same gateway runs"
    )


def test_an_environment_that_requires_no_approval_is_not_said_to_decide() -> None:
    there = GoverningEnvironment("staging", (GoverningReason("seen", "west/staging/edge-1"),))
    assert findings(TokenAuthority((HERE, there)), TARGET, {"production"}) == ()


def test_a_place_where_the_gateway_was_deleted_is_not_said_to_hold_a_token_now() -> None:
    gone = Place(GatewayRef("west", "test", "edge-1"), "test")
    authority = TokenAuthority((HERE,), less_protected=(gone,))
    (found,) = findings(authority, TARGET, ())
    assert found.what == (
        "A token of the same gateway is, or was within the last 30 days, in less protected "
        "places: west/test/edge-1."
    )
