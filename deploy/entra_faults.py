"""Why Entra ID gives the bot no token: what it refused, or what keeps it from answering. Pure.

The codes are those of learn.microsoft.com/entra/identity-platform/reference-error-codes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from azure.core.exceptions import ClientAuthenticationError

from deploy.link_faults import Kind, Place, fault_of, nested
from deploy.masking import masked

_LATER = "Try again in a minute."
SIGN_IN = Place("azure.authority and azure.cloud")
_TENANT = (
    "the tenant does not exist in this cloud",
    "Correct azure.tenant_id; Azure Government and Azure China need azure.cloud.",
)
_FEDERATED = (
    "no federated credential of the identity matches the bot's ServiceAccount",
    "Correct issuer, subject and audience of the federated credential: docs/install.md, step 3.",
)
_CODES: Mapping[str, tuple[str, str]] = {
    "90002": _TENANT,
    "900023": _TENANT,
    "90013": _TENANT,
    "700016": (
        "the application does not exist in this tenant",
        "Correct azure.client_id, which is the application's client ID and not an object ID, or "
        "azure.tenant_id.",
    ),
    "7000215": (
        "the client secret is wrong",
        "Put the value of the secret, not its ID, into AZURE_CLIENT_SECRET.",
    ),
    "7000222": (
        "the client secret has expired",
        "Create a new one for the application and put it into AZURE_CLIENT_SECRET.",
    ),
    "7000112": (
        "the application is disabled",
        "Enable it in Entra ID, or use another azure.client_id.",
    ),
    "70021": _FEDERATED,
    "700211": _FEDERATED,
    "700212": _FEDERATED,
    "700213": _FEDERATED,
    "700024": (
        "the bot's federated token is no longer valid, or not yet",
        "Compare the clocks of this machine and of Azure.",
    ),
    "500011": (
        "this tenant does not know the service that the token is for",
        "Correct azure.cloud and azure.arm_endpoint.",
    ),
}
_PASSING = ("50033", "90006", "90024", "90033")
"""Of Entra ID's own troubles, which pass."""
_CODE = re.compile(r"AADSTS([0-9]+)")
_WORKLOAD = re.compile(r"WorkloadIdentityCredential: (.{1,200})")
_ATTEMPT = re.compile(r"\n\t([A-Za-z]{1,60}): (.{1,200})")
_ASKS = ("EnvironmentCredential", "WorkloadIdentityCredential", "ManagedIdentityCredential")
"""What signs in without a person; each of the other ways only says that it is not there."""
_NOT_SET_UP = re.compile(
    r"\[Errno (2|13)\]|.*(unavailable|not configured|No managed identity endpoint)"
)
"""A missing or unreadable token file (ENOENT, EACCES), or azure-identity's words for it."""


@dataclass(frozen=True)
class SignInFault:
    """`refused` is whether waiting cannot help, since Entra ID refused or there is nothing to sign in with.
    `what` is a clause, `code` Entra ID's own."""

    refused: bool
    what: str
    remedy: str
    code: str = ""
    lasts: bool = False


def sign_in_fault(error: BaseException) -> SignInFault:
    """What an error of azure-identity says. Its words may quote an answer, so none is repeated whole."""
    # Of a wrong tenant MSAL has Entra ID's words in what it handled alone.
    codes = (_CODE.search(str(each)) for each in nested(error))
    if code := next((each for each in codes if each), None):
        if code[1] in _PASSING:
            return SignInFault(False, f"Entra ID is briefly unavailable ({code[0]})", _LATER)
        what, remedy = _CODES.get(
            code[1],
            (
                "Entra ID rejected the bot's credentials",
                "Check azure.tenant_id, azure.client_id and AZURE_CLIENT_SECRET.",
            ),
        )
        return SignInFault(True, what, remedy, code[0])
    fault = fault_of(error, SIGN_IN)
    if fault.kind not in (Kind.UNKNOWN, Kind.SILENT):
        what = f"the sign-in service cannot be reached: {fault.what}"
        return SignInFault(False, what, fault.remedy, lasts=fault.lasts)
    # azure-identity gives the reasons of each of its ways in words alone.
    tried = _ATTEMPT.findall(str(error))  # prose: azure-identity's, which has no other form
    if isinstance(error, ClientAuthenticationError) and tried:
        return _of_attempts(str(error), *tried[-1])
    return SignInFault(False, "the sign-in service does not answer", _LATER)


def _of_attempts(text: str, way: str, why: str) -> SignInFault:
    # The last is the first of its ways that has all it needs and fails.
    set_up = not _NOT_SET_UP.match(why)  # prose: azure-identity's, which has no other form
    if way in _ASKS and set_up:
        return SignInFault(
            False,
            f"the sign-in service cannot be reached ({way}: {masked(why.strip(), 200)})",
            f"{_LATER} For the operator of the bot: Check DNS, proxies, network policies and "
            "firewalls between the bot and the sign-in service.",
        )
    workload = _WORKLOAD.search(text)
    said = f" (workload identity: {masked(workload[1].strip(), 200)})" if workload else ""
    return SignInFault(
        True,
        f"there is nothing to sign in with{said}",
        "Label the bot's pods and ServiceAccount for workload identity, or set azure.tenant_id, "
        "azure.client_id and AZURE_CLIENT_SECRET: docs/install.md, step 3.",
    )
