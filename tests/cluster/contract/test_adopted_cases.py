"""What was met in the wild is adopted, and keeps everything that need not change."""

import re
from collections.abc import Iterator

import pytest

from deploy.actions.action import State
from deploy.errors import Conflict
from deploy.observed.effective import EffectiveSettings
from deploy.observed.installed import installed
from deploy.plans.plan import Plan
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.overlay import merged
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from tests.cluster.adoption_bed import (
    AdoptionBed,
    Objects,
    adoption_bed,
    case,
    counters,
    image_of,
    leaves,
    unlike,
    written,
)
from tests.cluster.conftest import Target
from tests.support.deploy_verb import OFFICIAL
from tests.support.kube_api import Obj

pytestmark = pytest.mark.usefixtures("needs_controllers")
ADOPTED = (
    "two-maps",
    "side-first",
    "nosvc-gw",
    "tcp-probe",
    "kust-gw",
    "plain-env",
    "all-settings-in-env",
    "v1-url-in-env-probe-8082",
    "token-inline-in-env",
    "token-whole-secret-other-key",
    "unnamed-container-ports",
    "ingress-backend-by-port-name",
    "token-by-config-map-key",
    "selected-by-expressions",
    "asleep",
)
NEVER_READY = ("v1-url-in-env-probe-8082",)
"""Its probes ask a port that no gateway serves."""
_CHANGES = re.compile(
    # Where the token comes from, and what a spec must say of where Azure and the other pods are.
    r"\.spec\.template\.spec\.containers\[[^]]+\]\.env\[config\.service\.auth\]"
    r"|\.spec\.template\.spec\.containers\[[^]]+\]\.env\[(config\.service\.endpoint|neighborhood\.host)\]"
    r"|\.data\.(config\.service\.endpoint|neighborhood\.host|runtime\.deployment\..*)$"
    # A value that the container does not know.
    r"|\.spec\.template\.spec\.containers\[[^]]+\]\.env\[telemetry\.logs\.std\]\.value$"
    # No pod ends before another is ready.
    r"|\.spec\.strategy\."
)
_MAY_DIFFER = re.compile(
    r"config\.service\.(auth|endpoint)|telemetry\.logs\.std$|neighborhood\.host|runtime\.deployment"
)


@pytest.fixture
def bed(target: Target, ns: str) -> Iterator[AdoptionBed]:
    with adoption_bed(target, ns) as found:
        yield found


def _adopted(bed: AdoptionBed, name: str, *, replaced: str = "") -> GatewaySpec:
    """The spec that it was adopted with."""
    before, given = bed.everything(), bed.given(name)
    pods = before["Deployment", name]["status"].get("availableReplicas", 0)
    adoption = bed.adoption(name)
    with bed.sampled(name) as seen:
        plan, outcome = bed.adopt(adoption.spec)
        assert outcome.state is State.SUCCEEDED, outcome
    assert min(seen) >= pods, seen
    after = bed.everything()
    _what_changed_was_planned(before, after, plan)
    _nothing_is_lost(before, after, replaced)
    _settings_are_as_they_were(given, bed.given(name))
    again = bed.planner.plan(adoption.spec, "ABC235")
    assert again.empty, again.changes
    assert again.conflicts == ()
    drift = bed.planner.plan(installed(bed.cluster, bed.ref(name)).spec, "ABC236", take_over=True)
    assert drift.empty, drift.changes
    mapping = merged(spec_to_mapping(adoption.spec), {"logs": {"level": "error"}})
    later, outcome = bed.deploy(spec_from_mapping(mapping), "ABC237")
    assert later.conflicts == ()
    assert outcome.state is State.SUCCEEDED, outcome
    assert bed.given(name).value("telemetry.logs.std.level") == "error"
    assert bed.given_to_pods(name, "telemetry.logs.std.level") <= {"error"}
    live = bed.live(name)
    assert image_of(live) == image_of(before["Deployment", name])
    assert live["spec"]["replicas"] == before["Deployment", name]["spec"]["replicas"]
    return adoption.spec


def _what_changed_was_planned(before: Objects, after: Objects, plan: Plan) -> None:
    said = {(change.kind, change.name): change for change in plan.changes}
    for key, item in after.items():
        if key in before:
            planned = {f.path: (f.old, f.new) for f in said[key].fields} if key in said else {}
            carried = 'metadata.annotations["gateway-bot.io/spec"]'
            planned.pop(carried, None)
            assert unlike(key[0], before[key], item) == planned, key
        elif key[0] != "Secret" or key[1] != plan.token.secret:
            assert said[key].change == "create", key
    assert before.keys() <= after.keys(), "nothing is deleted"


def _nothing_is_lost(before: Objects, after: Objects, replaced: str) -> None:
    for key, item in before.items():
        now = dict(leaves(written(after[key])))
        for path, value in leaves(written(item)):
            if not _CHANGES.match(path) and not (replaced and replaced in path):
                assert now.get(path) == value, (key, path)
        assert _sources(item) == [s for s in _sources(after[key]) if s in _sources(item)], key


def _sources(item: Obj) -> list[tuple[str, Obj]]:
    if item["kind"] != "Deployment":
        return []
    containers = item["spec"]["template"]["spec"]["containers"]
    return [(c["name"], source) for c in containers for source in c.get("envFrom") or ()]


def _settings_are_as_they_were(before: EffectiveSettings, after: EffectiveSettings) -> None:
    for name, setting in before.settings.items():
        if not _MAY_DIFFER.match(name):
            now = after.settings.get(name)
            assert now is not None, name
            assert now.value == setting.value, name


@pytest.mark.parametrize("name", ADOPTED)
def test_a_gateway_is_adopted_without_a_pod_less_and_with_everything_that_it_had(
    bed: AdoptionBed, name: str
) -> None:
    (gateway,) = bed.install(*case(name), ready=name not in NEVER_READY)
    _adopted(bed, gateway, replaced="Probe." if name in NEVER_READY else "")


def test_the_pods_of_an_adopted_gateway_are_counted_by_its_autoscaler_alone(
    bed: AdoptionBed,
) -> None:
    (name,) = bed.install(*case("hpa-gw"))
    before = counters(bed.live(name))
    spec = _adopted(bed, name)
    assert spec.replicas == "external"
    live = bed.live(name)
    assert (live["spec"]["replicas"], counters(live)) == (3, before)
    bed.scale(name, 4, *before)
    bed.wait(name, least=4)
    request = bed.asked(name, tag="2.10.0")
    plan, outcome = bed.deploy(request.spec, "ABC238", counts=request.counts)
    assert outcome.state is State.SUCCEEDED, outcome
    assert "HorizontalPodAutoscaler hpa-gw-scaler sets the replicas: 4 now, which stay." in {
        finding.what for finding in plan.findings
    }
    live = bed.live(name)
    assert (live["spec"]["replicas"], counters(live)) == (4, before)


def test_a_digest_stays_with_the_tag_of_an_adopted_gateway_and_goes_with_another(
    bed: AdoptionBed,
) -> None:
    (name,) = bed.install(*case("digest-gw"))
    image = image_of(bed.live(name))
    assert _adopted(bed, name).image == image
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
    assert _adopted(bed, name).repository == repository
    _, outcome = bed.deploy(bed.asked(name, tag="2.10.0").spec, "ABC238")
    assert outcome.state is State.SUCCEEDED, outcome
    assert image_of(bed.live(name)) == f"{repository}:2.10.0"


def test_of_two_gateways_that_read_one_config_map_neither_writes_what_the_other_reads(
    bed: AdoptionBed,
) -> None:
    shared = [*case("shared-a"), *case("shared-b")]
    unique = {(body["kind"], body["metadata"]["name"]): body for body in shared}
    bed.install(*unique.values())
    before = bed.everything()
    _adopted(bed, "shared-a")
    _adopted(bed, "shared-b")
    key = ("ConfigMap", "gateway-common")
    assert written(bed.everything()[key]) == written(before[key])


@pytest.mark.parametrize("name", ["entra-app-secret-in-configmap", "workload-identity-docs-2026"])
def test_a_gateway_that_signs_in_to_entra_is_refused_as_such_and_stays_as_it_is(
    bed: AdoptionBed, name: str
) -> None:
    bodies = case(name)
    (gateway,) = (b["metadata"]["name"] for b in bodies if b["kind"] == "Deployment")
    for body in bodies:
        bed._create(body)
    before = {key: written(item) for key, item in bed.everything().items()}
    with pytest.raises(Conflict, match="signs in to Entra ID"):
        bed.adoption(gateway)
    assert {key: written(item) for key, item in bed.everything().items()} == before
