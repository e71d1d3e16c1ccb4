"""Each check of who decides on a token is all that stands against some attack: with it the attack gains
nothing, and taken out it succeeds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions import scripts
from deploy.changes import policies
from deploy.changes.decide import Authorized
from deploy.changes.policies import Policies
from deploy.governance import governor
from deploy.governance.admitted import AdmittedTokens
from deploy.governance.placements import PlacementRecord, Recorded
from deploy.governance.requirements import GovernedBy, TokenAuthority
from deploy.governance.sightings import Sightings
from deploy.plans.planning import Planner
from deploy.rules.table import RULES
from tests.support.redis_servers import started
from tests.support.running_cluster import RunningCluster
from tests.support.token_bed import COLLECTOR, CONTOSO, EU, TokenBed

UNCHECKED = "settings={config.service.endpoint.disableCertificateValidation: 'true'}"
ANYBODY = frozenset({"development", "production"})


def asked_elsewhere(bed: TokenBed) -> bool:
    """dan asks in development for the token of what production runs, and decides alone."""
    bed.install()
    return decided_alone(bed)


def decided_alone(bed: TokenBed, *options: str, rotates: bool = False) -> bool:
    action = bed.asks("dan", *options, rotates=rotates)
    bed.agrees(action, "dan")
    return bed.runs(action)


def asked_after_a_deletion(bed: TokenBed) -> bool:
    """Production has run it, and no longer does."""
    bed.install()
    bed.governor.scan()
    bed.remove()
    return decided_alone(bed)


def rotated_as_a_look_alike(bed: TokenBed) -> bool:
    """The token in development was put there by nobody's decision."""
    bed.install()
    bed.deployed()
    return decided_alone(bed, rotates=True)


def sent_to_another_host(bed: TokenBed) -> bool:
    """The token is kept, and the gateway asks another host of the settings."""
    bed.install()
    bed.deployed()
    return decided_alone(bed, f"apim.endpoint={EU}")


def sent_as_another_services(bed: TokenBed) -> bool:
    """The token is kept, and said to be of a service of which production has no such gateway."""
    bed.install()
    bed.deployed()
    return decided_alone(bed, "apim.instance=fabrikam", f"apim.endpoint={COLLECTOR}")


def confirmed_late(bed: TokenBed) -> bool:
    """dan confirms what production has run since it was shown."""
    action = bed.asks("dan")
    bed.install()
    bed.agrees(action, "dan")
    return bed.runs(action)


def begun_late(bed: TokenBed) -> bool:
    """Production runs it since dan confirmed to send the kept token elsewhere."""
    bed.deployed()
    action = bed.asks("dan", f"apim.endpoint={EU}")
    bed.agrees(action, "dan")
    bed.install()
    return bed.runs(action)


def minted_late(bed: TokenBed) -> bool:
    """Production runs it since the action began."""
    action = bed.asks("dan")
    bed.agrees(action, "dan")
    return bed.runs(action, lambda step: bed.install() if step == "token" else None)


def minted_while_production_is(bed: TokenBed) -> bool:
    """Production's token is being minted, and no cluster shows anything yet."""
    action = bed.asks("dan")
    bed.agrees(action, "dan")
    there = bed.asks_in_production()
    bed.agrees(there, "ben")
    bed.azure.refuses = True
    bed.runs(there)
    bed.azure.refuses = False
    return bed.runs(action)


def approved_by_its_requester(bed: TokenBed) -> bool:
    """ben is an approver, and asks himself."""
    bed.install()
    action = bed.asks("ben")
    bed.agrees(action, "ben")
    return bed.runs(action)


def approved_by_somebody(bed: TokenBed) -> bool:
    """dan asks, and eve approves, who is no approver."""
    bed.install()
    action = bed.asks("dan")
    bed.agrees(action, "eve")
    return bed.runs(action)


def approved_by_who_left(bed: TokenBed) -> bool:
    """ben leaves the approvers after he approved, and before it begins."""
    bed.install()
    action = bed.asks("dan")
    bed.agrees(action, "ben")
    bed.groups.members["S1"] = ("chen",)
    return bed.runs(action)


def sent_to_the_collector(bed: TokenBed) -> bool:
    """A new token for a host that the settings do not know."""
    return decided_alone(bed, f"apim.endpoint={COLLECTOR}")


def given_to_an_image(bed: TokenBed) -> bool:
    """A new token for an image that the settings do not know."""
    return decided_alone(bed, "image.repository=dan.example/gateway")


def sent_unchecked(bed: TokenBed) -> bool:
    """A token to whoever answers in Azure's place."""
    return decided_alone(bed, UNCHECKED)


@dataclass(frozen=True)
class Check:
    """What it holds, how it is taken out, and the attack it stands against; `bed` is how the world of
    that attack differs."""

    holds: str
    take_out: Callable[[pytest.MonkeyPatch], None]
    attack: Callable[[TokenBed], bool]
    rules: tuple[GovernedBy, ...] = ()
    unread: str = ""


def replaced(owner: Any, name: str, stand_in: object) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(owner, name, stand_in)


def without_rule(rule: str) -> Callable[[pytest.MonkeyPatch], None]:
    left = tuple(each for each in RULES if each.id != rule)
    return lambda patch: patch.setattr("deploy.rules.RULES", left)


def nothing_recorded(record: PlacementRecord, resource: object) -> Recorded:
    return Recorded(frozenset(), frozenset(), {"west": 1.0})


def without_line(patch: pytest.MonkeyPatch) -> None:
    line = next(each for each in scripts.DECIDE.splitlines() if "snapshot('self')" in each)
    patch.setitem(scripts.TRANSITIONS, "DECIDE", scripts.DECIDE.replace(line, ""))


CHECKS = (
    Check(
        "every environment in which the gateway was seen decides",
        replaced(governor, "token_authority", lambda *args, **more: TokenAuthority(())),
        asked_elsewhere,
    ),
    Check(
        "what was seen is on record",
        replaced(PlacementRecord, "read", nothing_recorded),
        asked_after_a_deletion,
    ),
    Check(
        "a cluster that was never read counts its production",
        replaced(Sightings, "clusters", frozenset({"west"})),
        decided_alone,
        unread="east",
    ),
    Check(
        "what the settings say of a gateway counts",
        replaced(GovernedBy, "covers", lambda rule, resource: False),
        decided_alone,
        rules=(GovernedBy(CONTOSO.arm_id, "edge-*", ("production",)),),
    ),
    Check(
        "only a token that was decided on is replaced by the target",
        replaced(AdmittedTokens, "decided_by", lambda *args: ANYBODY),
        rotated_as_a_look_alike,
    ),
    Check(
        "a kept token that is sent elsewhere is governed",
        replaced(governor, "redirections", lambda plan: frozenset()),
        sent_to_another_host,
    ),
    Check(
        "the token of another service is not kept",
        replaced(Planner, "_other_service", lambda *args: ""),
        sent_as_another_services,
    ),
    Check(
        "what grew since it was shown is not confirmed",
        replaced(policies, "grown", lambda shown, today: frozenset()),
        confirmed_late,
    ),
    Check(
        "what was decided is compared again when it begins",
        replaced(Authorized, "execute", lambda self, action, run: self._inner.execute(action, run)),
        begun_late,
    ),
    Check(
        "what was decided is compared again right before Azure is asked",
        replaced(Policies, "authorize", lambda self, action: frozenset()),
        minted_late,
    ),
    Check(
        "a token is on record before Azure is asked for it",
        replaced(PlacementRecord, "record_now", lambda self, resource, ref: None),
        minted_while_production_is,
    ),
    Check(
        "nobody approves what they asked for",
        without_line,
        approved_by_its_requester,
    ),
    Check(
        "only approvers approve",
        replaced(Policies, "_counts", lambda *args: True),
        approved_by_somebody,
    ),
    Check(
        "whose vote counts is asked again",
        replaced(Policies, "met", lambda self, action: True),
        approved_by_who_left,
    ),
    Check(
        "a new token is sent to no unknown host",
        without_rule("token-to-unknown-endpoint"),
        sent_to_the_collector,
    ),
    Check(
        "a new token is given to no unknown image",
        without_rule("token-in-unknown-image"),
        given_to_an_image,
    ),
    Check(
        "no token is sent to who is not checked",
        without_rule("token-without-certificate"),
        sent_unchecked,
    ),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    directory = tmp_path_factory.mktemp("cluster")
    with RunningCluster(directory, namespaces=("dev", "prod"), with_kubelet=False) as cluster:
        yield cluster


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.holds)
def test_an_attack_succeeds_once_its_check_is_taken_out(
    check: Check, running: RunningCluster, server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gained() -> bool:
        bed = TokenBed(running, server, *check.rules, unread=check.unread)
        try:
            return check.attack(bed)
        finally:
            bed.close()

    assert not gained(), "as it is"
    check.take_out(monkeypatch)
    assert gained(), "without the check"
