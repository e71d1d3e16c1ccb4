"""Whether a Deployment is paused, and by whom. Pure."""

from dataclasses import dataclass

from deploy.kube.objects import Manifest


@dataclass(frozen=True)
class Pause:
    """A Deployment is paused: Kubernetes replaces no pod of it. `by` are the field managers who say so,
    as Kubernetes names them; empty where none is recorded."""

    by: tuple[str, ...]


def pause_of(deployment: Manifest) -> Pause | None:
    """The pause of a Deployment; None where it is not paused."""
    if not deployment["spec"].get("paused"):
        return None
    owners = {
        str(entry.get("manager", ""))
        for entry in deployment["metadata"].get("managedFields") or ()
        if "f:paused" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    }
    return Pause(tuple(sorted(owners - {""})))
