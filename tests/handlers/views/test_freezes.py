"""Freezes are shown before they refuse anything."""

import dataclasses
import datetime
import json
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.access import Environment, Freeze, freezes_of
from deploy.actions.pauses import CLUSTER, ENVIRONMENT, Pause
from deploy.errors import Unavailable
from deploy.health.fleet import Selection
from handlers.fleet import Found
from handlers.verbs import status
from handlers.views import freezes
from handlers.views.fleet import Page
from handlers.views.reply import Reply
from handlers.views.text import header, section
from tests.support.authority import authority
from tests.support.needs import needs

NOW = datetime.datetime.now(datetime.UTC)
HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)


def environment(name: str, *freezes: Freeze) -> Environment:
    return Environment(name, freezes=freezes)


def frozen(reason: str, starts: datetime.timedelta, lasts: datetime.timedelta) -> Freeze:
    return Freeze(reason, NOW + starts, NOW + starts + lasts)


YEAR_END = frozen("Year end", HOUR, 9 * DAY)
AUDIT = frozen("Audit", -HOUR, 2 * HOUR)
EVERY = (
    environment("production", YEAR_END, frozen("Easter", 90 * DAY, DAY)),
    environment("staging", AUDIT, frozen("Last week", -7 * DAY, DAY)),
)

PAUSES = (
    Pause(CLUSTER, "west", "Kernel upgrade"),
    Pause(ENVIRONMENT, "production", "Migration"),
)


def test_those_that_hold_and_those_that_begin_soon_are_found() -> None:
    assert freezes_of(EVERY, NOW) == ((EVERY[1], AUDIT),)
    assert freezes_of(EVERY, NOW, DAY) == ((EVERY[1], AUDIT), (EVERY[0], YEAR_END))


def test_a_reply_has_them_below_its_title_and_says_which_hold() -> None:
    reply = Reply("Gateways", (header("Gateways"), section("a table")))
    told = freezes.told(reply, freezes_of(EVERY, NOW, DAY), NOW.timestamp())
    assert [block["type"] for block in told.blocks] == ["header", "context", "context", "section"]
    said = json.dumps(told.blocks)
    assert "*staging* is frozen until" in said
    assert "*production* will be frozen from" in said
    assert freezes.told(reply, (), NOW.timestamp()) == reply


@pytest.mark.parametrize(
    ("selected", "shown"), [("", ["Year end", "Audit"]), ("staging", ["Audit"])]
)
def test_the_table_of_gateways_shows_those_of_the_environments_in_it(
    monkeypatch: pytest.MonkeyPatch, selected: str, shown: list[str]
) -> None:
    monkeypatch.setattr(status, "found_everywhere", lambda caches: Found((), (), {}))
    given = needs(
        status.Needs,
        caches={},
        levels=SimpleNamespace(look=lambda gateways: {}),
        registry=SimpleNamespace(tags=tuple),
        environments=EVERY,
        authority=authority(*EVERY, pauses=PAUSES),
    )
    page = Page(selection=Selection(environment=selected))
    said: Any = json.dumps(status.table(given, page, "").blocks)
    assert [reason for reason in ("Year end", "Audit") if reason in said] == shown
    assert "Kernel upgrade" in said
    assert ("Migration" in said) == (selected == "")
    east = Page(selection=Selection(environment=selected, cluster="east"))
    assert "Kernel upgrade" not in json.dumps(status.table(given, east, "").blocks)
    # What only a newer bot knows keeps actions from starting here too, so it is shown.
    newer = authority(*EVERY, pauses=(Pause("region", "eu", "Storm"),))
    held = dataclasses.replace(given, authority=newer)
    assert "Storm" in json.dumps(status.table(held, east, "").blocks)


def test_that_it_is_not_known_whether_anything_is_paused_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(status, "found_everywhere", lambda caches: Found((), (), {}))

    def away() -> Any:
        raise Unavailable("Redis cannot be used now (it hangs).")

    silent = authority(*EVERY)
    monkeypatch.setattr(silent, "pauses", away)
    given = needs(
        status.Needs,
        caches={},
        levels=SimpleNamespace(look=lambda gateways: {}),
        registry=SimpleNamespace(tags=tuple),
        environments=EVERY,
        authority=silent,
    )
    said = json.dumps(status.table(given, Page(), "").blocks)
    assert "Whether anything is paused here is not known now." in said
    assert "Year end" in said, "freezes are in the settings"
