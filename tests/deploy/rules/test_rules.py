"""Every rule, tripped and spared; what others' YAML gets; and objects of any shape."""

import copy
import datetime
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.rules import RULE_IDS, Exemption, Facts, check
from deploy.rules.table import RULES, as_markdown
from deploy.specs.overlay import merged
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from tests.deploy.rules.bundles import (
    FACTS,
    HELM,
    PORTAL_V1,
    PORTAL_V2,
    SPEC,
    Bundle,
    rendered,
    written,
)
from tests.deploy.rules.edits import KNOWN, MINTS, Edit, image, setting
from tests.deploy.rules.spares import SPARES
from tests.deploy.rules.trips import TRIPS

DOCUMENT = Path(__file__).parents[3] / "docs" / "rules.md"
TODAY = datetime.date(2026, 11, 23)


def found(bundle: Bundle, facts: Facts = FACTS) -> set[str]:
    return {finding.rule for finding in check(bundle, facts, today=TODAY)}


def tried(edit: Edit) -> set[str]:
    bundle = rendered()
    told = edit(bundle)
    return found(bundle, told if isinstance(told, Facts) else FACTS)


@pytest.mark.parametrize(
    ("rule", "edit"), [pytest.param(r, e, id=f"{r} strikes when {when}") for r, when, e in TRIPS]
)
def test_a_rule_strikes(rule: str, edit: Edit) -> None:
    assert rule in tried(edit)


@pytest.mark.parametrize(
    ("rule", "edit"), [pytest.param(r, e, id=f"{r} spares it when {when}") for r, when, e in SPARES]
)
def test_a_rule_spares(rule: str, edit: Edit) -> None:
    assert rule not in tried(edit)


def test_every_rule_is_tried_both_ways() -> None:
    assert {rule for rule, _, _ in TRIPS} == RULE_IDS
    assert {rule for rule, _, _ in SPARES} == RULE_IDS
    assert len(RULES) == len(RULE_IDS)


def test_what_a_default_spec_gives_is_only_what_is_honest_to_say() -> None:
    assert found(rendered()) == {"no-backup", "uneven-traffic"}


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        pytest.param(
            PORTAL_V1,
            {
                *("default-namespace", "single-replica", "floating-tag", "floating-tag-pulled"),
                *("missing-requests", "no-liveness-probe", "weak-security-context"),
                *("uneven-traffic", "no-backup", "retired-endpoint"),
            },
            id="the portal's of 2020",
        ),
        pytest.param(
            PORTAL_V2,
            {
                *("default-namespace", "single-replica", "floating-tag", "missing-requests"),
                *("no-liveness-probe", "weak-security-context", "uneven-traffic", "no-backup"),
            },
            id="the portal's of today",
        ),
        pytest.param(
            HELM,
            {
                *(
                    "rollout-implicit",
                    "memory-growth",
                    "superseded-patch",
                    "missing-requests",
                    "impatient-startup",
                ),
                *("weak-security-context", "no-backup"),
            },
            id="the Helm chart's",
        ),
    ],
)
def test_what_others_yaml_gives(text: str, rules: set[str]) -> None:
    assert found(written(text)) == rules


def test_a_gateway_is_judged_by_its_own_objects_only() -> None:
    others = copy.deepcopy(rendered())
    for item in others:
        item["metadata"]["namespace"] = "elsewhere"
    alone = [item for item in rendered() if item["kind"] != "PodDisruptionBudget"]
    assert "no-disruption-budget" in found([*alone, *others])


def test_nothing_is_said_where_there_is_no_deployment() -> None:
    assert check([{"kind": "Service"}], FACTS, today=TODAY) == ()


def test_production_is_judged_more_severely() -> None:
    bundle = rendered()
    for item in bundle:
        if item["kind"] == "Deployment":
            item["spec"]["strategy"] = {"type": "Recreate"}

    def severity(production: bool) -> str:
        findings = check(bundle, Facts(production, FACTS.tags), today=TODAY)
        return next(f.severity for f in findings if f.rule == "recreates-pods")

    assert (severity(False), severity(True)) == ("warning", "deny")


def test_findings_come_most_severe_first_and_exempted_ones_last() -> None:
    bundle = written(PORTAL_V1)
    agreed = [Exemption("retired-endpoint", "Moves in spring.", TODAY)]
    before = [f.severity for f in check(bundle, FACTS, today=TODAY)]
    assert before == sorted(before, key=("deny", "warning", "info").index)
    assert check(bundle, FACTS, agreed, today=TODAY)[-1].rule == "retired-endpoint"


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (
            setting("config.service.endpoint", "https://Collector.example/"),
            "Under apim, contoso: endpoints: [eu.example, collector.example]",
        ),
        (
            image("evil.example/gw"),
            "Under images: repositories: [mcr.microsoft.com/azure-api-management/gateway, "
            "registry.example/gw, evil.example/gw]",
        ),
    ],
)
@pytest.mark.parametrize("known", [KNOWN, MINTS], ids=["runs", "mints"])
def test_the_fix_of_an_unknown_place_is_the_line_for_the_settings(
    edit: Edit, line: str, known: Edit
) -> None:
    bundle = rendered()
    edit(bundle)
    facts = known(bundle)
    assert isinstance(facts, Facts)
    (finding,) = [f for f in check(bundle, facts, today=TODAY) if "unknown" in f.rule]
    assert finding.fix.endswith(line)
    assert finding.severity == ("deny" if facts.mints else "warning")


def test_a_severity_of_the_environment_counts_instead_of_the_usual_one() -> None:
    usual = {f.rule: f.severity for f in check(rendered(), FACTS, today=TODAY)}
    assert usual["no-backup"] != "deny"
    found = check(rendered(), FACTS, severities={"no-backup": "deny"}, today=TODAY)
    assert (found[0].rule, found[0].severity) == ("no-backup", "deny")
    assert {f.rule: f.severity for f in found[1:]}.items() <= usual.items()


def test_an_exemption_holds_through_its_last_day_and_is_said() -> None:
    agreed = [Exemption("no-backup", "No storage yet.", TODAY)]
    finding = next(f for f in check(rendered(), FACTS, agreed, today=TODAY) if f.exempted)
    assert (finding.rule, finding.severity) == ("no-backup", "info")
    assert finding.exempted is not None
    assert (finding.exempted.reason, finding.exempted.until) == ("No storage yet.", "2026-11-23")
    assert not finding.exempted.expired


def test_an_expired_exemption_no_longer_counts_and_is_said() -> None:
    agreed = [Exemption("no-backup", "No storage yet.", TODAY - datetime.timedelta(days=1))]
    finding = next(f for f in check(rendered(), FACTS, agreed, today=TODAY) if f.exempted)
    assert (finding.rule, finding.severity) == ("no-backup", "warning")
    assert finding.exempted is not None
    assert finding.exempted.expired


@pytest.mark.parametrize("rule", [r for r in RULES if r.patch is not None], ids=lambda r: r.id)
def test_a_fix_is_a_valid_spec_that_the_rule_spares(rule: Any) -> None:
    before = {**spec_to_mapping(SPEC), "hostNetwork": rule.id == "host-network-dns"}
    spec = spec_from_mapping(merged(before, rule.patch))
    assert rule.id not in found(rendered(spec))


ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "1/0", "-1%"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@st.composite
def foreign(draw: st.DrawFn) -> Any:
    """A bundle in which a few values, at any depth, are missing or of another type."""
    bundle: Any = written(draw(st.sampled_from([PORTAL_V1, HELM]))) + rendered()
    for _ in range(draw(st.integers(1, 6))):
        place: Any = bundle
        while True:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            deeper = isinstance(place[key], dict | list)
            if not deeper or draw(st.integers(0, 4)) == 0:
                place[key] = draw(ODD)
                break
            place = place[key]
    return bundle


@given(foreign(), st.booleans())
@settings(deadline=None)
def test_objects_of_any_shape_are_judged_without_an_error(bundle: Any, production: bool) -> None:
    check(bundle, Facts(production, FACTS.tags, token_days=None), today=TODAY)


def test_the_documentation_lists_exactly_the_rules() -> None:
    written_down = DOCUMENT.read_text(encoding="utf-8")
    made = written_down.partition("\n| rule |")[0] + f"\n{as_markdown()}"
    if os.environ.get("WRITE_DOCS"):
        DOCUMENT.write_text(made, encoding="utf-8")
        return
    assert written_down == made, "WRITE_DOCS=1 writes docs/rules.md again"
