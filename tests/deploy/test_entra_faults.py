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


def attempts(*lines: str) -> ClientAuthenticationError:
    """As azure-identity's chain of credentials raises it: without a cause."""
    return ClientAuthenticationError(
        "DefaultAzureCredential failed to retrieve a token from the included credentials.\n"
        "Attempted credentials:\n\t" + "\n\t".join(lines) + "\nTo mitigate this issue, please refer"
    )


NO_VARIABLES = (
    "EnvironmentCredential: EnvironmentCredential authentication unavailable. Environment variables "
    "are not fully configured.\nVisit https://aka.ms/azsdk to troubleshoot this issue."
)
UNRESOLVED = (
    "HTTPSConnection(host='login.microsoftonline.com', port=443): Failed to resolve "
    "'login.microsoftonline.com' ([Errno -2] Name or service not known)"
)


@pytest.mark.parametrize(
    ("lines", "way"),
    [
        (
            [NO_VARIABLES, f"WorkloadIdentityCredential: {UNRESOLVED}"],
            "WorkloadIdentityCredential",
        ),
        (
            [f"EnvironmentCredential: Authentication failed: {UNRESOLVED}"],
            "EnvironmentCredential: Authentication failed",
        ),
    ],
)
def test_a_chain_of_credentials_whose_sign_in_service_is_away_was_refused_nothing(
    lines: list[str], way: str
) -> None:
    found = sign_in_fault(attempts(*lines))
    assert not found.refused
    assert found.what == f"the sign-in service cannot be reached ({way}: {UNRESOLVED})"
    assert found.remedy.startswith("Try again in a minute.")


@pytest.mark.parametrize(
    "last",
    [
        "ManagedIdentityCredential: ManagedIdentityCredential authentication unavailable.",
        "ManagedIdentityCredential: No managed identity endpoint found. ",
        "AzureCliCredential: Azure CLI not found on path",
        "AzureDeveloperCliCredential: Azure Developer CLI could not be found.",
    ],
)
def test_a_chain_of_which_nothing_is_set_up_has_nothing_to_sign_in_with(last: str) -> None:
    unset = "WorkloadIdentityCredential: WorkloadIdentityCredential authentication unavailable."
    found = sign_in_fault(attempts(NO_VARIABLES, unset, last))
    assert found.refused
    assert found.what.startswith("there is nothing to sign in with (workload identity: ")


@pytest.mark.parametrize("code", ["50033", "90006", "90024", "90033"])
def test_a_passing_trouble_of_entra_id_rejects_no_credentials(code: str) -> None:
    found = sign_in_fault(ClientAuthenticationError(f"AADSTS{code}: words. Trace ID: c0ffee"))
    assert not found.refused
    assert found.what == f"Entra ID is briefly unavailable (AADSTS{code})"
    assert found.remedy == "Try again in a minute."


def test_a_sign_in_service_that_cannot_be_reached_refused_nothing() -> None:
    error = ServiceRequestError("no", error=ConnectionRefusedError(111, "Connection refused"))
    found = sign_in_fault(error)
    assert not found.refused
    assert found.what == "the sign-in service cannot be reached: it refuses connections"


def test_silence_is_not_a_refusal() -> None:
    found = sign_in_fault(TimeoutError())
    assert (found.refused, found.what) == (False, "the sign-in service does not answer")
