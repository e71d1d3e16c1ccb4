"""What the API server fetches for its clients: container logs from kubelets, and anything from a
pod's own port."""

import asyncio

import aiohttp
from aiohttp import web

from bot.sandbox.cluster import errors
from bot.sandbox.cluster.errors import ApiError
from bot.sandbox.cluster.kinds import NODE
from bot.sandbox.cluster.log_options import check
from bot.sandbox.cluster.objects import Obj, get, name_of, namespace_of
from bot.sandbox.cluster.store import Store

_CONNECT_SECONDS = 5.0
_LOG_PARAMETERS = (
    "follow",
    "previous",
    "tailLines",
    "sinceSeconds",
    "sinceTime",
    "timestamps",
    "limitBytes",
    "stream",
)
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "content-length",
        "content-encoding",
        "host",
        "authorization",
        "accept-encoding",
    }
)


class KubeletClient:
    """One pooled HTTP client towards kubelets and pods."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the pool."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        # Kubelets serve a certificate of their own; a real API server without
        # --kubelet-certificate-authority does not verify it either.
        self._session = aiohttp.ClientSession(
            timeout=timeout,
            auto_decompress=False,
            connector=aiohttp.TCPConnector(ssl=False, limit=0),
        )

    async def stop(self) -> None:
        """Close the pool and every stream over it."""
        if self._session is not None:
            await self._session.close()

    async def logs(self, request: web.Request, pod: Obj) -> web.StreamResponse:
        """Answer a log request: with nothing while the pod has no node. ApiError 400 for a container
        that is not there or has not started, 422 for options that make no sense."""
        check(request.query, name_of(pod))
        container = _container(pod, request.query.get("container", ""))
        if not get(pod, "spec", "nodeName"):
            return web.Response(status=204)
        _check_started(pod, container, previous=_true(request.query.get("previous", "")))
        node = self._store.get(NODE, "", get(pod, "spec", "nodeName", default=""))
        if node is None:
            raise errors.internal_error(f'nodes "{get(pod, "spec", "nodeName")}" not found')
        addresses = {a["type"]: a["address"] for a in get(node, "status", "addresses", default=[])}
        port = get(node, "status", "daemonEndpoints", "kubeletEndpoint", "Port", default=10250)
        host = addresses.get("InternalIP", "127.0.0.1")
        path = f"/containerLogs/{namespace_of(pod)}/{name_of(pod)}/{container}"
        query = {k: v for k, v in request.query.items() if k in _LOG_PARAMETERS}
        response = await self._fetch("GET", f"https://{host}:{port}{path}", query)
        async with response:
            if response.status >= 400:
                text = (await response.text()).strip()
                raise ApiError(
                    response.status if response.status in (400, 404) else 500,
                    {400: "BadRequest", 404: "NotFound"}.get(response.status, "InternalError"),
                    text or "unknown",
                )
            return await _pass_on(request, response, {"Content-Type": "text/plain"})

    async def proxy(
        self, request: web.Request, pod: Obj, scheme: str, port: str, rest: str
    ) -> web.StreamResponse:
        """Pass a request on to a pod's port. ApiError 503 when nothing answers there."""
        address = get(pod, "status", "podIP")
        if not address:
            raise errors.bad_request("address not allowed")
        url = f"{scheme}://{address}:{_port_number(pod, port)}/{rest}"
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        try:
            response = await self._fetch(
                request.method, url, dict(request.query), headers, await request.read()
            )
        except ApiError as error:
            raise ApiError(
                503,
                "ServiceUnavailable",
                f"error trying to reach service: {error.message.partition(': ')[2]}",
            ) from error
        async with response:
            return await _pass_on(request, response, dict(response.headers))

    async def _fetch(
        self,
        method: str,
        url: str,
        query: dict[str, str],
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> aiohttp.ClientResponse:
        assert self._session is not None
        try:
            return await self._session.request(
                method, url, params=query, headers=headers, data=body or None, allow_redirects=False
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = (
                "i/o timeout" if isinstance(error, TimeoutError) else "connect: connection refused"
            )
            host = url.split("/")[2]
            raise ApiError(500, None, f'Get "{url}": dial tcp {host}: {why}') from error


async def _pass_on(
    request: web.Request, response: aiohttp.ClientResponse, headers: dict[str, str]
) -> web.StreamResponse:
    kept = {k: v for k, v in headers.items() if k.lower() not in _HOP_BY_HOP}
    if "Content-Encoding" in headers:
        kept["Content-Encoding"] = headers["Content-Encoding"]
    answer = web.StreamResponse(status=response.status, headers=kept)
    await answer.prepare(request)
    try:
        async for chunk in response.content.iter_any():
            await answer.write(chunk)
        await answer.write_eof()
    except (aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError):
        # The other side went away in the middle: the client must see a broken stream, not a whole
        # one.
        if request.transport is not None:
            request.transport.close()
    return answer


def _true(text: str) -> bool:
    return text.lower() in ("1", "true")


def _port_number(pod: Obj, port: str) -> int:
    ports = [
        p
        for container in get(pod, "spec", "containers", default=[])
        for p in container.get("ports") or []
    ]
    if port.isdigit():
        return int(port)
    for found in ports:
        if not port or found.get("name") == port:
            return int(found["containerPort"])
    return 80


def _container(pod: Obj, name: str) -> str:
    containers = [str(c["name"]) for c in get(pod, "spec", "containers", default=[])]
    initial = [str(c["name"]) for c in get(pod, "spec", "initContainers", default=[])]
    if name:
        if name not in (*containers, *initial):
            raise errors.bad_request(f"container {name} is not valid for pod {name_of(pod)}")
        return name
    if len(containers) == 1:
        return containers[0]
    message = (
        f"a container name must be specified for pod {name_of(pod)}, choose one of: "
        f"[{' '.join(containers)}]"
    )
    if initial:
        message += f" or one of the init containers: [{' '.join(initial)}]"
    raise errors.bad_request(message)


def _check_started(pod: Obj, container: str, *, previous: bool) -> None:
    statuses = [
        *get(pod, "status", "containerStatuses", default=[]),
        *get(pod, "status", "initContainerStatuses", default=[]),
    ]
    found = next((s for s in statuses if s.get("name") == container), None)
    where = f'container "{container}" in pod "{name_of(pod)}"'
    if found is None:
        raise errors.bad_request(f"{where} is not available")
    last = get(found, "lastState", "terminated")
    if previous and last is None:
        raise errors.bad_request(f"previous terminated {where} not found")
    waiting = get(found, "state", "waiting")
    if not previous and waiting is not None and last is None:
        raise errors.bad_request(
            f"{where} is waiting to start: {waiting.get('reason', 'ContainerCreating')}"
        )
