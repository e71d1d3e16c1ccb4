"""What requests carry, and the form that their answers have."""

import json
from collections.abc import Mapping
from typing import Any

import yaml
from aiohttp import web

from bot.sandbox.cluster import errors, protobuf
from bot.sandbox.cluster.errors import ApiError
from bot.sandbox.cluster.kinds import Kind
from bot.sandbox.cluster.objects import Obj
from bot.sandbox.cluster.tables import table


async def read_body(request: web.Request) -> Any:
    """The body of a request, in any of the media types that clients use; empty where there is none."""
    raw = await request.read()
    if not raw:
        return {}
    if request.content_type == protobuf.MEDIA_TYPE:
        return protobuf.decode(raw)
    if request.content_type == "application/cbor":
        raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    try:
        if "yaml" in request.content_type:
            return yaml.load(raw, Loader=yaml.CSafeLoader)
        return json.loads(raw)
    except (ValueError, yaml.YAMLError) as error:
        raise errors.bad_request(f"couldn't get version/kind; json parse error: {error}") from error


def list_of(kind: Kind, objects: list[Obj], metadata: Obj) -> Obj:
    """A list of one kind."""
    # Items of a typed list carry no kind of their own, as the server's lists have it.
    items = [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in objects]
    return {
        "kind": f"{kind.kind}List",
        "apiVersion": kind.api_version,
        "metadata": metadata,
        "items": items,
    }


def form_of(
    request: web.Request, kind: Kind, objects: list[Obj], metadata: Obj | None
) -> Mapping[str, Any]:
    """One object or a list (with `metadata`) in the form the client's Accept header asks for."""
    accept = request.headers.get("Accept", "")
    if "as=Table" in accept and (metadata is not None or objects[0].get("kind") == kind.kind):
        version = (
            {"resourceVersion": objects[0]["metadata"].get("resourceVersion", "")}
            if metadata is None
            else metadata
        )
        return table(kind, objects, version, request.query.get("includeObject", "Metadata"))
    if metadata is None:
        return objects[0]
    return list_of(kind, objects, metadata)


def json_answer(value: Any, code: int = 200) -> web.Response:
    """An answer that is JSON."""
    return web.Response(
        body=json.dumps(value, separators=(",", ":")).encode(),
        status=code,
        content_type="application/json",
    )
