"""What tells revisions apart, and which one a rollback without a number goes to."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.annotations import RESTART_ANNOTATION, SPEC_ANNOTATION
from deploy.errors import Conflict, NotFound
from deploy.gateway import GatewayRef
from deploy.kube.objects import Manifest
from deploy.observed.history import Revision, asked_for, revisions
from deploy.observed.revision_differences import (
    Difference,
    difference,
    gone_back_to,
    way_back,
)
from deploy.rendering.manifests import render
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Autoscaling, Rollout
from tests.support.gateway_bed import SPEC
from tests.support.specs import SPECS

REF = GatewayRef("west", "dev", "edge-1")
OLD, NEW = dataclasses.replace(SPEC, tag="2.11.0"), dataclasses.replace(SPEC, tag="2.12.0")


def restarted(spec: GatewaySpec, at: str = "2026-11-30T10:00:00Z") -> GatewaySpec:
    return dataclasses.replace(spec, rollout=Rollout(restarted_at=at))


def deployment(spec: GatewaySpec, number: int, token: str = "edge-1-token-1") -> Manifest:
    (found,) = [item for item in render(spec, token) if item["kind"] == "Deployment"]
    annotations = found["metadata"]["annotations"] | {
        "deployment.kubernetes.io/revision": str(number)
    }
    return {**found, "metadata": {**found["metadata"], "annotations": annotations, "uid": "u1"}}


def history(*specs: GatewaySpec, token: str = "edge-1-token-1") -> list[Manifest]:
    """The ReplicaSets that such deployments leave, the first of them the oldest."""
    made = [deployment(spec, number, token) for number, spec in enumerate(specs, 1)]
    return [
        {**each, "metadata": {**each["metadata"], "ownerReferences": [{"uid": "u1"}]}}
        for each in made
    ]


def target(sets: list[Manifest], number: int | None = None) -> Revision:
    live = {**sets[-1], "metadata": {**sets[-1]["metadata"], "uid": "u1"}}
    return gone_back_to(REF, asked_for(live), revisions(live, sets), number)


def by_hand(item: Manifest, image: str) -> Manifest:
    """The same once somebody else has written another image."""
    copy: Manifest = json.loads(json.dumps(item))
    copy["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return copy


def compared(*specs: GatewaySpec) -> Difference:
    newer, older = revisions(*_last_two(history(*specs)))[:2]
    return difference(older, newer)


def _last_two(sets: list[Manifest]) -> tuple[Manifest, list[Manifest]]:
    return {**sets[-1], "metadata": {**sets[-1]["metadata"], "uid": "u1"}}, sets


def test_after_a_restart_a_rollback_goes_to_the_version_before_it() -> None:
    assert target(history(OLD, NEW, restarted(NEW))).number == 1


def test_a_scale_a_rotation_and_autoscaling_are_nothing_to_go_back_to() -> None:
    more = dataclasses.replace(NEW, replicas=7)
    scaled = dataclasses.replace(NEW, autoscaling=Autoscaling(2, 9))
    sets = [*history(OLD, NEW, more, scaled), *history(*[NEW] * 4, NEW, token="edge-1-token-2")[4:]]
    assert target(sets).number == 1


def test_other_settings_are_something_to_go_back_to() -> None:
    debug = dataclasses.replace(NEW, log_level="debug")
    assert target(history(OLD, NEW, debug)).number == 2


def test_whether_there_is_a_version_to_go_back_to_is_known_before_anybody_asks() -> None:
    def known(*sets: Manifest) -> bool:
        live = {**sets[-1], "metadata": {**sets[-1]["metadata"], "uid": "u1"}}
        return way_back(revisions(live, sets)) is not None

    assert known(*history(OLD, NEW))
    assert known(*history(OLD, NEW, restarted(NEW)))
    assert not known(*history(NEW, restarted(NEW)))
    assert not known(*history(NEW))
    older, newer = history(OLD, NEW)
    assert not known(by_hand(older, "registry.example/other:1"), newer), "its spec is unknown"


def test_right_after_a_deployment_that_has_no_replica_set_yet_it_goes_to_what_ran() -> None:
    sets = history(OLD, NEW)
    live = deployment(dataclasses.replace(SPEC, tag="2.13.0"), 2)
    assert gone_back_to(REF, asked_for(live), revisions(live, sets), None).number == 2


def test_an_undone_rollout_is_gone_back_to_like_any_other() -> None:
    first, second = history(OLD, NEW)
    undone = deployment(OLD, 3)
    renumbered = {
        **first,
        "metadata": {**first["metadata"], "annotations": undone["metadata"]["annotations"]},
    }
    found = gone_back_to(REF, asked_for(undone), revisions(undone, [renumbered, second]), None)
    assert (found.number, found.spec and found.spec["image"]["tag"]) == (2, "2.12.0")


def test_nothing_to_go_back_to_names_the_history_there_is() -> None:
    with pytest.raises(NotFound, match="nothing to roll back to") as refused:
        target(history(NEW, restarted(NEW), restarted(NEW, "2026-11-30T11:00:00Z")))
    assert "3 (2.12.0), 2 (2.12.0), 1 (2.12.0)" in refused.value.meaning
    with pytest.raises(NotFound) as alone:
        target(history(NEW))
    assert "The cluster holds 1 (2.12.0)." in alone.value.meaning


def test_a_version_that_others_put_there_is_not_passed_over_in_silence() -> None:
    sets = history(OLD, NEW, NEW)
    sets[1] = by_hand(sets[1], f"{SPEC.repository}:2.10.1")
    with pytest.raises(Conflict, match="revision 2 of west/dev/edge-1") as refused:
        target(sets)
    assert "It runs 2.10.1." in refused.value.meaning
    assert "--to-revision 1` rolls back to 2.11.0" in refused.value.remedy


def test_what_others_put_over_the_bot_s_own_is_gone_back_from() -> None:
    sets = history(OLD, NEW, NEW)
    sets[2] = by_hand(sets[2], f"{SPEC.repository}:2.10.1")
    assert target(sets).number == 2


def test_a_number_goes_where_it_says_even_if_nothing_differs() -> None:
    assert target(history(OLD, NEW, restarted(NEW)), 2).number == 2
    with pytest.raises(NotFound, match="has no revision 9"):
        target(history(OLD, NEW), 9)


def test_a_difference_says_what_changed_and_nothing_that_follows_from_it() -> None:
    (old, new) = (f"{SPEC.repository}:2.11.0", f"{SPEC.repository}:2.12.0")
    assert compared(OLD, NEW) == Difference(image=(old, new))
    assert compared(OLD, restarted(NEW)) == Difference(image=(old, new))
    assert compared(NEW, restarted(NEW)) == Difference(restart=True)
    assert compared(NEW, dataclasses.replace(NEW, log_level="debug")) == Difference(
        settings=("logs.level",)
    )
    assert compared(NEW, dataclasses.replace(NEW, replicas=9)) == Difference()


def test_a_rotation_and_a_restart_by_kubectl_are_told() -> None:
    def between(edit: Any, token: str = "edge-1-token-1") -> Difference:
        before, after = history(NEW, NEW, token="edge-1-token-1")
        after = {**deployment(NEW, 2, token), "metadata": after["metadata"]}
        edit(after["spec"]["template"])
        return difference(*reversed(revisions(*_last_two([before, after]))))

    marked = {"kubectl.kubernetes.io/restartedAt": "2026-11-30T10:00:00Z"}
    assert between(lambda _: None, "edge-1-token-2") == Difference(token=True)
    assert between(lambda t: t["metadata"]["annotations"].update(marked)) == Difference(
        restart=True
    )
    assert between(lambda t: t["spec"].update(hostNetwork=True)) == Difference(template=True)


@given(SPECS, st.integers(1, 9))
def test_of_no_spec_is_a_restart_or_another_number_of_pods_a_difference(
    spec: GatewaySpec, replicas: int
) -> None:
    again = dataclasses.replace(spec.rollout, restarted_at="2026-11-30T10:00:00Z")
    fewer = dataclasses.replace(spec, rollout=again, replicas=replicas, autoscaling=Autoscaling())
    sets = [deployment(spec, 1), deployment(fewer, 2)]
    before, after = (asked_for(each) for each in sets)
    assert not difference(before, after).matters
    assert difference(before, before) == Difference()
    assert SPEC_ANNOTATION in sets[0]["metadata"]["annotations"]
    assert RESTART_ANNOTATION in sets[1]["spec"]["template"]["metadata"]["annotations"]
