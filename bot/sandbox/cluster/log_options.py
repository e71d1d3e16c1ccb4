"""What may be asked of a pod's log."""

from collections.abc import Mapping

from bot.sandbox.cluster import errors
from bot.sandbox.cluster.errors import Cause, forbidden_field, invalid_value
from bot.sandbox.cluster.objects import parse_time

_LEAST = {"tailLines": 0, "limitBytes": 1, "sinceSeconds": 1}


def check(query: Mapping[str, str], pod: str) -> None:
    """Refuse options that cannot be read (ApiError 400) or make no sense (422)."""
    causes: list[Cause] = []
    for name, least in _LEAST.items():
        text = query.get(name)
        if text is None:
            continue
        try:
            value = int(text)
        except ValueError as error:
            raise errors.bad_request(
                f'strconv.ParseInt: parsing "{text}": invalid syntax'
            ) from error
        if value < least:
            words = "greater than 0" if least else "greater than or equal to 0"
            causes.append(invalid_value(name, value, f"must be {words}"))
    since = query.get("sinceTime")
    if since is not None:
        try:
            parse_time(since)
        except ValueError as error:
            raise errors.bad_request(
                f'parsing time "{since}" as "2006-01-02T15:04:05Z07:00": cannot parse "{since}"'
            ) from error
        if "sinceSeconds" in query:
            words = "at most one of `sinceTime` or `sinceSeconds` may be specified"
            causes.append(forbidden_field("[]", words))
    if causes:
        raise errors.invalid("PodLogOptions", "", pod, causes)
