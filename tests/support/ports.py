"""Ports for programs that cannot choose one themselves."""

import random
import socket

_CHOICE = random.SystemRandom()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at; another program may take one before they are used.

    Below those that the system gives to whoever asks for any, so that no connection of another test
    takes one meanwhile.
    """
    found: set[int] = set()
    while len(found) < count:
        port = _CHOICE.randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.add(port)
    return sorted(found, key=lambda _: _CHOICE.random())
