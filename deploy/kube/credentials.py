"""What proves to an API server who the bot is: where it comes from, and when it is renewed.

A source is asked before each request and notified of each 401. What was refused is renewed once, by one
flight for all who wait; only what is refused after that is refused for good.
"""

import contextlib
import math
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from deploy.deadline import Deadline
from deploy.errors import GatewayBotError, Unavailable
from deploy.flight import Flight

_WAIT_SECONDS = 10.0
"""For how long a request waits for a renewal."""
_HUNG_SECONDS = 6.0
"""After so long a renewal that somebody waits for is begun anew beside."""
_EARLIEST_SECONDS = 120.0
_EARLY_SHARE = 0.25
"""What is left of a credential's life when it is renewed, while it still serves."""
_LONGEST_PAUSE = 10.0
_REREAD_SECONDS = 10.0
_SLICE_SECONDS = 0.5


@dataclass(frozen=True)
class Credential:
    """A header, a client certificate with its key in PEM, or both. `expires`: epoch seconds."""

    authorization: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    expires: float | None = None

    def proves_as(self, other: "Credential") -> bool:
        """Whether a server sees no difference."""
        return (self.authorization, self.certificate) == (other.authorization, other.certificate)

    def over(self, now: float) -> bool:
        """Whether no server accepts it any longer."""
        return self.expires is not None and now >= self.expires


class Source(Protocol):
    """Where credentials come from. Safe to use from many threads."""

    def current(self) -> Credential:
        """What to prove oneself with now. Unavailable where there is nothing."""

    def after_refusal(self, refused: Credential) -> Credential | None:
        """What to try instead of what a server refused with 401; None where there is nothing else.
        Unavailable where it cannot be renewed now."""

    def accepted(self, credential: Credential) -> None:
        """A server has accepted it."""

    @property
    def tried(self) -> str:
        """What was tried before `after_refusal` gave None, as a sentence, or nothing."""

    def close(self) -> None:
        """End what runs."""


def bearer(token: str) -> str:
    """The header's value. ValueError, which does not repeat it, for what can be no token."""
    token = token.strip()
    if not token:
        raise ValueError("its token is empty")
    if not (token.isascii() and token.isprintable()):
        raise ValueError("its token contains characters that are not allowed")
    return f"Bearer {token}"


def certified(context: ssl.SSLContext, credential: Credential) -> None:
    """Let a TLS context show the client certificate. ValueError where it cannot be used."""
    # ssl loads a chain from a file only. This one holds a private key, so it is gone at once.
    with tempfile.NamedTemporaryFile(suffix=".pem") as chain:
        chain.write(f"{credential.key}\n{credential.certificate}\n".encode())
        chain.flush()
        try:
            # Without a password it would ask a terminal for that of an encrypted key.
            context.load_cert_chain(chain.name, password="")
        except (ssl.SSLError, OSError):
            raise ValueError(
                "certificate and key are not a matching pair of unencrypted PEM"
            ) from None


def check_pair(credential: Credential) -> None:
    """ValueError where there is a client certificate that cannot be used."""
    if credential.certificate:
        certified(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), credential)


class Fixed:
    """What never changes."""

    tried = ""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def current(self) -> Credential:
        """It."""
        return self._credential

    def after_refusal(self, refused: Credential) -> Credential | None:
        """Nothing."""
        return None

    def accepted(self, credential: Credential) -> None:
        """Nothing follows from it."""

    def close(self) -> None:
        """Nothing runs."""


class FromFiles:
    """Files that somebody else writes anew: read again every few seconds, and after a refusal.

    While they cannot be read, as between two steps of a rotation, what was read last counts.
    """

    tried = "The bot read its files again and found the same credentials."

    def __init__(self, cluster: str, what: str, load: Callable[[], Credential]) -> None:
        """`what` names the files to people; `load` raises OSError or ValueError."""
        self._cluster = cluster
        self._what = what
        self._load = load
        self._lock = threading.Lock()
        self._last: Credential | None = None
        self._read_at = 0.0

    def current(self) -> Credential:
        """What they hold."""
        with self._lock:
            if self._last is None or time.monotonic() - self._read_at >= _REREAD_SECONDS:
                return self._read()
            return self._last

    def after_refusal(self, refused: Credential) -> Credential | None:
        """What they hold now, where that is something else."""
        with self._lock:
            now = self._read()
        return None if now.proves_as(refused) else now

    def accepted(self, credential: Credential) -> None:
        """Nothing follows from it."""

    def close(self) -> None:
        """Nothing runs."""

    def _read(self) -> Credential:
        try:
            found = self._load()
            check_pair(found)
        except (OSError, ValueError) as error:
            if self._last is not None:
                return self._last
            raise Unavailable(
                f"The credentials of cluster “{self._cluster}” cannot be read from "
                f"{self._what}: {_reason(error)}.",
                remedy="Ask whoever runs the bot to check its kubeconfig and that file.",
                untouched=True,
            ) from None
        self._read_at = time.monotonic()
        self._last = found
        return found


@dataclass(frozen=True)
class Held:
    """What a renewing source knows. Moments of `obtained` are epoch seconds, others monotonic."""

    credential: Credential | None = None
    obtained: float = 0.0
    refused: Credential | None = None
    """What a server has refused, if that is the credential."""
    in_reply: bool = False
    """Whether the credential was renewed because another was refused."""
    proven: bool = False
    failures: int = 0
    trouble: Unavailable | None = None
    not_before: float = 0.0
    """Nothing is run again before that moment."""

    def wants(self, now: float) -> bool:
        """Whether to renew: nothing is there, or it is refused or ends soon."""
        held = self.credential
        if held is None or held is self.refused:
            return True
        if held.expires is None:
            return False
        early = min(_EARLIEST_SECONDS, (held.expires - self.obtained) * _EARLY_SHARE)
        return now >= held.expires - early

    def serves(self, now: float) -> bool:
        """Whether the credential is worth a try."""
        held = self.credential
        return held is not None and held is not self.refused and not held.over(now)

    def vain(self, moment: float) -> bool:
        """Whether renewing has just not helped."""
        return self.in_reply and not self.proven and moment < self.not_before

    def renewed(self, credential: Credential, now: float, moment: float) -> "Held":
        """Another was obtained. Of two that ran at once the one that lasts longer counts."""
        if credential.over(now):
            # By a clock that is wrong, here or there: the server knows better, and says 401.
            credential = replace(credential, expires=None)
        mine = self.credential
        lasts = math.inf if credential.expires is None else credential.expires
        if self.serves(now) and mine and (mine.expires or 0) > lasts:
            return replace(self, obtained=now, failures=0, trouble=None, not_before=0.0)
        in_reply = self.refused is not None
        return Held(
            credential,
            now,
            in_reply=in_reply,
            not_before=moment + _LONGEST_PAUSE if in_reply else 0,
        )

    def failed(self, trouble: Unavailable, moment: float) -> "Held":
        """It could not be renewed; the pauses double."""
        pause = min(_LONGEST_PAUSE, 2.0**self.failures)
        return replace(self, failures=self.failures + 1, trouble=trouble, not_before=moment + pause)


class Renewing:
    """What a program or a provider gives: obtained at the first request, renewed before it expires
    while it still serves, and when a server refuses it. However many want it, it runs once."""

    def __init__(
        self,
        name: str,
        obtain: Callable[[], Credential],
        *,
        close: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`name`: in a sentence, as in “the plugin “x” of cluster “west””. `obtain` raises
        Unavailable; `now` gives epoch seconds."""
        self._name = name
        self._obtain = obtain
        self._close = close
        self._now = now
        self._lock = threading.Lock()
        self._held = Held()
        self._flight = Flight(self._renew, f"credentials: {name}", given_up=_HUNG_SECONDS)

    @property
    def tried(self) -> str:
        """That it was renewed."""
        return f"They come from {self._name}, which the bot has run again."

    def current(self) -> Credential:
        """What serves, renewed where that must be waited for."""
        held, now = self._held, self._now()
        if not held.serves(now):
            return self._waited()
        assert held.credential is not None
        if held.wants(now) and time.monotonic() >= held.not_before:
            # A caller who asks now is served; whoever comes after the end meets the trouble.
            with contextlib.suppress(TimeoutError, GatewayBotError):
                self._flight.wait(0)
        return held.credential

    def after_refusal(self, refused: Credential) -> Credential | None:
        """Another, where there is one."""
        with self._lock:
            held = self._held
            if held.credential is not refused and held.serves(self._now()):
                return held.credential
            if held.credential is refused:
                if held.vain(time.monotonic()):
                    return None
                self._held = replace(held, refused=refused)
        renewed = self._waited()
        return None if renewed.proves_as(refused) else renewed

    def accepted(self, credential: Credential) -> None:
        """So a later refusal means that its time is over."""
        if self._held.proven or self._held.credential is not credential:
            return
        with self._lock:
            if self._held.credential is credential:
                self._held = replace(self._held, proven=True, not_before=0.0)

    def close(self) -> None:
        """End what runs."""
        self._close()

    def _waited(self) -> Credential:
        self._raise_trouble(self._held)
        end = Deadline.after(_WAIT_SECONDS)
        while True:
            try:
                # In slices: of one that hangs somebody has to notice.
                return self._flight.wait(min(_SLICE_SECONDS, end.left))
            except TimeoutError:
                held, now = self._held, self._now()
                if held.serves(now) and not held.wants(now):
                    # Of two that run at once the earlier has ended.
                    assert held.credential is not None
                    return held.credential
                if end.left:
                    continue
                raise Unavailable(
                    f"{self._name[0].upper()}{self._name[1:]} has not ended after "
                    f"{_WAIT_SECONDS:.0f} s.",
                    meaning=(
                        "Without it, the bot has no credentials for this cluster; other "
                        "clusters are not affected."
                    ),
                    remedy="Ask whoever runs the bot to run it as the bot's user and see what it "
                    "waits for.",
                    untouched=True,
                ) from None

    def _renew(self) -> Credential:
        with self._lock:
            held = self._held
            if held.credential is not None and not held.wants(self._now()):
                # Somebody else's flight has just ended.
                return held.credential
        self._raise_trouble(held)
        try:
            credential = self._obtain()
        except Unavailable as error:
            with self._lock:
                self._held = self._held.failed(error, time.monotonic())
            raise
        with self._lock:
            self._held = self._held.renewed(credential, self._now(), time.monotonic())
            assert self._held.credential is not None
            return self._held.credential

    def _raise_trouble(self, held: Held) -> None:
        """Unavailable where it has failed so lately that it is not run again yet."""
        left, trouble = held.not_before - time.monotonic(), held.trouble
        if trouble is not None and left > 0:
            raise Unavailable(
                trouble.happened,
                meaning=trouble.meaning,
                remedy=trouble.remedy,
                retry_after=left,
                untouched=True,
            )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    # UnicodeDecodeError would repeat what it read.
    return "it is not text" if isinstance(error, UnicodeError) else str(error)
