"""What is known of images where their pods pull them: Microsoft's registry, and mirrors that ask for
sign-in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from bot.clients import catalogue_of
from bot.sandbox.registry import Registry as RegistryServer
from bot.sandbox.registry_accounts import Accounts
from bot.settings import load_all
from deploy.errors import InvalidInput
from deploy.gateway import DEFAULT_REPOSITORY
from deploy.images import registry
from deploy.images.catalogue import Catalogue, Stock, address_of
from deploy.images.names import image_name
from tests.bot.test_settings import written
from tests.support.loops import running

ABSENT = f"sha256:{'0' * 64}"


@pytest.fixture
def microsoft() -> Iterator[RegistryServer]:
    server = RegistryServer(repository="gw", tags=["2.11.1", "2.12.1"])
    with running(server):
        yield server


@pytest.fixture
def mirror() -> Iterator[RegistryServer]:
    accounts = Accounts({"ana": "secret-of-ana"})
    server = RegistryServer(
        repository="mirror/gw", tags=["2.11.1"], accounts=accounts, several=["2.11.1"]
    )
    with running(server):
        yield server


def known(
    path: Path, microsoft: RegistryServer, monkeypatch: pytest.MonkeyPatch, **images: Any
) -> Catalogue:
    # The machine may be slow, and here only answers count.
    monkeypatch.setattr(registry, "_PATIENCE_SECONDS", 60.0)
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-x")
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-x")
    own = {"registry_url": microsoft.url, "repository": "gw"}
    settings, secrets = load_all(written(path, images={**own, **images}))
    return catalogue_of(settings, secrets, requests.Session())


def test_a_mirror_of_the_settings_is_read_with_the_credentials_of_the_environment(
    tmp_path: Path,
    microsoft: RegistryServer,
    mirror: RegistryServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REGISTRY_USER", "ana")
    monkeypatch.setenv("REGISTRY_PASSWORD", "secret-of-ana")
    found = known(tmp_path, microsoft, monkeypatch, pull_from=mirror.name)
    assert sorted(found.released()) == ["2.11.1", "2.12.1"]
    assert found.stock(DEFAULT_REPOSITORY, "2.12.1").tags is not None
    assert found.stock(mirror.name, "2.12.1") == Stock(("2.11.1",))
    several = mirror.digest("2.11.1"), *mirror.platforms("2.11.1")
    for digest in several:
        assert found.stock(mirror.name, "2.11.1", digest) == Stock(("2.11.1",), True, True)
    # One that there is, beside a tag that there is not; and one that there is not.
    assert found.stock(mirror.name, "2.12.1", several[0]) == Stock(("2.11.1",), None, True)
    assert found.stock(mirror.name, "2.11.1", ABSENT) == Stock(("2.11.1",), False, False)


def test_whether_a_tag_names_a_digest_of_another_kind_is_not_known(
    tmp_path: Path, microsoft: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = known(tmp_path, microsoft, monkeypatch)
    stock = found.stock(DEFAULT_REPOSITORY, "2.11.1", f"sha512:{'0' * 128}")
    assert stock.pinned_alike is None
    assert stock.pullable is False


def test_nobodys_word_makes_the_bot_ask_another_registry(
    tmp_path: Path,
    microsoft: RegistryServer,
    mirror: RegistryServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = known(tmp_path, microsoft, monkeypatch)
    assert found.stock(mirror.name, "2.11.1") == Stock()


def test_why_a_mirror_is_not_read_is_said(
    tmp_path: Path,
    microsoft: RegistryServer,
    mirror: RegistryServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = known(tmp_path, microsoft, monkeypatch, pull_from=mirror.name)
    assert "has no credentials for it" in found.stock(mirror.name, "2.11.1").unread
    monkeypatch.setenv("REGISTRY_USER", "ana")
    monkeypatch.setenv("REGISTRY_PASSWORD", "another")
    found = known(tmp_path, microsoft, monkeypatch, pull_from=mirror.name)
    assert "rejected the password of “ana”" in found.stock(mirror.name, "2.11.1").unread


def test_credentials_of_the_environment_need_the_registry_that_they_are_of(
    tmp_path: Path, microsoft: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", "secret-of-ana")
    with pytest.raises(InvalidInput, match=r"images\.pull_from") as wrong:
        known(tmp_path, microsoft, monkeypatch)
    assert "REGISTRY_USER" in str(wrong.value)
    assert "secret-of-ana" not in str(wrong.value)


@pytest.mark.parametrize(
    ("image", "parts", "version"),
    [
        ("r.io:5000/a/b:2.11.1", ("r.io:5000/a/b", "2.11.1", ""), "2.11.1"),
        (f"r.io/a:2@{ABSENT}", ("r.io/a", "2", ABSENT), "2@sha256:000000000000"),
        (f"r.io:5000/a@{ABSENT}", ("r.io:5000/a", "", ABSENT), "sha256:000000000000"),
        ("a", ("a", "", ""), ""),
    ],
)
def test_the_name_of_an_image_has_parts(
    image: str, parts: tuple[str, str, str], version: str
) -> None:
    found = image_name(image)
    assert (found.repository, found.tag, found.digest) == parts
    assert found.version == version


@pytest.mark.parametrize(
    ("host", "scheme"),
    [
        ("localhost:5000", "http"),
        ("127.0.0.1", "http"),
        ("127.1.2.3:5000", "http"),
        ("127.contoso.com", "https"),
        ("127.0.0.1.contoso.com:5000", "https"),
        ("localhost.contoso.com", "https"),
    ],
)
def test_only_an_address_of_this_machine_is_asked_over_plain_http(host: str, scheme: str) -> None:
    assert address_of(f"{host}/mirror/gw") == (f"{scheme}://{host}", "mirror/gw")
