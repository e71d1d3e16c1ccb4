"""One HTTP request to an image registry: bounded in time and size, without redirects.

A redirect is not followed, because what is sent may hold credentials, and none is read from ~/.netrc,
which `requests` does for hosts that nothing was said of.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
import urllib3

from deploy.deadline import Deadline

_CONNECT_SECONDS = 3.0
_READ_SECONDS = 10.0
_LARGEST = 4 * 1024 * 1024
_CHUNK = 64 * 1024


class TooMuch(Exception):
    """An answer that has no end, in time or in size."""


@dataclass(frozen=True)
class Answer:
    """The response; `retry_after` is in seconds, where it says so."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def retry_after(self) -> float | None:
        """For how long it does not want to be asked."""
        said = self.headers.get("Retry-After", "")
        return float(said) if said.isascii() and said.isdigit() and len(said) < 6 else None

    def json(self) -> Any:
        """The body as JSON; None where it is not."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class _AsGiven(requests.auth.AuthBase):
    """Leaves the headers as they are."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def ask(
    session: requests.Session,
    deadline: Deadline,
    method: str,
    url: str,
    headers: Mapping[str, str],
    form: str | None = None,
) -> Answer:
    """Send a request. requests.RequestException where nothing answers, TooMuch where it does not end.

    The deadline is looked at as the body arrives. Headers have no end of their own: whoever must not
    wait for a server that never ends them asks on another thread.
    """
    sent = dict(headers)
    if form is not None:
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    left = deadline.left
    if not left:
        raise TooMuch
    with session.request(
        method,
        url,
        headers=sent,
        data=form,
        auth=_AsGiven(),
        allow_redirects=False,
        stream=True,
        timeout=(min(_CONNECT_SECONDS, left), min(_READ_SECONDS, left)),
    ) as answer:
        body = bytearray()
        try:
            # Not `iter_content`, which waits for the whole of a chunk, however slowly it comes.
            while piece := answer.raw.read1(_CHUNK, decode_content=True):
                body += piece
                if len(body) > _LARGEST or not deadline.left:
                    raise TooMuch
        except urllib3.exceptions.HTTPError as error:
            raise requests.ConnectionError(error) from error
        return Answer(answer.status_code, answer.headers, bytes(body))
