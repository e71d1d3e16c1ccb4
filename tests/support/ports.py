"""Ports for servers that are told theirs and bind it themselves."""

import contextlib
import random
import socket


def free_ports(count: int) -> list[int]:
    """Below the range from which systems take ports by themselves (32768 on Linux): the servers bind
    them later, and those that restart bind theirs again. A Redis Cluster's bus, 10,000 above, is so
    too."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(12_000, 22_000), 200):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no port is free on loopback")


def free_port() -> int:
    """One of them."""
    (port,) = free_ports(1)
    return port
