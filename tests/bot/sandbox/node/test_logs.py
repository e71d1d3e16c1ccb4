"""The kubelet's log route, and the selection of lines behind it."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.node.containerlog import (
    ContainerLog,
    Line,
    LogOptions,
    format_time,
    parse_time,
    select,
)
from tests.support.node_bed import Bed, on_bed


@on_bed()
async def test_following_a_log_shows_lines_as_they_come_and_ends_with_the_container(
    bed: Bed,
) -> None:
    bed.run()
    await bed.until_ready()
    url = f"{bed.node.url}/containerLogs/dev/edge-1-a/gateway"
    query = {"follow": "true", "tailLines": "0"}
    async with asyncio.timeout(60), bed.session.get(url, params=query) as response:
        await bed.get("/echo/now")
        assert b"/echo/now" in await response.content.readline()
        bed.api.delete_pod("edge-1-a")
        rest = await response.content.read()
    assert b"HostStopping" in rest


@on_bed()
async def test_a_log_can_be_cut_by_lines_bytes_and_time(bed: Bed) -> None:
    bed.run()
    await bed.until_ready()
    whole = await bed.logs()
    assert await bed.logs(tailLines="1") == whole.splitlines(keepends=True)[-1]
    assert await bed.logs(limitBytes="10") == whole[:10]
    assert await bed.logs(sinceTime="2100-01-01T00:00:00Z") == ""
    assert await bed.logs(sinceSeconds="3600") == whole
    stamped = await bed.logs(timestamps="true")
    assert all(parse_time(line.split(" ", 1)[0]) > 0 for line in stamped.splitlines())
    assert await bed.logs(tailLines="-1") == "tailLines must be at least 0"


@on_bed()
async def test_logs_that_are_not_there_are_refused_in_the_kubelets_words(bed: Bed) -> None:
    bed.run()
    await bed.until_ready()
    assert await bed.logs("nobody") == 'pod "nobody" does not exist'
    assert await bed.logs(container="other") == 'container "other" not found in pod "edge-1-a"'
    assert (
        await bed.logs(previous="true")
        == 'previous terminated container "gateway" in pod "edge-1-a" not found'
    )


@on_bed()
async def test_ten_thousand_lines_a_second_are_followed_without_losing_one(bed: Bed) -> None:
    bed.run()
    await bed.until_ready()
    bed.node.faults.set("chatter", 10_000.0)
    url = f"{bed.node.url}/containerLogs/dev/edge-1-a/gateway"
    async with bed.session.get(url, params={"follow": "true"}) as response:
        seen = 0
        async for chunk in response.content.iter_any():
            seen += chunk.count(b"\n")
            if seen > 5_000:
                break
    assert seen > 5_000


def test_a_follower_that_falls_behind_gets_the_newest_lines() -> None:
    async def follow() -> bytes:
        log = ContainerLog()
        chunks = log.stream(LogOptions(follow=True, tail_lines=0))

        async def read() -> bytes:
            return await anext(chunks)

        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        for number in range(25_000):
            log.write(str(number))
        return await reading

    lines = asyncio.run(follow()).split()
    assert (lines[0], lines[-1]) == (b"5000", b"24999")


@given(
    st.lists(st.integers(min_value=0, max_value=10**18), max_size=30).map(sorted),
    st.integers(min_value=0, max_value=40),
    st.one_of(st.none(), st.integers(min_value=0, max_value=10**18)),
)
def test_selected_lines_are_the_last_of_those_young_enough(
    moments: list[int], tail: int, since: int | None
) -> None:
    lines = [Line(at, str(at)) for at in moments]
    chosen = select(lines, LogOptions(tail_lines=tail, since_time_ns=since), 10**18)
    young = [line for line in lines if since is None or line.at_ns >= since]
    assert len(chosen) == min(tail, len(young))
    assert young[len(young) - len(chosen) :] == chosen


@given(st.integers(min_value=0, max_value=4 * 10**9))
def test_a_written_time_reads_back(microseconds: int) -> None:
    at_ns = microseconds * 1_000_000_000 + (microseconds % 10**6) * 1000
    assert parse_time(format_time(at_ns)) == at_ns


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        LogOptions.parse({"sinceTime": "2026-01-01T00:00:00"})
