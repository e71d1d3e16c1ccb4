"""The Event Grid endpoint over a real socket: who proves itself is heard, nobody else."""

import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import requests
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from bot.entra_tokens import ROLE, EntraTokens
from bot.event_grid import EventGrid
from deploy.deadline import Deadline
from deploy.errors import Unavailable
from deploy.expiry.event_grid import TokenEvent
from tests.deploy.expiry.test_event_grid import body, event
from tests.support.loops import running as serving

SECRET = "a-secret-of-the-subscription"
TENANT, AUDIENCE = "72f988bf-0000-4000-8000-000000000001", "api://gateway-bot"


class Bed:
    """A running endpoint, and what it was told."""

    def __init__(self) -> None:
        self.events: list[TokenEvent] = []
        self.fails = False
        self.good = "a-good-token"
        self.server = EventGrid(
            "127.0.0.1", 0, "/event-grid", self.take, secret=lambda: SECRET,
            token_check=lambda token: token == self.good,
        )  # fmt: skip
        self.url = f"http://127.0.0.1:{self.server.port}/event-grid"

    def take(self, found: TokenEvent) -> None:
        if self.fails:
            raise Unavailable("Redis cannot be used now.")
        self.events.append(found)

    def post(self, raw: bytes, query: str = "", **headers: str) -> requests.Response:
        return requests.post(self.url + query, data=raw, headers=headers, timeout=10)


@pytest.fixture(scope="module")
def running() -> Iterator[Bed]:
    bed = Bed()
    bed.server.start()
    yield bed
    bed.server.stop(Deadline.after(5))


@pytest.fixture
def bed(running: Bed) -> Bed:
    running.events.clear()
    running.fails = False
    return running


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        (f"?key={SECRET}", {}),
        ("", {"X-Event-Grid-Key": SECRET}),
        ("", {"Authorization": "Bearer a-good-token"}),
    ],
)
def test_a_delivery_that_proves_itself_is_taken(
    bed: Bed, query: str, headers: dict[str, str]
) -> None:
    assert bed.post(body(event()), query, **headers).status_code == 200
    assert [e.gateway for e in bed.events] == ["edge-1"]


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {}),
        ("?key=", {}),
        ("?key=wrong", {}),
        ("?key=%FF%FE", {}),
        ("", {"Authorization": "Bearer a-bad-token"}),
        ("", {"Authorization": f"Basic {SECRET}"}),
        ("", {"X-Event-Grid-Key": "wrong"}),
    ],
)
def test_one_that_does_not_is_not_even_read(bed: Bed, query: str, headers: dict[str, str]) -> None:
    assert bed.post(b"no json", query, **headers).status_code == 401
    asked = event(eventType="Microsoft.EventGrid.SubscriptionValidationEvent")
    assert bed.post(body(asked), query, **headers).text == ""
    assert bed.events == []


def test_both_handshakes_are_answered(bed: Bed) -> None:
    asked = event(
        eventType="Microsoft.EventGrid.SubscriptionValidationEvent", data={"validationCode": "12ab"}
    )
    answer = bed.post(body(asked), f"?key={SECRET}")
    assert answer.json() == {"validationResponse": "12ab"}
    origin = {"WebHook-Request-Origin": "eventgrid.azure.net"}
    answer = requests.options(bed.url, headers=origin, timeout=10)
    assert answer.status_code == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert requests.options(bed.url, timeout=10).status_code == 400


def test_what_cannot_be_kept_is_asked_for_again(bed: Bed) -> None:
    bed.fails = True
    answer = bed.post(body(event()), f"?key={SECRET}")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_other_paths_methods_and_bodies_are_refused(bed: Bed) -> None:
    assert requests.get(bed.url, timeout=10).status_code == 405
    assert requests.post(f"{bed.url}/more", timeout=10).status_code == 404
    assert bed.post(b"{", f"?key={SECRET}").status_code == 400
    assert bed.post(b"x" * 1_200_000, f"?key={SECRET}").status_code == 413


class Tenant:
    """An Entra ID that publishes the keys of its tokens."""

    def __init__(self) -> None:
        self.keys = {"one": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
        self.asked = 0
        self.down = False
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Its authority."""
        assert self._runner is not None
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def start(self) -> None:
        """Serve."""
        app = web.Application()
        app.router.add_get(f"/{TENANT}/discovery/v2.0/keys", self.answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    async def stop(self) -> None:
        """Stop serving."""
        assert self._runner is not None
        await self._runner.cleanup()

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.down:
            return web.Response(status=503)
        found = []
        for name, key in self.keys.items():
            entry: Any = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
            found.append({**entry, "kid": name, "use": "sig", "alg": "RS256"})
        return web.json_response({"keys": found})

    def token(self, url: str, key: str = "one", **changes: Any) -> str:
        now = int(time.time())
        claims = {
            "aud": AUDIENCE,
            "iss": f"{url}/{TENANT}/v2.0",
            "iat": now,
            "exp": now + 600,
            "roles": [ROLE],
            **changes,
        }
        return jwt.encode(claims, self.keys[key], algorithm="RS256", headers={"kid": key})


@pytest.fixture(scope="module")
def tenant() -> Iterator[tuple[Tenant, str]]:
    found = Tenant()
    with serving(found):
        yield found, found.url


def checker(url: str, clock: Any = time.monotonic) -> EntraTokens:
    return EntraTokens(
        requests.Session(), authority=url, tenant=TENANT, audience=AUDIENCE, clock=clock
    )


def test_a_token_of_the_tenant_for_this_audience_with_event_grids_role_is_good(
    tenant: tuple[Tenant, str],
) -> None:
    entra, url = tenant
    check = checker(url)
    assert check(entra.token(url))
    assert check(entra.token(url, iss=f"https://sts.windows.net/{TENANT}/"))
    asked = entra.asked
    assert check(entra.token(url))
    assert entra.asked == asked


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "api://another"},
        {"iss": "https://sts.windows.net/another/"},
        {"exp": 1},
        {"roles": ["Reader"]},
        {"roles": None},
    ],
)
def test_any_other_is_not(tenant: tuple[Tenant, str], changes: dict[str, Any]) -> None:
    entra, url = tenant
    assert not checker(url)(entra.token(url, **changes))


def test_a_token_that_somebody_else_signed_or_nobody_is_not_good(
    tenant: tuple[Tenant, str],
) -> None:
    _, url = tenant
    other = Tenant()
    check = checker(url)
    assert not check(other.token(url))
    none = jwt.encode({"aud": AUDIENCE, "roles": [ROLE]}, "", algorithm="none")
    assert not check(none)
    assert not check("nonsense")
    secret = jwt.encode({"aud": AUDIENCE}, "x" * 40, algorithm="HS256", headers={"kid": "one"})
    assert not check(secret)


def test_a_new_key_of_the_tenant_is_learned_but_not_asked_for_ever(
    tenant: tuple[Tenant, str],
) -> None:
    entra, url = tenant
    now = [0.0]
    check = checker(url, lambda: now[0])
    assert check(entra.token(url))
    entra.keys["two"] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    asked = entra.asked
    assert not check(entra.token(url, "two"))
    assert entra.asked == asked
    now[0] = 61.0
    assert check(entra.token(url, "two"))
    assert entra.asked == asked + 1


def test_a_tenant_that_does_not_answer_lets_nobody_in_and_azure_tries_again(
    tenant: tuple[Tenant, str],
) -> None:
    entra, url = tenant
    entra.down = True
    try:
        with pytest.raises(Unavailable):
            checker(url)(entra.token(url))
    finally:
        entra.down = False
