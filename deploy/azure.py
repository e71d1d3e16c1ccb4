"""Azure Resource Manager, as far as this bot needs it: gateway resources and their tokens.

Only `gateways/read` and `gateways/generateToken` are used, and `gateways/regenerateKey` where the
settings allow it. Facts are those of API version 2024-05-01 (azure-rest-api-specs,
apimgateways.json).
"""

import copy
import datetime
import email.utils
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import requests
import urllib3
from azure.core.exceptions import AzureError

from deploy.breaker import Breaker
from deploy.clouds import PUBLIC, Cloud
from deploy.entra_faults import sign_in_fault
from deploy.errors import (
    Conflict,
    GatewayBotError,
    InvalidInput,
    NotFound,
    Refused,
    Throttled,
    Unavailable,
)
from deploy.flight import Flight
from deploy.gateway import GatewayResource
from deploy.link_faults import CERTIFICATE, Kind, Place, fault_of
from deploy.masking import masked
from deploy.tokens.token import KeyType, Token, iso
from deploy.waits import Service, Waits

log = logging.getLogger(__name__)

AZURE = Service("azure")
_ARM = Place("azure.arm_endpoint and azure.cloud")

API_VERSION = "2024-05-01"
_TIMEOUT = (5, 20)
_BUDGET_SECONDS = 15.0
_SIGN_IN_SECONDS = 8.0
"""What all of signing in may take: azure-identity has a limit for each of its connections at most."""
_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
_PAGES = 100
_READ = "Microsoft.ApiManagement/service/gateways/read"
_GENERATE = "Microsoft.ApiManagement/service/gateways/generateToken/action"

_REGENERATE = "Microsoft.ApiManagement/service/gateways/regenerateKey/action"


class AccessToken(Protocol):
    """What azure-identity gives: a bearer token."""

    @property
    def token(self) -> str: ...


class Credential(Protocol):
    """What is used of an azure-identity credential."""

    def get_token(self, *scopes: str) -> AccessToken: ...


class ActionDenied(Refused):
    """The identity that the bot signs in as has no role with an action."""

    def __init__(self, what: str, action: str) -> None:
        super().__init__(
            f"The bot is not allowed to do this with {what} in Azure.",
            meaning=f"Its identity needs a role with the action {action}.",
            remedy="Assign such a role to the bot's identity: `gateway-bot azure-role` prints how.",
        )
        self.action = action


@dataclass(frozen=True)
class ApimInstance:
    """One API Management instance, under the name the settings give it.

    `endpoints` are further hosts under which its gateways may fetch their configuration.
    """

    name: str
    subscription: str
    resource_group: str
    service: str
    configuration_endpoint: str
    endpoints: tuple[str, ...] = ()
    cloud: Cloud = PUBLIC

    @property
    def arm_id(self) -> str:
        """The ARM id of the service."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.ApiManagement/service/{self.service}"
        )


def resource_of(instance: ApimInstance, gateway: str) -> GatewayResource:
    """What a token of that gateway belongs to."""
    return GatewayResource(instance.arm_id, gateway)


def host_of(endpoint: str) -> str:
    """A configuration endpoint as hosts are compared: `https://Contoso.example:443/` is
    `contoso.example`."""
    return endpoint.strip().lower().removeprefix("https://").rstrip("/").removesuffix(":443")


def known_hosts(instances: Mapping[str, ApimInstance], name: str) -> tuple[str, ...]:
    """The hosts to which tokens of the instance `name` may be sent, its own first: those of every
    entry that the settings have for its service. None for an instance that is not there."""
    here = instances.get(name)
    if here is None:
        return ()
    same = [each for each in instances.values() if each.arm_id.lower() == here.arm_id.lower()]
    endpoints = (
        e for each in (here, *same) for e in (each.configuration_endpoint, *each.endpoints)
    )
    return tuple(dict.fromkeys(host_of(endpoint) for endpoint in endpoints))


@dataclass(frozen=True)
class ListedGateway:
    """One self-hosted gateway as API Management knows it. Azure tells no heartbeat here."""

    name: str
    description: str
    location: str


class ArmClient:
    """Asks ARM, waits where ARM says to wait, and gives up within a bound."""

    def __init__(
        self,
        session: requests.Session,
        credential: Credential,
        *,
        endpoint: str = "https://management.azure.com",
        timeout: tuple[float, float] = _TIMEOUT,
        sign_in_seconds: float = _SIGN_IN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        waits: Waits | None = None,
    ) -> None:
        """`timeout` is how long to wait, in seconds, for a connection and for an answer,
        `sign_in_seconds` for a bearer token; both are noted in `waits`."""
        self._budget = _BUDGET_SECONDS
        self._session = session
        self._endpoint = endpoint.rstrip("/")
        scope = f"{self._endpoint}/.default"
        self._sign_in = Flight(lambda: credential.get_token(scope), "Azure sign-in")
        self._sign_in_seconds = sign_in_seconds
        self._timeout = timeout
        # Of each service, since one can be away while the others answer.
        self._breakers: dict[str, Breaker] = {}
        self._clock = clock
        self._sleep = sleep
        self._waits = waits or Waits()

    def asking_once(self) -> "ArmClient":
        """The same client for whoever repeats automatically what is Unavailable: it never waits."""
        twin = copy.copy(self)
        twin._budget = 0.0
        return twin

    def list_gateways(self, instance: ApimInstance) -> tuple[ListedGateway, ...]:
        """Every gateway resource of an instance."""
        url = f"{self._base(instance)}/gateways?api-version={API_VERSION}"
        found: list[ListedGateway] = []
        for _ in range(_PAGES):
            what = f"the gateways of {instance.name}"
            page = _json(self._call(instance, "GET", url, what, _READ), what)
            try:
                found += [_gateway(item) for item in page["value"]]
            except (KeyError, TypeError) as error:
                raise _nonsense(instance.name) from error
            # The list ends with an absent or an empty link.
            url = page.get("nextLink") or ""
            if not url or urlsplit(url).netloc != urlsplit(self._endpoint).netloc:
                break
        return tuple(found)

    def reach(self, instance: ApimInstance) -> None:
        """Sign in and read one gateway resource, whichever: whether Azure would do what the bot needs."""
        url = f"{self._base(instance)}/gateways?api-version={API_VERSION}&$top=1"
        what = f"the gateways of {instance.name}"
        _json(self._call(instance, "GET", url, what, _READ), what)

    def time(self, instance: ApimInstance, gateway: str) -> datetime.datetime:
        """What Azure's clock says, by the Date of its answer; this machine's where it has none.

        NotFound when the instance has no such gateway.
        """
        path = f"{self._base(instance)}/gateways/{quote(gateway, safe='')}"
        what = f"the gateway {gateway} of {instance.name}"
        answer = self._call(instance, "GET", f"{path}?api-version={API_VERSION}", what, _READ)
        _json(answer, what)
        return _date(answer) or datetime.datetime.now(datetime.UTC)

    def generate_token(
        self,
        instance: ApimInstance,
        gateway: str,
        key: KeyType,
        expires_at: datetime.datetime,
    ) -> Token:
        """Mint a token. Asking again with the same key and expiry gives the same token."""
        url = (
            f"{self._base(instance)}/gateways/{quote(gateway, safe='')}/generateToken"
            f"?api-version={API_VERSION}"
        )
        what = f"the gateway {gateway} of {instance.name}"
        body = {"keyType": key, "expiry": iso(expires_at)}
        value = _json(self._call(instance, "POST", url, what, _GENERATE, body), what).get("value")
        token = Token.parse(value) if isinstance(value, str) else None
        if token is None or token.gateway != gateway:
            raise _nonsense(instance.name)
        return token

    def regenerate_key(self, instance: ApimInstance, gateway: str, key: KeyType) -> None:
        """A new key for the gateway: every token made with the one before is dead at once.

        Doing it again makes yet another key.
        """
        url = (
            f"{self._base(instance)}/gateways/{quote(gateway, safe='')}/regenerateKey"
            f"?api-version={API_VERSION}"
        )
        what = f"the gateway {gateway} of {instance.name}"
        answer = self._call(instance, "POST", url, what, _REGENERATE, {"keyType": key})
        if answer.status_code != 204:
            raise _nonsense(what)

    def _base(self, instance: ApimInstance) -> str:
        parts = (instance.subscription, instance.resource_group, instance.service)
        subscription, group, service = (quote(part, safe="") for part in parts)
        return (
            f"{self._endpoint}/subscriptions/{subscription}/resourceGroups/{group}"
            f"/providers/Microsoft.ApiManagement/service/{service}"
        )

    def _call(
        self,
        instance: ApimInstance,
        method: str,
        url: str,
        what: str,
        right: str,
        body: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """A successful answer, or none at once where the service has not answered lately; whoever
        repeats automatically finds out for the others."""
        breaker = self._breakers.setdefault(instance.arm_id, Breaker())
        return breaker.call(
            lambda: self._repeated(method, url, what, right, body),
            patient=self._budget == 0,
        )

    def _repeated(
        self,
        method: str,
        url: str,
        what: str,
        right: str,
        body: Mapping[str, str] | None,
    ) -> requests.Response:
        """A successful answer. What is raised is `untouched` only where no attempt was carried out."""
        end = self._clock() + self._budget
        wait = 0.5
        untouched = True
        while True:
            try:
                with self._waits.on("Azure", service=AZURE) as call:
                    answer, trouble, asked = self._try(method, url, body)
                    call.error = _fault(answer)
                if answer is not None and answer.status_code not in _RETRIED:
                    if not answer.ok:
                        raise _refusal(answer, what, right)
                    return answer
            except GatewayBotError as error:
                # As of an operation in progress, which may be the attempt before.
                error.untouched = error.untouched and untouched
                raise
            untouched = trouble.untouched = untouched and trouble.untouched
            pause = asked if asked is not None else wait
            if self._clock() + pause >= end:
                raise trouble
            log.info("Azure: %s; trying again in %.1f s", trouble.happened, pause)
            with self._waits.on("Azure", trouble.happened):
                self._sleep(pause)
            wait = min(wait * 2, 8.0)

    def _try(
        self, method: str, url: str, body: Mapping[str, str] | None
    ) -> tuple[requests.Response | None, Unavailable, float | None]:
        headers = {"Authorization": f"Bearer {self._bearer()}"}
        try:
            answer = self._session.request(
                method,
                url,
                json=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            return None, _unreachable(error, url), None
        asked = _retry_after(answer)
        if answer.status_code == 429:
            trouble: Unavailable = Throttled(
                "Azure is throttling the bot's requests.",
                remedy=f"Try again in {asked:.0f} s." if asked else "Try again in a minute.",
                retry_after=asked,
                untouched=True,
            )
        else:
            trouble = Unavailable(f"Azure Resource Manager answered {answer.status_code}.")
        return answer, trouble, asked

    def _bearer(self) -> str:
        try:
            return self._sign_in.wait(self._sign_in_seconds).token
        except (TimeoutError, AzureError) as error:
            raise _no_sign_in(error) from error


def _fault(answer: requests.Response | None) -> str:
    """What is wrong with the service by its answer; that it has no such gateway is not."""
    if answer is None:
        return "no answer"
    status = answer.status_code
    return str(status) if status in _RETRIED or status in (401, 403) or status >= 500 else ""


def _unsent(error: requests.RequestException) -> bool:
    """Whether no connection was made at all."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(cause, urllib3.exceptions.ConnectTimeoutError)


def _unreachable(error: requests.RequestException, url: str) -> Unavailable:
    fault = fault_of(error, _ARM, url)
    late = fault.kind is Kind.SILENT
    return Unavailable(
        f"Azure Resource Manager {'did not answer in time' if late else f'cannot be reached: {fault.what}'}.",
        remedy=fault.remedy,
        untouched=_unsent(error) or fault.kind in CERTIFICATE,
        lasts=fault.lasts,
    )


def _no_sign_in(error: Exception) -> GatewayBotError:
    fault = sign_in_fault(error)
    if fault.code:
        return Refused(
            f"Azure rejected the bot's credentials: {fault.what} ({fault.code}).",
            remedy=f"For the operator of the bot: {fault.remedy}",
        )
    happened = f"The bot cannot sign in to Azure: {fault.what}."
    if fault.refused:
        return Refused(happened, remedy=f"For the operator of the bot: {fault.remedy}")
    return Unavailable(happened, remedy=fault.remedy, untouched=True, lasts=fault.lasts)


def _json(answer: requests.Response, what: str) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError as error:
        raise _nonsense(what) from error
    if not isinstance(body, dict):
        raise _nonsense(what)
    return body


def _date(answer: requests.Response) -> datetime.datetime | None:
    try:
        moment = email.utils.parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def _refusal(answer: requests.Response, what: str, right: str) -> GatewayBotError:
    code, message = _error(answer)
    if answer.status_code == 401:
        return Refused(
            "Azure rejected the bot's sign-in.",
            remedy="Check the credential with `gateway-bot check`.",
        )
    if answer.status_code == 403:
        return ActionDenied(what, right)
    if answer.status_code == 404:
        return NotFound(
            f"Azure does not have {what}.",
            meaning=message,
            remedy="Check the name, and `apim` in the settings.",
        )
    if answer.status_code in (409, 412):
        return Conflict(f"Azure is currently changing {what}: {message or code}.")
    if answer.status_code == 400:
        return InvalidInput(f"Azure rejected the request for {what}: {message or code}")
    return Unavailable(f"Azure answered {answer.status_code} for {what}: {message or code}")


def _error(answer: requests.Response) -> tuple[str, str]:
    try:
        body = answer.json()
    except ValueError:
        return "", ""
    if not isinstance(body, dict):
        return "", ""
    # Polled operations leave the `error` wrapper out.
    inner = body.get("error", body)
    if not isinstance(inner, dict):
        return "", ""
    # A service quotes what another one answered, a token included.
    return masked(str(inner.get("code", "")), 100), masked(str(inner.get("message", "")), 300)


def _retry_after(answer: requests.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _gateway(item: Any) -> ListedGateway:
    properties = item.get("properties") or {}
    return ListedGateway(
        name=str(item["name"]),
        description=str(properties.get("description") or ""),
        location=str((properties.get("locationData") or {}).get("name") or ""),
    )


def _nonsense(what: str) -> Unavailable:
    return Unavailable(f"Azure sent an unreadable answer for {what}.")
