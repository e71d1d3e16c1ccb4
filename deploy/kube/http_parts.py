"""Parts of HTTP that a cluster's connection writes and reads: a URL's query, headers of an answer."""

from collections.abc import Mapping
from urllib.parse import urlencode

from deploy.kube.connection import Query
from deploy.kube.warnings import warnings_in


def query_text(query: Query) -> str:
    """As it stands at the end of a URL, with its question mark."""
    given = {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in query.items()
        if value is not None and value != ""
    }
    return f"?{urlencode(given)}" if given else ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, where the server says so."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None


def warnings_of(headers: Mapping[str, str]) -> tuple[str, ...]:
    """What the server warns of."""
    # Each is a header of its own, which a plain mapping joins.
    every = getattr(headers, "getlist", lambda name: [headers.get(name, "")])
    return warnings_in(every("Warning"))
