"""Pod addresses on loopback.

Linux answers on all of 127.0.0.0/8, so each pod has an IP of its own there and listens on its real
ports. macOS answers on 127.0.0.1 only: there the pods share it and listen on free ports instead,
which the node's own probes know, but which a client that dials podIP:8080 cannot find.
"""

import logging
import random
import socket

_log = logging.getLogger(__name__)
_ATTEMPTS = 20
_SHARED = "127.0.0.1"


class AddressPool:
    """Hands out a pod IP; what another process holds on the same machine is passed over."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._random = random.Random()
        self._sharing = False

    def take(self, preferred: str | None = None) -> str:
        """A free address, `preferred` if it can be had."""
        if self._sharing:
            return _SHARED
        candidates = [] if preferred is None else [preferred]
        candidates += [self._any() for _ in range(_ATTEMPTS)]
        for address in candidates:
            if address not in self._taken and _can_bind(address):
                self._taken.add(address)
                return address
        _log.warning("no pod address of its own can be bound; pods share %s", _SHARED)
        self._sharing = True
        return _SHARED

    def release(self, address: str) -> None:
        """Give an address back."""
        self._taken.discard(address)

    def _any(self) -> str:
        pick = self._random.randint
        return f"127.{pick(16, 250)}.{pick(0, 255)}.{pick(1, 254)}"


def listen(address: str, port: int) -> socket.socket:
    """A listening socket on `port`, or on a free port where that one cannot be had.

    OSError if the address cannot be bound at all.
    """
    try:
        return _listen(address, port)
    except OSError as problem:
        bound = _listen(address, 0)
        _log.warning("%s:%s: %s; using port %s", address, port, problem, bound.getsockname()[1])
        return bound


def _listen(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _can_bind(address: str) -> bool:
    # The gateway's port, not port 0: the point is that no other process has this address.
    try:
        _listen(address, 8080).close()
    except OSError:
        return False
    return True
