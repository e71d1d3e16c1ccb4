"""Every record counts, wherever it stands on a line; nobody's words become one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.health.link_signs import read_log
from deploy.logs.filters import Filter
from deploy.logs.lines import read_lines
from deploy.observed.log_records import records

STAMP = "2026-03-02T21:01:29.467701000Z"
WILD = sorted((Path(__file__).parents[2] / "data/logs").glob("*.log"))
POLLED = '{"level":"Info","eventType":"NoNewEvents","message":"none"}'
REFUSED = (
    '{"level":"Warning","timestamp":"2026-03-02T21:01:19.4677028Z",'
    '"eventType":"ConfigurationApiV2NotAvailable","exception":"StatusCode: Forbidden"}'
)
TEXT_REFUSED = (
    "[Warning] 2026-03-02T21:01:19.467 [ConfigurationApiV2NotAvailable], "
    "exception: StatusCode: Unauthorized, source: X"
)


def events(line: str) -> list[tuple[str, str]]:
    return [(record.level, record.event) for record in records(line)]


@pytest.mark.parametrize("line", [line for log in WILD for line in log.read_text().splitlines()])
def test_a_refusal_that_stands_second_on_a_line_is_a_refusal(line: str) -> None:
    signs = read_log([line])
    assert signs.denied
    assert signs.refusals == 1
    shown = read_lines("edge-1-x", line)
    assert [each.event for each in shown if Filter(level="warn").takes(each)] == [
        "ConfigurationApiV2NotAvailable"
    ]


@pytest.mark.parametrize(
    "line",
    [
        POLLED + REFUSED,
        f"{POLLED}, {REFUSED}",
        f'{{"level":"Info","timestamp":"2026"","eventType":"NoNewEvents"}}{REFUSED}',
        # Torn in the middle of the first one's message.
        f'{{"level":"Info","eventType":"NoNewEvents","message":"no{REFUSED}ne"}}',
        f"[Info] 2026-03-02T21:01:19.467 [NoNewEvents], message: none{TEXT_REFUSED}",
        f"[Info] 2026-03-02T21:01:19.467 [NoNewEvents], message: none{REFUSED}",
        f"{POLLED}{TEXT_REFUSED}",
        f"[Info]2026-03-2T01:01:19.467 [NoNewEvents], message: “none” {TEXT_REFUSED}",
    ],
)
def test_the_second_of_two_records_counts_in_every_form(line: str) -> None:
    assert events(line) == [("info", "NoNewEvents"), ("warn", "ConfigurationApiV2NotAvailable")]
    assert read_log([f"{STAMP} {line}"]).denied


@pytest.mark.parametrize(
    "line",
    [
        # The rest of a record whose begin is on an earlier line, and another record.
        f'rest of a message","source":"X"}}{REFUSED}',
        # Text torn in the middle of its time.
        "[Warning] 2026-03-02T21[Info] 2026-03-02T21:01:19.467 [GatewayLogs], url: x:01:19.467 "
        "[ConfigurationApiV2NotAvailable], exception: StatusCode: Forbidden",
        "[Warn]2026-03-02T21:01[Info]2026-03-02T21:01:19.467 [GatewayLogs], url: x:19.467 "
        "[ConfigurationApiV2NotAvailable], exception: StatusCode: Forbidden",
    ],
)
def test_a_refusal_counts_behind_what_is_left_of_another_record(line: str) -> None:
    assert ("warn", "ConfigurationApiV2NotAvailable") in events(line)
    assert read_log([f"{STAMP} {line}"]).denied


def test_a_poll_after_a_refusal_on_one_line_ends_the_trouble() -> None:
    signs = read_log([f"{STAMP} {REFUSED}{POLLED}"])
    assert signs.polled_at is not None
    assert not signs.denied


def test_the_text_form_of_version_1_has_no_blank_after_its_level() -> None:
    line = "[Error]2021-09-14T06:39:19.386 [ServiceConfigurationSource], message: no"
    assert events(line) == [("error", "ServiceConfigurationSource")]
    assert records(line)[0].message == "message: no"


@pytest.mark.parametrize(
    "said",
    [TEXT_REFUSED, REFUSED, json.dumps(REFUSED), "StatusCode: Forbidden", '\\"eventType\\":"X"'],
)
def test_what_a_caller_says_in_quotes_is_no_record(said: str) -> None:
    as_json = json.dumps({"level": "Info", "eventType": "GatewayLogs", "url": said})
    as_text = f"[Info] 2026-03-02T21:01:19.467 [GatewayLogs], url: {json.dumps(said)}, source: X"
    for line in (as_json, as_text, f"{as_json}{as_json}", f'{as_json}{{"torn'):
        assert {event for _, event in events(line)} == {"GatewayLogs"}
        assert not read_log([f"{STAMP} {line}"]).denied


@given(st.lists(st.sampled_from([POLLED, REFUSED, '{"level":"Info"', "{", "}", "x", '"'])))
def test_any_line_is_read_and_no_whole_record_is_lost(parts: list[str]) -> None:
    found = events("".join(parts))
    whole = sum(part in (POLLED, REFUSED) for part in parts)
    if parts and parts[0].startswith("{"):
        assert sum(bool(event) for _, event in found) >= whole
