"""`/gateway tags` over real sockets: Microsoft's registry, and a mirror that asks for sign-in."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests

from bot.sandbox.registry import Registry as RegistryServer
from bot.sandbox.registry_accounts import Accounts
from deploy.errors import NotFound, Unavailable
from deploy.gateway import DEFAULT_REPOSITORY
from deploy.images.catalogue import Catalogue
from deploy.images.logins import Keyring, Login
from deploy.images.registry import Registry
from handlers.slack.payloads import Request
from handlers.verbs.tags import VERB, Needs
from tests.support.loops import running
from tests.support.shown import check_blocks

ANA = Login("ana", "secret-of-ana")


@pytest.fixture
def microsoft() -> Iterator[RegistryServer]:
    server = RegistryServer(repository="gw", tags=["2.11.1", "2.12.1"])
    with running(server):
        yield server


@pytest.fixture
def mirror() -> Iterator[RegistryServer]:
    accounts = Accounts({"ana": "secret-of-ana"})
    server = RegistryServer(repository="m", tags=["2.11.1", "2.11.1-own"], accounts=accounts)
    with running(server):
        yield server


def shown(
    microsoft: RegistryServer,
    mirrors: Mapping[RegistryServer, Login | None],
    **options: Any,
) -> str:
    def registry(server: RegistryServer, path: str, login: Login | None = None) -> Registry:
        host = server.url.removeprefix("http://")
        keyring = Keyring({} if login is None else {host: lambda: login})
        session = requests.Session()
        return Registry(session, base_url=server.url, repository=path, keyring=keyring, patience=60)

    others = {server.name: registry(server, "m", login) for server, login in mirrors.items()}
    catalogue = Catalogue(registry(microsoft, "gw"), DEFAULT_REPOSITORY, others)
    needs = Needs(catalogue, {}, DEFAULT_REPOSITORY, "/gateway")
    reply = VERB.run(needs, Request("r", "tags", "U1", "C1", options=options))
    assert reply is not None
    check_blocks(list(reply.blocks))
    return json.dumps(list(reply.blocks), ensure_ascii=False)


def line(text: str, tag: str) -> str:
    """The line of a tag, in blocks as JSON."""
    found = re.search(rf'`{re.escape(tag)}`[^"\\]*', text)
    assert found is not None
    return found[0]


def test_what_a_mirror_has_stands_beside_microsofts_support(
    microsoft: RegistryServer, mirror: RegistryServer
) -> None:
    text = shown(microsoft, {mirror: ANA})
    assert line(text, "2.12.1").endswith("newest · mirror: no")
    assert "mirror: yes" in line(text, "2.11.1")
    assert "mirror: yes" in line(text, "2.11.1-own")
    assert f"Mirror: `{mirror.name}`" in text


def test_a_mirror_or_microsoft_that_cannot_be_read_takes_nothing_from_the_others(
    microsoft: RegistryServer, mirror: RegistryServer
) -> None:
    text = shown(microsoft, {mirror: None})
    assert line(text, "2.12.1").endswith("mirror: unknown")
    assert "has no credentials for it" in text
    microsoft.faults.set("down", True)
    text = shown(microsoft, {mirror: ANA})
    assert "Support is not known: The image registry" in text
    assert "mirror: yes" in line(text, "2.11.1")
    with pytest.raises(Unavailable, match="does not answer"):
        shown(microsoft, {})


def test_the_digest_of_a_tag_is_told_where_it_is(
    microsoft: RegistryServer, mirror: RegistryServer
) -> None:
    text = shown(microsoft, {mirror: ANA}, digest="2.11.1")
    assert f"{DEFAULT_REPOSITORY}:2.11.1@{microsoft.digest('2.11.1')}" in text
    assert f"{mirror.name}:2.11.1@{mirror.digest('2.11.1')}" in text
    own = shown(microsoft, {mirror: ANA}, digest="2.11.1-own")
    assert DEFAULT_REPOSITORY not in own
    with pytest.raises(NotFound, match="No registry has the tag"):
        shown(microsoft, {mirror: ANA}, digest="9.9.9")
