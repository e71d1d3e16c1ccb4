"""What the API server warns of beside a write (pkg/api/pod/warnings.go, pkg/api/node/util.go)."""

from bot.sandbox.cluster.kinds import Kind
from bot.sandbox.cluster.objects import Obj, get

_DEPRECATED_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": (
        'deprecated since v1.17; use "topology.kubernetes.io/region" instead'
    ),
    "failure-domain.beta.kubernetes.io/zone": (
        'deprecated since v1.17; use "topology.kubernetes.io/zone" instead'
    ),
    "beta.kubernetes.io/instance-type": (
        'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead'
    ),
}


def warnings_of(kind: Kind, obj: Obj) -> list[str]:
    """The warnings about a new or changed object: labels of nodes that are no longer set."""
    path = {"Deployment": "spec.template.spec", "Pod": "spec"}.get(kind.kind)
    if path is None:
        return []
    wanted = get(obj, *path.split("."), "nodeSelector", default={})
    return [
        f"{path}.nodeSelector[{key}]: {_DEPRECATED_LABELS[key]}"
        for key in wanted
        if key in _DEPRECATED_LABELS
    ]
