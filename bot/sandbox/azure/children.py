"""The operations on what belongs to a gateway: API associations, host names, certificates."""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from bot.sandbox.azure.call import Call
from bot.sandbox.azure.gateways import TYPE
from bot.sandbox.azure.model import Child, Collection, Service
from bot.sandbox.azure.replies import invalid, not_found

_NAMES: dict[Collection, str] = {
    "apis": "API",
    "hostnameConfigurations": "Hostname configuration",
    "certificateAuthorities": "Certificate authority",
}
_FLAGS = ("negotiateClientCertificate", "tls10Enabled", "tls11Enabled", "http2Enabled")


class ChildOperations:
    """Each takes a call whose path names the collection and, but for lists, the child."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    async def list(self, call: Call) -> web.Response:
        """The children of one collection."""
        children = _children(call)
        return call.page([_contract(call, children[name]) for name in sorted(children)])

    async def get(self, call: Call) -> web.Response:
        """One child, or with HEAD its entity tag."""
        child = _children(call).get(call.where["child"])
        if child is None:
            raise not_found(_NAMES[_collection(call)])
        headers = {"ETag": child.etag}
        if call.request.method == "HEAD":
            return web.Response(headers=headers)
        return web.json_response(_contract(call, child), headers=headers)

    async def put(self, call: Call) -> web.Response:
        """Create or replace a child; an API's association can only be there or not."""
        children, name = _children(call), call.where["child"]
        collection = _collection(call)
        properties = _checked(call.service, collection, name, await call.properties())
        existing = children.get(name)
        if collection == "apis" and existing is not None:
            return web.json_response(_contract(call, existing))
        call.match(existing.etag if existing else None, required=False)
        child = children[name] = Child(name, properties)
        self._changed()
        status = 200 if existing else 201
        headers = {"ETag": child.etag}
        return web.json_response(_contract(call, child), status=status, headers=headers)

    async def delete(self, call: Call) -> web.Response:
        """Take a child away."""
        children, name = _children(call), call.where["child"]
        existing = children.get(name)
        if existing is None:
            return web.Response(status=204)
        if _collection(call) != "apis":
            call.match(existing.etag, required=True)
        del children[name]
        self._changed()
        return web.Response(status=200)


def _collection(call: Call) -> Collection:
    wanted = call.where["collection"].lower()
    return next(each for each in _NAMES if each.lower() == wanted)


def _children(call: Call) -> dict[str, Child]:
    return call.gateway.children[_collection(call)]


def _checked(
    service: Service, collection: Collection, name: str, properties: dict[str, Any]
) -> dict[str, Any]:
    if collection == "apis":
        if service.find_api(name) is None:
            raise not_found("API")
        return {}
    if collection == "certificateAuthorities":
        trusted = properties.get("isTrusted", False)
        if not isinstance(trusted, bool):
            raise invalid("isTrusted", "isTrusted must be true or false.")
        return {"isTrusted": trusted}
    if not properties.get("hostname") or not isinstance(properties["hostname"], str):
        raise invalid("hostname", "A hostname is required.")
    certificate = str(properties.get("certificateId") or "").lower()
    if certificate and not certificate.startswith(f"{service.described.id}/certificates/".lower()):
        raise invalid("certificateId", "The id must name a certificate of this service.")
    for flag in _FLAGS:
        if not isinstance(properties.get(flag, False), bool):
            raise invalid(flag, f"{flag} must be true or false.")
    return {
        "hostname": properties["hostname"],
        "certificateId": properties.get("certificateId"),
        **{flag: properties.get(flag, False) for flag in _FLAGS},
    }


def _contract(call: Call, child: Child) -> dict[str, Any]:
    collection = _collection(call)
    properties = child.properties
    api = call.service.find_api(child.name) if collection == "apis" else None
    if api is not None:
        properties = {
            "displayName": api.name,
            "path": api.path,
            "protocols": ["https"],
            "apiRevision": "1",
            "isCurrent": True,
            "subscriptionRequired": False,
        }
    gateway = f"{call.service.described.id}/gateways/{call.gateway.name}"
    return {
        "id": f"{gateway}/{collection}/{child.name}",
        "type": f"{TYPE}/{collection}",
        "name": child.name,
        "properties": properties,
    }
