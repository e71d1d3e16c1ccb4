"""Request signatures of the HTTP transport.

docs.slack.dev/authentication/verifying-requests-from-slack
"""

import hashlib
import hmac


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The value of X-Slack-Signature for a body sent at `timestamp` (unix seconds)."""
    base = b"v0:" + str(timestamp).encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
