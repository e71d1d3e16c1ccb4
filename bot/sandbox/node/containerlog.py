"""What one container wrote: bounded, followable, and selected as `kubectl logs` asks for it."""

import asyncio
import datetime
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass

MAX_LINES = 20_000
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class LogOptions:
    """The query of a log request, as PodLogOptions has it."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since_seconds: int | None = None
    since_time_ns: int | None = None
    limit_bytes: int | None = None

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> "LogOptions":
        """Read a query string; ValueError says what is wrong with it."""
        since = query.get("sinceTime")
        return cls(
            follow=_flag(query, "follow"),
            previous=_flag(query, "previous"),
            timestamps=_flag(query, "timestamps"),
            tail_lines=_count(query, "tailLines", least=0),
            since_seconds=_count(query, "sinceSeconds", least=1),
            since_time_ns=None if since is None else parse_time(since),
            limit_bytes=_count(query, "limitBytes", least=1),
        )


@dataclass(frozen=True)
class Line:
    """One line and when it was written, in nanoseconds since the epoch."""

    at_ns: int
    text: str

    def encode(self, *, timestamps: bool) -> bytes:
        """The line as it goes to a client."""
        prefix = f"{format_time(self.at_ns)} " if timestamps else ""
        return f"{prefix}{self.text}\n".encode()


class ContainerLog:
    """Lines of one container's run, the newest MAX_LINES of them."""

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self._lines: deque[Line] = deque(lines, maxlen=MAX_LINES)
        self._written = len(self._lines)
        self._closed = False
        self._waiters: set[asyncio.Future[None]] = set()

    def write(self, text: str) -> None:
        """Append; a text of several lines becomes several lines."""
        now = time.time_ns()
        for line in text.splitlines():
            self._lines.append(Line(now, line))
            self._written += 1
        self._wake()

    def close(self) -> None:
        """Nothing more will be written: followers come to their end."""
        self._closed = True
        self._wake()

    def newest(self, count: int) -> list[Line]:
        """The last `count` lines."""
        return list(self._lines)[-count:]

    async def stream(self, options: LogOptions) -> AsyncIterator[bytes]:
        """Chunks of whole lines; with `follow`, until the container ends or the caller stops."""
        left = options.limit_bytes
        position = self._written
        lines = select(self._lines, options, time.time_ns())
        while True:
            chunk = b"".join(line.encode(timestamps=options.timestamps) for line in lines)
            if left is not None:
                chunk = chunk[:left]
                left -= len(chunk)
            if chunk:
                yield chunk
            if left == 0 or not options.follow:
                return
            while position == self._written:
                if self._closed:
                    return
                await self._more()
            # A reader slower than the writer loses the oldest lines, as with a rotated log file.
            lines = self.newest(min(self._written - position, MAX_LINES))
            position = self._written

    async def _more(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


def select(lines: Iterable[Line], options: LogOptions, now_ns: int) -> list[Line]:
    """The lines that `options` ask for out of what was written so far."""
    since = options.since_time_ns
    if options.since_seconds is not None:
        since = now_ns - options.since_seconds * _NANOSECONDS
    chosen = [line for line in lines if since is None or line.at_ns >= since]
    if options.tail_lines is not None:
        chosen = chosen[len(chosen) - min(options.tail_lines, len(chosen)) :]
    return chosen


def format_time(at_ns: int) -> str:
    """RFC 3339 with nanoseconds, as the kubelet writes it."""
    seconds, rest = divmod(at_ns, _NANOSECONDS)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def parse_time(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 time; ValueError if it is none."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return int(moment.timestamp()) * _NANOSECONDS + moment.microsecond * 1000


def _flag(query: Mapping[str, str], name: str) -> bool:
    value = query.get(name, "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise ValueError(f"{name} is true or false, not {value!r}")
    return value in ("true", "1")


def _count(query: Mapping[str, str], name: str, *, least: int) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    value = int(text)
    if value < least:
        raise ValueError(f"{name} must be at least {least}")
    return value
