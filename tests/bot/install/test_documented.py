"""The commands of the documentation name what is installed, and show no secret."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from bot.install.installation import Installation
from tests.bot.install.settings_of import IMAGE
from tests.support.processes import ROOT

_BLOCK = re.compile(r"^```(?:sh)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"kubectl .*\b(logs|exec|annotate|rollout|secret)\b .")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def lines(name: str) -> list[str]:
    inline = re.findall(r"`(kubectl [^`]*)`", page(name))
    blocks = "".join(_BLOCK.findall(page(name))).replace("\\\n", " ")
    return [*blocks.splitlines(), *inline]


@pytest.mark.parametrize("name", ["operations.md", "install.md"])
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


def test_no_secret_of_the_installation_is_an_argument_of_a_program(tmp_path: Path) -> None:
    step = page("install.md").partition("### 6.")[2].partition("### 7.")[0]
    (script,) = _BLOCK.findall(step)
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
