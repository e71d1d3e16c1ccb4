"""What else sets the number of a gateway's pods beside this bot: the autoscalers whose target it is. Pure.

KEDA makes a HorizontalPodAutoscaler for each of its ScaledObjects, and names that in a label
(keda.sh/docs, "Scaling Deployments, StatefulSets & Custom Resources").
"""

from collections.abc import Iterable

from deploy.kube.objects import Manifest

AUTOSCALER = "HorizontalPodAutoscaler"
_KEDA = "scaledobject.keda.sh/name"


def autoscalers_of(deployment: str, scalers: Iterable[Manifest]) -> tuple[str, ...]:
    """What scales the Deployment of that name, as kind and name; `scalers` are the namespace's."""
    found = []
    for item in scalers:
        target = item["spec"].get("scaleTargetRef") or {}
        if (target.get("kind"), target.get("name")) == ("Deployment", deployment):
            keda = (item["metadata"].get("labels") or {}).get(_KEDA)
            name = item["metadata"]["name"]
            found.append(f"KEDA ScaledObject {keda}" if keda else f"{AUTOSCALER} {name}")
    return tuple(sorted(found))
