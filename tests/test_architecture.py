"""The page on architecture says what the import contracts hold."""

import os
import re
from pathlib import Path

import pytest

from tests.support.floors import ROOT, floors, job, picture

PAGE = ROOT / "docs" / "architecture.md"
PICTURES = {
    "deploy": "floors.svg",
    "handlers": "floors-handlers.svg",
    "bot": "floors-bot.svg",
}
_NAMED = re.compile(r"`((?:bot|deploy|handlers)/[a-z_/]+)`")


@pytest.mark.parametrize("package", PICTURES)
def test_the_picture_shows_the_floors_that_the_contract_holds(package: str) -> None:
    drawn, kept = picture(package), ROOT / "docs" / "images" / PICTURES[package]
    if os.environ.get("WRITE_DOCS"):
        kept.write_text(drawn)
    assert kept.read_text() == drawn, "WRITE_DOCS=1 draws it again"


@pytest.mark.parametrize("package", PICTURES)
def test_every_room_says_in_one_line_what_it_is_for(package: str) -> None:
    for rooms in floors(package):
        for room in rooms:
            assert 20 < len(job(room, package)) < 110, room
            assert job(room, package).endswith("."), room


@pytest.mark.parametrize("named", sorted(set(_NAMED.findall(PAGE.read_text()))))
def test_every_place_that_the_page_names_exists(named: str) -> None:
    place = ROOT / named
    assert place.is_dir() or place.with_suffix(".py").is_file() or Path(named).suffix


@pytest.mark.parametrize("drawn", PICTURES.values())
def test_the_page_shows_each_picture(drawn: str) -> None:
    assert f"](images/{drawn})" in PAGE.read_text()
