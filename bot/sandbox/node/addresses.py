"""Addresses of pods and nodes, all of this machine.

Linux answers on all of 127.0.0.0/8, so each pod has an IP of its own there and listens on its real
ports. macOS answers on 127.0.0.1 only: there the pods share it and listen on free ports instead,
which the node's own probes know, but which a client that dials podIP:8080 cannot find.

A real API server refuses to proxy to loopback addresses and to write them into EndpointSlices. For
it there is a range that is meant for tests of networks (RFC 2544) and routed nowhere.
"""

import ipaddress
import logging
import random
import shutil
import socket
import subprocess

_log = logging.getLogger(__name__)
_ATTEMPTS = 20
_SHARED = "127.0.0.1"
_FOR_NODES = 4096
"""The lowest addresses of a range; a machine's own services have theirs at 127.0.0.x."""

LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
ROUTED = ipaddress.IPv4Network("198.18.0.0/15")


def routed_range() -> ipaddress.IPv4Network:
    """ROUTED, answered by this machine from now on; LOOPBACK where that cannot be had.

    The route stays when the process ends, for others may use it by then; it goes with a restart of
    the machine, or by `ip route del local 198.18.0.0/15 dev lo`.
    """
    if _answers():
        return ROUTED
    ip = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin")
    command = [ip or "ip", "route", "add", "local", str(ROUTED), "dev", "lo"]
    for prefix in [], ["sudo", "-n"]:
        try:
            subprocess.run([*prefix, *command], capture_output=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if _answers():
            return ROUTED
    _log.warning(
        "pods have loopback addresses, which a real API server does not proxy to. On Linux, "
        "`sudo ip route add local %s dev lo` gives them others.",
        ROUTED,
    )
    return LOOPBACK


def _answers() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((str(ROUTED[1]), 0))
        except OSError:
            return False
    return True


class AddressPool:
    """Hands out a pod IP; what another process holds on the same machine is passed over."""

    def __init__(self, network: ipaddress.IPv4Network = LOOPBACK) -> None:
        self.node_address = str(network[1])
        self._network = network
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
        last = self._network.num_addresses - 2
        return str(self._network[self._random.randint(_FOR_NODES, last)])


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
