"""The operations on a gateway resource (azure-rest-api-specs, apimgateways.json, 2024-05-01)."""

import datetime
import re
from collections.abc import Callable
from typing import Any

from aiohttp import web

from bot.sandbox.azure.call import Call
from bot.sandbox.azure.model import KEY_TYPES, Gateway, Service
from bot.sandbox.azure.replies import invalid

TYPE = "Microsoft.ApiManagement/service/gateways"
_LONGEST = datetime.timedelta(days=30)
_MOST_DESCRIPTION, _MOST_LOCATION = 1000, 256
_FILTER = re.compile(
    r"\s*(?:(?P<field>name|properties/description|description|region) eq '(?P<equal>[^']*)'"
    r"|(?P<function>contains|startswith|endswith)\(\s*(?P<of>\w+)\s*,\s*'(?P<part>[^']*)'\s*\))\s*"
)
_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


class GatewayOperations:
    """What may be done with gateways. ARM tells no heartbeat in any of it, as in life."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    async def list(self, call: Call) -> web.Response:
        """Gateway_ListByService."""
        chosen = _chosen(call.request.query.get("$filter", ""))
        gateways = sorted(call.service.gateways.values(), key=lambda gateway: gateway.name)
        return call.page([_contract(call.service, each) for each in gateways if chosen(each)])

    async def get(self, call: Call) -> web.Response:
        """Gateway_Get and Gateway_GetEntityTag."""
        return _answer(call, call.gateway)

    async def put(self, call: Call) -> web.Response:
        """Gateway_CreateOrUpdate."""
        properties = _checked(await call.properties())
        existing = call.service.find(call.where["gateway"])
        call.match(existing.etag if existing else None, required=False)
        if existing is not None:
            existing.properties = properties
            existing.touch()
            self._changed()
            return _answer(call, existing)
        name = call.where["gateway"]
        if len(name) > 80 or name.lower() == "managed":
            raise invalid("gatewayId", "1 to 80 characters, and not 'managed'.")
        gateway = call.service.gateways[name] = Gateway(name, properties)
        self._changed()
        return _answer(call, gateway, 201)

    async def patch(self, call: Call) -> web.Response:
        """Gateway_Update."""
        gateway = call.gateway
        call.match(gateway.etag, required=True)
        gateway.properties = _checked({**gateway.properties, **await call.properties()})
        gateway.touch()
        self._changed()
        return _answer(call, gateway)

    async def delete(self, call: Call) -> web.Response:
        """Gateway_Delete; every token of it is dead."""
        gateway = call.service.find(call.where["gateway"])
        if gateway is None:
            return web.Response(status=204)
        call.match(gateway.etag, required=True)
        del call.service.gateways[gateway.name]
        self._changed()
        return web.Response(status=200)

    async def list_keys(self, call: Call) -> web.Response:
        """Gateway_ListKeys."""
        gateway = call.gateway
        return web.json_response(gateway.keys, headers={"ETag": gateway.etag})

    async def regenerate_key(self, call: Call) -> web.Response:
        """Gateway_RegenerateKey."""
        gateway = call.gateway
        gateway.regenerate(_key_type(await call.body()))
        self._changed()
        return web.Response(status=204)

    async def generate_token(self, call: Call) -> web.Response:
        """Gateway_GenerateToken."""
        gateway = call.gateway
        body = await call.body()
        key_type = _key_type(body)
        return web.json_response({"value": gateway.token(key_type, _expiry(body.get("expiry")))})


def _key_type(body: dict[str, Any]) -> str:
    found = body.get("keyType")
    if found not in KEY_TYPES:
        raise invalid("keyType", "keyType must be 'primary' or 'secondary'.")
    return str(found)


def _expiry(text: object) -> datetime.datetime:
    try:
        expiry = datetime.datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError:
        raise invalid("expiry", "Expiry must be an ISO 8601 date and time.") from None
    if expiry.tzinfo is None:
        expiry = expiry.replace(tzinfo=datetime.UTC)
    now = datetime.datetime.now(datetime.UTC)
    if expiry <= now:
        raise invalid("expiry", "Expiry must be in the future.")
    if expiry > now + _LONGEST:
        raise invalid("expiry", "Expiry must not be more than 30 days from now.")
    return expiry


def _checked(properties: dict[str, Any]) -> dict[str, Any]:
    location = properties.get("locationData")
    description = properties.get("description", "")
    if not isinstance(location, dict) or not location.get("name"):
        raise invalid("locationData", "Location data with a name is required.")
    if not isinstance(description, str) or len(description) > _MOST_DESCRIPTION:
        raise invalid("description", f"At most {_MOST_DESCRIPTION} characters.")
    for name, value in location.items():
        if not isinstance(value, str) or len(value) > _MOST_LOCATION:
            raise invalid(f"locationData.{name}", f"At most {_MOST_LOCATION} characters.")
    return {"description": description, "locationData": location}


def _chosen(text: str) -> Callable[[Gateway], bool]:
    if not text:
        return lambda gateway: True
    found = _FILTER.fullmatch(text)
    name = (found["field"] or found["of"]) if found else ""
    if found is None or name.rpartition("/")[2] not in ("name", "description", "region"):
        raise invalid("$filter", f"The filter {text!r} is not supported.")
    compare = _FUNCTIONS[found["function"]] if found["function"] else str.__eq__
    wanted = found["part"] if found["function"] else found["equal"]

    def chosen(gateway: Gateway) -> bool:
        properties = gateway.properties
        values = {
            "name": gateway.name,
            "description": properties.get("description", ""),
            "region": properties["locationData"]["name"],
        }
        return compare(values[name.rpartition("/")[2]], wanted)

    return chosen


def _contract(service: Service, gateway: Gateway) -> dict[str, Any]:
    return {
        "id": f"{service.described.id}/gateways/{gateway.name}",
        "type": TYPE,
        "name": gateway.name,
        "properties": gateway.properties,
    }


def _answer(call: Call, gateway: Gateway, status: int = 200) -> web.Response:
    headers = {"ETag": gateway.etag}
    if call.request.method == "HEAD":
        return web.Response(status=status, headers=headers)
    return web.json_response(_contract(call.service, gateway), status=status, headers=headers)
