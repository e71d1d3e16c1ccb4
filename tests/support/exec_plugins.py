"""A plugin for credentials as a real process, whose runs a test counts and whose answers it decides."""

import datetime
import json
import socket
import stat
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Obj = dict[str, Any]

V1 = "client.authentication.k8s.io/v1"
# It says how it was run, and does as it is told. Where it is told nothing, it hangs.
_PROGRAM = """#!{python} -IS
import json, os, socket, sys
with socket.create_connection(("127.0.0.1", {port})) as issuer:
    info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
    told = {{"args": sys.argv[1:], "info": info, "env": dict(os.environ), "pid": os.getpid()}}
    issuer.sendall(json.dumps(told).encode() + b"\\n")
    answer = json.loads(issuer.makefile().readline())
sys.stdout.write(answer["stdout"])
sys.stderr.write(answer["stderr"])
sys.exit(answer["status"])
"""


@dataclass(frozen=True)
class Answer:
    """What one run prints, and how it ends."""

    stdout: str = ""
    stderr: str = ""
    status: int = 0


HANG: None = None
"""Instead of an Answer: the run goes on until it is killed."""


def credential(status: Mapping[str, Any], version: str = V1) -> Answer:
    """An ExecCredential."""
    return Answer(
        json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": dict(status)})
    )


def after(seconds: float) -> str:
    """An expirationTimestamp so far from now."""
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return end.isoformat().replace("+00:00", "Z")


class Issuer:
    """Use as a context manager. `answers` says what the run of that number, from 1 on, does."""

    def __init__(self, directory: Path, answers: Callable[[int], Answer | None]) -> None:
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._hanging: list[socket.socket] = []
        self.runs: list[Obj] = []
        """How each was run, in the order in which they began."""
        port = self._listener.getsockname()[1]
        self.program = directory / f"sign-in-{port}"
        self.program.write_text(_PROGRAM.format(python=sys.executable, port=port))
        self.program.chmod(self.program.stat().st_mode | stat.S_IXUSR)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._hanging:
            each.close()

    def user(self, **more: Any) -> Obj:
        """The entry of a kubeconfig's user."""
        return {
            "exec": {
                "apiVersion": V1,
                "command": str(self.program),
                "interactiveMode": "Never",
                **more,
            }
        }

    def _accept(self) -> None:
        while True:
            try:
                plugin, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plugin,), daemon=True).start()

    def _serve(self, plugin: socket.socket) -> None:
        self.runs.append(json.loads(plugin.makefile().readline()))
        answer = self._answers(len(self.runs))
        if answer is HANG:
            self._hanging.append(plugin)
            return
        with plugin:
            plugin.sendall(json.dumps(vars(answer)).encode() + b"\n")
