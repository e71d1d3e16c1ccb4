"""Writing fields that follow from what an object is at that moment, though controllers write too."""

from collections.abc import Callable, Mapping
from typing import Any

from deploy.errors import Conflict
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest

_TRIES = 5


def rewrite(
    cluster: Cluster,
    kind: str,
    namespace: str,
    name: str,
    fields: Callable[[Manifest], Mapping[str, Any]],
) -> bool:
    """Write the fields (JSON pointers) that `fields` wants of the object as it is, or nothing where
    that is empty; whether the object is there.

    Conflict when it changes under every try.
    """
    refused: Conflict | None = None
    for _ in range(_TRIES):
        live = cluster.get(kind, namespace, name)
        if live is None:
            return False
        wanted = fields(live)
        if not wanted:
            return True
        try:
            cluster.replace_fields(live, wanted)
        except Conflict as error:
            # Somebody wrote in between; a controller its status, as a rule.
            refused = error
            continue
        return True
    assert refused is not None
    raise refused
