"""The table of docs/clusters.md, row by row, on the sandbox's cluster and on a real control plane.

The page is read: a row is a situation, what the spec says, what the plan says and what happens then.
`make test-cluster` runs it.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.sandbox.node.addresses import routed_range
from deploy.actions.action import State
from deploy.changes.kinds import ROLLBACK
from deploy.changes.rolling_back import rollback_request
from deploy.errors import GatewayBotError
from deploy.observed.history import revisions
from deploy.plans.plan import Plan
from deploy.plans.requests import RollbackRequest
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.overlay import merged
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from tests.cluster.conftest import Target, joined, namespace
from tests.cluster.rollout_bed import Bed, rollout_bed
from tests.cluster.situations import SITUATIONS, mirrored_deployments, mirrored_pods, openshift
from tests.support.control_plane import Process, built
from tests.support.processes import ROOT
from tests.support.waiting import until

_PAGE = ROOT / "docs" / "clusters.md"
_HEAD = "| situation | the spec says | the plan says | what happens |"
_USUAL = "as usual"
_SEVERITIES = {"notes": "info", "warns": "warning", "denies": "deny"}


@dataclass(frozen=True)
class Row:
    """One row of the page, as it is written."""

    situation: str
    spec: str
    plan: str
    happens: str

    def __str__(self) -> str:
        return re.sub(r"[^A-Za-z0-9 .]", "", f"{self.situation} {self.spec}")


def rows() -> list[Row]:
    _, table = _PAGE.read_text(encoding="utf-8").split(f"{_HEAD}\n|---|---|---|---|\n")
    lines = table.split("\n\n")[0].splitlines()
    return [Row(*(cell.strip() for cell in line.strip("|").split(" | "))) for line in lines]


ROWS = rows()


@pytest.fixture
def bed(request: pytest.FixtureRequest, target: Target, ns: str, tmp_path: Path) -> Iterator[Bed]:
    if request.config.getoption("--control-plane") != "required":
        pytest.skip("`make test-cluster` runs this")
    if not target.controllers:
        pytest.skip("this control plane is an API server alone, without controllers")
    with rollout_bed(target, ns, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def dual_stack(whole_plane: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A control plane whose Services have two families where they ask for it."""
    binary, directory = built(), tmp_path_factory.mktemp("dual-stack")
    if binary is None:
        pytest.skip("`make controlplane` builds the one that can have two families")
    process = Process(binary, directory / "plane", "--services", "10.0.0.0/16,fd00:10::/108")
    process.start()
    try:
        with joined(process.plane, directory, routed_range()) as target:
            yield target
    finally:
        process.stop()


def spec_of(row: Row, bed: Bed) -> GatewaySpec:
    """The spec of the bed with what the row says; classes have the namespace in their names."""
    if row.spec == _USUAL:
        return bed.spec()
    text = row.spec.strip("`")
    said = yaml.safe_load(re.sub(r"\b(disks|files|kata)\b", rf"\1-{bed.ns}", text))
    return spec_from_mapping(merged(spec_to_mapping(bed.spec()), said))


def planned(row: Row, bed: Bed, spec: GatewaySpec) -> Plan | None:
    """The plan, which says what the row says; None for one that is refused."""
    verb, _, words = row.plan.partition(": ")
    if verb == "refuses":
        with pytest.raises(GatewayBotError) as refused:
            bed.planner.plan(spec, "ABC234")
        assert words in str(refused.value)
        return None
    plan = bed.planner.plan(spec, "ABC234")
    said = [(finding.severity, finding.what) for finding in plan.findings]
    if verb == "conflict":
        assert words in " ".join(map(str, plan.conflicts))
    elif verb == "API server warns":
        assert words in " ".join(plan.warnings)
    elif verb in _SEVERITIES:
        assert any(each == _SEVERITIES[verb] and words in what for each, what in said), said
    else:
        assert verb == "nothing"
        usual = [(finding.severity, finding.what) for finding in without(bed, spec)]
        assert [each for each in said if each not in usual] == []
        assert plan.warnings == ()
    return plan


def without(bed: Bed, spec: GatewaySpec) -> list[Any]:
    """What the rules say of that spec wherever it is: pre-flight checks are not among it."""
    bed.blind = True
    try:
        return list(bed.planner.plan(spec, "ABC234").findings)
    finally:
        bed.blind = False


def test_each_situation_of_the_page_can_be_made_and_each_that_can_be_is_on_it() -> None:
    assert {row.situation for row in ROWS} == set(SITUATIONS)


def split(*, dual_stack: bool) -> list[Row]:
    return [row for row in ROWS if SITUATIONS[row.situation].dual_stack is dual_stack]


@pytest.mark.parametrize("row", split(dual_stack=True), ids=str)
def test_a_row_of_a_dual_stack_cluster_is_what_happens(
    row: Row, dual_stack: Target, tmp_path: Path
) -> None:
    with namespace(dual_stack) as ns, rollout_bed(dual_stack, ns, tmp_path) as bed:
        as_the_page_says(row, bed)


@pytest.mark.parametrize("row", split(dual_stack=False), ids=str)
def test_a_row_of_the_page_is_what_happens(row: Row, bed: Bed) -> None:
    as_the_page_says(row, bed)


def as_the_page_says(row: Row, bed: Bed) -> None:
    situation = SITUATIONS[row.situation]
    if situation.real and bed.target.sandbox is not None:
        pytest.skip("the sandbox's cluster has no such admission")
    situation.make(bed)
    spec = spec_of(row, bed)
    plan = planned(row, bed, spec)
    verb, _, words = row.happens.partition(": ")
    if verb == "nothing is applied":
        assert plan is None or plan.digest == ""
        return
    assert plan is not None
    assert plan.digest, plan.findings
    outcome = bed.deploy(spec, "ABC234")
    if verb == "fails":
        assert outcome.state is State.FAILED
        assert words in outcome.meaning, outcome
        return
    assert verb == "rolled out"
    assert outcome.state is State.SUCCEEDED, outcome
    situation.afterwards(bed)
    assert bed.look() == ""
    assert bed.planner.plan(spec, "ABC235").empty


UNSET = {"security": {"runAsUser": "none", "fsGroup": "none"}}


@pytest.mark.parametrize(
    ("admission", "asked"),
    [(openshift, UNSET), (mirrored_deployments, {}), (mirrored_pods, {})],
    ids=["users of the namespace", "images of Deployments", "images of pods"],
)
def test_history_and_rollback_are_right_where_admission_changes_what_is_written(
    bed: Bed, admission: Callable[[Bed], None], asked: dict[str, Any]
) -> None:
    admission(bed)
    new = spec_from_mapping(merged(spec_to_mapping(bed.spec()), asked))
    old = dataclasses.replace(new, tag="2.10.0")
    assert bed.deploy(old, "ABC233").state is State.SUCCEEDED
    assert bed.deploy(new, "ABC234").state is State.SUCCEEDED

    def known() -> list[str]:
        sets = bed.cluster.list("ReplicaSet", bed.ns)
        return [r.action for r in revisions(bed.target.api.get(bed.path), sets)]

    until(lambda: known() == ["ABC234", "ABC233"], "both revisions")
    back = rollback_request(bed.cluster, new.ref, None)
    assert back == RollbackRequest(old, revision=1)
    outcome = bed.change(ROLLBACK, back, "ABC235")
    assert outcome.state is State.SUCCEEDED, outcome
    until(lambda: known()[0] == "ABC235", "the revision that is back")
    assert bed.planner.plan(old, "ABC236").empty
    assert bed.look() == ""
