"""The page on architecture says what the import contracts hold."""

import os
import re
from pathlib import Path

import pytest

from tests.support.floors import ROOT, floors, job, picture

PAGE = ROOT / "docs" / "architecture.md"
PICTURE = ROOT / "docs" / "images" / "floors.svg"
_NAMED = re.compile(r"`((?:bot|deploy|handlers)/[a-z_/]+)`")


def test_the_picture_shows_the_floors_that_the_contract_holds() -> None:
    drawn = picture()
    if os.environ.get("WRITE_DOCS"):
        PICTURE.write_text(drawn)
    assert PICTURE.read_text() == drawn, "WRITE_DOCS=1 draws it again"


def test_every_room_says_in_one_line_what_it_is_for() -> None:
    for rooms in floors():
        for room in rooms:
            assert 20 < len(job(room)) < 110, room


@pytest.mark.parametrize("named", sorted(set(_NAMED.findall(PAGE.read_text()))))
def test_every_place_that_the_page_names_exists(named: str) -> None:
    place = ROOT / named
    assert place.is_dir() or place.with_suffix(".py").is_file() or Path(named).suffix


def test_the_page_shows_the_picture() -> None:
    assert "](images/floors.svg)" in PAGE.read_text()
