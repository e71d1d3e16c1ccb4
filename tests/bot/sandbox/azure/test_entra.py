"""Signing in, driven by azure-identity itself."""

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError

from tests.support.azure import BOT, OWNER, SERVICE, TENANT, AzureBed, error_of
from tests.support.loops import running


def post_token(bed: AzureBed, **form: str) -> requests.Response:
    return requests.post(
        f"{bed.azure.url}/{TENANT}/oauth2/v2.0/token",
        data={"grant_type": "client_credentials", "client_id": OWNER, **form},
        verify=str(bed.authority.ca_pem_path),
        timeout=30,
    )


def test_azure_identity_signs_in_and_the_token_is_good_for_resource_manager(bed: AzureBed) -> None:
    assert bed.call("GET", "/gateways", client=BOT).status_code == 200


def test_a_wrong_secret_is_refused_as_entra_does(bed: AzureBed) -> None:
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        bed.credential(secret="wrong").get_token(f"{bed.azure.url}/.default")
    answer = post_token(bed, client_secret="wrong", scope="https://management.azure.com/.default")
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
    assert answer.json()["error_codes"] == [7000215]


def test_an_unknown_application_is_refused_as_entra_does(bed: AzureBed) -> None:
    with pytest.raises(ClientAuthenticationError, match="AADSTS700016"):
        bed.credential("nobody").get_token(f"{bed.azure.url}/.default")


def test_an_unknown_tenant_is_refused(bed: AzureBed) -> None:
    with pytest.raises(ClientAuthenticationError):
        bed.credential(tenant="another-tenant").get_token(f"{bed.azure.url}/.default")


@pytest.mark.parametrize(
    ("form", "number"),
    [
        ({"grant_type": "password"}, 70003),
        ({"client_secret": "owner-app-secret", "scope": "openid"}, 1002012),
        ({"scope": "https://management.azure.com/.default"}, 7000218),
        ({"client_secret": "ü", "scope": "https://management.azure.com/.default"}, 7000215),
    ],
)
def test_a_faulty_request_is_told_what_is_wrong(
    bed: AzureBed, form: dict[str, str], number: int
) -> None:
    assert post_token(bed, **form).json()["error_codes"] == [number]


def test_a_workload_identity_signs_in_where_it_is_federated(bed: AzureBed) -> None:
    assertion = {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": "projected",
        "scope": "https://azure-api.net/configuration/.default",
    }
    assert post_token(bed, **assertion).status_code == 200
    refused = post_token(bed, client_id=BOT, **assertion)
    assert refused.json()["error_codes"] == [70021]


def test_nobody_signs_in_while_entra_is_down(bed: AzureBed) -> None:
    bed.azure.faults.set("entra_down", True)
    assert post_token(bed).status_code == 503


@pytest.mark.parametrize("header", ["Bearer nonsense", "Basic abc", "Bearer a.b.c"])
def test_what_is_no_bearer_token_is_refused(bed: AzureBed, header: str) -> None:
    answer = bed.call("GET", "/gateways", headers={"Authorization": header})
    assert error_of(answer) == (401, "InvalidAuthenticationToken")


def test_a_call_without_authorization_is_refused(bed: AzureBed) -> None:
    answer = requests.get(
        f"{bed.azure.url}{SERVICE}/gateways", verify=str(bed.authority.ca_pem_path), timeout=30
    )
    assert error_of(answer) == (401, "AuthenticationFailed")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_token_made_for_something_else_is_refused(bed: AzureBed) -> None:
    other = bed.bearer(OWNER, "https://azure-api.net/configuration")
    answer = bed.call("GET", "/gateways", headers={"Authorization": f"Bearer {other}"})
    assert error_of(answer) == (401, "InvalidAuthenticationTokenAudience")


def test_a_bearer_token_is_good_still_after_a_restart(bed: AzureBed) -> None:
    bearer = bed.bearer(BOT, "https://management.azure.com")
    again = bed.successor()
    with running(again.azure):
        answer = again.call("GET", "/gateways", headers={"Authorization": f"Bearer {bearer}"})
        assert answer.status_code == 200
