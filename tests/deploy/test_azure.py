"""The ARM client against the sandbox's Azure, signed in by azure-identity itself."""

import dataclasses
import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from azure.identity import ClientSecretCredential

from bot.clients import _SIGN_IN_LIMITS
from bot.sandbox.azure import ApimService, Azure, ClientApp, GatewayResource
from bot.sandbox.tls import Authority
from deploy.azure import ApimInstance, ArmClient
from deploy.errors import Conflict, GatewayBotError, NotFound, Refused, Unavailable
from deploy.waits import Work
from tests.support.echoing_proxy import EchoingProxy, arm_error
from tests.support.loops import running

TENANT, CLIENT, SECRET = "11111111-0000-4000-8000-000000000001", "client-1", "s3cret"
APIM = "Microsoft.ApiManagement/service/gateways"
INSTANCE = ApimInstance("contoso", "sub-1", "rg-1", "contoso", "contoso.configuration")
NOW = datetime.datetime.now(datetime.UTC)
ALLOWED = frozenset({f"{APIM}/read", f"{APIM}/generateToken/action"})


@pytest.fixture(params=[ALLOWED], ids=["allowed"])
def azure(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Azure]:
    authority = Authority.load_or_create(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca_pem_path))
    gateways = [GatewayResource(f"gw-{n:03}", f"Number {n}") for n in range(120)]
    server = Azure(
        tenant_id=TENANT,
        clients=[ClientApp(CLIENT, SECRET, request.param)],
        services=[ApimService("sub-1", "rg-1", "contoso", gateways=gateways)],
        tls=authority.server_context(),
    )
    with running(server):
        yield server


def client(azure: Azure, secret: str = SECRET) -> ArmClient:
    waited = [0.0]

    def sleep(seconds: float) -> None:
        waited[0] += seconds

    credential = ClientSecretCredential(
        TENANT, CLIENT, secret, authority=azure.url, disable_instance_discovery=True
    )
    return ArmClient(
        requests.Session(), credential, endpoint=azure.url, clock=lambda: waited[0], sleep=sleep
    )


def in_days(count: float) -> datetime.datetime:
    return NOW + datetime.timedelta(days=count)


def test_every_page_of_gateways_is_read(azure: Azure) -> None:
    found = client(azure).list_gateways(INSTANCE)
    assert [g.name for g in found] == [f"gw-{n:03}" for n in range(120)]
    assert found[7].description == "Number 7"


def test_a_minted_token_is_good_until_its_expiry_and_the_same_when_asked_again(
    azure: Azure,
) -> None:
    arm = client(azure)
    token = arm.generate_token(INSTANCE, "gw-001", "primary", in_days(29))
    assert token == arm.generate_token(INSTANCE, "gw-001", "primary", in_days(29))
    assert token != arm.generate_token(INSTANCE, "gw-001", "secondary", in_days(29))
    url = f"{azure.configuration_url}/gateways/gw-001/events"
    headers = {"Authorization": f"GatewayKey {token.value}"}
    assert requests.get(url, headers=headers, timeout=30).status_code == 200
    wrong = f"{azure.configuration_url}/gateways/gw-002/events"
    assert requests.get(wrong, headers=headers, timeout=30).status_code == 403
    assert token.value.rpartition("&")[2] not in repr(token)


def test_a_throttled_call_waits_as_long_as_azure_asks_and_goes_on(azure: Azure) -> None:
    arm = client(azure)
    azure.faults.set("retry_after_seconds", 3.0)
    azure.faults.set("arm_status", "429")
    slept: list[float] = []
    work = Work()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        (wait,) = work.waits
        assert (wait.whom, wait.why) == ("Azure", "Azure is throttling the bot's requests.")
        azure.faults.set("arm_status", "none")

    arm._sleep = sleep
    with arm._waits.of(work):
        assert len(arm.list_gateways(INSTANCE)) == 120
    assert slept == [3.0]
    assert work.waits == ()


@pytest.mark.parametrize("seconds", [0.0, 3.0])
def test_who_repeats_by_themselves_is_told_at_once_how_long_to_wait(
    azure: Azure, seconds: float
) -> None:
    arm = client(azure)
    azure.faults.set("retry_after_seconds", seconds)
    azure.faults.set("arm_status", "429")
    with pytest.raises(Unavailable) as raised:
        arm.asking_once().list_gateways(INSTANCE)
    assert raised.value.retry_after == seconds
    assert arm._clock() == 0.0


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        ("401", Refused, "rejected the bot's sign-in"),
        ("403", Refused, "gateways/read"),
        ("404", NotFound, "does not have"),
        ("429", Unavailable, "is throttling"),
        ("500", Unavailable, "answered 500"),
        ("503", Unavailable, "answered 503"),
    ],
)
def test_each_refusal_is_a_sentence(
    azure: Azure, status: str, error: type[GatewayBotError], said: str
) -> None:
    azure.faults.set("arm_status", status)
    with pytest.raises(error, match=said):
        client(azure).list_gateways(INSTANCE)


@pytest.mark.parametrize("status", [400, 404, 409])
def test_a_token_that_azure_quotes_in_an_error_is_not_repeated(
    azure: Azure, tmp_path: Path, status: int
) -> None:
    tls = Authority.load_or_create(tmp_path).server_context()
    proxy = EchoingProxy(azure.url, tls)
    proxy.spoil = arm_error(status)
    with running(proxy):
        credential = ClientSecretCredential(
            TENANT, CLIENT, SECRET, authority=azure.url, disable_instance_discovery=True
        )
        arm = ArmClient(requests.Session(), credential, endpoint=proxy.url)
        with pytest.raises(GatewayBotError) as raised:
            arm.generate_token(INSTANCE, "gw-001", "primary", in_days(29))
    told = f"{raised.value} {raised.value.meaning} {raised.value.remedy}"
    assert "Upstream said: GatewayKey gw-001&" in told
    assert "&[hidden]" in told
    signature = azure.issue_token("contoso", "gw-001", in_days(29)).rpartition("&")[2]
    assert signature[:12] not in told


def test_garbage_is_not_taken_for_an_answer(azure: Azure) -> None:
    azure.faults.set("arm_garbage", True)
    with pytest.raises(Unavailable, match="unreadable"):
        client(azure).list_gateways(INSTANCE)
    with pytest.raises(Unavailable, match="unreadable"):
        client(azure).regenerate_key(INSTANCE, "gw-001", "primary")


@pytest.mark.parametrize(("status", "untouched"), [("429", True), ("500", False), ("503", False)])
def test_whether_a_call_may_have_been_carried_out_is_told(
    azure: Azure, status: str, untouched: bool
) -> None:
    azure.faults.set("arm_status", status)
    with pytest.raises(Unavailable) as away:
        client(azure).regenerate_key(INSTANCE, "gw-001", "primary")
    assert away.value.untouched is untouched


def test_a_refusal_does_not_tell_what_became_of_the_request_before_it(azure: Azure) -> None:
    arm = client(azure)
    azure.faults.set("arm_status", "503")
    arm._sleep = lambda seconds: azure.faults.set("arm_status", "409")
    with pytest.raises(Conflict) as busy:
        arm.regenerate_key(INSTANCE, "gw-001", "primary")
    assert not busy.value.untouched
    with pytest.raises(Conflict) as busy:
        arm.regenerate_key(INSTANCE, "gw-001", "primary")
    assert busy.value.untouched


def test_a_sign_in_that_fails_does_not_tell_what_became_of_the_request_before_it(
    azure: Azure,
) -> None:
    arm = client(azure)
    azure.faults.set("arm_status", "503")

    def leave(_: float) -> None:
        arm._sign_in = client(azure, "wrong")._sign_in

    arm._sleep = leave
    with pytest.raises(Refused, match="credential") as refused:
        arm.regenerate_key(INSTANCE, "gw-001", "primary")
    assert not refused.value.untouched


def test_a_service_that_no_connection_reaches_has_done_nothing(azure: Azure) -> None:
    arm = client(azure)
    arm._bearer = lambda: "signed in"  # type: ignore[method-assign]  # before it went away
    arm._endpoint = "http://127.0.0.1:9"
    with pytest.raises(Unavailable, match="cannot be reached") as away:
        arm.regenerate_key(INSTANCE, "gw-001", "primary")
    assert away.value.untouched


def test_a_sign_in_that_hangs_is_given_up_and_goes_on_for_the_next_one(azure: Azure) -> None:
    arm = client(azure)
    arm._sign_in_seconds = 0.2
    azure.faults.set("entra_slow_ms", 60_000)
    for _ in range(2):
        with pytest.raises(Unavailable, match="sign-in service does not answer") as given_up:
            arm.list_gateways(INSTANCE)
        assert given_up.value.untouched
    azure.faults.set("entra_slow_ms", 0)
    signed_in = client(azure)
    assert len(signed_in.list_gateways(INSTANCE)) == 120


def test_a_sign_in_that_nobody_listens_for_is_no_refusal_of_the_credential(azure: Azure) -> None:
    nobody = ClientSecretCredential(
        TENANT,
        CLIENT,
        SECRET,
        authority="https://127.0.0.1:9",
        disable_instance_discovery=True,
        **_SIGN_IN_LIMITS,
    )
    arm = ArmClient(requests.Session(), nobody, endpoint=azure.url)
    with pytest.raises(Unavailable, match="sign-in service cannot be reached: it refuses"):
        arm.list_gateways(INSTANCE)


@pytest.mark.parametrize(
    ("tenant", "app", "secret", "said", "remedy"),
    [
        ("other.example", CLIENT, SECRET, "tenant does not exist", "Correct azure.tenant_id"),
        (TENANT, "client-2", SECRET, "application does not exist", "Correct azure.client_id"),
        (TENANT, CLIENT, "wrong", "client secret is wrong", "value of the secret, not its ID"),
    ],
)
def test_what_entra_id_refuses_is_told_apart_with_what_to_change(
    azure: Azure, tenant: str, app: str, secret: str, said: str, remedy: str
) -> None:
    credential = ClientSecretCredential(
        tenant, app, secret, authority=azure.url, disable_instance_discovery=True
    )
    arm = ArmClient(requests.Session(), credential, endpoint=azure.url)
    with pytest.raises(Refused, match=f"rejected the bot's credentials: the {said}") as refused:
        arm.list_gateways(INSTANCE)
    assert "AADSTS" in refused.value.happened
    assert remedy.lower() in refused.value.remedy.lower()
    assert "minute" not in refused.value.remedy


@pytest.mark.parametrize("part", ["sign-in", "Resource Manager"])
def test_a_certificate_that_is_not_trusted_names_the_setting_and_is_not_waited_for(
    azure: Azure, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = ClientSecretCredential(
        TENANT,
        CLIENT,
        SECRET,
        authority=azure.url,
        disable_instance_discovery=True,
        **_SIGN_IN_LIMITS,
    )
    arm = ArmClient(requests.Session(), credential, endpoint=azure.url, sign_in_seconds=60)
    if part == "Resource Manager":
        arm.list_gateways(INSTANCE)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    arm._session = requests.Session()
    arm._budget = 0.0
    with pytest.raises(Unavailable, match="certificate is not accepted") as distrusted:
        arm.list_gateways(INSTANCE)
    assert part in distrusted.value.happened
    assert "REQUESTS_CA_BUNDLE" in distrusted.value.remedy
    assert "minute" not in distrusted.value.remedy
    assert distrusted.value.untouched


def test_a_wrong_secret_and_a_silent_sign_in_are_told_apart(azure: Azure) -> None:
    with pytest.raises(Refused, match="credential"):
        client(azure, "wrong").list_gateways(INSTANCE)


def test_a_gateway_that_is_not_there_is_named(azure: Azure) -> None:
    with pytest.raises(NotFound, match="gw-999"):
        client(azure).generate_token(INSTANCE, "gw-999", "primary", in_days(1))


@pytest.mark.parametrize("azure", [frozenset({f"{APIM}/read"})], indirect=True, ids=["read"])
def test_the_right_that_is_missing_is_named(azure: Azure) -> None:
    with pytest.raises(Refused, match="generateToken/action"):
        client(azure).generate_token(INSTANCE, "gw-001", "primary", in_days(1))


def test_a_lifetime_over_the_limit_is_refused_by_azure(azure: Azure) -> None:
    with pytest.raises(GatewayBotError, match=r"30 days|incorrect values"):
        client(azure).generate_token(INSTANCE, "gw-001", "primary", in_days(31))


def test_an_azure_that_is_not_there_is_said_not_to_answer(azure: Azure) -> None:
    arm = client(azure)
    arm.list_gateways(INSTANCE)
    arm._endpoint = "https://127.0.0.1:9"
    with pytest.raises(GatewayBotError, match=r"Azure|sign-in"):
        arm.list_gateways(INSTANCE)


def test_azures_clock_is_read_from_its_answer(azure: Azure) -> None:
    told = client(azure).time(INSTANCE, "gw-001")
    assert abs(told - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(minutes=1)


def test_the_clock_of_a_gateway_that_is_not_there_is_not_found(azure: Azure) -> None:
    with pytest.raises(NotFound, match="gw-999"):
        client(azure).time(INSTANCE, "gw-999")


class OneAway:
    """A Resource Manager that answers 503 for every service but contoso."""

    def request(self, method: str, url: str, **_: object) -> requests.Response:
        """As a session does."""
        answer = requests.Response()
        answer.status_code = 200 if "/service/contoso/" in url else 503
        answer._content = b'{"value": []}'
        return answer


def test_a_service_that_is_away_leaves_the_others_theirs(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.breaker._COSTLY_SECONDS", 0.0)
    arm = client(azure)
    monkeypatch.setattr(arm, "_session", OneAway())
    away = dataclasses.replace(INSTANCE, name="fabrikam", service="fabrikam")
    for _ in range(2):
        with pytest.raises(Unavailable, match="answered 503"):
            arm.list_gateways(away)
    assert arm.list_gateways(INSTANCE) == ()
    with pytest.raises(Unavailable, match="retries it in"):
        arm.list_gateways(away)
