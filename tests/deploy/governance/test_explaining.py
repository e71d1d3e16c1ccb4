"""What a plan says of who else decides on it."""

from deploy.gateway import GatewayRef
from deploy.governance.explaining import findings
from deploy.governance.requirements import GoverningEnvironment, GoverningReason, TokenAuthority

TARGET = GatewayRef("west", "dev", "edge-1")
HERE = GoverningEnvironment(
    "development",
    (GoverningReason("governed_by", "edge-*"), GoverningReason("target", str(TARGET))),
)


def test_the_targets_own_environment_does_not_decide_on_it_too() -> None:
    assert findings(TokenAuthority((HERE,)), TARGET) == ()
    there = GoverningEnvironment("production", (GoverningReason("seen", "west/prod/edge-1"),))
    (found,) = findings(TokenAuthority((HERE, there)), TARGET)
    assert found.what.startswith("production decides on this too: the same gateway runs")
