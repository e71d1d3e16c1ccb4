"""What must hold of every gateway of others that is adopted, whatever its shape."""

import re

from deploy.actions.action import State
from deploy.observed.effective import EffectiveSettings
from deploy.observed.installed import installed
from deploy.plans.plan import Plan
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.overlay import merged
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from tests.cluster.adoption_bed import (
    AdoptionBed,
    Objects,
    case,
    image_of,
    leaves,
    unlike,
    written,
)
from tests.support.kube_api import Obj

NEVER_READY = ("v1-url-in-env-probe-8082", "v1-url-in-a-map")
"""Their probes ask a port that no gateway serves, or their endpoint is of a service that has ended."""
REPLACED = {
    "v1-url-in-env-probe-8082": "Probe.",
    "liveness-at-8082": ".livenessProbe.",
    # The first of two, of which the kubelet takes the last.
    "token-inline-twice": ".env[telemetry.logs.std.level].value",
}
"""Part of the paths of what the plan takes the place of."""
_CHANGES = re.compile(
    # Where the token comes from, and what a spec must say of where Azure and the other pods are.
    r"\.spec\.template\.spec\.containers\[[^]]+\]\.env\[config\.service\.auth\]"
    r"|\.spec\.template\.spec\.containers\[[^]]+\]\.env\[(config\.service\.endpoint|neighborhood\.host)\]"
    r"|\.data\.(config\.service\.endpoint|neighborhood\.host|runtime\.deployment\..*)$"
    # A setting that follows the spec from now on, at the value that it has.
    r"|\.spec\.template\.spec\.containers\[[^]]+\]\.env\[(observability|telemetry)\.[^]]+\]"
    r"\.valueFrom\.configMapKeyRef\."
    # A value that the container does not know.
    r"|\.spec\.template\.spec\.containers\[[^]]+\]\.env\[telemetry\.logs\.std\]\.value$"
    # No pod ends before another is ready.
    r"|\.spec\.strategy\."
)
_MAY_DIFFER = re.compile(
    r"config\.service\.(auth|endpoint)|telemetry\.logs\.std$|neighborhood\.host|runtime\.deployment"
)


def install_and_adopt(bed: AdoptionBed, name: str) -> GatewaySpec:
    """The same of a case with one gateway."""
    (gateway,) = bed.install(*case(name), ready=name not in NEVER_READY)
    return adopted(bed, gateway, replaced=REPLACED.get(name, ""))


def adopted(bed: AdoptionBed, name: str, *, replaced: str = "", less: int = 0) -> GatewaySpec:
    """Adopt it, compare everything there is before and after, and change a setting; the spec that it
    was adopted with.

    `replaced` is part of the paths of what the plan takes the place of; `less` is by how many pods
    there may be fewer meanwhile.
    """
    before, given = bed.everything(), bed.given(name)
    pods = before["Deployment", name]["status"].get("availableReplicas", 0)
    adoption = bed.adoption(name)
    with bed.sampled(name) as seen:
        plan, outcome = bed.adopt(adoption.spec)
        assert outcome.state is State.SUCCEEDED, outcome
    assert min(seen) >= pods - less, seen
    after = bed.everything()
    _what_changed_was_planned(before, after, plan)
    _nothing_is_lost(before, after, given, replaced)
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


def _nothing_is_lost(
    before: Objects, after: Objects, given: EffectiveSettings, replaced: str
) -> None:
    for key, item in before.items():
        now = dict(leaves(written(after[key])))
        for path, value in leaves(written(item)):
            may_differ = _CHANGES.match(path) or _is_overridden(key, path, given)
            if not may_differ and not (replaced and replaced in path):
                assert now.get(path) == value, (key, path)
        assert _sources(item) == [s for s in _sources(after[key]) if s in _sources(item)], key


def _is_overridden(key: tuple[str, str], path: str, given: EffectiveSettings) -> bool:
    """Whether it is a setting of a ConfigMap that no pod got, as another source said otherwise."""
    name = path.removeprefix(".data.")
    setting = given.find(name) if key[0] == "ConfigMap" and name != path else None
    return setting is not None and (setting.origin.kind, setting.origin.name) != key


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
