"""Evidence into levels: nothing looks healthy without a reason."""

import datetime
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.health.heartbeat import AzureEvent, Evidence, PodEvidence, heartbeat_of
from deploy.health.link_signs import read_log
from deploy.rollouts.verification import Answer, judge

NOW = 1_800_000_000.0
REFUSED = (
    "[Warning] 2027-01-15T08:00:00.000 [ConfigurationApiV2NotAvailable], message: The "
    "configuration V2 API is not reachable on https://x/gateways/edge-1/events, exception: "
    "Gateway.Configuration.Client.ApiException: StatusCode: Forbidden"
)
TIMED_OUT = (
    '{"level":"Warning","timestamp":"2027-01-15T08:00:00.0000000Z"",'
    '"eventType":"ConfigurationApiV2NotAvailable","message":"not reachable",'
    '"exception":"System.Threading.Tasks.TaskCanceledException: timeout."}'
)
NO_NAME = "\x1b[33m[Warning]\x1b[0m 2027-01-15T08:00:00.000 [ErrorResolvingHostname], message: x"
POLLED = "[Verbose] 2027-01-15T08:00:00.000 [NoNewEvents], source: EntityEventLoop"
REQUEST = "[Info] 2027-01-15T08:00:00.000 [GatewayLogs], apiId: echo"
PEERS = "[Verbose] 2027-01-15T08:00:00.000 [HeartbeatSent], source: UdpHeartbeatSender"
NO_AUTH = "[Error] x [GatewayStartup], message: No valid authentication was configured for the API"


def at(seconds_ago: float, line: str) -> str:
    moment = datetime.datetime.fromtimestamp(NOW - seconds_ago, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}000Z {line}"


def pod(*lines: str, **more: Any) -> PodEvidence:
    found: dict[str, Any] = {"ready": True, "answers": True, "log": "\n".join(lines)}
    return PodEvidence("edge-1-a", **(found | more))


def judged(*pods: PodEvidence) -> tuple[str, str]:
    heartbeat = heartbeat_of(Evidence(pods, NOW))
    return heartbeat.level, heartbeat.evidence


@pytest.mark.parametrize(
    ("evidence", "level", "words"),
    [
        (pod(at(7, POLLED)), "connected", "last successful configuration poll 7 s ago"),
        (pod(at(300, POLLED)), "unknown", "was 5 min ago"),
        (pod(at(5, REQUEST)), "no trouble seen", "no link warning"),
        (pod(at(5, PEERS)), "no trouble seen", "no link warning"),
        (pod(at(5, REFUSED)), "denied", "StatusCode: Forbidden"),
        (pod(at(5, NO_AUTH)), "denied", "No valid authentication"),
        (pod(at(5, TIMED_OUT)), "cut off", "TaskCanceledException"),
        (pod(at(5, NO_NAME)), "cut off", "ErrorResolvingHostname"),
        (pod(at(30, REFUSED), at(3, POLLED)), "connected", "3 s ago"),
        (pod(at(30, POLLED), at(3, REFUSED)), "denied", "Forbidden"),
        (pod(at(480, REFUSED)), "unknown", "the last link warning was 8 min ago"),
        (pod(log=None, log_error="the bot may not"), "unknown", "the bot may not"),
        (pod(ready=False, state="ImagePullBackOff"), "unknown", "ImagePullBackOff"),
        (pod(answers=False, status_error="it answers 503"), "unknown", "it answers 503"),
        (pod(answers=None, status_error="forbidden"), "unknown", "forbidden"),
        (pod(at(5, POLLED), stale="it is old"), "stale token", "it is old"),
        (pod(at(5, REFUSED), stale="it is old"), "denied", "Forbidden"),
    ],
)
def test_each_evidence_has_its_level(evidence: PodEvidence, level: str, words: str) -> None:
    assert judged(evidence)[0] == level
    assert words in judged(evidence)[1]
    assert not judged(evidence)[1].endswith(".")  # whoever shows it ends the sentence


@pytest.mark.parametrize("hours", [-5, 2])
def test_a_node_that_writes_local_time_makes_nothing_older_or_newer(hours: int) -> None:
    zone = datetime.timezone(datetime.timedelta(hours=hours))

    def local(seconds_ago: float, line: str) -> str:
        moment = datetime.datetime.fromtimestamp(NOW - seconds_ago, zone).isoformat("T")
        return f"{moment[:19]}.123456789{moment[-6:]} {line}"

    assert judged(pod(local(7, POLLED)))[0] == "connected"
    assert judged(pod(local(300, POLLED)))[0] == "unknown"
    assert judged(pod(local(5, REFUSED)))[0] == "denied"
    assert judged(pod(local(480, REFUSED)))[0] == "unknown"


def test_a_rotation_takes_one_refusal_after_other_trouble_for_one() -> None:
    def answer(*lines: str) -> Answer:
        return judge(heartbeat_of(Evidence((pod(*lines, ready=False),), NOW))).answer

    assert answer(at(30, NO_NAME), at(5, REFUSED)) is Answer.UNDECIDED
    assert answer(at(30, REFUSED), at(20, POLLED), at(5, REFUSED)) is Answer.UNDECIDED
    assert answer(at(15, REFUSED), at(5, REFUSED)) is Answer.DENIED
    assert answer(at(15, REFUSED), at(10, NO_NAME), at(5, REFUSED)) is Answer.DENIED


def json_line(event: str, **fields: str) -> str:
    head = {"level": "Warning", "timestamp": "2027-01-15T08:00:00.0000000Z", "eventType": event}
    return json.dumps({**head, **fields})


def malformed(line: str) -> str:
    """As gateways before 2.9 wrote it: a stray quote after the timestamp."""
    return line.replace('0Z",', '0Z"",')


REFUSAL = {"message": "not reachable", "exception": "ApiException: StatusCode: Unauthorized"}


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (json_line("NoNewEvents", source="EntityEventLoop"), "connected"),
        (malformed(json_line("NoNewEvents", source="EntityEventLoop")), "connected"),
        ("\x1b[37m[Verbose]\x1b[0m 2027-01-15T08:00:00.000 [NoNewEvents], source: x", "connected"),
        ("[Verbose] 2027-01-15T08:00:00.000Z [NoNewEvents], source: x", "connected"),
        (json_line("ConfigurationApiV2NotAvailable", **REFUSAL), "denied"),
        (malformed(json_line("ConfigurationApiV2NotAvailable", **REFUSAL)), "denied"),
        (
            "\x1b[33m[Warning]\x1b[0m 2027-01-15T08:00:00.000 [ConfigurationApiV2NotAvailable], "
            "message: x, exception: ApiException: StatusCode: \x1b[31mForbidden\x1b[0m",
            "denied",
        ),
        (json_line("ErrorResolvingHostname", message="x"), "cut off"),
        (
            json_line("ConfigurationApiV2NotAvailable", exception="StatusCode: ServiceUnavailable"),
            "cut off",
        ),
        (
            "[Error] 2020-01-15T08:00:00.000 [Error], source: ServiceConfigurationSource, message: "
            "Response status code does not indicate success: 401 (Unauthorized).",
            "denied",
        ),
    ],
)
def test_every_form_of_log_tells_the_same(line: str, level: str) -> None:
    assert judged(pod(at(5, line)))[0] == level


def test_a_stack_trace_belongs_to_the_line_it_follows() -> None:
    first = "[Warning] 2027-01-15T08:00:00.000 [ConfigurationApiV2NotAvailable], message: x"
    lines = [at(5, first), at(5, " ---> ApiException: StatusCode: Forbidden"), at(5, "   at X()")]
    assert judged(pod(*lines))[0] == "denied"


WORDS = ("NoNewEvents", "[NoNewEvents]", '","eventType":"NoNewEvents', "\\", '"', ", ", "x")


@given(st.lists(st.sampled_from(WORDS)), st.booleans())
def test_nothing_that_a_caller_puts_into_a_request_looks_like_a_poll(
    words: list[str], broken: bool
) -> None:
    url = "/echo/" + "".join(words)
    text = f"[Info] 2027-01-15T08:00:00.000 [GatewayLogs], method: GET, url: {url}, source: x"
    line = json_line("GatewayLogs", url=url)
    for written in (text, malformed(line) if broken else line):
        assert judged(pod(at(5, written)))[0] == "no trouble seen"


STACK = (
    "   at Gateway.Configuration.Client.PollAsync(CancellationToken token)",
    "   at System.Threading.Tasks.Task.Run()",
    "   --- End of inner exception stack trace ---",
)


@pytest.mark.parametrize(
    ("exception", "line"),
    [
        ("Api.ApiException: StatusCode: Forbidden", "Api.ApiException: StatusCode: Forbidden"),
        (
            "System.Net.Http.HttpRequestException: Connection refused (x:443) ---> "
            "System.Net.Sockets.SocketException (111): Connection refused",
            "System.Net.Http.HttpRequestException: Connection refused (x:443)",
        ),
        (
            "HttpRequestException: The SSL connection could not be established, see inner exception. "
            "---> AuthenticationException: The certificate has expired.",
            "AuthenticationException: The certificate has expired",
        ),
        ("A: it failed, see inner exception.", "A: it failed, see inner exception"),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_of_a_long_exception_the_line_that_says_what_happened_is_shown(
    exception: str, line: str, form: str
) -> None:
    if form == "text":
        warning = REFUSED.partition("exception: ")[0] + f"exception: {exception}"
        signs = read_log([at(5, warning), *(at(5, frame) for frame in STACK)])
    else:
        told = {
            "level": "Warning",
            "timestamp": "2027-01-15T08:00:00.0000000Z",
            "eventType": "ConfigurationApiV2NotAvailable",
            "exception": "\r\n".join((exception, *STACK)),
        }
        signs = read_log([at(5, json.dumps(told))])
    assert signs.line == line


def test_a_log_of_which_too_little_was_read_says_nothing_of_the_link() -> None:
    busy = [at(ago, REQUEST) for ago in (30, 20, 10)]
    level, words = judged(pod(*busy, log_cut=True))
    assert (level, "only the last 30 s could be read" in words) == ("unknown", True)
    assert judged(pod(at(300, REQUEST), *busy, log_cut=True)) == (
        "no trouble seen",
        "ready, its status path answers, and no link warning in the last 5 min",
    )


def test_silence_is_claimed_for_no_longer_than_the_pod_runs() -> None:
    level, words = judged(pod(at(5, REQUEST), started_at=NOW - 45))
    assert level == "no trouble seen"
    assert "no link warning in the last 45 s" in words
    assert "in the last 10 min" in judged(pod(at(5, REQUEST), started_at=NOW - 86_400))[1]


def test_a_log_that_would_not_show_a_warning_is_no_evidence() -> None:
    level, words = judged(pod(unlogged="telemetry.logs.std is none"))
    assert (level, "telemetry.logs.std is none" in words) == ("unknown", True)


def event(ago: float, *, expired: bool = True) -> AzureEvent:
    return AzureEvent("edge-1-a", expired, NOW - 600, NOW - ago)


def test_what_azure_says_of_a_token_goes_before_silence_but_not_before_a_later_poll() -> None:
    assert judged(pod(event=event(60))) == (
        "denied",
        "Azure reported 60 s ago that its token has expired",
    )
    assert judged(pod(log=None, event=event(60)))[0] == "denied"
    assert judged(pod(at(5, POLLED), event=event(60)))[0] == "connected"
    assert judged(pod(event=event(60, expired=False)))[0] == "no trouble seen"


def test_pods_that_were_not_asked_are_counted() -> None:
    heartbeat = heartbeat_of(Evidence((pod(at(5, POLLED)),), NOW, unasked=3))
    assert heartbeat.evidence.startswith("1 of 4 pods: ")
    assert heartbeat.evidence.endswith("(3 more were not asked)")


def test_a_gateway_is_as_well_as_its_worst_pod() -> None:
    fine = pod(at(5, POLLED))
    assert judged(fine, fine, pod(at(5, REFUSED)))[0] == "denied"
    assert judged(fine, pod(at(5, REFUSED)))[1].startswith("1 of 2 pods: ")


def test_trouble_began_with_the_first_warning_after_the_last_success() -> None:
    lines = [at(90, REFUSED), at(60, POLLED), at(40, REFUSED), at(20, REFUSED)]
    assert read_log(lines).trouble_since == pytest.approx(NOW - 40)


LINES = st.sampled_from([REFUSED, TIMED_OUT, NO_NAME, POLLED, REQUEST, PEERS, NO_AUTH, "", "x"])


@given(st.lists(st.tuples(st.floats(0, 590), LINES)), st.booleans(), st.booleans())
def test_connected_needs_a_recent_poll_and_no_warning_after_it(
    entries: list[tuple[float, str]], ready: bool, answers: bool
) -> None:
    ordered = sorted(entries, key=lambda entry: -entry[0])
    evidence = pod(*(at(ago, line) for ago, line in ordered), ready=ready, answers=answers)
    level, _ = judged(evidence)
    if level == "connected":
        assert any(line == POLLED and ago <= 60.01 for ago, line in ordered)
    if level == "no trouble seen":
        assert ready
        assert answers
    if ordered and ordered[-1][1] in (REFUSED, NO_AUTH) and ordered[-1][0] < 119:
        assert level == "denied"


@given(st.lists(st.text()))
def test_no_log_makes_the_judge_fail(lines: list[str]) -> None:
    judged(pod(*lines))
