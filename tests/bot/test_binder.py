"""What verbs need is found by name and type when the bot is composed."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

import pytest

from bot.wiring.binder import Binder
from bot.wiring.changes import Changes
from bot.wiring.conversation import ForVerbs, LiveViews
from bot.wiring.expiry import Expiry
from bot.wiring.outside import Outside
from bot.wiring.watching import Watching
from handlers import home, listeners, permission
from handlers.actions import again, decisions
from handlers.verbs.table import VERBS
from tests.support.needs import needs

PARTS = (Outside, Changes, Watching, Expiry, LiveViews, ForVerbs)
NEEDS = {verb.needs for verb in VERBS} | {
    again.Needs, decisions.Needs, home.Needs, listeners.Needs, permission.Needs
}  # fmt: skip


@dataclass(frozen=True)
class Stores:
    store: str
    at_once: int
    accept: Callable[[str], None]


@dataclass(frozen=True)
class Names:
    command: str


@dataclass(frozen=True)
class Shared:
    command: str


@dataclass(frozen=True)
class Wanted(Shared):
    store: str
    accept: Callable[[str], None]


@dataclass(frozen=True)
class Misspelt:
    stroe: str


@dataclass(frozen=True)
class OtherType:
    accept: Callable[[int], None]


BINDER = Binder(Stores("redis", 1, print), Names("/gateway"))


def test_a_need_is_the_field_of_that_name_of_any_part() -> None:
    assert BINDER.build(Wanted) == Wanted("/gateway", "redis", print)


def test_a_misspelt_need_is_named_with_what_was_meant() -> None:
    with pytest.raises(
        TypeError, match=r"test_binder\.Misspelt needs “stroe”, .* Did you mean “store”\?"
    ):
        BINDER.build(Misspelt)


def test_a_need_of_another_type_than_the_bots_is_refused() -> None:
    with pytest.raises(TypeError, match=r"needs “accept” as .*int.*; the bot has it as .*str"):
        BINDER.build(OtherType)


def test_two_parts_with_a_field_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="Two parts of the bot have a field “command”"):
        Binder(Names("/gateway"), Shared("/other"))


@pytest.mark.parametrize("kind", sorted(NEEDS, key=str), ids=lambda kind: kind.__module__)
def test_the_bot_has_everything_that_its_handlers_need(kind: type) -> None:
    built: Any = Binder(*(needs(part) for part in PARTS)).build(kind)
    assert [field.name for field in fields(built)] == list(get_type_hints(kind))
