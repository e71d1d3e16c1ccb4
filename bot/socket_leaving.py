"""The end of all connections of a bot, after which no ack is missing.

Slack sends on a connection until it has noticed its end, and does not repeat commands and clicks. Who
has sent a Close may send nothing after it (RFC 6455, 5.5.1), but Slack takes an ack over any
connection of the app.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import aiohttp
from slack_sdk.errors import SlackClientError

from bot.socket_connection import Envelope, Refused, SocketConnection

log = logging.getLogger(__name__)

_CLOSE_SECONDS = 3.0
_MORE = 4
"""So many connections are made for acks alone. Each may bring something in its turn: in one round
trip its share of all that Slack sends."""


async def leave(
    standing: Sequence[SocketConnection],
    unsent: list[Envelope],
    settled: Callable[[], Awaitable[None]],
    connect: Callable[[], Awaitable[SocketConnection]],
) -> None:
    """Close every connection but one, so that it has the acks of the others; then that one. What it
    brought to the last is acked over a new one that `connect` makes.

    `settled` waits, for as long as makes sense, until what has arrived has its answer; those that no
    connection took are in `unsent` then.
    """
    in_order = sorted(standing, key=lambda each: each.held)
    await _close(in_order[:-1])
    last = in_order[-1:]
    await settled()
    for more in range(_MORE + 1):
        await _close(last)
        await settled()
        if not unsent or more == _MORE:
            break
        try:
            made = await connect()
        except (Refused, OSError, aiohttp.ClientError, SlackClientError, ValueError) as error:
            log.info("there is no connection for the last acks: %s", type(error).__name__)
            break
        late = unsent.copy()
        unsent.clear()
        unsent += [ack for ack in late if not await made.send(ack)]
        last = [made]
    if unsent:
        log.warning("%d envelopes got no ack at the end", len(unsent))


async def _close(connections: Sequence[SocketConnection]) -> None:
    closing = (each.close(_CLOSE_SECONDS) for each in connections)
    await asyncio.gather(*closing, return_exceptions=True)
