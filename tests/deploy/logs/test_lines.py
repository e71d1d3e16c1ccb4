"""Any line is read or shown as it is; filters are linear; a seam loses and doubles nothing."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import InvalidInput
from deploy.logs.filters import Filter, checked_level, compile_pattern
from deploy.logs.lines import LEVELS, Line, read_lines, written
from deploy.logs.seam import Seam

STAMP = "2026-11-25T12:00:00.123456789Z"
SIGNATURE = "c2lnbmF0dXJlLW9mLWEtdG9rZW4="


def read_line(pod: str, stamped: str, before: Line | None = None) -> Line:
    """The only line there is."""
    (line,) = read_lines(pod, stamped, before)
    return line


@pytest.mark.parametrize(
    ("raw", "level", "event", "shown"),
    [
        (
            "[Warning] 2024-01-19T07:39:54.666 [ConfigurationApiV2NotAvailable], message: no, source: X",
            "warn",
            "ConfigurationApiV2NotAvailable",
            "message: no, source: X",
        ),
        ("\x1b[33m[Warning]\x1b[0m 2024-01-19T07:39:54 [E], a: b", "warn", "E", "a: b"),
        (
            '{"level":"Error","timestamp":"2026","eventType":"E","message":"broke","code":7}',
            "error",
            "E",
            "broke, code: 7",
        ),
        ('{"level":"Info","timestamp":"2024-01-19T07:39:54.6Z"","message":"m"}', "info", "", "m"),
        ("   at System.Net.Http()", "", "", "   at System.Net.Http()"),
        ("{not json", "", "", "{not json"),
        ("[]", "", "", "[]"),
    ],
)
def test_each_form_of_a_line_is_read(raw: str, level: str, event: str, shown: str) -> None:
    line = read_line("edge-1-x", f"{STAMP} {raw}")
    assert (line.level, line.event, line.text) == (level, event, shown)
    assert line.at == pytest.approx(1795608000.123456)


def test_a_stack_trace_belongs_to_the_line_before_it() -> None:
    before = read_line("p", f"{STAMP} [Error] 2026-11-25T12:00:00 [Broken], message: x")
    after = read_line("p", f"{STAMP}    at Gateway.Run()", before)
    assert (after.level, after.event) == ("error", "Broken")
    assert Filter(level="error").takes(after)


def test_the_runtimes_word_of_a_crash_is_fatal_whatever_came_before() -> None:
    before = read_line("p", f"{STAMP} [Info] 2026-11-25T12:00:00 [HostStarted], message: x")
    crash = read_line("p", f"{STAMP} Unhandled exception. System.OutOfMemoryException: no", before)
    trace = read_line("p", f"{STAMP}    at Gateway.Run()", crash)
    for line in (crash, trace):
        assert (line.level, line.event) == ("fatal", "")
        assert Filter(level="error").takes(line)


def test_a_secret_in_a_line_is_not_shown_in_whatever_form() -> None:
    token = f"GatewayKey edge-1&202612251200&{SIGNATURE}"
    for raw in (
        token,
        f"[Info] 2026-11-25T12:00:00 [E], auth: {token}, source: X",
        json.dumps({"level": "Info", "message": token, "deep": {"auth": token}}),
        json.dumps({"level": "Info", "eventType": token}),
        f"[Info] 2026-11-25T12:00:00 [{token}], x",
        # As .NET's JSON writer has it, in a line that is no JSON, and as HTML.
        "text " + token.replace("&", "\\u0026"),
        json.dumps({"message": json.dumps({"auth": token}).replace("&", "\\u0026")}),
        token.replace("&", "&amp;"),
        "eyJ" + "a" * 5000,
    ):
        text = written(read_line("p", f"{STAMP} {raw}"))
        assert SIGNATURE not in text
        assert "a" * 50 not in text


def test_what_no_text_may_hold_is_replaced() -> None:
    line = read_line("p", STAMP + ' {"message":"\\ud800 broken"}')
    assert line.text.encode()
    assert not Filter(pattern=compile_pattern("x")).takes(line)


@given(text=st.text(), before=st.none() | st.just(Line(1.0, "p", "x", "warn", "E")))
def test_any_text_is_a_line(text: str, before: Line | None) -> None:
    line = read_line("p", text, before)
    assert line.level in ("", *LEVELS)
    assert len(line.text) <= 2000
    assert written(line, pod="abcde")


@given(
    st.dictionaries(
        st.sampled_from(["level", "timestamp", "eventType", "message", "source", "x"]),
        st.none() | st.integers() | st.text() | st.lists(st.integers(), max_size=2),
    )
)
def test_any_json_is_a_line(data: dict[str, object]) -> None:
    read_line("p", f"{STAMP} {json.dumps(data)}")


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (Filter(), True),
        (Filter(level="warn"), True),
        (Filter(level="error"), False),
        (Filter(event="configurationapiv2notavailable"), True),
        (Filter(event="Other"), False),
        (Filter(contains="FORBIDDEN"), True),
        (Filter(contains="absent"), False),
        (Filter(pattern=compile_pattern(r"Status\w+: For")), True),
        (Filter(pattern=compile_pattern(r"^For")), False),
    ],
)
def test_a_filter_takes_what_was_asked_for(wanted: Filter, takes: bool) -> None:
    raw = "[Warning] 2026-11-25T12:00:00 [ConfigurationApiV2NotAvailable], StatusCode: Forbidden"
    assert wanted.takes(read_line("p", f"{STAMP} {raw}")) is takes


@pytest.mark.parametrize("text", ["(", "(a)\\1", "(?=a)", "a{1,99999}", "x" * 201])
def test_what_is_no_pattern_or_needs_another_engine_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        compile_pattern(text)


def test_a_pattern_that_ruins_others_takes_linear_time() -> None:
    line = Line(0.0, "p", "a" * 2000 + "!")
    began = time.process_time()
    assert not Filter(pattern=compile_pattern(r"(a|aa|a*)*(a+)+$")).takes(line)
    assert time.process_time() - began < 1


def test_levels_are_named_where_there_is_no_such() -> None:
    assert checked_level("WARNING") == "warn"
    with pytest.raises(InvalidInput, match="debug, info, warn"):
        checked_level("loud")


@given(
    gaps=st.lists(st.integers(0, 900), min_size=1, max_size=30),
    cuts=st.lists(st.integers(0, 30), max_size=5),
)
def test_a_log_that_is_opened_again_and_again_gives_each_line_once(
    gaps: list[int], cuts: list[int]
) -> None:
    at, lines = 0, []
    for number, gap in enumerate(gaps):
        at += gap if gap > 300 else 0
        lines.append(
            f"2026-11-25T12:{at // 60000:02d}:{at % 60000 // 1000:02d}.{at % 1000:03d}Z {number}"
        )
    seam, got = Seam(), []
    for cut in [*sorted(min(c, len(lines)) for c in cuts), len(lines)]:
        seam.resume()
        since = seam.since
        got += [line for line in lines[:cut] if line[:19] >= since[:19] and seam.fresh(line)]
    assert got == lines
