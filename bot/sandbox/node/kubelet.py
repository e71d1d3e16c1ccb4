"""The kubelet's HTTPS server: what an API server asks a node for."""

import contextlib
from collections.abc import Callable

from aiohttp import web

from bot.sandbox.node.container import ContainerWorker
from bot.sandbox.node.containerlog import ContainerLog, LogOptions
from bot.sandbox.node.pod import PodWorker

FindPod = Callable[[str, str], PodWorker | None]


def kubelet_app(find: FindPod) -> web.Application:
    """Routes over the pods that `find(namespace, name)` knows."""

    async def container_logs(request: web.Request) -> web.StreamResponse:
        info = request.match_info
        pod = find(info["namespace"], info["pod"])
        if pod is None:
            text = f'pod "{info["pod"]}" does not exist'
            raise web.HTTPNotFound(text=text)
        worker = pod.container(info["container"])
        if worker is None:
            text = f'container "{info["container"]}" not found in pod "{info["pod"]}"'
            raise web.HTTPNotFound(text=text)
        try:
            options = LogOptions.parse(request.query)
        except ValueError as problem:
            raise web.HTTPBadRequest(text=str(problem)) from problem
        log = choose_log(worker, info["pod"], options)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        # A reader that has gone away is the usual end of following.
        with contextlib.suppress(ConnectionResetError):
            async for chunk in log.stream(options):
                await response.write(chunk)
            await response.write_eof()
        return response

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", container_logs)
    app.router.add_get("/healthz", healthz)
    return app


def choose_log(worker: ContainerWorker, pod: str, options: LogOptions) -> ContainerLog:
    """The log asked for. HTTPBadRequest in the kubelet's words where there is none."""
    name = worker.record.name
    log = worker.previous_log if options.previous else worker.log
    if options.previous and worker.log is not None and not worker.record.running:
        # Between two runs the one that just ended is already the previous one.
        log = worker.log
    if log is not None:
        return log
    if options.previous:
        text = f'previous terminated container "{name}" in pod "{pod}" not found'
    else:
        reason = (worker.record.state.get("waiting") or {}).get("reason", "")
        text = f'container "{name}" in pod "{pod}" is waiting to start: {reason}'
    raise web.HTTPBadRequest(text=text)
