"""Whoever reaches a gateway, or reads what it reads, still does once it is adopted."""

from collections.abc import Iterator

import pytest

from tests.cluster.adopted import adopted, install_and_adopt
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
        "nosvc-gw",
        "headless-beside-public",
        "node-port-beside-internal",
        "tls-proxy-first",
        "unnamed-container-ports",
        "no-container-ports",
        "some-ports-named",
        "ingress-backend-by-port-name",
        "ingress-to-another-service",
        "ingress-by-number",
    ],
)
def test_every_service_and_port_leads_where_it_led(bed: AdoptionBed, name: str) -> None:
    install_and_adopt(bed, name)


def test_of_two_gateways_that_read_one_config_map_neither_writes_what_the_other_reads(
    bed: AdoptionBed,
) -> None:
    shared = [*case("shared-a"), *case("shared-b")]
    unique = {(body["kind"], body["metadata"]["name"]): body for body in shared}
    bed.install(*unique.values())
    before = bed.everything()
    adopted(bed, "shared-a")
    adopted(bed, "shared-b")
    key = ("ConfigMap", "gateway-common")
    assert written(bed.everything()[key]) == written(before[key])


@pytest.mark.parametrize("name", ["shared-with-a-job", "shared-by-blue-and-green"])
def test_what_others_read_or_are_reached_by_too_is_not_written(bed: AdoptionBed, name: str) -> None:
    bodies = case(name)
    gateways = bed.install(*bodies)
    before = bed.everything()
    for gateway in gateways:
        adopted(bed, gateway)
    others = {"lent-settings", "smoke", "colours", "colours-env", "colours-token"}
    after = bed.everything()
    for key in before:
        if key[1] in others:
            assert written(after[key]) == written(before[key]), key
