"""Signing in to a registry over real sockets, and where credentials never go."""

import base64
import json
import logging
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.registry import Registry as RegistryServer
from bot.sandbox.registry_accounts import Accounts
from bot.sandbox.tls import Authority
from deploy.errors import GatewayBotError, NotFound, Refused, Unavailable
from deploy.images.logins import TOKEN_USER, Keyring, Login, login_of
from deploy.images.registry import Registry
from deploy.images.sign_in import challenges
from tests.support.loops import running
from tests.support.recorder import Recorder, Sent

PATH = "mirror/gateway"
TAGS = ("2.11.1", "2.12.1")
PASSWORD = "correct-horse-battery"
REFRESH = "refresh-token-of-acr"
ANA = Login("ana", PASSWORD, source="REGISTRY_PASSWORD")
ACCOUNTS: dict[str, Accounts] = {
    "bearer": Accounts({"ana": PASSWORD}, frozenset({REFRESH}), strangers=frozenset({"dan"})),
    "basic": Accounts({"ana": PASSWORD}, scheme="basic"),
    "no-post": Accounts({}, frozenset({REFRESH}), takes_post=False),
    "anonymous": Accounts({}, anonymous=True),
}


def server(accounts: Accounts, **more: Any) -> RegistryServer:
    return RegistryServer(repository=PATH, tags=TAGS, accounts=accounts, page=1, **more)


def read(url: str, login: Login | None = None, *, path: str = PATH) -> list[str]:
    given = {} if login is None else {url.partition("://")[2]: lambda: login}
    keyring = Keyring(given)
    session = requests.Session()
    registry = Registry(session, base_url=url, repository=path, keyring=keyring, patience=60)
    return sorted(registry.tags())


@pytest.mark.parametrize(
    ("kind", "login"),
    [
        ("bearer", ANA),
        ("bearer", login_of(TOKEN_USER, REFRESH, "")),
        ("basic", ANA),
        ("no-post", login_of(TOKEN_USER, REFRESH, "")),
        ("anonymous", None),
    ],
)
def test_a_registry_lets_in_whom_it_knows(kind: str, login: Login | None) -> None:
    with running(registry := server(ACCOUNTS[kind])):
        assert read(registry.url, login) == sorted(TAGS)


def test_a_token_that_has_ended_is_made_anew() -> None:
    with running(registry := server(ACCOUNTS["bearer"])):
        now = [0.0]
        client = Registry(
            requests.Session(),
            base_url=registry.url,
            repository=PATH,
            keyring=Keyring({registry.url.removeprefix("http://"): lambda: ANA}),
            clock=lambda: now[0],
            patience=60,
        )
        for _ in range(3):
            assert sorted(client.tags()) == sorted(TAGS)
            now[0] += 100
            registry.end_tokens()


WRONG: dict[str, tuple[str, Login | None, str, type[GatewayBotError], str]] = {
    "no credentials": ("bearer", None, PATH, Refused, "has no credentials for it"),
    "no credentials for Basic": ("basic", None, PATH, Refused, "has no credentials for it"),
    "a wrong password": (
        "bearer", login_of("ana", "wrong", "x"), PATH, Refused,
        "rejected the password of “ana”",
    ),
    "a wrong password for Basic": (
        "basic", login_of("ana", "wrong", "x"), PATH, Refused,
        "rejected the password of “ana”",
    ),
    "a refresh token that has ended": (
        "bearer", login_of(TOKEN_USER, "old", "x"), PATH, Refused,
        "rejected the refresh token",
    ),
    "a missing repository": ("bearer", ANA, "nobody/nothing", NotFound, "has no repository nobody"),
    "a missing repository for Basic": (
        "basic", ANA, "nobody/nothing", NotFound, "has no repository nobody",
    ),
    "no right to pull": (
        "bearer", login_of("dan", PASSWORD, "x"), PATH, Refused, "“dan” is not allowed to read mirror/gateway",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_apart(name: str) -> None:
    kind, login, path, error, words = WRONG[name]
    accounts = ACCOUNTS[kind]
    known = Accounts(
        {**accounts.passwords, "dan": PASSWORD},
        accounts.refresh_tokens,
        accounts.strangers,
        accounts.scheme,
    )
    with running(registry := server(known)), pytest.raises(error, match=words) as raised:
        read(registry.url, login, path=path)
    assert PASSWORD not in str(raised.value)
    assert "wrong" not in raised.value.happened


def test_a_secret_is_in_no_log_error_or_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    accounts = Accounts({"ana": "another"}, frozenset({"another"}))
    with running(registry := server(accounts)):
        for login in (ANA, login_of(TOKEN_USER, REFRESH, "")):
            with pytest.raises(Refused) as refused:
                read(registry.url, login)
            keyring = Keyring({"h": lambda: ANA})
            said = f"{caplog.text}{refused.value!r}{login!r}{keyring!r}"
            encoded = base64.b64encode(f"{login.user}:{login.secret}".encode()).decode()
            assert login.secret not in said
            assert encoded not in said


def recorded(challenge: str) -> tuple[Recorder, Recorder]:
    """A registry that asks for sign-in so, and another host that would take what it gets."""
    elsewhere = Recorder(lambda sent: web.json_response({"token": "t"}))

    def asks(sent: Sent) -> web.Response:
        header = challenge.format(elsewhere=elsewhere.url, host=elsewhere.host)
        return web.Response(status=401, headers={"WWW-Authenticate": header})

    return Recorder(asks), elsewhere


@pytest.mark.parametrize(
    "challenge",
    [
        'Bearer realm="{elsewhere}/token",service="s",scope="repository:mirror/gateway:pull"',
        'Bearer realm="https://{host}/token"',
        'Bearer realm="http://x@{host}/token"',
        'Bearer realm="//{host}/token"',
        'Bearer realm="file:///etc/passwd"',
        'Bearer realm="http://[::1"',
        "Bearer",
    ],
)
@pytest.mark.parametrize("login", [ANA, login_of(TOKEN_USER, REFRESH, ""), None])
def test_credentials_go_to_no_place_that_plain_http_named(
    challenge: str, login: Login | None
) -> None:
    registry, elsewhere = recorded(challenge)
    with running(elsewhere), running(registry):
        with pytest.raises(Refused, match="asks for credentials to be sent to"):
            read(registry.url, login)
        assert elsewhere.sent == []
        assert all("Authorization" not in sent.headers for sent in registry.sent)


@pytest.mark.parametrize("challenge", ['Basic realm="r"', 'Bearer realm="{url}/token",service="s"'])
@pytest.mark.parametrize("login", [ANA, login_of(TOKEN_USER, REFRESH, "")])
def test_credentials_leave_this_machine_over_tls_only(challenge: str, login: Login) -> None:
    url = "http://registry.contoso.example:5000"

    def asks(sent: Sent) -> web.Response:
        return web.Response(status=401, headers={"WWW-Authenticate": challenge.format(url=url)})

    # As its proxy it gets what another host would.
    with running(other := Recorder(asks)):
        session = requests.Session()
        session.proxies = {"http": other.url}
        keyring = Keyring({"registry.contoso.example:5000": lambda: login})
        registry = Registry(session, base_url=url, repository=PATH, keyring=keyring, patience=60)
        for read_it in (registry.tags, lambda: registry.digest("2.11.1")):
            with pytest.raises(Refused, match="over plain HTTP") as refused:
                read_it()
            assert login.secret not in str(refused.value)
    assert other.sent
    assert all("Authorization" not in sent.headers for sent in other.sent)
    assert all(sent.method == "GET" and "/token" not in sent.path for sent in other.sent)


def test_credentials_go_where_the_registry_says_so_over_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority.load_or_create(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca_pem_path))
    beside = server(ACCOUNTS["bearer"], tls=authority.server_context())
    with running(beside):
        realm = f"{beside.url}/oauth2/token"
        sent: list[Sent] = []

        def asks(request: Sent) -> web.Response:
            sent.append(request)
            return web.Response(
                status=401,
                headers={
                    "WWW-Authenticate": f'Bearer realm="{realm}",service="s",'
                    f'scope="repository:{PATH}:pull"'
                },
            )

        # Over plain HTTP the very same realm is not believed.
        with running(plain := Recorder(asks)), pytest.raises(Refused, match="asks for credentials"):
            read(plain.url, ANA)
        accounts = Accounts({"ana": PASSWORD}, realm=realm)
        secure = server(accounts, tls=authority.server_context())
        with running(secure), pytest.raises(Refused, match="“ana” is not allowed to read"):
            # The token was made there; this registry does not know it.
            read(secure.url, ANA)


def test_a_certificate_that_is_not_trusted_names_the_setting_for_its_authority(
    tmp_path: Path,
) -> None:
    authority = Authority.load_or_create(tmp_path)
    registry = server(ACCOUNTS["bearer"], tls=authority.server_context())
    with running(registry), pytest.raises(Unavailable, match="cannot be trusted: its") as told:
        read(registry.url, ANA)
    assert "REQUESTS_CA_BUNDLE" in told.value.remedy
    assert "minute" not in told.value.remedy


def test_what_netrc_says_is_sent_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login ana password {PASSWORD}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    open_ = Recorder(lambda sent: web.json_response({"tags": ["2.11.1"]}))
    with running(open_):
        assert read(open_.url) == ["2.11.1"]
    assert all("Authorization" not in sent.headers for sent in open_.sent)


def config_file(path: Path, config: Mapping[str, Any]) -> Keyring:
    file = path / "config.json"
    file.write_text(json.dumps(config))
    return Keyring(docker_config=file)


def encoded(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


HOST = "registry.contoso.com:5000"
ENTRY = {"auth": encoded("ana", PASSWORD)}
FOUND: dict[str, dict[str, Any]] = {
    "a host": {"auths": {HOST: ENTRY}},
    "a URL": {"auths": {f"https://{HOST}/v2/": ENTRY}},
    "a path": {"auths": {HOST: {"auth": encoded("no", "x")}, f"{HOST}/mirror": ENTRY}},
    "a helper that is switched off": {
        "credHelpers": {HOST: ""},
        "credsStore": "other",
        "auths": {HOST: ENTRY},
    },
    "user and password": {"auths": {HOST: {"username": "ana", "password": PASSWORD}}},
}
NOT_FOUND: dict[str, dict[str, Any]] = {
    "another port": {"auths": {"registry.contoso.com": ENTRY}},
    "another host": {"auths": {f"{HOST}.example": ENTRY}},
    "a host that ends alike": {"auths": {f"x{HOST}": ENTRY}},
    "another path": {"auths": {f"{HOST}/mirror/gate": ENTRY}},
    "an empty entry": {"auths": {HOST: {}}},
    "nothing": {},
}


@pytest.mark.parametrize("name", FOUND)
def test_a_docker_configuration_is_read_as_docker_writes_it(name: str, tmp_path: Path) -> None:
    login = config_file(tmp_path, FOUND[name]).login(HOST, PATH)
    assert login is not None
    assert (login.user, login.secret, login.renews) == ("ana", PASSWORD, False)


@pytest.mark.parametrize("name", NOT_FOUND)
def test_credentials_of_another_registry_are_not_taken(name: str, tmp_path: Path) -> None:
    assert config_file(tmp_path, NOT_FOUND[name]).login(HOST, PATH) is None


def test_an_identity_token_is_one_that_renews(tmp_path: Path) -> None:
    entry = {"auth": encoded(TOKEN_USER, ""), "identitytoken": REFRESH}
    login = config_file(tmp_path, {"auths": {HOST: entry}}).login(HOST, PATH)
    assert login is not None
    assert (login.secret, login.renews) == (REFRESH, True)


def test_docker_hub_is_known_by_its_names(tmp_path: Path) -> None:
    keyring = config_file(tmp_path, {"auths": {"https://index.docker.io/v1/": ENTRY}})
    assert keyring.login("registry-1.docker.io", "contoso/gateway") is not None


HELPERS: dict[str, tuple[str, str | None, str]] = {
    "a password": ('echo "{\\"Username\\":\\"ana\\",\\"Secret\\":\\"$(cat)-secret\\"}"', "ana", ""),
    "a token": (
        'echo "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"$(cat)-secret\\"}"',
        TOKEN_USER,
        "",
    ),
    "none": ("echo credentials not found in native keychain; exit 1", None, ""),
    "a fault": ("echo secret-on-stdout; exit 3", None, "its exit status is 3"),
    "no JSON": ("echo secret-on-stdout", None, "not that of a credential helper"),
}


@pytest.mark.parametrize("name", HELPERS)
def test_a_credential_helper_is_asked_for_its_registry(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, user, fault = HELPERS[name]
    program = tmp_path / "docker-credential-test"
    program.write_text(f'#!/bin/sh\n[ "$1" = get ] || exit 9\n{script}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    keyring = config_file(tmp_path, {"credHelpers": {HOST: "test"}, "credsStore": "other"})
    if fault:
        with pytest.raises(Unavailable, match=fault) as failed:
            keyring.login(HOST, PATH)
        assert "secret-on-stdout" not in str(failed.value)
        return
    login = keyring.login(HOST, PATH)
    assert (login.user if login else None) == user
    assert login is None or login.secret == f"{HOST}-secret"


@pytest.mark.parametrize(
    ("host", "server"),
    [(HOST, HOST), ("registry-1.docker.io", "https://index.docker.io/v1/")],
)
def test_the_helper_for_all_is_asked_before_what_the_file_holds(
    host: str, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = HELPERS["a password"][0]
    program = tmp_path / "docker-credential-test"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    keyring = config_file(tmp_path, {"auths": {host: ENTRY}, "credsStore": "test"})
    login = keyring.login(host, PATH)
    assert login is not None
    assert login.secret == f"{server}-secret"


@pytest.mark.parametrize("helper", ["../evil", "a b", "x" * 80, 3])
def test_the_name_of_a_helper_is_no_path(helper: Any, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="credential helper"):
        config_file(tmp_path, {"credHelpers": {HOST: helper}}).login(HOST, PATH)


@pytest.mark.parametrize(
    "text", ['{"auths": ', "[]", f'{{"auths": {{"{HOST}": {{"auth": "%"}}}}}}']
)
def test_a_configuration_that_cannot_be_read_says_so_without_its_content(
    text: str, tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text(text + " # hunter2" * text.endswith(": "))
    with pytest.raises(Unavailable, match="provides no credentials") as failed:
        Keyring(docker_config=file).login(HOST, PATH)
    assert "hunter2" not in str(failed.value)


def test_a_configuration_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"gone\.json cannot be read: No such file"):
        Keyring(docker_config=tmp_path / "gone.json").login(HOST, PATH)


def test_several_challenges_in_one_header_are_told_apart() -> None:
    found = challenges(
        'Bearer realm="https://a/t?x=1,2",scope="repository:a/b:pull,push", Basic realm="r"'
    )
    assert [each.scheme for each in found] == ["bearer", "basic"]
    assert found[0].parameters == {
        "realm": "https://a/t?x=1,2",
        "scope": "repository:a/b:pull,push",
    }


@given(st.text(max_size=300))
def test_any_header_is_read(header: str) -> None:
    assert all(each.scheme for each in challenges(header))
