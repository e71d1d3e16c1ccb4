"""Gateway tokens: how they are made, and what the configuration endpoint thinks of them."""

import datetime

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.azure import keytoken
from tests.support.azure import BOT, OWNER, AzureBed, error_of

KEY, OTHER_KEY = "cHJpbWFyeQ==", "c2Vjb25kYXJ5"
NOW = datetime.datetime(2026, 11, 23, 12, 0, tzinfo=datetime.UTC)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,30}", fullmatch=True)
seconds = st.integers(-90 * 86400, 90 * 86400)


@given(names, seconds)
def test_a_token_is_good_to_its_minute_and_to_no_other_gateway(gateway: str, after: int) -> None:
    expires = NOW + datetime.timedelta(seconds=after)
    shown = f"GatewayKey {keytoken.make(gateway, KEY, expires)}"
    last_minute = expires.replace(second=0)
    assert keytoken.judge(gateway, [OTHER_KEY, KEY], shown, NOW) == (
        200 if last_minute > NOW else 401
    )
    assert keytoken.judge(f"{gateway}x", [KEY], shown, NOW) == 403
    assert keytoken.judge(gateway, [OTHER_KEY], shown, NOW) == 403


@given(st.text())
def test_what_is_no_token_is_never_good(text: str) -> None:
    assert keytoken.judge("edge-1", [KEY], text, NOW) in (401, 403)
    assert keytoken.judge("edge-1", [KEY], f"GatewayKey edge-1&209901010000&{text}", NOW) != 200


def test_the_same_key_and_expiry_give_the_same_token(bed: AzureBed) -> None:
    expiry = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=5)).isoformat()

    def mint(key: str) -> str:
        body = {"keyType": key, "expiry": expiry}
        answer = bed.call("POST", "/gateways/edge-1/generateToken", body=body)
        value: str = answer.json()["value"]
        return value

    first = mint("primary")
    assert mint("primary") == first
    assert mint("secondary") != first
    assert not first.startswith("GatewayKey ")


@pytest.mark.parametrize(
    "body",
    [
        {"keyType": "primary"},
        {"keyType": "primary", "expiry": "soon"},
        {"keyType": "primary", "expiry": 20261201},
        {"keyType": "primary", "expiry": "2020-04-21T00:44:24.2845269Z"},
        {"keyType": "primary", "expiry": "2999-01-01T00:00:00Z"},
        {"keyType": "primary", "expiry": "0001-01-01T00:00:00+14:00"},
        {"keyType": "tertiary", "expiry": "2026-12-01T00:00:00Z"},
    ],
)
def test_a_token_needs_a_key_and_an_expiry_within_30_days(
    bed: AzureBed, body: dict[str, object]
) -> None:
    answer = bed.call("POST", "/gateways/edge-1/generateToken", body=body)
    assert error_of(answer) == (400, "ValidationError")


def test_a_good_token_gets_the_gateways_apis(bed: AzureBed) -> None:
    answer = bed.poll(f"GatewayKey {bed.token(client=BOT)}")
    assert answer.json() == {"value": [], "apis": [{"name": "echo-api", "path": "echo"}]}
    bed.call("DELETE", "/gateways/edge-1/apis/echo-api")
    assert bed.poll(f"GatewayKey {bed.token()}").json()["apis"] == []


def test_an_expired_token_is_unauthorized(bed: AzureBed) -> None:
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    token = bed.azure.issue_token("contoso", "edge-1", past)
    assert bed.poll(f"GatewayKey {token}").status_code == 401


@pytest.mark.parametrize(("shown", "status"), [("", 401), ("GatewayKey ", 401), ("Basic x", 401)])
def test_without_a_token_a_gateway_is_unauthorized(bed: AzureBed, shown: str, status: int) -> None:
    assert bed.poll(shown).status_code == status


def test_a_token_of_another_gateway_or_service_is_forbidden(bed: AzureBed) -> None:
    assert bed.poll(f"GatewayKey {bed.token('edge-2')}").status_code == 403
    assert bed.poll(f"GatewayKey {bed.token()}", service="fabrikam").status_code == 403
    assert bed.poll(f"GatewayKey {bed.token()}", gateway="no-such").status_code == 403


def test_a_new_key_ends_the_tokens_of_the_old_one_only(bed: AzureBed) -> None:
    first, second = bed.token(key="primary"), bed.token(key="secondary")
    keys = bed.call("POST", "/gateways/edge-1/listKeys").json()
    answer = bed.call("POST", "/gateways/edge-1/regenerateKey", body={"keyType": "primary"})
    assert answer.status_code == 204
    assert bed.poll(f"GatewayKey {first}").status_code == 403
    assert bed.poll(f"GatewayKey {second}").status_code == 200
    after = bed.call("POST", "/gateways/edge-1/listKeys").json()
    assert after["primary"] != keys["primary"]
    assert after["secondary"] == keys["secondary"]


def test_a_deleted_gateways_token_is_forbidden(bed: AzureBed) -> None:
    token = bed.token("edge-2")
    bed.call("DELETE", "/gateways/edge-2", headers={"If-Match": "*"})
    assert bed.poll(f"GatewayKey {token}", "edge-2").status_code == 403


def test_a_gateway_may_show_its_entra_identity_instead(bed: AzureBed) -> None:
    configuration = "https://azure-api.net/configuration"
    assert bed.poll(f"Bearer {bed.bearer(OWNER, configuration)}").status_code == 200
    assert bed.poll(f"Bearer {bed.bearer(BOT, configuration)}").status_code == 403
    assert bed.poll("Bearer nonsense").status_code == 401


def beat(bed: AzureBed, body: object) -> int:
    answer = requests.post(
        f"{bed.azure.configuration_url}/gateways/edge-1/heartbeat",
        json=body,
        headers={"Authorization": f"GatewayKey {bed.token()}"},
        verify=str(bed.authority.ca_pem_path),
        timeout=30,
    )
    return answer.status_code


def test_heartbeats_are_kept_for_each_instance(bed: AzureBed) -> None:
    assert beat(bed, {"instanceId": "edge-1-abc"}) == 200
    assert beat(bed, {"instanceId": "edge-1-def"}) == 200
    assert beat(bed, ["nonsense"]) == 400
    assert set(bed.azure.heartbeats("contoso", "edge-1")) == {"edge-1-abc", "edge-1-def"}
    assert set(bed.successor().azure.heartbeats("contoso", "edge-1")) == {
        "edge-1-abc",
        "edge-1-def",
    }
