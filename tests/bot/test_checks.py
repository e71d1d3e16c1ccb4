"""`gateway-bot check`: its report, its exit status, and what it asks and leaves behind."""

import itertools
import json
import os
import shlex
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from bot.__main__ import main
from bot.check_report import exit_status, for_people, for_programs
from bot.doubt import Doubtful
from bot.install.redis_acl import CLUSTER, COMMANDS, REPLICAS
from bot.proofs import clock, people
from bot.proofs.commands import command
from bot.proofs.kubernetes import Right, listed
from bot.proofs.redis_commands import CONNECTING, sent
from bot.proofs.results import Result, Status, all_of, fail, found, ok, one, warn
from bot.proofs.slack import http_mode, not_shared, signed_in
from bot.sandbox.slack import User, UserGroup
from bot.settings import Secrets, Settings
from deploy.errors import Unavailable
from tests.bot.test_command_line import gateway_bot
from tests.support.azure import SERVICE
from tests.support.broken_services import CLOSED
from tests.support.check_bed import CheckBed, Setup
from tests.support.slack_workspace import BOT_TOKEN

PLAIN = {
    "apim": [{"name": "a", "subscription": "s", "resource_group": "g", "service": "a"}],
    "clusters": [{"name": "west", "context": "west"}],
    "environments": [{"name": "development"}],
}


def config_of(bed: CheckBed, monkeypatch: pytest.MonkeyPatch, **changes: object) -> str:
    """A settings file, with the secrets in the environment."""
    monkeypatch.setenv("SLACK_BOT_TOKEN", BOT_TOKEN)
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-1-app")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "bot-app-secret")
    path = bed.directory / f"gateway-bot-{bed.number()}.yaml"
    path.write_text(yaml.safe_dump({**bed.usual, **changes}))
    return str(path)


def test_for_programs_there_is_one_json_object_on_standard_output_and_nothing_else(
    bed: CheckBed, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--json", "--config", config_of(bed, monkeypatch)]) == 0
    printed = capfd.readouterr()
    told = json.loads(printed.out)
    assert printed.err == ""
    assert told["works"] is True
    assert {"slack", "redis", "cluster west", "clock"} <= {each["name"] for each in told["results"]}
    for each in told["results"]:
        assert set(each) == {"name", "status", "detail", "remedy"}
        assert each["status"] in ("ok", "warn", "fail")
    wrong = config_of(bed, monkeypatch, warnings={"channel": "C0NOWHERE"})
    assert main(["check", "--json", "--config", wrong]) == 1
    told = json.loads(capfd.readouterr().out)
    assert told["works"] is False
    (failed,) = [each for each in told["results"] if each["status"] == "fail"]
    assert failed["name"] == "channel C0NOWHERE"
    assert failed["remedy"].startswith("Invite it there")


def test_what_libraries_warn_of_is_said_once_as_a_result(
    bed: CheckBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = {"registry_url": f"http://{CLOSED}"}
    redis = {"url": f"redis://{CLOSED}"}
    config = config_of(bed, monkeypatch, redis=redis, images=images)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong")
    done = gateway_bot("check", "--config", config, env=dict(os.environ))
    assert done.stdout.count("FAIL  ") >= 3, done.stdout
    assert done.stderr == ""


def test_the_command_that_a_remedy_names_grants_all_that_is_missing(
    bed: CheckBed, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    config = config_of(bed, monkeypatch, clusters=[bed.west("stranger", context="west")])
    assert main(["check", "--json", "--config", config]) == 1
    results = json.loads(capfd.readouterr().out)["results"]
    lines = [each for each in results if each["name"] == "rights on cluster west"]
    (granting,) = {each["remedy"] for each in lines if each["status"] == "fail"}
    assert granting.startswith("Grant it with: `gateway-bot k8s-manifest --config ")
    manifest, _, applying = granting.partition("`")[2].rstrip("`").partition(" | ")
    assert applying == "kubectl --context west apply --server-side -f -"
    assert main(shlex.split(manifest)[1:]) == 0
    objects = list(yaml.safe_load_all(capfd.readouterr().out))
    bed.cluster.wait(bed.cluster.cluster.apply(objects))
    assert main(["check", "--config", config]) == 0
    assert "warn  " not in capfd.readouterr().out


def test_settings_that_cannot_be_read_have_a_status_of_their_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "missing.yaml")
    assert main(["check", "--config", missing]) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "cannot be read" in printed.err
    assert main(["check", "--json", "--config", missing]) == 2
    told = json.loads(capfd.readouterr().out)
    assert told["works"] is False
    assert told["results"][0]["name"] == "settings"


def test_a_warning_is_no_failure() -> None:
    good, doubtful = ok("a", "b"), warn("c", "d.", "Do it.")
    assert exit_status([good, doubtful]) == 0
    assert exit_status([good, fail("e", "f", "g"), doubtful]) == 1
    assert for_people([good, doubtful]) == "ok    a: b\nwarn  c: d. Do it.\n"
    assert json.loads(for_programs([doubtful]))["works"] is True


def test_whatever_happens_to_one_proof_the_others_are_reported_in_their_order() -> None:
    ended = threading.Event()

    def hangs() -> list[Result]:
        ended.wait(60)
        return []

    def breaks() -> list[Result]:
        raise KeyError("a token that must not be shown")

    def refuses() -> str:
        raise Unavailable("It is away.", meaning="So it is.", remedy="Wait.")

    results = all_of(
        {"hangs": hangs, "breaks": breaks, "refuses": one("refuses", refuses),
         "works": one("works", lambda: "fine")},
        seconds=0.5,
    )  # fmt: skip
    ended.set()
    assert [r.name for r in results] == ["hangs", "breaks", "refuses", "works"]
    assert [r.status.value for r in results] == ["fail", "fail", "fail", "ok"]
    assert "a token" not in for_people(results)
    assert "KeyError" in results[1].detail
    assert (results[2].detail, results[2].remedy) == ("It is away. So it is.", "Wait.")


def test_each_command_of_the_acl_is_tried_and_no_other() -> None:
    tried = {name for name, _ in sent("x", cluster=True, replicas=True)}
    assert tried | set(CONNECTING) == {*COMMANDS, *CLUSTER, *REPLICAS}
    alone = {name for name, _ in sent("x", cluster=False, replicas=False)}
    assert alone | set(CONNECTING) == set(COMMANDS)


def test_wherever_the_connection_is_cut_each_key_expires(bed: CheckBed) -> None:
    client = bed.redis()
    words = [words for _, words in sent("cut", cluster=False, replicas=False)]
    for done, following in itertools.pairwise(words):
        client.execute_command(*done)
        lasting = [key for key in client.keys("gateway-bot:{cut}:*") if client.pttl(key) == -1]
        assert lasting == [] or following[:2] == ("PEXPIRE", *lasting), done
    client.execute_command(*words[-1])


def test_nothing_is_left_behind_neither_in_redis_nor_in_azure(bed: CheckBed) -> None:
    before = bed.arm.azure.snapshot()["services"][SERVICE.lower()]
    shown = bed.arm.token()
    setup = bed.azure_as("owner-app")
    setup.settings["rotation"] = {"regenerate_keys": True}
    results = bed.check(setup, "redis", "API")
    assert {result.status for result in results} == {Status.OK}
    assert bed.redis().keys("*") == []
    assert bed.arm.azure.snapshot()["services"][SERVICE.lower()] == before
    assert bed.arm.token()[:20] == shown[:20]


def test_a_minimal_user_of_redis_is_refused_nothing_by_the_check(bed: CheckBed) -> None:
    client = bed.redis()
    client.execute_command("ACL LOG", "RESET")
    setup = Setup({"redis": {"url": bed.redis_user()}})
    assert {result.status for result in bed.check(setup, "redis", "clock")} == {Status.OK}
    assert client.execute_command("ACL LOG") == []


def test_rights_are_listed_as_a_person_reads_them() -> None:
    rights = [
        *(Right(verb, "apps", "deployments") for verb in ("create", "patch", "delete")),
        *(Right(verb, "", "services") for verb in ("create", "patch", "delete")),
        Right("get", "", "pods/log"),
    ]
    assert listed(rights) == "create, patch or delete deployments or services; get pods/log"


def test_a_command_in_a_remedy_names_the_settings_file_where_it_is_another() -> None:
    assert command("azure-role", Path("gateway-bot.yaml")) == "`gateway-bot azure-role`"
    told = command("azure-role", Path("/etc/my bot.yaml"), "--json", into=("kubectl", "apply"))
    assert told == "`gateway-bot azure-role --config '/etc/my bot.yaml' --json | kubectl apply`"


@pytest.mark.parametrize(
    ("ahead", "status"),
    [(0.0, Status.OK), (3.0, Status.OK), (-20.0, Status.WARN), (400.0, Status.FAIL)],
)
def test_this_machines_clock_is_compared_with_all_others(
    ahead: float, status: Status, bed: CheckBed
) -> None:
    settings = Settings.model_validate(bed.usual)
    secrets = Secrets.model_validate({"SLACK_BOT_TOKEN": BOT_TOKEN})
    prove = clock.proofs(settings, secrets, here=lambda: time.time() + ahead)["clock"]
    (result,) = prove()
    assert result.status is status, result
    for name in ("Redis", "Slack", "Azure"):
        assert name in result.detail
    if status is Status.FAIL:
        assert result.remedy.startswith("Set this clock right with NTP")


def test_in_http_mode_all_four_urls_that_slack_needs_are_named() -> None:
    slack = {"mode": "http", "http": {"path": "/here"}}
    said = http_mode(Settings.model_validate({**PLAIN, "slack": slack}))
    assert "four URLs that end in /here" in said
    assert "commands, interactivity, options load and events" in said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"is_enterprise_install": True, "bot_id": "B1"}, "a whole Enterprise organization"),
        ({"user": "ana"}, "the token of a person"),
    ],
)
def test_a_token_that_is_no_bots_in_one_workspace_is_refused(
    answer: dict[str, object], said: str
) -> None:
    with pytest.raises(Unavailable, match=said):
        signed_in(answer)


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ({}, ""),
        ({"is_ext_shared": True, "is_shared": True}, "with another workspace through Slack"),
        ({"is_pending_ext_shared": True}, "has been invited to share it"),
        ({"is_org_shared": True, "is_shared": True}, "other workspaces in the organization"),
    ],
)
def test_a_channel_of_production_is_doubtful_where_others_read_it(
    channel: dict[str, bool], said: str
) -> None:
    if not said:
        not_shared(channel)
        return
    with pytest.raises(Doubtful, match=said):
        not_shared(channel)


def in_each_environment(bed: CheckBed, members: int) -> Setup:
    """Two environments with the same group of approvers."""
    users = [User(f"U0M{n}", f"m{n}", f"M{n}") for n in range(members)]
    many = UserGroup("S0MANY", "many", "Many", tuple(user.id for user in users))
    environments = [
        bed.production(name=name, namespaces=[name], approval={"approvers": {"groups": [many.id]}})
        for name in ("prod", "dev")
    ]
    slack = bed.slack(users=users, groups=[many])
    return Setup({"slack": slack, "environments": environments})


def test_who_approves_in_several_environments_is_asked_of_slack_once(
    bed: CheckBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("users_info", "usergroups_users_list"):
        monkeypatch.setattr(WebClient, name, _counted(asked, getattr(WebClient, name)))
    results = bed.check(in_each_environment(bed, 5), "approvers")
    assert [r.detail for r in results] == ["1 approval needed; 5 people can give it"] * 2
    assert sorted(asked) == ["S0MANY", *(f"U0M{n}" for n in range(5))]


def _counted(asked: list[str], call: Callable[..., Any]) -> Callable[..., Any]:
    def counting(self: WebClient, **given: str) -> Any:
        asked.extend(given.values())
        return call(self, **given)

    return counting


def test_all_environments_share_the_questions_that_slack_answers(
    bed: CheckBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "_ASKED", 3)
    results = bed.check(in_each_environment(bed, 5), "approvers")
    said = "1 approval needed; at least 3 people can give it"
    assert [(r.status, r.detail) for r in results] == [(Status.OK, said)] * 2


def test_where_slack_answers_no_more_that_is_a_doubt_and_no_error(
    bed: CheckBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limited(self: WebClient, **given: str) -> None:
        answer = SlackResponse(
            client=self, http_verb="POST", api_url="", req_args={}, headers={}, status_code=429,
            data={"ok": False, "error": "ratelimited"},
        )  # fmt: skip
        raise SlackApiError("", answer)

    monkeypatch.setattr(WebClient, "users_info", limited)
    results = bed.check(in_each_environment(bed, 2), "approvers")
    assert {r.status for r in results} == {Status.WARN}
    for result in results:
        assert result.detail.startswith(
            "At least 0 people can approve there, and 1 approval is needed."
        )
        assert result.remedy == "Run the check again in a minute."


def test_a_doubt_is_a_warning() -> None:
    def doubts() -> str:
        raise Doubtful("Perhaps.", remedy="Look.")

    assert found("x", doubts) == Result("x", Status.WARN, "Perhaps.", "Look.")
