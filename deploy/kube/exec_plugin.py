"""Runs a kubeconfig's plugin for credentials, somebody else's program, as kubectl would.

What it prints is a secret: it is in no error, log or repr. Of its standard error people are shown the
first line.
"""

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from typing import Any

from cryptography import x509

from deploy.errors import Unavailable
from deploy.kube.credentials import Credential, bearer, check_pair
from deploy.kube.kubeconfig import Plugin, Server, exec_info
from deploy.masking import HIDDEN, masked
from deploy.times import epoch

_KILLED_SECONDS = 60.0
"""A plugin that takes longer is ended."""
_LONGEST_LINE = 300
_SECRET_LENGTH = 8


class PluginRunner:
    """Runs the plugin of one cluster. Safe to use from many threads."""

    def __init__(self, cluster: str, plugin: Plugin, server: Server) -> None:
        self.name = f"the plugin “{plugin.name}” of cluster “{cluster}”"
        self._plugin = plugin
        self._server = server
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def run(self) -> Credential:
        """What it gives. Unavailable where it fails or takes more than a minute."""
        process = self._start()
        try:
            printed, said = process.communicate(timeout=_KILLED_SECONDS)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise self._failure(
                f"did not end within {_KILLED_SECONDS:.0f} s and was ended"
            ) from None
        finally:
            self._end(process)
        if process.returncode != 0:
            line = self._first_line(said)
            raise self._failure(
                f"failed: {line}" if line else "failed without an error message",
                meaning=f"Its exit status is {process.returncode}.",
            )
        try:
            return self._credential(printed)
        except ValueError as error:
            # Not the error itself, to which a JSON parser ties what it was given.
            why = str(error) if type(error) is ValueError else "its output is not JSON"
        raise self._failure(f"returned no credentials: {why}")

    def close(self) -> None:
        """End what runs; nothing is started any longer."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            _kill(process)

    def _start(self) -> "subprocess.Popen[bytes]":
        plugin = self._plugin
        try:
            info = json.dumps(exec_info(plugin, self._server))
        except (OSError, ValueError):
            raise self._failure(
                "cannot be run: the certificate authority file that it needs cannot be read"
            ) from None
        try:
            with self._lock:
                if self._closed:
                    raise self._failure("is no longer run: the bot is shutting down")
                process = subprocess.Popen(
                    [plugin.command, *plugin.args],
                    env={**os.environ, **plugin.env, "KUBERNETES_EXEC_INFO": info},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    # A group of its own: a script is ended with what it has started.
                    start_new_session=True,
                )
                self._running.add(process)
                return process
        except FileNotFoundError:
            raise self._failure(
                "is not installed where the bot runs",
                remedy=plugin.hint
                or "Ask whoever runs the bot to install it, or to give the bot another kubeconfig.",
            ) from None
        except (OSError, ValueError) as error:
            why = (
                error.strerror if isinstance(error, OSError) and error.strerror else "not a command"
            )
            raise self._failure(f"cannot be run: {why}") from None

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        with self._lock:
            self._running.discard(process)
        if process.poll() is None:
            _kill(process)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()

    def _credential(self, printed: bytes) -> Credential:
        answer = json.loads(printed)
        if not isinstance(answer, dict) or answer.get("kind") != "ExecCredential":
            raise ValueError("its output is not an ExecCredential")
        if answer.get("apiVersion") != self._plugin.api_version:
            raise ValueError(
                f"its output does not have the apiVersion {self._plugin.api_version} that the "
                "kubeconfig sets"
            )
        return credential_of(answer.get("status"))

    def _first_line(self, said: bytes) -> str:
        lines = said[: 16 * _LONGEST_LINE].decode("utf-8", "replace").splitlines()
        line = next((stripped for each in lines if (stripped := each.strip())), "")
        if line.startswith(("{", "[")):
            # An answer on the wrong channel, perhaps with a token.
            return ""
        for value in self._plugin.env.values():
            if len(value) >= _SECRET_LENGTH:
                line = line.replace(value, HIDDEN)
        return masked(line, _LONGEST_LINE).rstrip(".")

    def _failure(self, what: str, *, meaning: str = "", remedy: str = "") -> Unavailable:
        return Unavailable(
            f"{self.name[0].upper()}{self.name[1:]} {what}.",
            meaning=meaning,
            remedy=remedy
            or "Ask whoever runs the bot to try the plugin as the bot's user. The bot runs it again when "
            "needed.",
            untouched=True,
        )


def credential_of(status: Any) -> Credential:
    """The status of an ExecCredential. ValueError, which repeats nothing of it."""
    if not isinstance(status, Mapping):
        raise ValueError("its output has no status")
    token, certificate, key, ends = (
        str(status.get(name) or "")
        for name in ("token", "clientCertificateData", "clientKeyData", "expirationTimestamp")
    )
    if bool(certificate) != bool(key):
        raise ValueError("its output has only one of client certificate and key")
    if not token and not certificate:
        raise ValueError("its output has neither a token nor a client certificate")
    expires = epoch(ends)
    if ends and expires is None:
        raise ValueError("the expirationTimestamp in its output is not a valid time")
    found = Credential(bearer(token) if token else "", certificate, key, expires)
    check_pair(found)
    if certificate:
        until = x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc.timestamp()
        found = Credential(
            found.authorization, certificate, key, until if expires is None else min(until, expires)
        )
    return found


def _kill(process: "subprocess.Popen[bytes]") -> None:
    # Also where the program itself has ended: what it has started may hold its output open.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
