"""The token of a gateway of others is managed wherever its settings and its token stand."""

from collections.abc import Iterator

import pytest

from deploy.errors import Conflict
from deploy.observed.sign_in import AUTH_KEY
from deploy.observed.token_only import KeptToken, TokenReading
from deploy.plans.plan import Plan
from deploy.plans.token_only import Wanted, plan_token_only
from deploy.specs.settings import AUTH
from deploy.tokens.rotation import Rotation
from tests.cluster.adoption_bed import AdoptionBed, adoption_bed, case
from tests.cluster.conftest import Target
from tests.support.gateway_bed import INSTANCES


@pytest.fixture
def bed(target: Target, ns: str) -> Iterator[AdoptionBed]:
    with adoption_bed(target, ns) as found:
        yield found


def planned(bed: AdoptionBed, name: str) -> Plan:
    """What managing the token of a case's gateway would change."""
    (gateway,) = bed.install(*case(name), ready=False)
    kept = KeptToken(gateway, "contoso", "edge-1")
    wanted = Wanted(bed.ref(gateway), kept, Rotation(), begins=True)
    return plan_token_only(
        bed.cluster, wanted, "ABC234", instances=INSTANCES, check=bed.planner.check
    )


@pytest.mark.parametrize(
    ("name", "reading"),
    [
        ("two-maps", TokenReading("reference", "gw", AUTH, "tm-token", "value")),
        ("one-key-in-map-and-secret", TokenReading("reference", "both", AUTH, "both-token")),
        ("prefixed-map-between", TokenReading("reference", "gateway", AUTH, "between-token")),
        ("settings-by-key", TokenReading("reference", "keyed", AUTH, "keyed-token", "token")),
        (
            "hashed-map-in-a-volume",
            TokenReading("reference", "filed", AUTH, "filed-token-6g2k8t4m9h"),
        ),
        (
            "hashed-secret",
            TokenReading("whole", "hashed", AUTH, "hashed-token-4k8m2t6b9c", AUTH),
        ),
        (
            "token-whole-secret-other-key",
            TokenReading("whole", "apim-gateway", AUTH, "apim-access-token", AUTH),
        ),
        ("token-by-auth-key", TokenReading("whole", "auth-key", AUTH, "by-auth-key", AUTH_KEY)),
        ("token-by-prefix", TokenReading("whole", "prefixed", AUTH, "prefixed-secret", AUTH)),
        ("asleep", TokenReading("inline", "asleep")),
    ],
)
def test_its_endpoint_and_its_token_are_found(
    bed: AdoptionBed, name: str, reading: TokenReading
) -> None:
    plan = planned(bed, name)
    assert not plan.denied, plan.findings
    assert plan.manages is not None
    assert plan.manages.reading == reading


@pytest.mark.parametrize("name", ["entra-app-secret-by-key", "workload-identity-in-a-secret"])
def test_how_it_signs_in_is_found_too(bed: AdoptionBed, name: str) -> None:
    with pytest.raises(Conflict, match="signs in to Entra ID"):
        planned(bed, name)
