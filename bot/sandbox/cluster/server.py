"""The HTTP face of the API server."""

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass

from aiohttp import web

from bot.sandbox.cluster import discovery, errors, subresources
from bot.sandbox.cluster.api import APPLY_PATCH, Api
from bot.sandbox.cluster.authentication import Tokens, certified, impersonated, needed_to_be
from bot.sandbox.cluster.bodies import form_of, json_answer, list_of, read_body
from bot.sandbox.cluster.decoding import Options
from bot.sandbox.cluster.deletion import DeleteOptions, delete
from bot.sandbox.cluster.errors import ApiError
from bot.sandbox.cluster.identity import Identity
from bot.sandbox.cluster.kinds import POD, SERVICE_ACCOUNT
from bot.sandbox.cluster.kubelet_client import KubeletClient
from bot.sandbox.cluster.listing import check_version, list_objects, selection
from bot.sandbox.cluster.objects import Obj, name_of, namespace_of
from bot.sandbox.cluster.rbac import Attributes, denied
from bot.sandbox.cluster.request import (
    Target,
    attributes,
    is_watch,
    parse_path,
    proxied_name,
    unserved,
    verb_of,
    write_options,
)
from bot.sandbox.cluster.reviews import review, token_request
from bot.sandbox.cluster.tables import table
from bot.sandbox.cluster.watch import WatchRequest, stream
from bot.sandbox.faults import FaultBoard

_WATCH_SECONDS = 2400.0
_DROPPED_WATCH_SECONDS = 1.0


_AUDITED = 10_000


@dataclass(frozen=True)
class Written:
    """A line of the audit log: a request to write that is no dry run. `at`: epoch seconds."""

    at: float
    verb: str
    path: str


class ApiServer:
    """Answers HTTP requests by the API; `faults` may make it misbehave.

    `audit` holds the newest requests to write.
    """

    def __init__(
        self, api: Api, tokens: Tokens, kubelets: KubeletClient, faults: FaultBoard, version: str
    ) -> None:
        self._api = api
        self._tokens = tokens
        self._kubelets = kubelets
        self._faults = faults
        self._version = version
        self.audit: deque[Written] = deque(maxlen=_AUDITED)
        self._ended = asyncio.Event()

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    def end_watches(self) -> None:
        """End every running watch."""
        self._ended.set()
        self._ended = asyncio.Event()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self._faults.get("api_down"):
            if request.transport is not None:
                request.transport.abort()
            raise web.HTTPServiceUnavailable
        delay = self._faults.get("api_slow_ms")
        if delay:
            await asyncio.sleep(delay / 1000)
        options = Options()
        try:
            return await self._answer(request, options)
        except ApiError as error:
            answer = json_answer(error.status, error.code)
            answer.headers.update(error.headers)
            return answer

    async def _answer(self, request: web.Request, options: Options) -> web.StreamResponse:
        self._strike()
        who = self._identify(request)
        target = parse_path(request.path)
        if target is None:
            plain = Attributes(_plain_verb(request.method), path=request.path)
            asked = unserved(request.path, request.method, request.query)
            self._authorize(who, asked or plain)
            return self._meta(request)
        verb = verb_of(request.method, target, request.query)
        self._authorize(who, attributes(verb, target, request.query))
        if self._faults.get("forbid_writes") and verb not in ("get", "list", "watch"):
            raise denied(who, attributes(verb, target))
        if target.kind.verbs == ("create",):
            if verb != "create":
                raise errors.method_not_allowed()
            options = self._options(request, who)
            body = await read_body(request)
            return json_answer(review(target.kind, body, self._api.authorizer, options), 201)
        if target.subresource:
            return await self._subresource(request, target, who)
        if verb in ("list", "watch") or (verb == "get" and is_watch(request.query)):
            return await self._read_many(request, target)
        if verb == "get":
            obj = self._api.get(target.kind, target.namespace, target.name)
            return json_answer(form_of(request, target.kind, [obj], None))
        return await self._write(request, target, verb, who)

    def _strike(self) -> None:
        fault = self._faults.get("api_error")
        if fault == "401":
            raise errors.unauthorized()
        if fault == "500":
            raise errors.internal_error("etcdserver: request timed out")
        if fault == "503":
            raise ApiError(
                503,
                "ServiceUnavailable",
                "the server is currently unable to handle the request",
                {"retryAfterSeconds": 1},
                {"Retry-After": "1"},
            )
        if fault == "429":
            raise ApiError(
                429,
                "TooManyRequests",
                "too many requests, please try again later",
                {"retryAfterSeconds": 1},
                {"Retry-After": "1"},
            )

    def _identify(self, request: web.Request) -> Identity:
        who = self._signed_in(request)
        wanted = impersonated(request.headers)
        if wanted is None:
            return who
        for right in needed_to_be(wanted):
            self._authorize(who, right)
        return wanted

    def _signed_in(self, request: web.Request) -> Identity:
        peer = request.transport.get_extra_info("peercert") if request.transport else None
        authorization = request.headers.get("Authorization", "")
        who = certified(peer)
        if who is None and peer and not authorization:
            raise errors.unauthorized()
        return who or self._tokens.identify(authorization)

    def _authorize(self, who: Identity, asked: Attributes) -> None:
        if not self._api.authorizer.allows(who, asked):
            raise denied(who, asked)

    def _options(self, request: web.Request, who: Identity, *, applying: bool = False) -> Options:
        agent = request.headers.get("User-Agent", "")
        return write_options(request.query, agent, who, applying=applying)

    def _meta(self, request: web.Request) -> web.StreamResponse:
        path = request.path.rstrip("/") or "/"
        parts = path.strip("/").split("/")
        wants_all = discovery.AGGREGATED in request.headers.get("Accept", "")
        found: Obj | None = None
        if path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        if path == "/version":
            found = discovery.version(self._version)
        elif path in ("/api", "/apis") and wants_all:
            answer = json_answer(discovery.aggregated(core=path == "/api"))
            answer.headers["Content-Type"] = (
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            )
            return answer
        elif path == "/api":
            found = discovery.core_versions(request.host)
        elif path == "/apis":
            found = discovery.group_list()
        elif parts[0] == "apis" and len(parts) == 2:
            found = discovery.api_group(parts[1])
        elif parts[0] == "apis" and len(parts) == 3:
            found = discovery.resource_list(parts[1], parts[2])
        elif path == "/api/v1":
            found = discovery.resource_list("", "v1")
        elif path == "/openapi/v3":
            found = discovery.openapi_root()
        elif path.startswith("/openapi/v3/"):
            steps = parts[2:]
            if steps[0] == "api" and len(steps) == 2:
                found = discovery.openapi("", steps[1])
            elif steps[0] == "apis" and len(steps) == 3:
                found = discovery.openapi(steps[1], steps[2])
        if found is None:
            return web.Response(status=404, text="404 page not found\n")
        return json_answer(found)

    async def _read_many(self, request: web.Request, target: Target) -> web.StreamResponse:
        kind, query = target.kind, request.query
        if is_watch(query):
            return await self._watch(request, target)
        found, metadata = list_objects(self._api.store, kind, target.namespace, query)
        return json_answer(form_of(request, kind, found, metadata))

    async def _watch(self, request: web.Request, target: Target) -> web.StreamResponse:
        kind, query = target.kind, request.query
        selects = selection(kind, query, target.name)
        version = query.get("resourceVersion", "")
        if version and not version.isdigit():
            check_version(self._api.store, version, watching=True)
        as_table = "as=Table" in request.headers.get("Accept", "")
        include = query.get("includeObject", "Metadata")
        first = True

        def show(obj: Obj) -> Obj:
            nonlocal first
            if not as_table:
                return obj
            shown = table(
                kind, [obj], {"resourceVersion": obj["metadata"]["resourceVersion"]}, include
            )
            if not first:
                shown["columnDefinitions"] = None
            first = False
            return shown

        dropped = self._faults.get("watch_drop")
        seconds = float(query.get("timeoutSeconds") or _WATCH_SECONDS)
        asked = WatchRequest(
            kind,
            target.namespace,
            selects,
            show,
            version,
            query.get("allowWatchBookmarks", "").lower() in ("1", "true"),
            query.get("sendInitialEvents", "").lower() in ("1", "true"),
            _DROPPED_WATCH_SECONDS if dropped else seconds,
        )
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        try:
            async for line in stream(self._api.store, asked, self._ended):
                await answer.write(line)
            if (dropped or self._faults.get("api_down")) and request.transport is not None:
                request.transport.abort()
            else:
                await answer.write_eof()
        except ConnectionError:
            # The client has gone; there is nobody left to tell.
            pass
        return answer

    async def _write(
        self, request: web.Request, target: Target, verb: str, who: Identity
    ) -> web.StreamResponse:
        kind, namespace, name = target.kind, target.namespace, target.name
        media_type = request.content_type
        options = self._options(
            request, who, applying=verb == "patch" and media_type == APPLY_PATCH
        )
        if not options.dry_run:
            self.audit.append(Written(time.time(), verb, request.path))
        code = 200
        if verb == "create":
            body = await read_body(request)
            obj = self._api.create(kind, namespace, body, options)
            code = 201
        elif verb == "update":
            obj = self._api.update(kind, namespace, name, await read_body(request), options)
        elif verb == "patch":
            raw = await request.read()
            obj, created = self._api.patch(kind, namespace, name, media_type, raw, options)
            code = 201 if created else 200
        elif verb == "delete":
            wanted = DeleteOptions.read(await read_body(request), dict(request.query))
            obj = delete(self._api, kind, namespace, name, wanted)
        elif verb == "deletecollection":
            obj = await self._delete_many(request, target)
        else:
            raise errors.method_not_allowed()
        answer = json_answer(
            form_of(request, kind, [obj], None) if verb != "deletecollection" else obj, code
        )
        for warning in options.warnings:
            answer.headers.add("Warning", f"299 - {json.dumps(warning)}")
        return answer

    async def _delete_many(self, request: web.Request, target: Target) -> Obj:
        kind = target.kind
        wanted = DeleteOptions.read(await read_body(request), dict(request.query))
        found, metadata = list_objects(self._api.store, kind, target.namespace, request.query)
        for obj in found:
            delete(self._api, kind, namespace_of(obj), name_of(obj), wanted)
        return list_of(kind, found, metadata)

    async def _subresource(
        self, request: web.Request, target: Target, who: Identity
    ) -> web.StreamResponse:
        api, kind, namespace, name = self._api, target.kind, target.namespace, target.name
        verb = verb_of(request.method, target, {})
        if target.subresource == "log":
            if self._faults.get("deny_logs"):
                raise denied(who, attributes("get", target))
            return await self._kubelets.logs(request, api.get(POD, namespace, name))
        if target.subresource == "proxy":
            scheme, pod, port = proxied_name(name)
            found = api.get(POD, namespace, pod)
            return await self._kubelets.proxy(request, found, scheme, port, target.rest)
        media_type = request.content_type
        options = self._options(
            request, who, applying=verb == "patch" and media_type == APPLY_PATCH
        )
        if verb == "create":
            return json_answer(await self._act(request, target, options), 201)
        if target.subresource == "scale":
            if verb == "get":
                return json_answer(subresources.scale_of(api.get(kind, namespace, name)))
            if verb == "patch":
                raw = await request.read()
                return json_answer(
                    subresources.patch_scale(api, kind, namespace, name, media_type, raw, options)
                )
            body = await read_body(request)
            return json_answer(subresources.update_scale(api, kind, namespace, name, body, options))
        if verb == "get":
            return json_answer(api.get(kind, namespace, name))
        if verb == "update":
            body = await read_body(request)
            return json_answer(api.update(kind, namespace, name, body, options, target.subresource))
        if verb == "patch":
            raw = await request.read()
            obj, _ = api.patch(kind, namespace, name, media_type, raw, options, target.subresource)
            return json_answer(obj)
        raise errors.method_not_allowed()

    async def _act(self, request: web.Request, target: Target, options: Options) -> Obj:
        body = await read_body(request)
        namespace, name = target.namespace, target.name
        if target.subresource == "binding":
            node = (body.get("target") or {}).get("name", "")
            return subresources.bind(self._api, namespace, name, node, dry_run=options.dry_run)
        if target.subresource == "eviction":
            return subresources.evict(self._api, namespace, name, body, dry_run=options.dry_run)
        if target.subresource == "token":
            self._api.get(SERVICE_ACCOUNT, namespace, name)
            return token_request(body, namespace, name, self._tokens)
        raise errors.method_not_allowed()


def _plain_verb(method: str) -> str:
    return {"GET": "get", "HEAD": "get"}.get(method, method.lower())
