"""Each check of who decides on a token is all that stands against some attack: with it the attack gains
nothing, and taken out it succeeds."""

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.access import Environment, Freeze, check_freeze
from deploy.actions import scripts
from deploy.changes import policies
from deploy.changes.authority import Authority
from deploy.changes.decide import Authorized
from deploy.changes.policies import Policies
from deploy.gateway import GatewayRef
from deploy.governance import governor
from deploy.governance.admitted import AdmittedTokens
from deploy.governance.governor import Governor
from deploy.governance.placements import PlacementRecord, Recorded
from deploy.governance.requirements import GovernedBy, TokenAuthority
from deploy.governance.sightings import Sightings
from deploy.plans import held, planning
from deploy.plans.token_decision import TokenDecision
from deploy.policy import People
from deploy.rules.table import RULES
from tests.support.gateway_bed import HOST
from tests.support.redis_servers import started
from tests.support.running_cluster import RunningCluster
from tests.support.token_bed import (
    APPROVAL,
    COLLECTOR,
    CONTOSO,
    DEV,
    DEVELOPMENT,
    EU,
    FABRIKAM,
    PRODUCTION,
    TokenBed,
)

UNCHECKED = "settings={config.service.endpoint.disableCertificateValidation: 'true'}"
FABRIKAMS = "apim.instance=fabrikam"
ALIAS = f"hostAliases=[{{ip: 203.0.113.9, hostnames: [{HOST}]}}]"
GUID = "00000000-0000-0000-0000-000000000001"
SIGNED_IN = ("auth.type=entraApp", f"auth.clientId={GUID}", f"auth.tenantId={GUID}")
SIGNS_IN = ("auth.type=workloadIdentity", f"auth.clientId={GUID}", f"auth.tenantId={GUID}")
ANYBODY = frozenset({"development", "production"})


def asked_elsewhere(bed: TokenBed) -> bool:
    """dan asks in development for the token of what production runs, and decides alone."""
    bed.install()
    return decided_alone(bed)


def decided_alone(bed: TokenBed, *options: str, **asked: Any) -> bool:
    action = bed.asks("dan", *options, **asked)
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
    """The token is kept and said to be of a service of which production has no such gateway. Then it
    is sent elsewhere as that one's."""
    bed.install()
    bed.deployed()
    return relabelled_and_sent(bed, FABRIKAMS)


def sent_as_nobodys(bed: TokenBed) -> bool:
    """The same with a token that others installed, of whose service nothing is on record."""
    bed.install()
    bed.install(DEV)
    return relabelled_and_sent(bed, FABRIKAMS, "objects.container=gateway")


def relabelled_and_sent(bed: TokenBed, *options: str) -> bool:
    # Its pods ask contoso as before, so this alone sends the token nowhere else.
    relabelled = decided_alone(bed, *options, takes_over=True)
    return relabelled and decided_alone(bed, *options, ALIAS)


def sent_by_others_pods(bed: TokenBed) -> bool:
    """Nothing tells of whose service the token is that the pods hold; the new one is fabrikam's."""
    bed.install()
    bed.install(DEV)
    there = f"apim.endpoint={FABRIKAM.configuration_endpoint}"
    return decided_alone(bed, FABRIKAMS, there, ALIAS, takes_over=True)


def sent_by_pods_that_stay(bed: TokenBed) -> bool:
    """The next pods sign in, and those that run read the same ConfigMap."""
    bed.install()
    bed.deployed()
    return decided_alone(bed, *SIGNS_IN, f"apim.endpoint={EU}")


def sent_by_earlier_pods(bed: TokenBed) -> bool:
    """Pods of the version before hold the token: the next ones, which sign in, are not ready."""
    bed.install()
    bed.deployed()
    assert decided_alone(bed, *SIGNS_IN)
    return decided_alone(bed, *SIGNS_IN, f"apim.endpoint={EU}")


def sent_where_nobody_knows(bed: TokenBed) -> bool:
    """Only development has the gateway, so dan alone decides where its token goes."""
    bed.deployed()
    return decided_alone(bed, *SIGNS_IN, f"apim.endpoint={COLLECTOR}")


def given_to_another_image(bed: TokenBed) -> bool:
    """The token is kept, and the next pods run an image that the settings do not know."""
    bed.deployed()
    return decided_alone(bed, "image.repository=dan.example/gateway")


def unchecked_by_pods_that_stay(bed: TokenBed) -> bool:
    """The next pods sign in, and those that run no longer check who answers."""
    bed.deployed()
    return decided_alone(bed, *SIGNS_IN, UNCHECKED)


def made_anew_unseen(bed: TokenBed) -> bool:
    """Production decided on the token in development; the Deployment is gone, and the bot has not
    seen that."""
    bed.install()
    action = bed.asks("dan")
    bed.agrees(action, "dan", "ben")
    assert bed.runs(action)
    bed.goes_unseen()
    bed.delete(DEV)
    return decided_alone(bed, ALIAS)


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


def approved_twice_by_one_person(bed: TokenBed) -> bool:
    """Production takes two approvals; the settings learn that both were of one person."""
    bed.install()
    bed.restart(production=replace(PRODUCTION, approval=replace(APPROVAL, quorum=2)))
    action = bed.asks("dan")
    bed.agrees(action, "ben", "chen")
    bed.restart(production=bed.production, people={"ben": "ben", "chen": "ben"})
    return bed.runs(action)


def approved_by_its_requester_as_another(bed: TokenBed) -> bool:
    """The settings learn that ben, who approved, is dan, who asked."""
    bed.install()
    action = bed.asks("dan")
    bed.agrees(action, "ben")
    bed.restart(people={"ben": "dan"})
    return bed.runs(action)


def confirmed_by_who_may_no_longer_ask(bed: TokenBed) -> bool:
    """dan is no requester any longer, and confirms what he asked for as one."""
    action = bed.asks("dan")
    bed.restart(development=replace(DEVELOPMENT, requesters=People(users=("ana",))))
    bed.agrees(action, "dan")
    return bed.runs(action)


def rotated_by_settings_of_then(bed: TokenBed) -> bool:
    """The settings approved that tokens are rotated automatically, and no longer do."""
    bed.deployed()
    bed.restart(development=replace(DEVELOPMENT, standing="Ben"))
    action = bed.rotates()
    bed.restart()
    return bed.runs(action)


def begun_in_a_later_freeze(bed: TokenBed) -> bool:
    """dan's reason was one to override another freeze."""
    now, hour = bed.changes.now, datetime.timedelta(hours=1)
    freezes = (Freeze("A", now - hour, now + hour), Freeze("B", now + 2 * hour, now + 4 * hour))
    bed.restart(development=replace(DEVELOPMENT, freezes=freezes))
    action = bed.asks("dan", break_glass="it is down")
    bed.agrees(action, "dan")
    bed.changes.now = now + 3 * hour
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


def mounted(bed: TokenBed) -> bool:
    """A gateway without a token, whose pods are given edge-1's as its secret and run dan's image."""
    bed.deployed()
    secret = "auth.clientSecret={name: edge-1-token-abc234, key: value}"
    image = "image.repository=dan.example/gateway"
    return decided_alone(bed, *SIGNED_IN, secret, image, name="other")


def overwritten(bed: TokenBed) -> bool:
    """A gateway without a token, whose settings are those that edge-1 runs on."""
    bed.deployed()
    secret = "auth.clientSecret={name: app, key: secret}"
    settings = ("objects.configMap=edge-1-env", f"apim.endpoint={COLLECTOR}")
    return decided_alone(bed, *SIGNED_IN, secret, *settings, name="other")


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


def any_reason_in_any_freeze(
    environment: Environment,
    *,
    now: datetime.datetime,
    break_glass: str,
    asked: object = None,
    ref: GatewayRef | None = None,
) -> None:
    check_freeze(environment, now=now, break_glass=break_glass, ref=ref)


def unasked(patch: pytest.MonkeyPatch) -> None:
    """The authority is not asked who decides."""
    patch.setattr(Authority, "check_act", lambda *args: None)


def only_by_the_authority(patch: pytest.MonkeyPatch) -> None:
    """Not by whose vote counts, which is asked of the settings of then and of now."""
    unasked(patch)
    patch.setattr(Policies, "_counts", lambda *args: True)


def never_own(patch: pytest.MonkeyPatch) -> None:
    """Neither the authority nor the script knows who asked."""
    patch.setattr(Authority, "is_own", lambda *args: False)
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
        replaced(TokenDecision, "_other_service", lambda *args: ""),
        sent_as_another_services,
    ),
    Check(
        "a token whose service nobody recorded is not kept as another service's",
        replaced(TokenDecision, "_other_service", lambda *args: ""),
        sent_as_nobodys,
    ),
    Check(
        "a token whose service nobody recorded may be any service's",
        replaced(held, "_instances", lambda *args: ("fabrikam",)),
        sent_by_others_pods,
    ),
    Check(
        "a token that pods hold is governed whatever the next pods use",
        replaced(planning, "held_tokens", lambda *args: ()),
        sent_by_pods_that_stay,
    ),
    Check(
        "pods of earlier versions count",
        replaced(held, "_wants_pods", lambda replica_set: False),
        sent_by_earlier_pods,
    ),
    Check(
        "only a token that the plan found in place is replaced by the target",
        replaced(Governor, "_decided_by", lambda *args: ANYBODY),
        made_anew_unseen,
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
        never_own,
        approved_by_its_requester,
    ),
    Check(
        "only approvers approve",
        only_by_the_authority,
        approved_by_somebody,
    ),
    Check(
        "a requester who may no longer ask confirms nothing",
        unasked,
        confirmed_by_who_may_no_longer_ask,
    ),
    Check(
        "one person has one vote, also where that is learned later",
        replaced(Policies, "_lost", lambda *args: ()),
        approved_twice_by_one_person,
    ),
    Check(
        "nobody has approved what they asked for, also where that is learned later",
        replaced(Authority, "is_own", lambda *args: False),
        approved_by_its_requester_as_another,
    ),
    Check(
        "an approval in the settings counts while it is there",
        replaced(Policies, "withdrawn", lambda self, action: False),
        rotated_by_settings_of_then,
    ),
    Check(
        "a reason overrides no later freeze",
        replaced(policies, "check_freeze", any_reason_in_any_freeze),
        begun_in_a_later_freeze,
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
        "a token that pods hold is sent to no unknown host",
        without_rule("token-to-unknown-endpoint"),
        sent_where_nobody_knows,
    ),
    Check(
        "a kept token is given to no unknown image",
        without_rule("token-in-unknown-image"),
        given_to_another_image,
    ),
    Check(
        "pods that hold a token check who answers",
        without_rule("token-without-certificate"),
        unchecked_by_pods_that_stay,
    ),
    Check(
        "no token is sent to who is not checked",
        without_rule("token-without-certificate"),
        sent_unchecked,
    ),
    Check(
        "no pod is given the token of another gateway",
        without_rule("token-by-reference"),
        mounted,
    ),
    Check(
        "no gateway's settings are overwritten by another",
        without_rule("object-of-another"),
        overwritten,
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
