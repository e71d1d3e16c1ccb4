"""Whose requirements a change takes: authority follows the token, not only the place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.access import UNLISTED, Environment, environment_of
from deploy.gateway import GatewayRef, GatewayResource
from deploy.governance.requirements import (
    GovernedBy,
    GoverningReason,
    Place,
    Placements,
    TokenAuthority,
    TokenChange,
    combined,
    token_authority,
)
from deploy.kube.places import Places

SERVICE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ApiManagement/service/Contoso"
EDGE = GatewayResource(SERVICE, "Edge-1")
DEV = Environment("development", namespaces=("dev", "dev-*"))
STAGING = Environment("staging", namespaces=("staging",))
WEST = Environment("west-production", clusters=("west",), namespaces=("prod",), production=True)
EAST = Environment("east-production", clusters=("east",), namespaces=("prod",), production=True)
ENVIRONMENTS = (DEV, STAGING, WEST, EAST)
NAMES = {each.name for each in ENVIRONMENTS}
TARGET = GatewayRef("west", "dev", "edge-1")
IN_PRODUCTION = GatewayRef("west", "prod", "edge-1")
IN_STAGING = GatewayRef("west", "staging", "edge-1")
LOOK_ALIKE = GatewayRef("west", "nobody", "edge-1")
MINT = TokenChange(mints=True)
REGENERATE = TokenChange(regenerates=True)
REDIRECT = TokenChange(redirects=frozenset({"endpoint"}))
NOTHING = TokenChange()
EVERYBODY = frozenset(NAMES)


def asked(
    change: TokenChange = MINT,
    *seen: GatewayRef,
    target: GatewayRef = TARGET,
    resource: GatewayResource | None = EDGE,
    rules: tuple[GovernedBy, ...] = (),
    decided_by: frozenset[str] = frozenset(),
    unidentified: frozenset[GatewayRef] = frozenset(),
    never_read: frozenset[str] = frozenset(),
    looked: tuple[Places, ...] = (),
) -> TokenAuthority:
    return token_authority(
        change,
        target,
        resource,
        environments=ENVIRONMENTS,
        rules=rules,
        placements=Placements(frozenset(seen), unidentified, never_read, looked),
        decided_by=decided_by,
    )


@pytest.mark.parametrize("change", [MINT, REGENERATE, REDIRECT])
def test_a_token_of_a_production_gateway_takes_productions_requirements_wherever_it_is_asked_for(
    change: TokenChange,
) -> None:
    found = asked(change, IN_PRODUCTION)
    assert found.environments == ("development", "west-production")
    assert found.governing[0].reasons == (GoverningReason("target", "west/dev/edge-1"),)
    assert found.governing[1].reasons == (GoverningReason("seen", "west/prod/edge-1"),)


def test_a_change_that_leaves_the_token_alone_follows_its_target() -> None:
    assert asked(NOTHING, IN_PRODUCTION).environments == ("development",)


def test_a_gateway_without_a_token_follows_its_target() -> None:
    assert asked(MINT, IN_PRODUCTION, resource=None).environments == ("development",)


def test_replacing_a_token_in_place_asks_nobody_again_who_decided_on_it() -> None:
    found = asked(MINT, IN_PRODUCTION, decided_by=EVERYBODY)
    assert found.environments == ("development",)
    assert found.behind == EVERYBODY, "they decided on the next one too"


def test_whoever_did_not_decide_on_the_present_token_decides_on_the_next() -> None:
    """Development deployed it first, and production later."""
    found = asked(MINT, IN_PRODUCTION, decided_by=frozenset({"development"}))
    assert found.environments == ("development", "west-production")


@pytest.mark.parametrize(
    "change",
    [
        REGENERATE,
        REDIRECT,
        TokenChange(mints=True, redirects=frozenset({"image"})),
        TokenChange(mints=True, regenerates=True),
    ],
)
def test_an_admitted_token_that_is_redirected_or_made_dead_takes_every_environment(
    change: TokenChange,
) -> None:
    found = asked(change, IN_PRODUCTION, decided_by=EVERYBODY)
    assert "west-production" in found.environments
    assert found.behind == frozenset()


@pytest.mark.parametrize("change", [MINT, REGENERATE, REDIRECT])
def test_where_the_settings_say_who_governs_nothing_is_inferred(change: TokenChange) -> None:
    rules = (
        GovernedBy(SERVICE.lower(), "other-*", ("east-production",)),
        GovernedBy(SERVICE.upper(), "EDGE-*", ("staging",)),
        GovernedBy(SERVICE, "*", ("east-production",)),
    )
    found = asked(change, IN_PRODUCTION, rules=rules, never_read=frozenset({"east"}))
    assert found.environments == ("development", "staging")
    assert found.governing[1].reasons == (GoverningReason("governed_by", "EDGE-*"),)


def test_the_settings_of_another_service_do_not_govern() -> None:
    rules = (GovernedBy(SERVICE + "-other", "*", ("development",)),)
    assert "west-production" in asked(MINT, IN_PRODUCTION, rules=rules).environments


def test_the_target_counts_beside_what_the_settings_name() -> None:
    rules = (GovernedBy(SERVICE, "*", ("development",)),)
    found = asked(MINT, target=IN_PRODUCTION, rules=rules)
    assert found.environments == ("west-production", "development")


def test_a_cluster_that_was_never_read_counts_its_production_and_nothing_else() -> None:
    found = asked(MINT, never_read=frozenset({"east"}))
    assert found.environments == ("development", "east-production")
    assert found.governing[1].reasons == (GoverningReason("never_read", "east"),)


def test_a_namespace_that_was_never_read_counts_its_own_environment_where_that_is_production() -> (
    None
):
    found = asked(MINT, never_read=frozenset({"east/prod", "east/dev"}))
    assert found.environments == ("development", "east-production")
    assert found.governing[1].reasons == (GoverningReason("never_read", "east/prod"),)
    assert asked(MINT, never_read=frozenset({"east/dev"})).environments == ("development",)


@pytest.mark.parametrize(
    ("namespaces", "listed", "asked_too"),
    [
        (("prod",), ("dev", "prod"), False),
        (("prod",), ("dev",), True),
        (("prod-*",), ("dev", "prod-1"), True),
        (("dev", "dev-*"), ("dev",), False),
        (("*",), (), False),
    ],
)
def test_production_beyond_the_listed_namespaces_of_a_cluster_decides_where_settings_name_nobody(
    namespaces: tuple[str, ...], listed: tuple[str, ...], asked_too: bool
) -> None:
    production = Environment("production", ("west",), namespaces, production=True)
    places = (Places("west", listed), Places("east", ("dev",)))
    rules = (GovernedBy(SERVICE, "*", ("development",)),)

    def found(*rules: GovernedBy) -> TokenAuthority:
        return token_authority(
            MINT, TARGET, EDGE, environments=(DEV, production), rules=rules,
            placements=Placements(looked=places),
        )  # fmt: skip

    assert found().environments == ("development", *(["production"] if asked_too else []))
    if asked_too:
        assert found().governing[1].reasons == (GoverningReason("out_of_sight", "west"),)
    assert found(*rules).environments == ("development",)


def test_a_production_gateway_that_nothing_identifies_may_be_this_one() -> None:
    odd = GatewayRef("east", "prod", "gw")
    found = asked(MINT, unidentified=frozenset({odd, GatewayRef("east", "staging", "gw")}))
    assert found.environments == ("development", "east-production")
    assert found.governing[1].reasons == (GoverningReason("unidentified", "east/prod/gw"),)


def test_a_look_alike_outside_every_environment_is_reported_and_locks_nobody_out() -> None:
    found = asked(MINT, LOOK_ALIKE, unidentified=frozenset({GatewayRef("west", "nobody", "gw")}))
    assert found.environments == ("development",)
    assert found.unlisted == (LOOK_ALIKE,)


def test_an_unlisted_target_counts_as_what_it_is() -> None:
    assert asked(MINT, target=LOOK_ALIKE).environments == (UNLISTED.name,)


def test_a_production_change_names_every_less_protected_place_of_the_gateway() -> None:
    seen = (TARGET, IN_STAGING, LOOK_ALIKE, GatewayRef("east", "prod", "edge-1"))
    found = asked(NOTHING, *seen, target=IN_PRODUCTION)
    assert found.less_protected == (Place(TARGET, "development"), Place(IN_STAGING, "staging"))
    assert asked(MINT, *seen).less_protected == ()


def test_letter_case_never_makes_another_resource() -> None:
    shouted = GatewayResource(SERVICE.upper(), "EDGE-1")
    assert (shouted, str(shouted)) == (EDGE, str(EDGE))


REFS = st.builds(
    GatewayRef,
    st.sampled_from(["west", "east"]),
    st.sampled_from(["dev", "dev-2", "staging", "prod", "nobody"]),
    st.sampled_from(["edge-1", "edge-2"]),
)
PLACEMENTS = st.builds(
    Placements,
    st.frozensets(REFS, max_size=5),
    st.frozensets(REFS, max_size=2),
    st.frozensets(st.sampled_from(["west", "east"])),
)
CHANGES = st.builds(
    TokenChange,
    st.booleans(),
    st.booleans(),
    st.frozensets(st.sampled_from(["endpoint", "image", "names"]), max_size=2),
)
RULES = st.lists(
    st.builds(
        GovernedBy,
        st.sampled_from([SERVICE, SERVICE.upper(), "/other"]),
        st.sampled_from(["*", "edge-*", "EDGE-1", "other"]),
        st.lists(st.sampled_from(sorted(NAMES)), min_size=1, max_size=2).map(tuple),
    ),
    max_size=2,
)


@given(
    CHANGES, REFS, PLACEMENTS, RULES, st.frozensets(st.sampled_from(sorted(NAMES))), st.booleans()
)
def test_requirements_hold_their_promises_in_any_world(
    change: TokenChange,
    target: GatewayRef,
    placements: Placements,
    rules: list[GovernedBy],
    decided_by: frozenset[str],
    has_token: bool,
) -> None:
    found = token_authority(
        change,
        target,
        EDGE if has_token else None,
        environments=ENVIRONMENTS,
        rules=rules,
        placements=placements,
        decided_by=decided_by,
    )
    home = environment_of(target, ENVIRONMENTS).name
    counted = set(found.environments)
    assert found.environments[0] == home
    assert len(counted) == len(found.environments)
    assert counted - {home} <= NAMES, "only listed environments count beyond the target"
    assert all(each.reasons for each in found.governing)
    rule = next((each for each in rules if each.covers(EDGE)), None)
    excused = decided_by if change == MINT else frozenset()
    if not has_token or change.none:
        assert counted == {home}
    elif rule is not None:
        assert counted == {home} | (set(rule.environments) - excused)
    else:
        seen = {environment_of(ref, ENVIRONMENTS).name for ref in placements.seen}
        assert counted >= seen - {UNLISTED.name} - excused
        assert not counted & excused - {home}


@given(CHANGES, REFS, PLACEMENTS, PLACEMENTS)
def test_knowing_more_placements_never_takes_a_requirement_away(
    change: TokenChange, target: GatewayRef, one: Placements, other: Placements
) -> None:
    both = Placements(
        one.seen | other.seen,
        one.unidentified | other.unidentified,
        one.never_read | other.never_read,
        one.looked + other.looked,
    )

    def counted(placements: Placements) -> set[str]:
        found = token_authority(
            change, target, EDGE, environments=ENVIRONMENTS, placements=placements
        )
        return set(found.environments)

    assert counted(one) <= counted(both)


def test_the_places_of_a_gateway_are_told_whoever_the_settings_have_decide() -> None:
    rule = GovernedBy(SERVICE, "edge-*", ("staging",))
    found = asked(REGENERATE, IN_PRODUCTION, TARGET, rules=(rule,))
    assert found.places == (TARGET, IN_PRODUCTION)
    assert asked(NOTHING, IN_PRODUCTION).places == ()
    both = combined([found, asked(REGENERATE, IN_STAGING)])
    assert both.places == (TARGET, IN_PRODUCTION, IN_STAGING)
