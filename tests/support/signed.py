"""Requests as Slack signs them, and as somebody else would send them, over real sockets."""

import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

import requests

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
FORM = "application/x-www-form-urlencoded"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What Slack sends as `X-Slack-Signature`."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


def headers_of(body: bytes, content_type: str = FORM, secret: str = SECRET) -> dict[str, str]:
    """The headers of a request that is signed now."""
    timestamp = str(int(time.time()))
    return {
        "Content-Type": content_type,
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": signature(secret, timestamp, body),
    }


def command(text: str, trigger: str = "1.2.a", **more: str) -> bytes:
    """The body of `/gateway text`."""
    fields = {
        "command": "/gateway",
        "text": text,
        "trigger_id": trigger,
        "team_id": "T0TEAM",
        "user_id": "U1",
        "channel_id": "C1",
        "is_enterprise_install": "false",
        **more,
    }
    return urlencode(fields).encode()


def interaction(payload: Any) -> bytes:
    """The body of a click or a form."""
    return urlencode({"payload": json.dumps(payload)}).encode()


def post(url: str, body: bytes, headers: dict[str, str] | None = None) -> requests.Response:
    """Send it, signed unless `headers` says otherwise."""
    given = headers_of(body) if headers is None else headers
    return requests.post(url, data=body, headers=given, timeout=60)
