"""What Entra ID refuses, in words, and what azure-identity says in words alone."""

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from deploy.entra_faults import sign_in_fault


@pytest.mark.parametrize(
    ("code", "said", "remedy"),
    [
        ("90002", "tenant", "azure.tenant_id"),
        ("700016", "application", "azure.client_id"),
        ("7000215", "secret is wrong", "AZURE_CLIENT_SECRET"),
        ("7000222", "secret has expired", "AZURE_CLIENT_SECRET"),
        ("70021", "no federated credential", "federated credential"),
        ("700024", "no longer valid", "clocks"),
        ("500011", "does not know the service", "azure.cloud"),
        ("999999", "Entra ID rejected", "azure.tenant_id"),
    ],
)
def test_a_refusal_says_what_to_change(code: str, said: str, remedy: str) -> None:
    found = sign_in_fault(ClientAuthenticationError(f"AADSTS{code}: words. Trace ID: c0ffee"))
    assert found.refused
    assert said in found.what
    assert remedy in found.remedy
    assert found.code == f"AADSTS{code}"
    assert "c0ffee" not in f"{found}"


def test_where_there_is_nothing_to_sign_in_with_the_reason_of_workload_identity_is_given() -> None:
    found = sign_in_fault(
        ClientAuthenticationError(
            "DefaultAzureCredential failed to retrieve a token from the included credentials.\n"
            "Attempted credentials:\n\tEnvironmentCredential: not configured.\n"
            "\tWorkloadIdentityCredential: [Errno 2] No such file or directory: '/var/run/token'\n"
        )
    )
    assert found.refused
    assert found.what == (
        "there is nothing to sign in with (workload identity: [Errno 2] No such file or directory: "
        "'/var/run/token')"
    )
    assert "Label the bot's pods" in found.remedy


def test_a_sign_in_service_that_cannot_be_reached_refused_nothing() -> None:
    error = ServiceRequestError("no", error=ConnectionRefusedError(111, "Connection refused"))
    found = sign_in_fault(error)
    assert not found.refused
    assert found.what == "the sign-in service cannot be reached: it refuses connections"


def test_silence_is_not_a_refusal() -> None:
    found = sign_in_fault(TimeoutError())
    assert (found.refused, found.what) == (False, "the sign-in service does not answer")
