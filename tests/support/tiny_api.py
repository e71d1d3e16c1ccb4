"""As much of a Kubernetes API server as a node needs, for tests that break it."""

import asyncio
import contextlib
import datetime
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

Json = dict[str, Any]


class TinyApi:
    """Objects by path, over plain http; pods can be watched and are deleted with grace.

    `refuse` makes every request fail with 503 and ends the watches; `calls` are "METHOD path".
    """

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.calls: list[str] = []
        self.refuse = False
        self.expire_watches = False
        self._history: list[tuple[int, str, Json]] = []
        self._version = 100
        self._news = asyncio.Event()
        self.url = ""

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["TinyApi"]:
        """Listen on a free port until the block ends."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig with the context `west`."""
        config = {
            "clusters": [{"name": "west", "cluster": {"server": self.url}}],
            "users": [{"name": "node", "user": {"token": "node-token"}}],
            "contexts": [{"name": "west", "context": {"cluster": "west", "user": "node"}}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def put(self, path: str, item: Json) -> Json:
        """Store an object, new or changed."""
        kind = "MODIFIED" if path in self.objects else "ADDED"
        item.setdefault("metadata", {}).setdefault("uid", secrets.token_hex(8))
        self.objects[path] = item
        self._tell(kind, path, item)
        return item

    def pod(self, name: str, spec: Json, **metadata: Any) -> Json:
        """Create a pod in `dev`."""
        meta = {"name": name, "namespace": "dev", "generation": 1, **metadata}
        item = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {}}
        return self.put(f"/api/v1/namespaces/dev/pods/{name}", item)

    def get_pod(self, name: str) -> Json | None:
        """A pod of `dev`."""
        return self.objects.get(f"/api/v1/namespaces/dev/pods/{name}")

    def delete_pod(self, name: str, grace: int = 30) -> None:
        """Ask for a pod's end, as kubectl delete does."""
        path = f"/api/v1/namespaces/dev/pods/{name}"
        pod = self.objects[path]
        now = datetime.datetime.now(datetime.UTC).isoformat()
        pod["metadata"] |= {"deletionTimestamp": now, "deletionGracePeriodSeconds": grace}
        self.put(path, pod)

    def events(self, name: str) -> list[Json]:
        """The events about a pod of `dev`."""
        found = [o for path, o in self.objects.items() if "/dev/events/" in path]
        return [event for event in found if event["involvedObject"]["name"] == name]

    def cut(self) -> None:
        """Begin to refuse everything."""
        self.refuse = True
        self._wake()

    def _tell(self, kind: str, path: str, item: Json) -> None:
        self._version += 1
        item["metadata"]["resourceVersion"] = str(self._version)
        if "/pods/" in path:
            self._history.append((self._version, kind, json.loads(json.dumps(item))))
            self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(f"{request.method} {request.path}")
        if self.refuse:
            return _status(503, "ServiceUnavailable", "the server is away")
        if request.query.get("watch") == "true":
            return await self._watch(request)
        path = request.path
        if request.method == "GET" and path.endswith("/pods"):
            items = [o for p, o in self.objects.items() if "/pods/" in p]
            return web.json_response(
                {"items": items, "metadata": {"resourceVersion": str(self._version)}}
            )
        if request.method == "POST":
            return self._post(path, await request.json())
        if path.removesuffix("/status") not in self.objects:
            name = path.rsplit("/", 1)[-1]
            return _status(404, "NotFound", f'"{name}" not found')
        path = path.removesuffix("/status")
        if request.method == "PATCH":
            return web.json_response(
                self.put(path, _merge(self.objects[path], await request.json()))
            )
        if request.method == "DELETE":
            gone = self.objects.pop(path)
            self._tell("DELETED", path, gone)
            return web.json_response(gone)
        return web.json_response(self.objects[path])

    def _post(self, path: str, body: Json) -> web.Response:
        if path.endswith("/binding"):
            pod_path = path.removesuffix("/binding")
            self.objects[pod_path]["spec"]["nodeName"] = body["target"]["name"]
            self.put(pod_path, self.objects[pod_path])
            return web.json_response({"kind": "Status", "status": "Success"}, status=201)
        return web.json_response(self.put(f"{path}/{body['metadata']['name']}", body), status=201)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        seen = int(request.query["resourceVersion"])
        if self.expire_watches:
            self.expire_watches = False
            return _status(410, "Expired", "too old resource version")
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        while not self.refuse:
            news = self._news
            for version, kind, item in [e for e in self._history if e[0] > seen]:
                seen = version
                line = json.dumps({"type": kind, "object": item})
                await response.write(line.encode() + b"\n")
            await news.wait()
        return response


def _merge(old: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif key == "conditions":
            known = {c["type"]: c for c in result.get(key) or []}
            known |= {c["type"]: _merge(known.get(c["type"]), c) for c in value}
            result[key] = list(known.values())
        else:
            result[key] = _merge(result.get(key), value)
    return result


def _status(code: int, reason: str, message: str) -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return web.json_response(body, status=code)
