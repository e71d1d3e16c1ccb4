"""The image registry, as a client of the Docker Registry HTTP API V2 finds it."""

import hashlib
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest
import requests

from bot.sandbox.registry import Registry
from bot.sandbox.registry_accounts import Accounts
from tests.support.loops import running

REPOSITORY = "azure-api-management/gateway"
TAGS = ("2.9.2", "2.10.0", "2.10.1", "2.11.1", "2.12.1", "v2", "latest")


@pytest.fixture
def registry() -> Iterator[Registry]:
    server = Registry(repository=REPOSITORY, tags=TAGS)
    with running(server):
        yield server


def get(registry: Registry, path: str, method: str = "GET") -> requests.Response:
    return requests.request(method, urljoin(registry.url, path), timeout=30)


def test_every_tag_is_listed_once_and_in_no_useful_order(registry: Registry) -> None:
    body = get(registry, f"/v2/{REPOSITORY}/tags/list").json()
    assert body["name"] == REPOSITORY
    assert sorted(body["tags"]) == sorted(TAGS)
    assert body["tags"] != sorted(TAGS)
    assert get(registry, "/v2/").status_code == 200


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_pages_hold_together_whatever_their_size(registry: Registry, size: int) -> None:
    found: list[str] = []
    path = f"/v2/{REPOSITORY}/tags/list?n={size}"
    while path:
        answer = get(registry, path)
        assert len(answer.json()["tags"]) <= size
        found += answer.json()["tags"]
        path = answer.links.get("next", {}).get("url", "")
    assert sorted(found) == sorted(TAGS)


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_an_impossible_page_size_is_refused(registry: Registry, count: str) -> None:
    answer = get(registry, f"/v2/{REPOSITORY}/tags/list?n={count}")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (
        400,
        "PAGINATION_NUMBER_INVALID",
    )


def test_a_manifest_is_found_by_tag_and_by_its_digest(registry: Registry) -> None:
    head = get(registry, f"/v2/{REPOSITORY}/manifests/2.11.1", "HEAD")
    digest = head.headers["Docker-Content-Digest"]
    assert (head.status_code, head.content) == (200, b"")
    body = get(registry, f"/v2/{REPOSITORY}/manifests/{digest}").content
    assert digest == f"sha256:{hashlib.sha256(body).hexdigest()}"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"/v2/{REPOSITORY}/manifests/9.9.9", "MANIFEST_UNKNOWN"),
        ("/v2/another/manifests/2.11.1", "NAME_UNKNOWN"),
        ("/v2/another/tags/list", "NAME_UNKNOWN"),
    ],
)
def test_what_is_not_there_is_not_found(registry: Registry, path: str, code: str) -> None:
    answer = get(registry, path)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, code)


def test_a_registry_that_is_down_gives_no_answer(registry: Registry) -> None:
    registry.faults.set("down", True)
    with pytest.raises(requests.ConnectionError):
        get(registry, "/v2/")
    registry.faults.reset()
    assert get(registry, "/v2/").status_code == 200


def test_a_slow_registry_runs_into_a_timeout(registry: Registry) -> None:
    registry.faults.set("slow_ms", 60_000)
    with pytest.raises(requests.Timeout):
        requests.get(f"{registry.url}/v2/", timeout=1)


def test_a_registry_with_accounts_lets_in_whom_its_own_token_names() -> None:
    accounts = Accounts({"ana": "secret"}, frozenset({"refresh"}))
    server = Registry(repository=REPOSITORY, tags=TAGS, accounts=accounts)
    with running(server):
        path = f"/v2/{REPOSITORY}/tags/list"
        refused = get(server, path)
        challenge = refused.headers["WWW-Authenticate"]
        assert refused.status_code == 401
        assert challenge.startswith(f'Bearer realm="{server.url}/oauth2/token",service="')
        assert challenge.endswith(f'scope="repository:{REPOSITORY}:pull"')
        place = f"{server.url}/oauth2/token"
        scope = {"scope": f"repository:{REPOSITORY}:pull", "service": "s"}
        assert requests.get(place, params=scope, auth=("ana", "no"), timeout=30).status_code == 401
        by_password = requests.get(place, params=scope, auth=("ana", "secret"), timeout=30).json()
        form = {"grant_type": "refresh_token", "refresh_token": "refresh", **scope}
        by_form = requests.post(place, data=form, timeout=30).json()
        for token in (by_password["token"], by_form["access_token"]):
            bearer = {"Authorization": f"Bearer {token}"}
            assert requests.get(f"{server.url}{path}", headers=bearer, timeout=30).ok
        elsewhere = {**scope, "scope": "repository:another:pull"}
        other = requests.get(place, params=elsewhere, auth=("ana", "secret"), timeout=30).json()
        bearer = {"Authorization": f"Bearer {other['token']}"}
        assert requests.get(f"{server.url}{path}", headers=bearer, timeout=30).status_code == 401
