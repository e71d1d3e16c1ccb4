"""A gateway's spec that somebody gave as a file in a form: fetched from Slack, and never trusted."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from slack_sdk import WebClient

from deploy.errors import InvalidInput, Unavailable

LIMIT = 64 * 1024
"""Bytes that a spec may have."""
_TIMEOUT = (1.0, 1.5)
"""Slack gives a form three seconds for its answer."""


def fetched(slack: WebClient, file: Mapping[str, Any]) -> str:
    """The text of the file that a form's `file_input` names.

    InvalidInput for a file that is too large, is not text or is not kept by Slack; Unavailable when
    Slack does not hand it out.
    """
    size = file.get("size")
    if not isinstance(size, int) or size > LIMIT:
        raise _too_large()
    url = str(file.get("url_private") or "")
    if not kept_by(slack.base_url, url):
        raise InvalidInput(
            "This file is not stored in Slack.", remedy="Upload a file from your computer."
        )
    try:
        return _content(url, slack.token or "").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput("The file is not text in UTF-8.") from error


def _content(url: str, token: str) -> bytes:
    content = b""
    try:
        with requests.get(
            url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT,
            allow_redirects=False,
            stream=True,
        ) as answer:
            # Whom Slack does not know is sent to its page for signing in.
            if answer.status_code != 200:
                raise Unavailable(
                    f"Slack did not return the file ({answer.status_code}).",
                    remedy="Try again. The app needs the scope files:read.",
                )
            for part in answer.iter_content(LIMIT):
                content += part
                if len(content) > LIMIT:
                    raise _too_large()
    except requests.RequestException as error:
        raise Unavailable(
            "Slack did not return the file in time.", remedy="Submit the form again."
        ) from error
    return content


def kept_by(api: str, url: str) -> bool:
    """Whether the bot's token may be shown there: to the host of Slack's API, or to the one of its
    files."""
    known, asked = urlsplit(api), urlsplit(url)
    hosts = (known.netloc, f"files.{known.netloc.removeprefix('www.')}")
    return asked.scheme == known.scheme and asked.netloc in hosts


def _too_large() -> InvalidInput:
    return InvalidInput(f"A spec has at most {LIMIT // 1024} KiB.")
