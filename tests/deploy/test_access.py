import pytest

from deploy.access import UNLISTED, Environment, environment_of, production_refusal
from deploy.errors import InvalidInput
from deploy.gateway import GatewayRef

ENVIRONMENTS = (
    Environment("production", namespaces=("prod", "prod-*"), production=True),
    Environment("west-only", clusters=("west",)),
)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("west/prod/a", "production"),
        ("east/prod-eu/a", "production"),
        ("west/dev/a", "west-only"),
        ("east/dev/a", "unlisted"),
        ("west/production/a", "west-only"),
    ],
)
def test_the_first_environment_that_matches_holds(place: str, name: str) -> None:
    assert environment_of(GatewayRef.parse(place), ENVIRONMENTS).name == name


def test_production_and_what_nobody_listed_are_refused_in_words() -> None:
    ref = GatewayRef.parse("west/prod/a")
    refusal = production_refusal(ref, ENVIRONMENTS[0])
    assert refusal is not None
    assert "approval" in str(refusal)
    assert production_refusal(ref, UNLISTED) is not None
    assert production_refusal(ref, ENVIRONMENTS[1]) is None


@pytest.mark.parametrize("text", ["", "a", "a/b", "a/b/c/d", "A/b/c", "a/b/" + "c" * 45, "a/../c"])
def test_what_does_not_say_where_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        GatewayRef.parse(text)
