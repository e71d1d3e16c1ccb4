"""Event Grid's deliveries about gateways' tokens: both schemas, read with suspicion. Pure.

API Management tells `Microsoft.ApiManagement.GatewayTokenNearExpiry` and `…Expired` of each instance
(preview; "API Management as an Event Grid source"). Payloads are those of the Event Grid schema or of
CloudEvents 1.0. The gateway is named bare in the samples and by a full id in the table: both are taken.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.errors import InvalidInput
from deploy.times import epoch

NEAR = "Microsoft.ApiManagement.GatewayTokenNearExpiry"
EXPIRED = "Microsoft.ApiManagement.GatewayTokenExpired"
_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
_MOST = 1000
_SERVICE = re.compile(
    r"(?i)/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.ApiManagement"
    r"/service/(?P<service>[A-Za-z0-9-]{1,50})/?"
)
_GATEWAY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
_ID = re.compile(r"[\x21-\x7e]{1,200}")
_CODE = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(frozen=True)
class TokenEvent:
    """What Azure said of one instance's token. Times are epoch seconds; `service` and `gateway`
    are in lower case, since Azure's names differ by more than that."""

    id: str
    service: str
    gateway: str
    instance: str
    expired: bool
    expires_at: float
    at: float


@dataclass(frozen=True)
class GridDelivery:
    """One request of Event Grid: the code to answer a validation with, or events.

    `ignored` counts events of other kinds, or that could not be read.
    """

    validation_code: str = ""
    events: tuple[TokenEvent, ...] = ()
    ignored: int = 0


def read(body: bytes, now: float) -> GridDelivery:
    """Read a request's body; InvalidInput where it is not a delivery at all.

    `now` (epoch seconds) stands for a missing time, and nothing is from later.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The body is not JSON.") from error
    items = data if isinstance(data, list) else [data]
    if not items or len(items) > _MOST or not all(isinstance(item, dict) for item in items):
        raise InvalidInput("The body is neither an event nor a list of events.")
    for item in items:
        if item.get("eventType") == _VALIDATION:
            return GridDelivery(validation_code=_code(item))
    events = tuple(event for item in items for event in _events(item, now))
    return GridDelivery(events=events, ignored=len(items) - len(events))


def _code(item: Mapping[str, Any]) -> str:
    data = item.get("data")
    code = data.get("validationCode") if isinstance(data, dict) else None
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise InvalidInput("The validation event has no code.")
    return code


def _events(item: Mapping[str, Any], now: float) -> Iterator[TokenEvent]:
    kind = item.get("eventType") or item.get("type")
    if kind not in (NEAR, EXPIRED):
        return
    data = item.get("data")
    told = data if isinstance(data, dict) else {}
    info = _object(told.get("gatewayInfo"))
    token = _object(told.get("tokenInfo"))
    expires_at = epoch(_text(token.get("expiresAtUtc")) or _text(token.get("expiredAtUtc")))
    place = _SERVICE.fullmatch(_text(item.get("topic")) or _text(item.get("source")))
    gateway = _text(info.get("gatewayId")).rstrip("/").rpartition("/")[2]
    instance, identity = _text(info.get("instanceId")), _text(item.get("id"))
    if expires_at is None or place is None:
        return
    if not (_GATEWAY.fullmatch(gateway) and _INSTANCE.fullmatch(instance)):
        return
    if not _ID.fullmatch(identity):
        return
    at = epoch(_text(item.get("eventTime")) or _text(item.get("time")))
    yield TokenEvent(
        id=identity,
        service=place["service"].lower(),
        gateway=gateway.lower(),
        instance=instance,
        expired=kind == EXPIRED,
        expires_at=expires_at,
        at=min(at, now) if at is not None else now,
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
