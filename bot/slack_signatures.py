"""Whether a request is Slack's: its signature, judged over bytes, before anything is parsed.

docs.slack.dev/authentication/verifying-requests-from-slack: HMAC-SHA256 with the signing secret over
`v0:timestamp:body`, and a timestamp that is at most five minutes off.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping

TIMESTAMP = "X-Slack-Request-Timestamp"
SIGNATURE = "X-Slack-Signature"
_SECONDS = 300
_TIMESTAMP_FORM = re.compile(r"[0-9]{1,12}")
_SIGNATURE_FORM = re.compile(r"v0=[0-9a-f]{64}")


def plausible(headers: Mapping[str, str], now: float) -> bool:
    """Whether the headers alone could be Slack's, at `now` (epoch seconds)."""
    timestamp = headers.get(TIMESTAMP, "")
    if not _TIMESTAMP_FORM.fullmatch(timestamp) or abs(now - int(timestamp)) > _SECONDS:
        return False
    return _SIGNATURE_FORM.fullmatch(headers.get(SIGNATURE, "")) is not None


def signed(secret: str, headers: Mapping[str, str], body: bytes | bytearray) -> bool:
    """Whether a request with `plausible` headers carries the signature of `body`."""
    over = hmac.new(secret.encode(), f"v0:{headers[TIMESTAMP]}:".encode(), hashlib.sha256)
    over.update(body)
    return hmac.compare_digest(f"v0={over.hexdigest()}", headers[SIGNATURE])
