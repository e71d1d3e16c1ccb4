"""Resource Manager's routes for self-hosted gateways (API version 2024-05-01).

There is no heartbeat in any of them, as in life.
"""

import datetime
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from bot.sandbox.azure.entra import Entra
from bot.sandbox.azure.model import ApimService, Gateway
from bot.sandbox.azure.replies import arm_error, validation

API_VERSIONS = frozenset(
    {"2019-12-01", "2020-12-01", "2021-08-01", "2022-08-01", "2024-05-01", "2025-09-01-preview"}
)
_ROOT = (
    "/subscriptions/{subscription}/resourceGroups/{group}"
    "/providers/Microsoft.ApiManagement/service/{service}"
)
_TYPE = "Microsoft.ApiManagement/service/gateways"
_LONGEST = datetime.timedelta(days=30)

Services = dict[tuple[str, str, str], tuple[ApimService, dict[str, Gateway]]]
Handler = Callable[[web.Request, ApimService, dict[str, Gateway]], Awaitable[web.Response]]


class Arm:
    """Gateways by service; every call is signed in, allowed, and of a known API version."""

    def __init__(self, services: Services, entra: Entra, changed: Callable[[], None]) -> None:
        self._services = services
        self._entra = entra
        self._changed = changed

    def routes(self) -> list[web.RouteDef]:
        """Every route, each with the action a role must allow."""
        one = _ROOT + "/gateways/{gateway}"
        return [
            web.get(_ROOT, self._guarded("Microsoft.ApiManagement/service/read", self._service)),
            web.get(_ROOT + "/gateways", self._guarded(f"{_TYPE}/read", self._list)),
            web.get(one, self._guarded(f"{_TYPE}/read", self._get), allow_head=False),
            web.head(one, self._guarded(f"{_TYPE}/read", self._get)),
            web.put(one, self._guarded(f"{_TYPE}/write", self._put)),
            web.patch(one, self._guarded(f"{_TYPE}/write", self._patch)),
            web.delete(one, self._guarded(f"{_TYPE}/delete", self._delete)),
            web.post(one + "/listKeys", self._guarded(f"{_TYPE}/listKeys/action", self._list_keys)),
            web.post(
                one + "/regenerateKey",
                self._guarded(f"{_TYPE}/regenerateKey/action", self._regenerate),
            ),
            web.post(
                one + "/generateToken",
                self._guarded(f"{_TYPE}/generateToken/action", self._generate),
            ),
        ]

    def _guarded(
        self, action: str, handler: Handler
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def guarded(request: web.Request) -> web.Response:
            client = self._entra.client_of(request.headers.get("Authorization", ""))
            if client is None:
                return arm_error(
                    401,
                    "AuthenticationFailed",
                    "Authentication failed. The 'Authorization' header is missing or invalid.",
                )
            version = request.query.get("api-version")
            if version not in API_VERSIONS:
                code = "MissingApiVersionParameter" if version is None else "InvalidResourceType"
                return arm_error(
                    400,
                    code,
                    "The api-version query parameter (?api-version=) is "
                    "required for all requests and must be a known one.",
                )
            if action not in client.actions:
                return arm_error(
                    403,
                    "AuthorizationFailed",
                    f"The client '{client.client_id}' does not have authorization to perform "
                    f"action '{action}' over scope '{request.path}'.",
                )
            where = request.match_info
            key = tuple(where[part].lower() for part in ("subscription", "group", "service"))
            found = self._services.get((key[0], key[1], key[2]))
            if found is None:
                return arm_error(
                    404,
                    "ResourceNotFound",
                    f"The Resource 'Microsoft.ApiManagement/service/{where['service']}' under "
                    f"resource group '{where['group']}' was not found.",
                )
            return await handler(request, *found)

        return guarded

    async def _service(
        self, request: web.Request, service: ApimService, gateways: dict[str, Gateway]
    ) -> web.Response:
        return web.json_response(
            {
                "id": _service_id(service),
                "name": service.name,
                "type": "Microsoft.ApiManagement/service",
                "location": service.location,
                "sku": {"name": "Premium", "capacity": 1},
                "properties": {"provisioningState": "Succeeded"},
            }
        )

    async def _list(
        self, request: web.Request, service: ApimService, gateways: dict[str, Gateway]
    ) -> web.Response:
        try:
            top = int(request.query.get("$top", "100"))
            skip = int(request.query.get("$skip", "0"))
        except ValueError:
            return validation("$top", "must be a whole number")
        if top < 1 or skip < 0:
            return validation("$top", "$top must be at least 1 and $skip at least 0")
        every = [gateways[name] for name in sorted(gateways)]
        page = every[skip : skip + top]
        following = ""
        if skip + top < len(every):
            query = {**request.query, "$top": str(top), "$skip": str(skip + top)}
            following = f"https://{request.host}{request.path}?" + "&".join(
                f"{name}={value}" for name, value in query.items()
            )
        return web.json_response(
            {
                "value": [_contract(service, gateway) for gateway in page],
                "count": len(every),
                "nextLink": following,
            }
        )

    async def _get(
        self, request: web.Request, service: ApimService, gateways: dict[str, Gateway]
    ) -> web.Response:
        gateway = gateways.get(request.match_info["gateway"])
        if gateway is None:
            return _no_gateway()
        headers = {"ETag": gateway.etag}
        if request.method == "HEAD":
            return web.Response(headers=headers)
        return web.json_response(_contract(service, gateway), headers=headers)

    async def _put(
        self, request: web.Request, service: ApimService, gateways: dict[str, Gateway]
    ) -> web.Response:
        body = await _body(request)
        name = request.match_info["gateway"]
        properties = (body or {}).get("properties")
        if not isinstance(properties, dict) or not (properties.get("locationData") or {}).get(
            "name"
        ):
            return validation("locationData", "The location name is required.")
        if not 1 <= len(name) <= 80 or name == "managed":
            return validation("gatewayId", "1 to 80 characters, and not 'managed'.")
        existing = gateways.get(name)
        if existing is None:
            gateways[name] = Gateway(name, properties)
            self._changed()
            return _written(service, gateways[name], 201)
        if refused := _precondition(request, existing, required=False):
            return refused
        existing.properties = properties
        existing.touch()
        self._changed()
        return _written(service, existing, 200)

    async def _patch(
        self, request: web.Request, service: ApimService, gateways: dict[str, Gateway]
    ) -> web.Response:
        gateway = gateways.get(request.match_info["gateway"])
        if gateway is None:
            return _no_gateway()
        if refused := _precondition(request, gateway, required=True):
            return refused
        gateway.properties = {
            **gateway.properties,
            **((await _body(request)) or {}).get("properties", {}),
        }
        gateway.touch()
        self._changed()
        return _written(service, gateway, 200)

    async def _delete(
        self, request: web.Request, service: ApimService, gateways: dict[str, Gateway]
    ) -> web.Response:
        gateway = gateways.get(request.match_info["gateway"])
        if gateway is None:
            return web.Response(status=204)
        if refused := _precondition(request, gateway, required=True):
            return refused
        del gateways[gateway.name]
        self._changed()
        return web.Response(status=200)

    async def _list_keys(
        self, request: web.Request, service: ApimService, gateways: dict[str, Gateway]
    ) -> web.Response:
        gateway = gateways.get(request.match_info["gateway"])
        if gateway is None:
            return _no_gateway()
        return web.json_response(gateway.keys, headers={"ETag": gateway.etag})

    async def _regenerate(
        self, request: web.Request, service: ApimService, gateways: dict[str, Gateway]
    ) -> web.Response:
        gateway = gateways.get(request.match_info["gateway"])
        if gateway is None:
            return _no_gateway()
        kind = ((await _body(request)) or {}).get("keyType")
        if kind not in ("primary", "secondary"):
            return validation("keyType", "keyType must be 'primary' or 'secondary'.")
        gateway.regenerate(kind)
        self._changed()
        return web.Response(status=204)

    async def _generate(
        self, request: web.Request, service: ApimService, gateways: dict[str, Gateway]
    ) -> web.Response:
        gateway = gateways.get(request.match_info["gateway"])
        if gateway is None:
            return _no_gateway()
        body = (await _body(request)) or {}
        if body.get("keyType") not in ("primary", "secondary"):
            return validation("keyType", "keyType must be 'primary' or 'secondary'.")
        try:
            expiry = datetime.datetime.fromisoformat(str(body.get("expiry")))
        except ValueError:
            return validation("expiry", "expiry must be an ISO 8601 date and time.")
        expiry = expiry if expiry.tzinfo else expiry.replace(tzinfo=datetime.UTC)
        now = datetime.datetime.now(datetime.UTC)
        if not now < expiry <= now + _LONGEST:
            return validation("expiry", "expiry must be in the future and within 30 days.")
        return web.json_response({"value": gateway.token(body["keyType"], expiry)})


def _service_id(service: ApimService) -> str:
    return _ROOT.format(
        subscription=service.subscription, group=service.resource_group, service=service.name
    )


def _contract(service: ApimService, gateway: Gateway) -> dict[str, Any]:
    return {
        "id": f"{_service_id(service)}/gateways/{gateway.name}",
        "type": _TYPE,
        "name": gateway.name,
        "properties": gateway.properties,
    }


def _written(service: ApimService, gateway: Gateway, status: int) -> web.Response:
    return web.json_response(
        _contract(service, gateway), status=status, headers={"ETag": gateway.etag}
    )


def _no_gateway() -> web.Response:
    return arm_error(404, "ResourceNotFound", "Gateway not found.")


def _precondition(request: web.Request, gateway: Gateway, *, required: bool) -> web.Response | None:
    given = request.headers.get("If-Match")
    if given is None and not required:
        return None
    if given is None:
        return arm_error(400, "IdentifierRequired", "The If-Match header is required.")
    if given not in ("*", gateway.etag):
        return arm_error(412, "PreconditionFailed", "The resource was changed by somebody else.")
    return None


async def _body(request: web.Request) -> dict[str, Any] | None:
    try:
        body = await request.json()
    except json.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None
