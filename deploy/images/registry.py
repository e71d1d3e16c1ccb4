"""One repository of an image registry, by the distribution API (github.com/opencontainers/
distribution-spec, spec.md; read 2026-11-30)."""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests

from deploy.breaker import Breaker
from deploy.deadline import Deadline
from deploy.errors import NotFound, Refused, Unavailable
from deploy.flight import Crowded, Flight, Flights
from deploy.images.logins import Keyring, Login
from deploy.images.names import is_this_machine
from deploy.images.sign_in import Entry, in_the_open, no_login, sign_in, wrong_login
from deploy.images.wire import Answer, TooMuch, ask
from deploy.link_faults import CERTIFICATE, Kind, Place, fault_of
from deploy.waits import Service, Waits

_KEEP_SECONDS = 60
_PAGES = 50
_PATIENCE_SECONDS = 4.0
"""For so long one who asks waits. The list is read on, and whoever asks next has it."""
_READING_SECONDS = 30.0
_DIGEST_SECONDS = 6.0
_MANIFESTS_AT_ONCE = 16
_NEXT = re.compile(r"<([^<>]{1,2000})>\s?;[^,]{0,200}\brel=\"?next\"?")
_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)

T = TypeVar("T")

REGISTRY = Service("registry")
_PLACE = Place("`images`")


class Registry:
    """Safe to use from many threads. `keyring` knows who the bot is there."""

    def __init__(
        self,
        session: requests.Session,
        *,
        base_url: str = "https://mcr.microsoft.com",
        repository: str = "azure-api-management/gateway",
        clock: Callable[[], float] = time.monotonic,
        waits: Waits | None = None,
        keyring: Keyring | None = None,
        patience: float | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.repository = repository
        self._session = session
        self._clock = clock
        self._waits = waits or Waits()
        self._keyring = keyring or Keyring()
        self._patience = _PATIENCE_SECONDS if patience is None else patience
        self._lock = threading.Lock()
        self._breaker = Breaker()
        self._kept: tuple[float, tuple[str, ...]] | None = None
        self._flight = Flight(self._read, "reading image tags")
        self._manifests = Flights(self._manifest, "reading an image", _MANIFESTS_AT_ONCE)
        self._entry = Entry()

    def tags(self) -> tuple[str, ...]:
        """Every tag, kept for a minute. Unavailable, Refused for a sign-in that is missing or wrong, or
        NotFound, with a sentence."""
        with self._lock:
            if self._kept and self._clock() - self._kept[0] < _KEEP_SECONDS:
                return self._kept[1]
        return self._awaited(self._flight.wait)

    def digest(self, tag: str) -> str:
        """What a tag names; empty where there is no such tag. Errors as for `tags`."""
        answer = self._named(tag)
        return "" if answer is None else _digest(answer)

    def digests(self, tag: str) -> frozenset[str]:
        """The same, and the digests of the images of each platform where it names several."""
        answer = self._named(tag)
        if answer is None:
            return frozenset()
        body: Any = answer.json()
        several = body.get("manifests") if isinstance(body, Mapping) else None
        listed = several if isinstance(several, list) else []
        parts = [each.get("digest") for each in listed if isinstance(each, Mapping)]
        found = (_digest(answer), *parts)
        return frozenset(each for each in found if isinstance(each, str) and each)

    def has(self, digest: str) -> bool:
        """Whether there is an image of that digest; errors as for `tags`."""
        return self._named(digest) is not None

    def _named(self, reference: str) -> Answer | None:
        return self._awaited(lambda seconds: self._manifests.wait(reference, seconds))

    def _awaited(self, wait: Callable[[float], T]) -> T:
        return self._breaker.call(lambda: self._in_time(wait))

    def _in_time(self, wait: Callable[[float], T]) -> T:
        try:
            with self._waits.on("the image registry"):
                return wait(self._patience)
        except Crowded:
            raise Unavailable(
                f"The image registry {self.base_url} answers too slowly: {_MANIFESTS_AT_ONCE} "
                "requests to it are already waiting.",
                untouched=True,
            ) from None
        except TimeoutError:
            raise Unavailable(
                f"The image registry {self.base_url} has not answered within "
                f"{self._patience:.0f} s.",
                meaning="The list of tags is unknown.",
            ) from None

    def _read(self) -> tuple[str, ...]:
        deadline = Deadline.after(_READING_SECONDS)
        url: str | None = f"{self.base_url}/v2/{self.repository}/tags/list"
        tags: list[str] = []
        for _ in range(_PAGES):
            answer = self._get(url or "", {}, deadline)
            if answer.status == 404:
                raise self._no_repository()
            body: Any = answer.json()
            if not isinstance(body, Mapping) or not isinstance(body.get("tags") or [], list):
                raise Unavailable(
                    f"The image registry {self.base_url} returned an answer that is not a list "
                    "of tags."
                )
            tags += [str(tag) for tag in body.get("tags") or ()]
            url = self._following(url or "", answer)
            if url is None:
                break
        else:
            raise Unavailable(
                f"The image registry {self.base_url} lists tags on more than {_PAGES} pages.",
                meaning="The bot stopped reading, so the list of tags is incomplete and not used.",
                remedy="Delete unused tags from the repository.",
                answered=True,
            )
        found = tuple(tags)
        with self._lock:
            self._kept = (self._clock(), found)
        return found

    def _following(self, url: str, answer: Answer) -> str | None:
        """The page that comes next. It is asked of this registry, whatever host the link names: one
        behind a proxy may know itself by another name, and another must not get what is sent."""
        link = _NEXT.search(answer.headers.get("Link", "")[:4000])
        if link is None:
            return None
        try:
            at = urlsplit(urljoin(url, link[1]))
        except ValueError:
            return None
        # Without a slash it would be read as a part of the host's name.
        if not at.path.startswith("/"):
            return None
        return f"{self.base_url}{at.path}" + (f"?{at.query}" if at.query else "")

    def _manifest(self, reference: str) -> Answer | None:
        url = f"{self.base_url}/v2/{self.repository}/manifests/{reference}"
        answer = self._get(url, {"Accept": _MANIFESTS}, Deadline.after(_DIGEST_SECONDS))
        return None if answer.status == 404 else answer

    def _get(self, url: str, headers: Mapping[str, str], deadline: Deadline) -> Answer:
        """An answer that is 200 or 404, after signing in where that is asked for."""
        entry = self._entry
        answer = self._ask("GET", url, {**headers, **_shown(entry)}, None, deadline)
        login: Login | None = None
        if answer.status == 401:
            here = urlsplit(self.base_url)
            login = self._keyring.login(here.netloc, self.repository)
            if login and here.scheme != "https" and not is_this_machine(here.hostname or ""):
                raise in_the_open(self.base_url)
            entry = sign_in(
                self.base_url,
                answer.headers.get("WWW-Authenticate", ""),
                login,
                lambda method, at, more, form: self._ask(method, at, more, form, deadline),
            )
            answer = self._ask("GET", url, {**headers, **_shown(entry)}, None, deadline)
            self._entry = entry if answer.status == 200 else Entry()
        if answer.status in (401, 403):
            raise self._refusal(answer, login, entry)
        if answer.status not in (200, 404):
            where = answer.headers.get("Location", "")
            moved = f" and redirects to {where[:120]}" if where else ""
            raise Unavailable(
                f"The image registry {self.base_url} answered {answer.status}{moved}.",
                retry_after=answer.retry_after,
            )
        return answer

    def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        form: str | None,
        deadline: Deadline,
    ) -> Answer:
        try:
            with self._waits.on("the image registry", service=REGISTRY):
                return ask(self._session, deadline, method, url, headers, form)
        except (requests.RequestException, TooMuch, ValueError) as error:
            fault = fault_of(error, _PLACE, url)
            why = "" if fault.kind is Kind.UNKNOWN else f": {fault.what}"
            how = "cannot be trusted" if fault.kind in CERTIFICATE else "does not answer"
            raise Unavailable(
                f"The image registry {self.base_url} {how}{self._elsewhere(url)}{why}.",
                meaning="The list of tags is unknown.",
                remedy=fault.remedy,
                lasts=fault.lasts,
            ) from error

    def _elsewhere(self, url: str) -> str:
        """Where tokens are made, where that is what is meant."""
        host = urlsplit(url).netloc
        return "" if host == urlsplit(self.base_url).netloc else f" at {host}"

    def _refusal(self, answer: Answer, login: Login | None, entry: Entry) -> Refused:
        if login is None and not entry.proven:
            return no_login(self.base_url)
        if login is not None and not entry.proven and answer.status == 401:
            return wrong_login(self.base_url, login)
        who = f"“{login.user[:80]}”" if login is not None and not login.renews else "The bot"
        return Refused(
            f"{who} is not allowed to read {self.repository} of the image registry {self.base_url}.",
            meaning=(
                "The sign-in succeeded, so the repository does not exist or the right to pull "
                "from it is missing."
            ),
            remedy="Correct the repository's name in `images`, or grant the right to pull from it.",
        )

    def _no_repository(self) -> NotFound:
        return NotFound(
            f"The image registry {self.base_url} has no repository {self.repository}.",
            remedy="Correct the repository in `images` in the settings.",
        )


def _digest(answer: Answer) -> str:
    """That of the very bytes, whatever the registry says of them."""
    return f"sha256:{hashlib.sha256(answer.body).hexdigest()}"


def _shown(entry: Entry) -> dict[str, str]:
    return {"Authorization": entry.authorization} if entry.authorization else {}
