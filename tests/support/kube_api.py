"""The Kubernetes API by hand: a request and what came back, with nothing in between to help."""

import contextlib
import json
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import urllib3
from kubernetes import config

T = TypeVar("T")
Obj = dict[str, Any]

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
_SECONDS = 60.0
_TRUST = ("ca_certs", "ca_cert_data", "cert_reqs")


@dataclass(frozen=True)
class Answer:
    """What a server said: the body is parsed where it is JSON."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """The reason of a Status; empty for anything else."""
        return str(self.body.get("reason", "")) if isinstance(self.body, dict) else ""

    @property
    def causes(self) -> list[tuple[str, str]]:
        """Reason and field of each cause of a Status."""
        details = (self.body.get("details") or {}) if isinstance(self.body, dict) else {}
        return [(c.get("reason", ""), c.get("field", "")) for c in details.get("causes") or []]

    @property
    def message(self) -> str:
        """The message of a Status; empty for anything else."""
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else ""


class KubeApi:
    """One API server, as one user."""

    def __init__(self, kubeconfig: Path, context: str | None = None) -> None:
        client = config.new_client_from_config(  # type: ignore[no-untyped-call]
            str(kubeconfig), context
        )
        settings = client.configuration
        self._url = settings.host
        self._pool = client.rest_client.pool_manager
        token = settings.auth_settings().get("BearerToken", {}).get("value")
        self._headers = {"Authorization": token} if token else {}

    def as_user(self, user: str, *groups: str) -> Self:
        """The same server, impersonating somebody."""
        other = object.__new__(type(self))
        other._url, other._pool = self._url, self._pool
        other._headers = {**self._headers, "Impersonate-User": user}
        if groups:
            other._headers["Impersonate-Group"] = groups[0]
        return other

    def anonymous(self) -> "KubeApi":
        """The same server, with a token that nobody has."""
        other = object.__new__(type(self))
        other._url = self._url
        # The administrator's pool may carry a client certificate, which would be somebody.
        settings = {k: v for k, v in self._pool.connection_pool_kw.items() if k in _TRUST}
        other._pool = urllib3.PoolManager(**settings)
        other._headers = {"Authorization": "Bearer of-nobody"}
        return other

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        *,
        accept: str = "application/json",
    ) -> Answer:
        """Send one request. Text that is no JSON comes back as text."""
        answer = self._pool.request(
            method,
            self._url + path,
            body=body if body is None or isinstance(body, str) else json.dumps(body),
            headers={**self._headers, "Content-Type": content_type, "Accept": accept},
            timeout=_SECONDS,
            retries=False,
        )
        text = answer.data.decode()
        try:
            return Answer(answer.status, json.loads(text), dict(answer.headers))
        except ValueError:
            return Answer(answer.status, text, dict(answer.headers))

    def get(self, path: str) -> Obj:
        """A GET that must succeed."""
        return self._good(self.request("GET", path))

    def items(self, path: str) -> list[Obj]:
        """The items of a list."""
        found: list[Obj] = self.get(path)["items"]
        return found

    def create(self, path: str, body: Obj) -> Obj:
        """A POST that must succeed."""
        return self._good(self.request("POST", path, body))

    def apply(self, path: str, body: Obj, manager: str = "test", *, query: str = "") -> Obj:
        """A server-side apply that must succeed."""
        return self._good(self.try_apply(path, body, manager, query=query))

    def try_apply(self, path: str, body: Obj, manager: str = "test", *, query: str = "") -> Answer:
        """A server-side apply."""
        return self.request("PATCH", f"{path}?fieldManager={manager}{query}", body, APPLY)

    def delete(self, path: str, query: str = "") -> Obj:
        """A DELETE that must succeed."""
        return self._good(self.request("DELETE", path + query))

    def gone(self, path: str) -> bool:
        """Whether there is nothing at `path`."""
        return self.request("GET", path).status == 404

    def watch(self, path: str, query: str, seconds: int) -> Generator[Obj, None, None]:
        """The events of a watch that ends after `seconds`."""
        separator = "&" if "?" in path else "?"
        url = f"{self._url}{path}{separator}watch=1&timeoutSeconds={seconds}&{query}"
        answer = self._pool.request(
            "GET", url, headers=self._headers, preload_content=False, timeout=_SECONDS
        )
        rest = b""
        try:
            for chunk in answer.stream(None):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (json.loads(line) for line in lines)
            if rest.strip():
                yield json.loads(rest)
        finally:
            answer.close()

    def watch_until(self, path: str, query: str, last: Callable[[Obj], bool]) -> list[Obj]:
        """The events of a watch up to the first that is `last`, however late a server sends them."""
        events: list[Obj] = []
        with contextlib.closing(self.watch(path, query, 50)) as watch:
            for event in watch:
                events.append(event)
                if last(event):
                    return events
        raise AssertionError(f"the watch ended before what it was read for: {events}")

    def follow(self, path: str) -> list[Obj]:
        """A list to which every event of `path` from now on is added, in order."""
        version = self.get(path)["metadata"]["resourceVersion"]
        events: list[Obj] = []

        def read() -> None:
            # The server may be stopped in the middle of a line.
            with contextlib.suppress(urllib3.exceptions.HTTPError, ValueError):
                for event in self.watch(path, f"resourceVersion={version}", 100):
                    events.append(event)  # noqa: PERF402  # readers see each as it comes

        threading.Thread(target=read, daemon=True).start()
        return events

    def stream(self, path: str) -> urllib3.BaseHTTPResponse:
        """A GET whose body has yet to be read; close it."""
        answer: urllib3.BaseHTTPResponse = self._pool.request(
            "GET", self._url + path, headers=self._headers, preload_content=False, timeout=_SECONDS
        )
        return answer

    @staticmethod
    def _good(answer: Answer) -> Obj:
        assert answer.status < 300, answer.body
        found: Obj = answer.body
        return found
