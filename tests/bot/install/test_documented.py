"""The commands of the documentation name what is installed, and show no secret."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from bot.__main__ import _parser, main
from bot.install.installation import Installation
from tests.bot.install.settings_of import IMAGE
from tests.support.processes import ROOT

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?:^|[|(`] ?|-- )(?:gateway-bot|bot) ([a-z].*)")
_NAMED = re.compile(r"kubectl .*\b(logs|exec|annotate|rollout|secret)\b .")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def blocks(text: str, language: str = "sh") -> list[str]:
    """What stands in fences of that language; commands may also stand in fences of none."""
    found = _FENCE.findall(text)
    return [body for kind, body in found if kind == language or (kind == "" and language == "sh")]


def lines(name: str) -> list[str]:
    inline = re.findall(r"`(kubectl [^`]*)`", page(name))
    scripts = "".join(blocks(page(name))).replace("\\\n", " ")
    return [*scripts.splitlines(), *inline]


@pytest.mark.parametrize(
    "name", ["operations.md", "install.md", "upgrade.md", "troubleshooting.md"]
)
def test_every_kubectl_command_names_the_namespace_and_the_labels_of_the_bot(name: str) -> None:
    found = [line for line in lines(name) if _NAMED.search(line)]
    assert found
    for line in found:
        assert re.search(r" -n [a-z]", line), line
        for label in re.findall(r" -l (\S+)", line):
            key, _, value = label.partition("=")
            assert Installation(IMAGE).selector == {key: value}


def test_the_bots_own_commands_are_run_where_its_settings_are() -> None:
    told = [line for line in lines("operations.md") if re.search(r"\b(audit|admin) [a-z]", line)]
    assert len(told) > 8
    for line in told:
        assert re.search(r"(^|\| )bot (audit|admin) ", line) or "kubectl exec -i" in line


def test_redis_has_one_documented_user() -> None:
    assert "-@all" not in page("redis.md")
    assert "gateway-bot redis-acl" in page("redis.md")


def _step(number: int) -> str:
    return page("install.md").partition(f"### {number}.")[2].partition(f"### {number + 1}.")[0]


def _settings(directory: Path) -> Path:
    """The settings file as step 4 writes it."""
    (directory / "az").write_text("#!/bin/sh\necho 00000000-0000-0000-0000-000000000003\n")
    (directory / "az").chmod(0o755)
    client = "00000000-0000-0000-0000-000000000002"
    env = {"PATH": f"{directory}:/usr/bin:/bin", "CLIENT_ID": client}
    env |= {"GROUP": "S0123ABCD", "WARN": "C0123ABCD"}
    (script,) = blocks(_step(4))
    subprocess.run(["bash", "-ec", script], env=env, cwd=directory, check=True, timeout=60)
    return directory / "gateway-bot.yaml"


def test_the_settings_of_the_installation_are_sound_and_give_what_the_next_steps_show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = _settings(tmp_path)
    assert main(["k8s-manifest", "--image", IMAGE, "--config", str(config)]) == 0
    made = [each["kind"].lower() for each in yaml.safe_load_all(capsys.readouterr().out)]
    (shown,) = blocks(_step(7), "text")
    applied = re.findall(r"^([a-z]+)[./].* serverside-applied$", shown, re.MULTILINE)
    assert applied == made
    assert main(["azure-role", "--config", str(config)]) == 0
    (role,) = blocks(_step(5), "text")
    assert capsys.readouterr().out.startswith(role)


@pytest.mark.parametrize(
    "name", ["install.md", "upgrade.md", "operations.md", "troubleshooting.md", "http-mode.md"]
)
def test_every_command_of_the_bot_on_the_page_has_the_options_it_shows(name: str) -> None:
    text = "\n".join([*blocks(page(name)), *re.findall(r"`([^`\n]*)`", page(name))])
    commands = _COMMAND.findall(text.replace("\\\n", " "))
    for command in commands:
        words = shlex.split(re.split(r"[|>)<]| 2>", command)[0], comments=True)
        try:
            _parser().parse_args(words)
        except SystemExit:
            pytest.fail(f"{name}: gateway-bot {command}")


def test_no_secret_of_the_installation_is_an_argument_of_a_program(tmp_path: Path) -> None:
    step = _step(6)
    (script,) = blocks(step)
    said = tmp_path / "arguments"
    for program in ("kubectl", "redis-cli", "openssl", "gateway-bot"):
        stub = tmp_path / program
        then = {
            "openssl": "echo secret-1",
            "gateway-bot": "echo 'user gateway-bot reset on >PASSWORD ~x'",
        }.get(program, f"[ -t 0 ] || cat >> {shlex.quote(str(tmp_path / program))}.input")
        stub.write_text(f'#!/bin/sh\necho "$0 $@" >> {shlex.quote(str(said))}\n{then}\n')
        stub.chmod(0o755)
    script = re.sub(r"read -rs (\w+)", r'read -rs \1 <<< "secret-of-\1"', script)
    done = subprocess.run(
        ["bash", "-ec", script],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "secret-" not in said.read_text()
    acl = (tmp_path / "redis-cli.input").read_text()
    assert acl == "ACL SETUSER gateway-bot reset on >secret-1 ~x\n"
    env = dict(line.split("=", 1) for line in (tmp_path / "kubectl.input").read_text().split())
    assert env == {
        "SLACK_BOT_TOKEN": "secret-of-SLACK_BOT_TOKEN",
        "SLACK_APP_TOKEN": "secret-of-SLACK_APP_TOKEN",
        "REDIS_URL": "rediss://gateway-bot:secret-1@redis.example.com:6380",
    }


def test_a_secret_that_is_changed_is_no_argument_of_a_program(tmp_path: Path) -> None:
    section = page("install.md").partition("### One secret anew")[2].partition("\n### ")[0]
    (script,) = blocks(section)
    stub = tmp_path / "kubectl"
    stub.write_text(
        '#!/bin/sh\necho "$@" >> "$SAID.arguments"\n'
        'case "$*" in *patch-file*) /bin/cat > "$SAID.input";; esac\n'
    )
    stub.chmod(0o755)
    said = tmp_path / "said"
    script = script.replace("read -rs VALUE", "read -rs VALUE <<< secret-1")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SAID": str(said)}
    subprocess.run(["bash", "-ec", script], env=env, check=True, timeout=60)
    assert "secret-1" not in said.with_suffix(".arguments").read_text()
    patch = yaml.safe_load(said.with_suffix(".input").read_text())
    assert patch == {"stringData": {"SLACK_BOT_TOKEN": "secret-1"}}
