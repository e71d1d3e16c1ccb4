"""A set-up that `gateway-bot check` is tried on, and what each test changes of it."""

from collections.abc import Iterator

import pytest

from tests.support.check_bed import CheckBed, check_bed


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CheckBed]:
    with check_bed(tmp_path_factory.mktemp("bed")) as bed:
        yield bed


@pytest.fixture
def bed(shared: CheckBed) -> Iterator[CheckBed]:
    with shared.ends:
        yield shared
