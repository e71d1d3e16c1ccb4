"""A CronJob of others that makes a gateway's keys anew is named before the bot manages its token."""

from collections.abc import Iterator

import pytest
import yaml

from deploy.observed.token_only import KeptToken
from deploy.plans.token_only import Wanted, plan_token_only
from deploy.tokens.rotation import Rotation
from tests.cluster.adoption_bed import DATA, AdoptionBed, adoption_bed, case
from tests.cluster.conftest import Target
from tests.support.gateway_bed import INSTANCES


@pytest.fixture
def bed(target: Target, ns: str) -> Iterator[AdoptionBed]:
    with adoption_bed(target, ns) as found:
        yield found


@pytest.mark.parametrize(
    ("job", "named"),
    [
        ("rotates-and-regenerates", "CronJob {}/rotate-cronjob"),
        ("powershell-regenerates", "CronJob {}/apim-keys"),
        ("script-in-a-map", "perhaps CronJob {}/nightly"),
    ],
)
def test_a_job_that_rotates_the_token_too_is_named_before_the_token_is_managed(
    bed: AdoptionBed, job: str, named: str
) -> None:
    (name,) = bed.install(*case("mirror-gw"), ready=False)
    bed.create(yaml.safe_load((DATA / "others" / f"cronjob-{job}.yaml").read_text()))
    wanted = Wanted(bed.ref(name), KeptToken(name, "contoso", "demo"), Rotation(), begins=True)
    plan = plan_token_only(
        bed.cluster, wanted, "ABC234", instances=INSTANCES, check=bed.planner.check
    )
    (finding,) = [each for each in plan.findings if each.rule == "rotated-elsewhere"]
    # Other tests' namespaces have such jobs too.
    assert named.format(bed.ns) in finding.fix
    adopted = bed.planner.plan(bed.adoption(name, "demo").spec, "ABC235", take_over=True)
    assert adopted.token.mint
    (finding,) = [each for each in adopted.findings if each.rule == "rotated-elsewhere"]
    assert named.format(bed.ns) in finding.fix
