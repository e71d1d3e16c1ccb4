"""One call of Resource Manager: what it is about, its body, its paging and its preconditions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aiohttp import web

from bot.sandbox.azure.model import Gateway, Service
from bot.sandbox.azure.replies import ArmError, invalid, not_found

Json = dict[str, Any]
_PAGE = 100


@dataclass(frozen=True)
class Call:
    """A request that is signed in, allowed, and about a service that exists."""

    request: web.Request
    service: Service
    where: Mapping[str, str]

    @property
    def gateway(self) -> Gateway:
        """The gateway of the path. ArmError 404."""
        found = self.service.find(self.where["gateway"])
        if found is None:
            raise not_found("Gateway")
        return found

    async def body(self) -> Json:
        """The JSON object sent; {} for none. ArmError 400 for anything else."""
        text = await self.request.read()
        if not text.strip():
            return {}
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise invalid("representation", "The request body is not a JSON object.")
        return found

    async def properties(self) -> Json:
        """The body's `properties`. ArmError 400 when they are no object."""
        found = (await self.body()).get("properties") or {}
        if not isinstance(found, dict):
            raise invalid("properties", "Properties must be an object.")
        return found

    def match(self, etag: str | None, *, required: bool) -> None:
        """Hold If-Match against what is there (None: nothing). ArmError 400 or 412."""
        given = self.request.headers.get("If-Match")
        if given is None:
            if required:
                raise invalid("If-Match", "The If-Match header is required.")
            return
        wanted = [tag.strip().removeprefix("W/") for tag in given.split(",")]
        if etag is None or ("*" not in wanted and etag not in wanted):
            message = "Resource was modified since last retrieval."
            raise ArmError(412, "PreconditionFailed", message)

    def page(self, items: list[Json]) -> web.Response:
        """A list's answer, with `$top` and `$skip`. The last page's link is empty, not absent."""
        query = self.request.query
        top = _whole(query.get("$top", str(_PAGE)), "$top", 1)
        skip = _whole(query.get("$skip", "0"), "$skip", 0)
        following = ""
        if skip + top < len(items):
            asked = {**query, "$top": str(top), "$skip": str(skip + top)}
            pairs = "&".join(f"{name}={quote(value)}" for name, value in asked.items())
            following = f"https://{self.request.host}{quote(self.request.path)}?{pairs}"
        return web.json_response(
            {"value": items[skip : skip + top], "count": len(items), "nextLink": following}
        )


def _whole(text: str, name: str, least: int) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) < least:
        raise invalid(name, f"{name} must be a whole number from {least}.")
    return int(text)
