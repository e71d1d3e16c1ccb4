"""A preStop hook of somebody else's is found before Kubernetes refuses a second handler."""

from typing import Any

import pytest

from deploy.errors import Conflict
from deploy.plans.hooks import check_hook
from deploy.rendering.manifests import render
from deploy.specs.overlay import merged
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from tests.support.gateway_bed import SPEC

ASKED = spec_from_mapping(merged(spec_to_mapping(SPEC), {"rollout": {"preStopSleepSeconds": 5}}))


def live(hook: Any) -> dict[str, Any]:
    (found,) = (o for o in render(SPEC, "t") if o["kind"] == "Deployment")
    found["spec"]["template"]["spec"]["containers"][0]["lifecycle"] = hook
    return found


def test_a_hook_of_another_kind_is_named_with_what_to_do() -> None:
    command = {"exec": {"command": ["sleep", "5"]}}
    with pytest.raises(Conflict, match=r"has a preStop hook already \(exec\)") as refused:
        check_hook(ASKED, live({"preStop": command}))
    assert "rollout.preStopSleepSeconds" in refused.value.remedy
    check_hook(SPEC, live({"preStop": command}))


@pytest.mark.parametrize(
    "hook", [None, {}, {"postStart": {"exec": {}}}, {"preStop": {"sleep": {"seconds": 9}}}]
)
def test_what_leaves_room_for_a_sleep_is_no_conflict(hook: Any) -> None:
    check_hook(ASKED, live(hook))


def test_a_gateway_that_is_new_has_no_hook() -> None:
    check_hook(ASKED, None)
