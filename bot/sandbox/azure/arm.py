"""Resource Manager before any operation: routes, sign-in, API version, rights, scope.

Paths are matched here and not by the web framework because their case does not count.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from bot.sandbox.azure.call import Call
from bot.sandbox.azure.children import ChildOperations
from bot.sandbox.azure.entra import Bearer, BearerError, Entra
from bot.sandbox.azure.gateways import TYPE, GatewayOperations
from bot.sandbox.azure.model import Service
from bot.sandbox.azure.replies import ArmError

API_VERSIONS = (
    "2019-12-01",
    "2020-12-01",
    "2021-08-01",
    "2022-08-01",
    "2024-05-01",
    "2025-09-01-preview",
)
_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
_ROOT = (
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    r"/providers/Microsoft\.ApiManagement/service/(?P<service>[^/]+)"
)
_ONE = _ROOT + r"/gateways/(?P<gateway>[^/]+)"
_SCOPE = re.compile(f"{_ROOT}(/gateways/[^/]+)?", re.IGNORECASE)

Operation = Callable[[Call], Awaitable[web.Response]]


@dataclass(frozen=True)
class _Route:
    method: str
    path: re.Pattern[str]
    action: str
    operation: Operation


class Arm:
    """Finds the operation of a request and whether its sender may have it done."""

    def __init__(
        self, services: Sequence[Service], entra: Entra, changed: Callable[[], None]
    ) -> None:
        self._services = services
        self._entra = entra
        self._routes = _routes(changed)

    async def answer(
        self, request: web.Request, admit: Callable[[str, str], None]
    ) -> web.StreamResponse:
        """Answer, in ARM's words where it refuses. `admit(client, method)` may raise ArmError."""
        bearer = self._signed_in(request)
        admit(bearer.client.client_id, request.method)
        route, where = self._route(request)
        _check_version(request)
        subscriptions = {s.described.subscription.lower() for s in self._services}
        if where["subscription"].lower() not in subscriptions:
            message = f"The subscription '{where['subscription']}' could not be found."
            raise ArmError(404, "SubscriptionNotFound", message)
        if route.action not in bearer.client.actions:
            scope = _SCOPE.match(request.path)
            raise ArmError(
                403,
                "AuthorizationFailed",
                f"The client '{bearer.client.client_id}' with object id '{bearer.object_id}' does "
                f"not have authorization to perform action '{route.action}' over scope "
                f"'{scope[0] if scope else request.path}' or the scope is invalid. If access was "
                "recently granted, please refresh your credentials.",
            )
        return await route.operation(Call(request, self._service(where), where))

    def _signed_in(self, request: web.Request) -> Bearer:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            message = "Authentication failed. The 'Authorization' header is missing."
            raise _unauthorized("AuthenticationFailed", message)
        try:
            bearer = self._entra.bearer(token if scheme.lower() == "bearer" else "")
        except BearerError as error:
            if error.expired:
                message = "The access token expiry UTC time is earlier than current UTC time."
                raise _unauthorized("ExpiredAuthenticationToken", message) from None
            message = "The access token is invalid."
            raise _unauthorized("InvalidAuthenticationToken", message) from None
        allowed = (f"https://{request.host}", *_AUDIENCES)
        if bearer.audience.rstrip("/") not in allowed:
            message = (
                "The access token has been obtained for wrong audience or resource "
                f"'{bearer.audience}'. It should exactly match with one of the allowed audiences "
                + ",".join(f"'{each}'" for each in allowed)
            )
            raise _unauthorized("InvalidAuthenticationTokenAudience", message)
        return bearer

    def _route(self, request: web.Request) -> tuple[_Route, dict[str, str]]:
        known = False
        for route in self._routes:
            if found := route.path.fullmatch(request.path):
                known = True
                if route.method == request.method:
                    return route, found.groupdict()
        if known:
            message = f"The resource does not support the method {request.method}."
            raise ArmError(405, "MethodNotAllowed", message)
        message = f"No resource can be found for the path {request.path}."
        raise ArmError(404, "NotFound", message)

    def _service(self, where: dict[str, str]) -> Service:
        subscription, group, name = (
            where[part].lower() for part in ("subscription", "group", "service")
        )
        groups = set()
        for service in self._services:
            known = service.described
            if known.subscription.lower() == subscription:
                groups.add(known.resource_group.lower())
                if (known.resource_group.lower(), known.name.lower()) == (group, name):
                    return service
        if group not in groups:
            message = f"Resource group '{where['group']}' could not be found."
            raise ArmError(404, "ResourceGroupNotFound", message)
        raise ArmError(
            404,
            "ResourceNotFound",
            f"The Resource 'Microsoft.ApiManagement/service/{where['service']}' under resource "
            f"group '{where['group']}' was not found. For more details please go to "
            "https://aka.ms/ARMResourceNotFoundFix",
        )


def _unauthorized(code: str, message: str) -> ArmError:
    challenge = f'Bearer error="invalid_token", error_description="{message}"'
    return ArmError(401, code, message, headers={"WWW-Authenticate": challenge})


def _check_version(request: web.Request) -> None:
    version = request.query.get("api-version")
    if not version:
        message = "The api-version query parameter (?api-version=) is required for all requests."
        raise ArmError(400, "MissingApiVersionParameter", message)
    if version not in API_VERSIONS:
        raise ArmError(
            400,
            "InvalidResourceType",
            "The resource type 'service/gateways' could not be found in the namespace "
            f"'Microsoft.ApiManagement' for api version '{version}'. The supported api-versions "
            f"are '{','.join(API_VERSIONS)}'.",
        )


def _routes(changed: Callable[[], None]) -> tuple[_Route, ...]:
    gateways, children = GatewayOperations(changed), ChildOperations(changed)
    table: list[tuple[str, str, str, Operation]] = [
        ("GET", _ROOT, "Microsoft.ApiManagement/service/read", _get_service),
        ("GET", f"{_ROOT}/gateways", f"{TYPE}/read", gateways.list),
        ("GET", _ONE, f"{TYPE}/read", gateways.get),
        ("HEAD", _ONE, f"{TYPE}/read", gateways.get),
        ("PUT", _ONE, f"{TYPE}/write", gateways.put),
        ("PATCH", _ONE, f"{TYPE}/write", gateways.patch),
        ("DELETE", _ONE, f"{TYPE}/delete", gateways.delete),
        ("POST", f"{_ONE}/listKeys", f"{TYPE}/listKeys/action", gateways.list_keys),
        ("POST", f"{_ONE}/regenerateKey", f"{TYPE}/regenerateKey/action", gateways.regenerate_key),
        ("POST", f"{_ONE}/generateToken", f"{TYPE}/generateToken/action", gateways.generate_token),
    ]
    for collection in ("apis", "hostnameConfigurations", "certificateAuthorities"):
        every, one = f"{_ONE}/(?P<collection>{collection})", "/(?P<child>[^/]+)"
        action = f"{TYPE}/{collection}"
        table += [
            ("GET", every, f"{action}/read", children.list),
            ("HEAD", every + one, f"{action}/read", children.get),
            ("PUT", every + one, f"{action}/write", children.put),
            ("DELETE", every + one, f"{action}/delete", children.delete),
        ]
        # The API has no operation that gets one association.
        if collection != "apis":
            table.append(("GET", every + one, f"{action}/read", children.get))
    return tuple(
        _Route(method, re.compile(path, re.IGNORECASE), action, operation)
        for method, path, action, operation in table
    )


async def _get_service(call: Call) -> web.Response:
    service = call.service.described
    return web.json_response(
        {
            "id": service.id,
            "name": service.name,
            "type": "Microsoft.ApiManagement/service",
            "location": service.location,
            "sku": {"name": service.sku, "capacity": 1},
            "properties": {
                "provisioningState": "Succeeded",
                "gatewayUrl": f"https://{service.name}.azure-api.net",
            },
        }
    )
