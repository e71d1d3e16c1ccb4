"""Where a deployment goes, as it was asked for. Pure."""

import dataclasses
from collections.abc import Sequence

from deploy.errors import Ambiguous, InvalidInput
from handlers.slack.payloads import Request


def with_place(request: Request) -> Request:
    """The same where the gateway is named as it is on the cluster, `cluster/namespace/name`: its place
    and name as options. InvalidInput where another place is given beside it."""
    cluster, _, rest = request.gateway.lower().partition("/")
    namespace, _, name = rest.partition("/")
    if not name:
        return request
    options = {"to": f"{cluster}/{namespace}", "name": name, **request.options}
    if str(options["to"]).lower() != f"{cluster}/{namespace}":
        raise InvalidInput(
            f"“{request.gateway[:80]}” is not in `--to {str(options['to'])[:80]}`.",
            field="to",
            remedy="Omit `--to`, or give only the gateway's name.",
        )
    return dataclasses.replace(request, gateway=name, options=options)


def place_of(request: Request, clusters: Sequence[str] = ()) -> tuple[str, str]:
    """Cluster and namespace that were asked for. InvalidInput where they are not said, Ambiguous
    where one of the `clusters` is left out."""
    place = str(request.options.get("to", "")).lower()
    parts = place.split("/")
    if place in clusters:
        raise InvalidInput(
            f"“{place}” is a cluster, and the namespace is missing.",
            field="to",
            remedy=f"Write both, as in `--to {place}/NAMESPACE`.",
        )
    if len(parts) == 1 and place and clusters:
        raise Ambiguous(
            f"“{place[:80]}” names no cluster.",
            field="to",
            candidates=tuple(f"{cluster}/{place}" for cluster in clusters),
            remedy="Write the cluster and the namespace, as in `--to west/dev`.",
        )
    if len(parts) != 2 or not all(parts):
        raise InvalidInput(
            f"“{place[:80]}” is not a cluster and a namespace." if place else "Required: `--to`.",
            field="to",
            remedy="Write cluster/namespace, for example west/dev.",
        )
    return parts[0], parts[1]
