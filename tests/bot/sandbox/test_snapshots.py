"""State on disk: whole or not at all, private, soon after a change, and refused when broken."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.snapshots import SnapshotError, Snapshots


class Counter:
    """A part with one number."""

    def __init__(self) -> None:
        self.count = 0

    def snapshot(self) -> dict[str, Any]:
        return {"count": self.count}

    def restore(self, data: dict[str, Any]) -> None:
        self.count = data["count"]


async def until_kept(path: Path, count: int) -> None:
    end = asyncio.get_running_loop().time() + 60
    while not path.exists() or json.loads(path.read_text())["count"] != count:
        assert asyncio.get_running_loop().time() < end, "the change was not kept"
        await asyncio.sleep(0.01)


def test_a_change_is_kept_while_everything_runs(tmp_path: Path) -> None:
    async def run() -> None:
        part, snapshots = Counter(), Snapshots(tmp_path)
        snapshots.start({"part": part})
        for count in (1, 2, 3):
            part.count = count
            snapshots.note("part")
        await until_kept(tmp_path / "part.json", 3)
        part.count = 4
        snapshots.note("part")
        await until_kept(tmp_path / "part.json", 4)
        await snapshots.stop()

    asyncio.run(run())
    assert stat.S_IMODE((tmp_path / "part.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["part.json"]


def test_the_last_state_is_kept_at_the_end_and_given_back(tmp_path: Path) -> None:
    async def run() -> None:
        part, snapshots = Counter(), Snapshots(tmp_path)
        assert not snapshots.restore("part", part)
        snapshots.start({"part": part})
        part.count = 7
        await snapshots.stop()

    asyncio.run(run())
    again = Counter()
    assert Snapshots(tmp_path).restore("part", again)
    assert again.count == 7


@pytest.mark.parametrize("text", ["", '{"count": ', "[]", '{"amount": 1}'])
def test_a_state_that_cannot_be_used_is_named_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "part.json"
    path.write_text(text)
    with pytest.raises(SnapshotError, match=r"part\.json cannot be used; delete it"):
        Snapshots(tmp_path).restore("part", Counter())
    assert path.read_text() == text


def test_a_directory_that_cannot_be_written_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        in_the_way = tmp_path / "kept"
        in_the_way.write_text("a file, not a directory")
        snapshots = Snapshots(in_the_way / "below")
        snapshots._parts = {"part": Counter()}
        await snapshots.stop()

    asyncio.run(run())
    assert "cannot be written" in caplog.text
