"""What people get wrong in settings and secrets: all of it at once, with line and remedy."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.problems import Problem, UnusableSettings, as_results
from bot.settings import load_all, load_settings, secret_variables
from tests.support.processes import ROOT

GOOD = """\
apim:
  - {name: contoso, subscription: s, resource_group: rg, service: contoso}
clusters:
  - {name: west, context: west}
environments:
  - {name: development}
redis: {url: redis://localhost}
"""
SECRETS = {"SLACK_BOT_TOKEN": "xoxb-1-c0ffee", "SLACK_APP_TOKEN": "xapp-1-c0ffee"}


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in secret_variables():
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def problems_of(path: Path, text: str) -> tuple[Problem, ...]:
    path = path / "gateway-bot.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UnusableSettings) as unusable:
        load_settings(path)
    return unusable.value.problems


IN_THE_FILE: Mapping[str, tuple[str, int, str, str]] = {
    "an unknown field has the nearest known one": (
        "slack: {conections: 2}",
        8,
        "slack.conections: there is no such field.",
        "Did you mean “connections”?",
    ),
    "an unknown field of the whole file has the nearest known one": (
        "rotatoin: {at_once: 1}",
        8,
        "rotatoin: there is no such field.",
        "Did you mean “rotation”?",
    ),
    "an unknown field near nothing has what is known": (
        "decision: {zzz: 1}",
        8,
        "decision.zzz: there is no such field.",
        "Known: seconds.",
    ),
    "a field in the wrong section has the right one": (
        "slack: {port: 3000, keep_days: 3}",
        8,
        "slack.keep_days: there is no such field here.",
        "Did you mean “redis.keep_days”?",
    ),
    "a secret in the file is sent to the variables": (
        "slack: {bot_token: xoxb-1-c0ffee}",
        8,
        "slack.bot_token: there is no such field.",
        "Secrets are given in variables",
    ),
    "a wrong choice has the nearest one": (
        "slack: {mode: sokcet}",
        8,
        "slack.mode: expected socket or http.",
        "Did you mean “socket”?",
    ),
    "a length of time with a long unit has its short form": (
        "warnings: {thresholds: [14 days]}",
        8,
        "warnings.thresholds[0]: expected a duration such as 14d, 6h or 30m.",
        "Did you mean “14d”?",
    ),
    "weeks are days": (
        "warnings: {thresholds: [2w]}",
        8,
        "warnings.thresholds[0]: expected a duration",
        "Did you mean “14d”?",
    ),
    "a number of seconds has no unit": (
        "rotation: {verify_seconds: 30s}",
        8,
        "rotation.verify_seconds: expected a number of seconds, without a unit.",
        "",
    ),
    "a channel that begins with # is a comment": (
        "warnings:\n  channel: #alerts",
        9,
        "warnings.channel: “channel:” is empty: “#alerts” after it is a comment in YAML. "
        "Messages would go to no channel.",
        "Give the ID of the channel, such as C0123ABCD",
    ),
    "a channel in a list that begins with # is a comment": (
        "warnings:\n  channels:\n    - #alerts",
        10,
        "warnings.channels[0]: An item is empty: “#alerts” after it is a comment in YAML.",
        "such as C0123ABCD",
    ),
    "a bracket behind which # stands is never closed": (
        "warnings: {channel: #alerts}",
        8,
        "settings file: is not YAML: # begins a comment",
        "a channel is given by its ID",
    ),
    "a channel by its name is not an ID": (
        'warnings: {channel: "#alerts"}',
        8,
        "warnings.channel: expected the ID of a channel, such as C0123ABCD",
        "",
    ),
    "a field whose variable was not set is empty": (
        "azure: {client_id: }",
        8,
        "azure.client_id: is empty.",
        "Give it a value, or remove the line.",
    ),
    "a number with a point is not text": (
        "azure: {tenant_id: 2.10}",
        8,
        "azure.tenant_id: 2.10 without quotes is the number 2.1 in YAML.",
        'Put it in quotes: "2.10".',
    ),
    "a number is not text": (
        "azure: {client_id: 1234}",
        8,
        "azure.client_id: 1234 without quotes is the number 1234 in YAML.",
        'Put it in quotes: "1234".',
    ),
    "a zero makes an octal number": (
        "health: {port: 08086}\nslack: {http: {port: 0777}}",
        9,
        "slack.http.port: 0777 is an octal number in YAML: 511.",
        "without the zero",
    ),
    "a colon makes a number to the base of 60": (
        "azure: {tenant_id: 12:30}",
        8,
        "azure.tenant_id: 12:30 is a number to the base of 60 in YAML: 750.",
        'Put text in quotes: "12:30"',
    ),
    "no is false": (
        "images: {repository: no}",
        8,
        "images.repository: no without quotes is false in YAML.",
        'Put it in quotes: "no".',
    ),
    "on is true": (
        "slack: {mode: on}",
        8,
        "slack.mode: on without quotes is true in YAML. 'socket' or 'http'.",
        'Put it in quotes: "on".',
    ),
    "a date is not text": (
        "images: {repository: 2027-03-31}",
        8,
        "images.repository: 2027-03-31 without quotes is a date in YAML.",
        "in quotes",
    ),
    "a day that does not exist is no traceback": (
        "people: {ana: 2027-02-30}",
        8,
        "people.ana: expected a list.",
        "Write it as [one, two]",
    ),
    "a tab indents": (
        "slack:\n\tmode: http",
        9,
        "settings file: is not YAML: a tab indents this line.",
        "Indent with spaces alone.",
    ),
    "a colon within a value": (
        "images:\n  docker_config: see: /etc",
        9,
        "settings file: is not YAML: a second “: ” stands in one value.",
        "Put the value in quotes.",
    ),
    "a line that is indented less than those before it": (
        "slack:\n  mode: socket   # note: the default\n  command: /gateway\n connections: 2",
        11,
        "settings file: is not YAML: expected <block end>, but found '<block mapping start>'.",
        "Compare the indentation, quotes and brackets of this line",
    ),
    "a line that is indented less, after fields in brackets": (
        "slack: {mode: socket, command: /gateway}\n connections: 2",
        9,
        "settings file: is not YAML: expected <block end>, but found '<block mapping start>'.",
        "Compare the indentation, quotes and brackets of this line",
    ),
    "a line that is indented more than the value before it": (
        "slack:\n  mode: socket # note: the default\n    command: /gateway",
        10,
        "settings file: is not YAML: expected <block end>, but found '<block mapping start>'.",
        "Compare the indentation, quotes and brackets of this line",
    ),
    "a closed bracket before a comment and a wrong line after it": (
        "slack: {mode: socket, #default\n  command: /gateway}\n connections: 2",
        10,
        "settings file: is not YAML: expected <block end>, but found '<block mapping start>'.",
        "Compare the indentation, quotes and brackets of this line",
    ),
    "a quote that is not closed": (
        "slack:\n  command: '/gateway",
        9,
        "settings file: is not YAML: found unexpected end of stream.",
        "Compare the indentation, quotes and brackets of this line",
    ),
    "a value that begins with a sign of YAML": (
        "images:\n  docker_config: @home",
        9,
        "settings file: is not YAML: a value cannot begin with @ in YAML.",
        "Put the value in quotes.",
    ),
    "a field that is given twice": (
        "slack:\n  mode: http\n  mode: socket",
        10,
        "slack.mode: is given twice, first in line 9.",
        "Remove one of them.",
    ),
    "a section that is given twice": (
        "clusters: [{name: east, context: east}]",
        8,
        "clusters: is given twice, first in line 3.",
        "Remove one of them.",
    ),
    "an empty section": ("slack:", 8, "slack: is empty.", "Give it a value, or remove the line."),
    "a list where fields are wanted": (
        "slack:\n  - mode: http",
        8,
        "slack: expected fields, not a list.",
        "Remove the hyphen",
    ),
    "one value where a list is wanted": (
        "images: {repositories: registry.example/gateway}",
        8,
        "images.repositories: expected a list.",
        "Write it as [one, two]",
    ),
    "a number that is too large": (
        "health: {port: 99999}",
        8,
        "health.port: expected at most 65535.",
        "",
    ),
    "anchors that unfold without end": (
        "people: &a {ana: *a}",
        1,
        "settings file: is not usable YAML: its anchors unfold without end.",
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", IN_THE_FILE)
def test_a_mistake_in_the_file_has_its_line_and_its_remedy(tmp_path: Path, mistake: str) -> None:
    text, line, said, remedy = IN_THE_FILE[mistake]
    found = problems_of(tmp_path, GOOD + text + "\n")
    (problem,) = [each for each in found if said in str(each)] or [found[0]]
    assert said in str(problem)
    assert problem.line == line
    assert remedy in problem.remedy
    assert bool(remedy) or not problem.remedy


IN_THE_WHOLE: Mapping[str, tuple[str, str, str]] = {
    "a cluster that does not exist has the nearest one": (
        "environments:\n  - {name: a, clusters: [wset]}",
        "environments[0].clusters[0]: there is no cluster “wset”.",
        "Did you mean “west”?",
    ),
    "an environment that does not exist has the nearest one": (
        "environments:\n  - {name: production}",
        "apim[0].gateways[0].governed_by[0]: there is no environment “prodution”.",
        "Did you mean “production”?",
    ),
    "a name that is used twice has the line of the first": (
        "environments:\n  - {name: a}\n  - {name: a}",
        "environments[1].name: the name a is used twice in environments, first in line 5.",
        "Rename one of them.",
    ),
    "a name that the bot uses itself": (
        "environments:\n  - {name: unlisted}",
        "environments[0].name: unlisted is reserved for gateways in no environment.",
        "Choose another name.",
    ),
    "a section that is missing": ("", "environments: is missing.", "Add it"),
    "two hyphens of which one has nothing": (
        "environments:\n  - {name: a}\n  -",
        "environments[1]: is empty.",
        "remove the line",
    ),
    "a user ID of two people": (
        "environments: [{name: a}]\npeople: {ana: [U0AAA1111], anna: [U0AAA1111]}",
        "people.anna[0]: U0AAA1111 is assigned to two people, ana and anna.",
        "Remove one of them.",
    ),
}


@pytest.mark.parametrize("mistake", IN_THE_WHOLE)
def test_what_names_another_part_is_checked_whatever_else_is_wrong(
    tmp_path: Path, mistake: str
) -> None:
    text, said, remedy = IN_THE_WHOLE[mistake]
    whole = (
        "apim:\n  - {name: contoso, resource_group: rg, service: c, gateways: [{match: a, governed_by: "
        "[prodution]}]}\nclusters: [{name: west, context: west, nmespaces: [a]}]\n" + text + "\n"
    )
    found = [str(each) for each in problems_of(tmp_path, whole)]
    assert any(said in each and remedy in each for each in found), found
    assert any("apim[0].subscription: is missing." in each for each in found)
    assert any("Did you mean “namespaces”?" in each for each in found)


def test_anchors_and_merged_fields_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "gateway-bot.yaml"
    people = "&some {approvers: {users: [U0123ABCD]}, quorum: 1}"
    more = f"""\
  - {{name: a, production: yes, approval: {people}, rotation: off}}
  - {{name: b, approval: {{<<: *some, seconds: 60}}, channels: [&ops C0123ABCD]}}
warnings:
  # channel: nobody
  channel: *ops # of operators
people: {{no: [U0AAA1111]}}
"""
    path.write_text(GOOD.replace("redis:", f"{more}redis:", 1), encoding="utf-8")
    settings = load_settings(path)
    assert settings.environments[1].production
    assert settings.environments[1].rotation.mode == "off"
    approval = settings.environments[2].approval
    assert approval is not None
    assert (approval.quorum, approval.seconds) == (1, 60)
    assert settings.warnings.channel == "C0123ABCD"
    assert list(settings.people) == ["no"], "a name is the text that is written"


def secret_problems_of(tmp_path: Path, text: str = GOOD) -> list[str]:
    path = tmp_path / "gateway-bot.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UnusableSettings) as unusable:
        load_all(path)
    assert "c0ffee" not in str(unusable.value)
    return [str(each) for each in unusable.value.problems]


OF_SECRETS: Mapping[str, tuple[dict[str, str], str]] = {
    "a bot token where an app-level token is wanted": (
        {"SLACK_APP_TOKEN": "xoxb-1-c0ffee"},
        "SLACK_APP_TOKEN: is a bot token. Expected an app-level token (xapp-…)",
    ),
    "an app-level token where a bot token is wanted": (
        {"SLACK_BOT_TOKEN": "xapp-1-c0ffee"},
        "SLACK_BOT_TOKEN: is an app-level token. Expected a bot token (xoxb-…). It is under",
    ),
    "the token of a person": (
        {"SLACK_BOT_TOKEN": "xoxp-1-c0ffee"},
        "SLACK_BOT_TOKEN: is the token of a person.",
    ),
    "something else than a token": (
        {"SLACK_BOT_TOKEN": "Bearer c0ffee"},
        "SLACK_BOT_TOKEN: is not a bot token.",
    ),
    "quotes around it": (
        {"SLACK_BOT_TOKEN": '"xoxb-1-c0ffee"'},
        "SLACK_BOT_TOKEN: has quotes around it, which are sent as a part of it. Remove them.",
    ),
    "an empty variable": ({"SLACK_BOT_TOKEN": ""}, "SLACK_BOT_TOKEN: is missing."),
    "a Redis URL of no known kind": (
        {"REDIS_URL": "http://c0ffee@localhost"},
        "REDIS_URL: ",
    ),
    "a file that is not there": (
        {"SLACK_APP_TOKEN": "", "SLACK_APP_TOKEN_FILE": "/nowhere/token"},
        "SLACK_APP_TOKEN_FILE: the file /nowhere/token cannot be read: No such file or directory.",
    ),
    "a variable and its file": (
        {"SLACK_APP_TOKEN_FILE": "/nowhere/token"},
        "SLACK_APP_TOKEN: SLACK_APP_TOKEN and SLACK_APP_TOKEN_FILE are both set",
    ),
    "a secret that is too short": (
        {"EVENT_GRID_SECRET": "c0ffee"},
        "EVENT_GRID_SECRET: has fewer than 16 characters",
    ),
    "a password of a registry without a user": (
        {"REGISTRY_PASSWORD": "c0ffee"},
        "REGISTRY_USER: is missing, and REGISTRY_PASSWORD is set.",
    ),
    "a password of an unnamed registry": (
        {"REGISTRY_PASSWORD": "c0ffee", "REGISTRY_USER": "ana"},
        "REGISTRY_PASSWORD: is set, but the settings name no registry",
    ),
}


@pytest.mark.parametrize("mistake", OF_SECRETS)
def test_a_mistake_in_a_secret_is_named_without_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    environment, said = OF_SECRETS[mistake]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = secret_problems_of(tmp_path, f"{GOOD}event_grid: {{}}\n")
    assert any(each.startswith(said) for each in found), found


@pytest.mark.parametrize("around", ["{}\n", "\r\n {} \t"])
def test_white_space_around_a_secret_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, around: str
) -> None:
    path = tmp_path / "gateway-bot.yaml"
    path.write_text(GOOD, encoding="utf-8")
    monkeypatch.setenv("SLACK_BOT_TOKEN", around.format("xoxb-1-c0ffee"))
    monkeypatch.setenv("REDIS_URL", around.format("redis://localhost"))
    _, secrets = load_all(path)
    assert secrets.slack_bot_token.get_secret_value() == "xoxb-1-c0ffee"
    assert secrets.redis_url is not None
    assert secrets.redis_url.get_secret_value() == "redis://localhost"


@pytest.mark.parametrize(
    ("slack", "unused"),
    [
        ("{mode: socket}", {"SLACK_SIGNING_SECRET": "xoxb-1-c0ffee"}),
        ("{mode: socket}", {"SLACK_SIGNING_SECRET_FILE": "/nowhere/secret"}),
        ("{mode: socket}", {"EVENT_GRID_SECRET": "short"}),
        (
            "{mode: http}",
            {"SLACK_APP_TOKEN": "to be given later", "SLACK_SIGNING_SECRET": "5ecret"},
        ),
    ],
)
def test_a_secret_that_is_not_used_keeps_no_bot_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slack: str, unused: dict[str, str]
) -> None:
    path = tmp_path / "gateway-bot.yaml"
    path.write_text(f"{GOOD}slack: {slack}\n", encoding="utf-8")
    for name, value in unused.items():
        monkeypatch.setenv(name, value)
    load_all(path)


def test_the_names_of_secrets_may_be_in_small_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gateway-bot.yaml"
    path.write_text(GOOD, encoding="utf-8")
    monkeypatch.delenv("SLACK_BOT_TOKEN")
    monkeypatch.setenv("slack_bot_token", "xoxb-2-c0ffee")
    (tmp_path / "token").write_text("xapp-2-c0ffee\n")
    monkeypatch.delenv("SLACK_APP_TOKEN")
    monkeypatch.setenv("slack_app_token_file", str(tmp_path / "token"))
    _, secrets = load_all(path)
    assert secrets.slack_bot_token.get_secret_value() == "xoxb-2-c0ffee"
    assert secrets.slack_app_token is not None
    assert secrets.slack_app_token.get_secret_value() == "xapp-2-c0ffee"


def test_a_signing_secret_that_is_a_token_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_SIGNING_SECRET", "xoxb-1-c0ffee")
    (found,) = secret_problems_of(tmp_path, GOOD + "slack: {mode: http}\n")
    assert found.startswith("SLACK_SIGNING_SECRET: is a bot token. Expected the signing secret.")


def test_mistakes_of_the_file_and_of_the_secrets_are_reported_together_in_the_order_of_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLACK_BOT_TOKEN")
    text = GOOD + "azure: {client_id: a, tenant_id: b}\nslack: {comand: /apim}\nhealth: {prot: 1}\n"
    assert [each.partition(": ")[0] for each in secret_problems_of(tmp_path, text)] == [
        *("slack.comand", "health.prot", "SLACK_BOT_TOKEN", "AZURE_CLIENT_SECRET"),
    ]


@pytest.mark.parametrize(
    "command",
    [
        *(["check"], ["k8s-manifest"], ["azure-role"], ["slack-manifest"]),
        *(["audit", "verify"], ["audit", "export"], ["admin", "actions"], ["admin", "leases"]),
        *(["admin", "list"], ["admin", "pause", "--cluster", "west", "--reason", "x"]),
    ],
    ids=" ".join,
)
def test_every_command_gives_the_same_report_and_ends_with_status_2(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = unknown_field(tmp_path)
    assert main([*command, "--config", str(path)]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", report_of(path))


def test_a_bot_that_cannot_run_gives_the_same_report(tmp_path: Path) -> None:
    path = unknown_field(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "bot", "run", "--config", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", report_of(path))


def unknown_field(directory: Path) -> Path:
    path = directory / "gateway-bot.yaml"
    path.write_text(GOOD + "slack:\n  mod: http\n", encoding="utf-8")
    return path


def report_of(path: Path) -> str:
    return (
        f"gateway-bot: The settings have a problem:\n  {path}:9: slack.mod: there is no such field. "
        "Did you mean “mode”?\n"
    )


def test_a_file_that_is_not_there_is_a_problem_beside_those_of_the_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLACK_BOT_TOKEN")
    with pytest.raises(UnusableSettings) as unusable:
        load_all(tmp_path / "nowhere.yaml")
    first, second = (str(each) for each in unusable.value.problems)
    assert "cannot be read: No such file or directory. Pass its path with --config." in first
    assert second.startswith("SLACK_BOT_TOKEN: is missing.")


def test_as_json_the_problems_are_results_that_fail(tmp_path: Path) -> None:
    path = tmp_path / "gateway-bot.yaml"
    path.write_text(GOOD + "slack: {mod: http}\n", encoding="utf-8")
    with pytest.raises(UnusableSettings) as unusable:
        load_all(path)
    assert json.loads(json.dumps(as_results(unusable.value))) == {
        "works": False,
        "results": [
            {
                "name": "settings",
                "status": "fail",
                "detail": f"{path}:8: slack.mod: there is no such field.",
                "remedy": "Did you mean “mode”?",
                "path": "slack.mod",
                "line": 8,
            }
        ],
    }


def test_a_list_is_not_called_too_short_for_the_mistake_in_its_only_item(tmp_path: Path) -> None:
    text = GOOD.replace("subscription: s", "subscription: ")
    assert [str(each) for each in problems_of(tmp_path, text)] == [
        "apim[0].subscription: is empty. Give it a value, or remove the line."
    ]


def test_an_empty_list_needs_an_entry(tmp_path: Path) -> None:
    text = GOOD.replace("context: west", "context: west, namespaces: []")
    assert [str(each) for each in problems_of(tmp_path, text)] == [
        "clusters[0].namespaces: needs at least one entry."
    ]
