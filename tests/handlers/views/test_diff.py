"""What drift looks like, and what takes it back."""

import dataclasses
import json

from deploy.plans.plan import FieldChange, ObjectChange
from handlers.views.diff import drift
from tests.support.shown import PLAN


def test_drift_of_the_number_of_pods_says_that_it_has_to_be_asked_for() -> None:
    counted = FieldChange("spec.replicas", 2, 3)
    image = FieldChange("spec.template.spec.x", "a", "b", restarts_pods=True)
    for fields, again in (
        ((counted, image), "Deploying it again with `--replicas 3` restores the right side."),
        ((image,), "Deploying it again restores the right side."),
    ):
        change = ObjectChange("Deployment", "edge-1", "update", fields)
        plan = dataclasses.replace(PLAN, changes=(change,), count=3)
        assert again in json.dumps(drift(plan).blocks)
