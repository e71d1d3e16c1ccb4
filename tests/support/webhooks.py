"""An admission webhook on this machine, which any API server here can ask."""

import base64
import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.sandbox.tls import Authority
from tests.support.kube_api import Obj

Patch = list[Obj]


class Denied(Exception):
    """What is asked about is refused, in these words."""


Decide = Callable[[Obj], Patch]
"""Of an object the JSON patch to make, or Denied."""


@dataclass
class Webhook:
    """One that is listening. `asked` are the requests that came, in order."""

    url: str
    ca: bytes
    asked: list[Obj] = field(default_factory=list)

    def configuration(
        self, kind: str, name: str, ns: str, resources: Mapping[str, Sequence[str]]
    ) -> Obj:
        """A `Mutating…` or `Validating…` configuration for that namespace; `resources` by API group."""
        rules = [
            {
                "apiGroups": [group],
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"] if group else ["CREATE"],
                "resources": list(plurals),
            }
            for group, plurals in resources.items()
        ]
        bundle = base64.b64encode(self.ca).decode()
        hook = {
            "name": "policy.tests.gateway-bot.io",
            "clientConfig": {"url": self.url, "caBundle": bundle},
            "rules": rules,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        return {"kind": kind, "metadata": {"name": name}, "webhooks": [hook]}


@contextlib.contextmanager
def listening(directory: Path, decide: Decide) -> Iterator[Webhook]:
    """Serve it until the block ends."""
    authority = Authority.load_or_create(directory / "webhook-ca")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = json.loads(body)["request"]
            found.asked.append(request)
            response: Obj = {"uid": request["uid"], "allowed": True}
            try:
                patch = decide(request["object"])
            except Denied as refusal:
                response |= {"allowed": False, "status": {"code": 403, "message": str(refusal)}}
            else:
                if patch:
                    encoded = base64.b64encode(json.dumps(patch).encode()).decode()
                    response |= {"patchType": "JSONPatch", "patch": encoded}
            review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
            answer = json.dumps({**review, "response": response}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = authority.server_context().wrap_socket(server.socket, server_side=True)
    found = Webhook(f"https://127.0.0.1:{server.server_port}/", authority.ca_pem)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()
