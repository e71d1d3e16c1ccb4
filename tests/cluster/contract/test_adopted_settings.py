"""Wherever a gateway's settings stand, its pods get the same once it is adopted, and then what the spec
says."""

from collections.abc import Iterator

import pytest

from tests.cluster.adopted import install_and_adopt
from tests.cluster.adoption_bed import AdoptionBed, adoption_bed
from tests.cluster.conftest import Target

pytestmark = pytest.mark.usefixtures("needs_controllers")


@pytest.fixture
def bed(target: Target, ns: str) -> Iterator[AdoptionBed]:
    with adoption_bed(target, ns) as found:
        yield found


@pytest.mark.parametrize(
    "name",
    [
        "two-maps",
        "prefixed-map-between",
        "one-key-in-map-and-secret",
        "kust-gw",
        "hashed-secret",
        "hashed-map-in-a-volume",
        "all-settings-in-env",
        "settings-by-key",
        "settings-in-other-case",
        "v1-url-in-env-probe-8082",
        "v1-url-in-a-map",
        "liveness-at-8082",
    ],
)
def test_every_source_of_settings_stays_and_says_what_it_said(bed: AdoptionBed, name: str) -> None:
    install_and_adopt(bed, name)
