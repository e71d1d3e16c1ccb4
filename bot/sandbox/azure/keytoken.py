"""Gateway tokens: `<gateway>&<yyyyMMddHHmm>&<base64 HMAC-SHA512>`, UTC, to the minute.

Microsoft documents no algorithm for these; the signature is that of API Management's own SAS
tokens (Azure/api-management-developer-portal#962), which has the right length.
"""

import base64
import datetime
import hashlib
import hmac
import re
from collections.abc import Sequence

_SHOWN = re.compile(r"GatewayKey (?P<token>(?P<gateway>[^&\s]+)&(?P<expiry>\d{12})&\S+)")
_EXPIRY = "%Y%m%d%H%M"


def make(gateway: str, key: str, expires_at: datetime.datetime) -> str:
    """The token of a gateway's key (base64) and a moment; the same ones give the same token."""
    return _signed(gateway, key, expires_at.astimezone(datetime.UTC).strftime(_EXPIRY))


def judge(gateway: str, keys: Sequence[str], authorization: str, now: datetime.datetime) -> int:
    """200 for a good token of this gateway, 401 for none or an expired one, 403 for a wrong one.

    A token of a key that is there no more is a wrong one, whatever its expiry says.
    """
    shown = _SHOWN.fullmatch(authorization)
    if shown is None:
        return 401
    if shown["gateway"].lower() != gateway.lower():
        return 403
    wanted = [_signed(shown["gateway"], key, shown["expiry"]).encode() for key in keys]
    if not any(hmac.compare_digest(shown["token"].encode(), each) for each in wanted):
        return 403
    return 401 if shown["expiry"] <= now.astimezone(datetime.UTC).strftime(_EXPIRY) else 200


def expiry(authorization: str) -> datetime.datetime | None:
    """When the token that is shown expires; None where it is no gateway token."""
    shown = _SHOWN.fullmatch(authorization)
    if shown is None:
        return None
    return datetime.datetime.strptime(shown["expiry"], _EXPIRY).replace(tzinfo=datetime.UTC)


def _signed(gateway: str, key: str, expiry: str) -> str:
    digest = hmac.digest(base64.b64decode(key), f"{gateway}\n{expiry}".encode(), hashlib.sha512)
    return f"{gateway}&{expiry}&{base64.b64encode(digest).decode()}"
