"""What a kubeconfig's plugin is given, what of its answers is said, and what never is."""

import base64
import json
import logging
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.errors import InvalidInput, Unavailable
from deploy.kube import kubeconfig
from deploy.kube.cluster import connect
from deploy.kube.connection import Timeouts
from deploy.kube.exec_plugin import PluginRunner, credential_of
from deploy.kube.kubeconfig import FileOrData, Plugin, Server
from deploy.kube.sources import source_of
from tests.support.exec_plugins import V1, Answer, Issuer, after, credential
from tests.support.waiting import until

HIDDEN = "s3cr3t-of-the-plugin"
BETA = "client.authentication.k8s.io/v1beta1"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def write(directory: Path, user: dict[str, Any], **cluster: Any) -> Path:
    path = directory / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "clusters": [
                    {"name": "west", "cluster": {"server": "https://127.0.0.1:1", **cluster}}
                ],
                "users": [{"name": "bot", "user": user}],
                "contexts": [{"name": "west", "context": {"cluster": "west", "user": "bot"}}],
                "current-context": "west",
            }
        )
    )
    return path


def run(directory: Path, user: dict[str, Any], **cluster: Any) -> Any:
    server, found = kubeconfig.read(str(write(directory, user, **cluster)), None)
    assert found.plugin is not None
    return PluginRunner("west", found.plugin, server).run()


def refused(directory: Path, user: dict[str, Any]) -> InvalidInput:
    with pytest.raises(InvalidInput) as error:
        connect("west", kubeconfig=write(directory, user))
    assert error.value.field == "clusters.west.kubeconfig"
    return error.value


@pytest.mark.parametrize("version", [V1, BETA])
def test_a_plugin_is_run_as_kubectl_runs_it(tmp_path: Path, version: str) -> None:
    (tmp_path / "ca.pem").write_text("PEM")
    with Issuer(
        tmp_path, lambda _: credential({"token": "t", "expirationTimestamp": after(9)}, version)
    ) as issuer:
        user = issuer.user(
            apiVersion=version,
            args=["get-token", "--login", "spn"],
            env=[{"name": "TENANT", "value": "contoso"}],
            provideClusterInfo=True,
        )
        found = run(
            tmp_path,
            user,
            **{
                "certificate-authority": "ca.pem",
                "tls-server-name": "api.example",
                "extensions": [
                    {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}
                ],
            },
        )
        assert found.authorization == "Bearer t"
        (told,) = issuer.runs
        assert told["args"] == ["get-token", "--login", "spn"]
        assert told["env"]["TENANT"] == "contoso"
        assert told["info"] == {
            "apiVersion": version,
            "kind": "ExecCredential",
            "spec": {
                "interactive": False,
                "cluster": {
                    "server": "https://127.0.0.1:1",
                    "tls-server-name": "api.example",
                    "certificate-authority-data": "UEVN",
                    "config": {"audience": "x"},
                },
            },
        }


def test_a_plugin_that_does_not_ask_is_told_nothing_of_the_cluster(tmp_path: Path) -> None:
    with Issuer(tmp_path, lambda _: credential({"token": "t"})) as issuer:
        run(tmp_path, issuer.user())
        assert issuer.runs[0]["info"]["spec"] == {"interactive": False}


def test_a_command_with_a_path_begins_where_the_kubeconfig_is(tmp_path: Path) -> None:
    with Issuer(tmp_path, lambda _: credential({"token": "t"})) as issuer:
        user = issuer.user(command=f"./{issuer.program.name}")
        assert run(tmp_path, user).authorization == "Bearer t"


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (HIDDEN, "its output is not JSON"),
        (json.dumps([HIDDEN]), "is not an ExecCredential"),
        (
            json.dumps({"kind": "ExecCredential", "apiVersion": BETA}),
            f"does not have the apiVersion {V1}",
        ),
        (json.dumps({"kind": "ExecCredential", "apiVersion": V1}), "has no status"),
        (credential({"clientKeyData": HIDDEN}).stdout, "only one of client certificate and key"),
        (credential({}).stdout, "neither a token nor a client certificate"),
        (credential({"token": f"{HIDDEN}\nx"}).stdout, "characters that are not allowed"),
        (
            credential({"token": HIDDEN, "expirationTimestamp": "tomorrow"}).stdout,
            "is not a valid time",
        ),
        (
            credential({"clientCertificateData": HIDDEN, "clientKeyData": HIDDEN}).stdout,
            "not a matching pair of unencrypted PEM",
        ),
    ],
)
def test_an_answer_that_cannot_be_used_is_told_and_never_shown(
    tmp_path: Path, printed: str, said: str, log: pytest.LogCaptureFixture
) -> None:
    with Issuer(tmp_path, lambda _: Answer(printed)) as issuer:
        cluster = connect(
            "west",
            kubeconfig=write(tmp_path, issuer.user()),
            timeouts=Timeouts(repeat=0.0),
        )
        with pytest.raises(Unavailable) as error:
            cluster.namespaces()
        cluster.close()
    assert said in error.value.happened
    shown = "".join(traceback.format_exception(error.value)) + repr(error.value) + log.text
    assert f"sign-in-{issuer.program.name.rpartition('-')[2]}" in shown
    assert HIDDEN not in shown


@pytest.mark.parametrize(
    "stderr",
    [
        f'{{"token": "{HIDDEN}"}}',
        f"could not sign in with {HIDDEN}",
        f"Bearer {HIDDEN} is no good",
    ],
)
def test_no_secret_of_a_plugin_is_shown_when_it_fails(
    tmp_path: Path, stderr: str, log: pytest.LogCaptureFixture
) -> None:
    answer = Answer(stdout=HIDDEN, stderr=stderr, status=1)
    with Issuer(tmp_path, lambda _: answer) as issuer:
        user = issuer.user(
            args=["--password", HIDDEN], env=[{"name": "CLIENT_SECRET", "value": HIDDEN}]
        )
        cluster = connect("west", kubeconfig=write(tmp_path, user), timeouts=Timeouts(repeat=0.0))
        with pytest.raises(Unavailable) as error:
            cluster.namespaces()
        cluster.close()
    shown = "".join(traceback.format_exception(error.value)) + repr(error.value) + log.text
    assert "failed" in shown
    assert HIDDEN not in shown


def test_nothing_that_is_held_shows_its_secrets(tmp_path: Path) -> None:
    found = credential_of({"token": HIDDEN})
    path = write(
        tmp_path,
        {
            "token": HIDDEN,
            "password": HIDDEN,
            "exec": {"apiVersion": V1, "command": "x", "args": [HIDDEN]},
        },
    )
    assert HIDDEN not in repr((found, *kubeconfig.read(str(path), None)))


def test_what_a_plugin_started_ends_with_it_although_the_plugin_has_ended(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    program = tmp_path / "plugin"
    program.write_text(f"#!/bin/sh\nsleep 600 &\necho $! >{noted}.new && mv {noted}.new {noted}\n")
    program.chmod(0o755)
    server = Server("https://127.0.0.1:1", FileOrData())
    runner = PluginRunner("west", Plugin(str(program), V1), server)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(runner.run)
        pid = int(until(lambda: noted.exists() and noted.read_text(), "what it started"))
        runner.close()
        with pytest.raises(Unavailable):
            running.result(30)
    until(lambda: not runs(pid), "its end")


def runs(pid: int) -> bool:
    """Whether it runs; who takes it over may leave it as a zombie for a while."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_plugin_that_is_not_installed_is_told_with_the_kubeconfigs_hint(tmp_path: Path) -> None:
    exec_ = {"apiVersion": V1, "command": "kubelogin-of-nobody", "installHint": "Get it\nfrom us."}
    with pytest.raises(Unavailable) as error:
        run(tmp_path, {"exec": exec_})
    assert error.value.happened == (
        "The plugin “kubelogin-of-nobody” of cluster “west” is not installed where the bot runs."
    )
    assert error.value.remedy == "Get it from us."


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"exec": {"apiVersion": V1}}, "has no command"),
        ({"exec": {"apiVersion": V1, "command": "x", "interactiveMode": "Always"}}, "terminal"),
        (
            {"exec": {"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "x"}},
            "v1alpha1”; only ",
        ),
        (
            {"exec": {"apiVersion": V1, "command": "x"}, "auth-provider": {"name": "oidc"}},
            "both exec and auth-provider",
        ),
        ({"as-groups": ["x"], "token": HIDDEN}, "without as"),
        ({"token": f"{HIDDEN}\n{HIDDEN}"}, "characters that are not allowed"),
        ({"client-key-data": HIDDEN, "token": HIDDEN}, "not PEM in base64"),
        ({"exec": HIDDEN}, "its exec is not a mapping"),
        ({"as": "x", "as-groups": HIDDEN}, "its as-groups is not a list"),
        ({"as": "x", "as-user-extra": {"a": HIDDEN}}, "its as-user-extra is not a list"),
        (
            {"exec": {"apiVersion": V1, "command": "x", "args": HIDDEN}},
            "args of exec is not a list",
        ),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_refused_without_showing_it(
    tmp_path: Path, user: dict[str, Any], said: str
) -> None:
    error = refused(tmp_path, user)
    assert said in error.happened
    assert HIDDEN not in "".join(traceback.format_exception(error))


def test_nothing_where_lists_may_be_is_an_empty_one(tmp_path: Path) -> None:
    empty = {"as": "x", "as-groups": None, "as-user-extra": {"a": None}}
    _, user = kubeconfig.read(str(write(tmp_path, empty)), None)
    assert user.impersonation == (("Impersonate-User", "x"),)


def test_a_password_may_have_any_characters(tmp_path: Path) -> None:
    path = write(tmp_path, {"username": "bot", "password": "10 €"})
    server, user = kubeconfig.read(str(path), None)
    source = source_of("west", user, server, str(path), None)
    kind, _, encoded = source.current().authorization.partition(" ")
    assert (kind, base64.b64decode(encoded).decode()) == ("Basic", "bot:10 €")


def test_a_kubeconfig_that_is_not_yaml_is_refused_with_its_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(f"users:\n- token: '{HIDDEN}\n")
    with pytest.raises(InvalidInput) as error:
        connect("west", kubeconfig=path)
    assert "is not YAML in line" in error.value.happened
    assert HIDDEN not in "".join(traceback.format_exception(error.value))


def test_of_several_kubeconfigs_the_first_of_a_name_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for each, token in ((first, "one"), (second, "two")):
        each.mkdir()
        write(each, {"token": token})
    location = f"{first / 'kubeconfig'}:{tmp_path / 'missing'}:{second / 'kubeconfig'}"
    _, user = kubeconfig.read(location, "west")
    assert user.token == "one"
    with pytest.raises(kubeconfig.Unusable, match="no context “east”"):
        kubeconfig.read(location, "east")
    with pytest.raises(kubeconfig.Unusable, match="there is no file"):
        kubeconfig.read(str(tmp_path / "missing"), None)
