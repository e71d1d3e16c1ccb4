"""What a gateway's pods are made of stays as it is once it is adopted."""

from collections.abc import Iterator

import pytest

from deploy.actions.action import State
from deploy.errors import InvalidInput
from tests.cluster.adopted import adopted, install_and_adopt
from tests.cluster.adoption_bed import AdoptionBed, adoption_bed, case, counters, image_of
from tests.cluster.conftest import Target
from tests.support.deploy_verb import OFFICIAL

pytestmark = pytest.mark.usefixtures("needs_controllers")


@pytest.fixture
def bed(target: Target, ns: str) -> Iterator[AdoptionBed]:
    with adoption_bed(target, ns) as found:
        yield found


@pytest.mark.parametrize(
    "name",
    [
        "side-first",
        "native-sidecar-and-mesh",
        "tcp-probe",
        "probes-over-grpc",
        "probes-at-a-named-port",
        "selected-by-expressions",
        "asleep",
    ],
)
def test_containers_probes_and_pods_stay(bed: AdoptionBed, name: str) -> None:
    install_and_adopt(bed, name)


def test_the_pods_of_an_adopted_gateway_are_counted_by_its_autoscaler_alone(
    bed: AdoptionBed,
) -> None:
    (name,) = bed.install(*case("hpa-gw"))
    before = counters(bed.live(name))
    spec = adopted(bed, name)
    assert spec.replicas == "external"
    live = bed.live(name)
    assert (live["spec"]["replicas"], counters(live)) == (3, before)
    bed.scale(name, 4, *before)
    bed.wait(name, least=4)
    request = bed.asked(name, tag="2.10.0")
    plan, outcome = bed.deploy(request.spec, "ABC238", counts=request.counts)
    assert outcome.state is State.SUCCEEDED, outcome
    assert "HorizontalPodAutoscaler hpa-gw-scaler sets the replicas. The current 4 stay." in {
        finding.what for finding in plan.findings
    }
    live = bed.live(name)
    assert (live["spec"]["replicas"], counters(live)) == (4, before)


@pytest.mark.parametrize(("name", "pods"), [("hpa-of-keda", 3), ("hpa-at-rest", 0)])
def test_an_autoscaler_of_any_kind_still_counts_the_pods(
    bed: AdoptionBed, name: str, pods: int
) -> None:
    (gateway,) = bed.install(*case(name))
    before = counters(bed.live(gateway))
    assert adopted(bed, gateway).replicas == "external"
    live = bed.live(gateway)
    assert (live["spec"]["replicas"], counters(live)) == (pods, before)


def test_a_digest_stays_with_the_tag_of_an_adopted_gateway_and_goes_with_another(
    bed: AdoptionBed,
) -> None:
    (name,) = bed.install(*case("digest-gw"))
    image = image_of(bed.live(name))
    assert adopted(bed, name).image == image
    assert bed.asked(name, tag="2.11.1").spec.image == image
    _, outcome = bed.deploy(bed.asked(name, tag="2.10.0").spec, "ABC238")
    assert outcome.state is State.SUCCEEDED, outcome
    assert image_of(bed.live(name)) == f"{OFFICIAL}:2.10.0"
    digest = f"sha256:{'b' * 64}"
    request = bed.asked(name, tag="2.11.1", set=[f"image.digest={digest}"])
    _, outcome = bed.deploy(request.spec, "ABC239")
    assert outcome.state is State.SUCCEEDED, outcome
    assert image_of(bed.live(name)) == f"{OFFICIAL}:2.11.1@{digest}"


def test_another_tag_of_an_adopted_gateway_is_taken_from_its_own_registry(bed: AdoptionBed) -> None:
    (name,) = bed.install(*case("mirror-gw"))
    repository = image_of(bed.live(name)).removesuffix(":2.11.1")
    assert repository != OFFICIAL
    assert adopted(bed, name).repository == repository
    _, outcome = bed.deploy(bed.asked(name, tag="2.10.0").spec, "ABC238")
    assert outcome.state is State.SUCCEEDED, outcome
    assert image_of(bed.live(name)) == f"{repository}:2.10.0"


@pytest.mark.parametrize("name", ["mirror-with-pull-secrets", "digest-on-a-mirror"])
def test_an_image_of_ones_own_registry_stays_with_how_it_is_pulled(
    bed: AdoptionBed, name: str
) -> None:
    install_and_adopt(bed, name)


def test_a_digest_alone_is_refused_with_what_to_do_about_it(bed: AdoptionBed) -> None:
    (name,) = bed.install(*case("digest-alone"), ready=False)
    with pytest.raises(InvalidInput, match="pinned by a digest and has no tag") as refused:
        bed.adoption(name)
    assert refused.value.remedy == (
        "Set its image to a tag with that digest (tag@sha256:…), then adopt it."
    )


def test_an_image_that_the_settings_do_not_know_is_refused_with_the_line_for_them(
    bed: AdoptionBed,
) -> None:
    (name,) = bed.install(*case("mirror-of-another-name"))
    plan = bed.planner.plan(bed.adoption(name).spec, "ABC234", take_over=True)
    assert plan.denied
    (denied,) = [finding for finding in plan.findings if finding.severity == "deny"]
    assert denied.rule == "token-in-unknown-image"
    assert "registry.contoso.com:5000/edge/rebuilt]" in denied.fix


def test_pods_that_cannot_run_beside_each_other_are_still_recreated_and_not_in_production(
    bed: AdoptionBed,
) -> None:
    (name,) = bed.install(*case("token-inline-on-a-host-port"))
    adoption = bed.adoption(name)
    plan = bed.planner.plan(adoption.spec, "ABC234", take_over=True)
    (denied,) = [finding for finding in plan.findings if finding.severity == "deny"]
    assert denied.rule == "recreates-pods"
    assert "without host ports" in denied.fix
    assert "every pod stops before a new one starts" in " ".join(adoption.notes)
    bed.production = False
    assert adopted(bed, name, less=1).rollout.strategy == "Recreate"
