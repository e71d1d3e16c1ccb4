"""The fixtures of the Azure's tests."""

from collections.abc import Iterator

import pytest

from tests.support.azure import AzureBed, azure_bed


@pytest.fixture
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureBed]:
    with azure_bed(tmp_path_factory.mktemp("azure")) as running:
        yield running
