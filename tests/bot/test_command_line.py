import importlib.metadata
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bot.__main__ import main
from tests.bot.install.settings_of import text_of

SPEC = (
    "gateway: edge-1\n"
    "apim: {instance: contoso, endpoint: contoso.configuration.azure-api.net}\n"
    "cluster: west\nnamespace: dev\nimage: {tag: 2.11.1}\n"
)


def gateway_bot(
    *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_loads_none_of_the_heavy_packages() -> None:
    code = (
        "import sys; sys.argv = ['gateway-bot', '--help']\n"
        "import bot.__main__\n"
        "try: bot.__main__.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'kubernetes', 'azure', 'slack_bolt', 'redis', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(','.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "demo" in done.stdout


def test_without_a_command_the_help_is_printed() -> None:
    alone, asked = gateway_bot(), gateway_bot("--help")
    assert (alone.returncode, alone.stderr) == (0, "")
    assert alone.stdout == asked.stdout
    assert "k8s-manifest" in alone.stdout


def test_the_version_is_the_one_that_is_installed() -> None:
    done = gateway_bot("--version")
    assert done.returncode == 0
    assert done.stdout == f"gateway-bot {importlib.metadata.version('gateway-bot')}\n"


def test_what_installs_the_bot_is_printed_without_a_secret_or_a_connection(tmp_path: Path) -> None:
    path = tmp_path / "gateway-bot.yaml"
    path.write_text(text_of())
    for command, seen in (
        (("k8s-manifest", "--config", str(path)), "kind: Deployment"),
        (("k8s-manifest", "--config", str(path), "--cluster", "west"), "kind: RoleBinding"),
        (("azure-role", "--config", str(path)), "az role definition"),
        (("azure-role", "--json", "--config", str(path)), '"AssignableScopes"'),
        (("slack-manifest",), "socket_mode_enabled: true"),
        (("redis-acl", "--replicas"), "+wait"),
    ):
        done = gateway_bot(*command)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert seen in done.stdout
    done = gateway_bot("k8s-manifest", "--config", str(path), "--cluster", "north")
    assert done.stderr == (
        "gateway-bot: There is no cluster “north” in the settings. There are west.\n"
    )


def test_a_mistake_in_the_settings_is_one_sentence_without_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "gateway-bot.yaml"
    path.write_text("slack: {mode: pigeon}")
    for command in ("run", "check"):
        done = gateway_bot(command, "--config", str(path))
        assert done.returncode == 2
        assert "slack.mode" in done.stderr
        assert "Traceback" not in done.stderr


def test_render_prints_manifests_that_hold_no_token(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    done = gateway_bot("render", str(spec))
    assert done.returncode == 0, done.stderr
    for kind in ("ConfigMap", "Service", "PodDisruptionBudget", "Deployment"):
        assert f"kind: {kind}" in done.stdout
    assert "kind: Secret" not in done.stdout


def test_render_into_a_pipe_that_is_closed_ends_quietly(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "bot", "render", str(spec)],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_render_of_no_file_is_one_sentence(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.yaml"
    done = gateway_bot("render", str(missing))
    assert done.stderr == (
        f"gateway-bot: The spec {missing} cannot be read: No such file or directory.\n"
    )


def test_render_says_of_a_file_of_a_token_that_it_has_no_manifests(tmp_path: Path) -> None:
    spec = tmp_path / "token.yaml"
    spec.write_text("{manage: token, gateway: edge-1, cluster: west, namespace: prod}")
    done = gateway_bot("render", str(spec))
    assert done.returncode != 0
    assert "has no manifests, because it sets `manage: token`" in done.stderr
    assert "Others deploy west/prod/edge-1" in done.stderr


def test_render_says_which_field_is_wrong(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("gateway: edge-1\nreplcas: 3\n")
    done = gateway_bot("render", str(spec))
    assert done.returncode == 1
    assert "replicas" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_or_none_is_told_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = gateway_bot("demo", "--no-open", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "DEMO_ARGS='--port 3001'" in done.stderr
    done = gateway_bot("demo", "--no-open", "--port", "99999")
    assert "99999 is not a port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_address_of_redis_is_a_sentence_without_a_part_of_its_password(
    tmp_path: Path,
) -> None:
    path = tmp_path / "gateway-bot.yaml"
    path.write_text(text_of())
    secret = {
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_APP_TOKEN": "xapp-1",
        "REDIS_URL": "redis://u:pa7342/ss@h1",
    }
    for command in (("admin", "actions"), ("audit", "export")):
        done = gateway_bot(*command, "--config", str(path), env={**os.environ, **secret})
        assert "Percent-encode the special characters of its password" in done.stderr
        assert "Traceback" not in done.stderr
        assert "7342" not in done.stderr + done.stdout
        assert done.returncode == 2


@pytest.mark.parametrize(
    "option",
    ["image", "namespace", "secret", "host", "ingress-class", "gateway-namespace", "cluster", "user",
     "config"],
)  # fmt: skip
def test_an_option_whose_variable_is_not_set_is_refused(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["k8s-manifest", f"--{option}", ""])
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    assert f"argument --{option}: is given without a value; is the variable set" in told.err
