"""Wherever a gateway's token stands, it is adopted without a pod less; one without a token is refused."""

from collections.abc import Iterator

import pytest

from deploy.errors import Conflict
from tests.cluster.adopted import install_and_adopt
from tests.cluster.adoption_bed import AdoptionBed, adoption_bed, case, written
from tests.cluster.conftest import Target

pytestmark = pytest.mark.usefixtures("needs_controllers")


@pytest.fixture
def bed(target: Target, ns: str) -> Iterator[AdoptionBed]:
    with adoption_bed(target, ns) as found:
        yield found


@pytest.mark.parametrize(
    "name",
    [
        "plain-env",
        "token-put-together",
        "token-in-env-and-map",
        "token-inline-in-env",
        "token-inline-twice",
        "token-whole-secret-other-key",
        "token-by-prefix",
        "token-by-auth-key",
        "token-by-config-map-key",
    ],
)
def test_the_token_gets_into_a_secret_of_its_own_and_nothing_else_changes(
    bed: AdoptionBed, name: str
) -> None:
    install_and_adopt(bed, name)


@pytest.mark.parametrize(
    "name",
    [
        "entra-app-secret-in-configmap",
        "entra-certificate-in-env",
        "entra-app-secret-by-key",
        "workload-identity-docs-2026",
        "workload-identity-in-env",
        "workload-identity-in-a-secret",
    ],
)
def test_a_gateway_that_signs_in_to_entra_is_refused_as_such_and_stays_as_it_is(
    bed: AdoptionBed, name: str
) -> None:
    (gateway,) = bed.install(*case(name), ready=False)
    before = {key: written(item) for key, item in bed.everything().items()}
    with pytest.raises(Conflict, match="signs in to Entra ID") as refused:
        bed.adoption(gateway)
    assert "Deploy it from a complete spec" in refused.value.remedy
    assert {key: written(item) for key, item in bed.everything().items()} == before
