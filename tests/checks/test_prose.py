"""The check that finds branching on texts for people, by samples of what it must and must not see."""

import textwrap

import pytest

from tests.checks.prose import findings

SCANNER = """
def facts_of(summary):
    doubts = [t for t in summary.attention if t.startswith(("Its token is", "Its token belongs"))]
    return doubts[0] if doubts else ""
"""
ROTATION_VERDICTS = """
def _remedy(why: str) -> str:
    return _REMEDY_REFUSED if why.startswith(_REFUSED) else _REMEDY_STUCK
"""
INCIDENTS = """
def reply(text: str) -> str:
    kind, _, rest = text.partition(" ")
    if kind == "gone":
        return f"{rest} runs no more."
    return rest
"""
ACTION = """
def _buttons(action: Action) -> str:
    title = _title(action)
    return title.partition(f" {action.ref.name} ")[0].removesuffix(" of")
"""


@pytest.mark.parametrize(
    ("path", "source", "line"),
    [
        ("deploy/expiry/scanner.py", SCANNER, 3),
        ("deploy/rollouts/rotation_verdicts.py", ROTATION_VERDICTS, 3),
        ("handlers/views/incidents.py", INCIDENTS, 3),
        ("handlers/views/action.py", ACTION, 4),
    ],
)
def test_what_once_hung_on_english_is_found(path: str, source: str, line: int) -> None:
    assert [number for number, _ in findings(source, path)] == [line]


@pytest.mark.parametrize(
    "branch",
    [
        'error.happened == "It is gone."',
        '"gone" in error.meaning',
        'error.remedy in ("Rotate again.", "")',
        "error.happened != other.happened",
        '"refused" in str(error)',
        'error.args[0].startswith("No ")',
        'error.message.endswith("quota")',
        'finding.what.lower().startswith("the token")',
        'finding.fix[:5] == "Scale"',
        '"poll" in f"{heartbeat.evidence}, or so"',
        'progress.trouble[0].split(":")',
        'any("quota" in line for line in progress.trouble)',
        '" ".join(progress.trouble).find("quota")',
        're.search("quota", error.happened)',
        "PATTERN.fullmatch(verdict.why)",
        "REMEDIES[verdict.why]",
        "REMEDIES.get(verdict.why)",
        'reply.text.startswith("No ")',
        '(said := verdict.why) and said.startswith("No ")',
        '(error.meaning or "").count("pods")',
    ],
)
def test_every_way_to_ask_what_a_text_says_is_found(branch: str) -> None:
    assert findings(_function(branch), "deploy/x.py")


@pytest.mark.parametrize(
    "branch",
    [
        "error.remedy or meaning",
        'error.remedy == ""',
        "error.meaning is None",
        'f"{error.happened} {error.meaning}".strip()',
        "finding.why[:1].upper()",
        'error.response.get("error")',
        'event.reason == "FailedCreate"',
        'pod.reason in ("ErrImagePull", "Unschedulable")',
        'refusal.cause is Cause.TOKEN_REFUSED and error.field == "gateway"',
        'trouble == "cut off"',
        'typed.partition("=")',
        'text.partition("=")',
    ],
)
def test_codes_and_whether_there_is_a_text_may_be_asked_for(branch: str) -> None:
    assert findings(_function(branch), "deploy/x.py") == []


def test_a_view_takes_no_text_apart_but_may_leave_out_one_it_shows_already() -> None:
    assert findings(_function('text.partition(":")'), "handlers/views/x.py")
    assert findings(_function("[t for t in said if text != shown]"), "handlers/views/x.py") == []


def test_the_words_of_another_system_are_read_with_a_reason_and_a_reason_for_nothing_is_found() -> (
    None
):
    excused = '"AADSTS" in str(error)  # prose: Entra ID gives its code in the message alone'
    assert findings(_function(excused), "deploy/x.py") == []
    needless = "error.code  # prose: no longer true"
    assert findings(_function(needless), "deploy/x.py") == [(3, "“# prose:” excuses nothing")]


def test_a_match_on_a_text_is_found() -> None:
    source = """
    def remedy(why):
        match why:
            case "It is gone.":
                return "Deploy it again."
    """
    assert findings(textwrap.dedent(source), "deploy/x.py") == [(3, "matches a text")]


def _function(expression: str) -> str:
    return f"\ndef f():\n    return {expression}\n"
