"""Quotas that an API server holds everybody to already."""

from tests.support.kube_api import KubeApi
from tests.support.waiting import until


def enforced_quota(api: KubeApi, namespace: str, **hard: str) -> str:
    """The path of a ResourceQuota `q` of so much, below the path of a namespace.

    That it has a status is not enough: of it the API server's admission learns by a watch of its
    own, and until then it lets everything pass, or refuses it in other words, which a ReplicaSet
    keeps for as long as it is refused at all. So claims, which nothing else here makes, are limited
    too, and one is tried until it is refused.
    """
    quotas, claims = f"{namespace}/resourcequotas", f"{namespace}/persistentvolumeclaims"
    spec = {"hard": {**hard, "persistentvolumeclaims": "0"}}
    api.create(quotas, {"metadata": {"name": "q"}, "spec": spec})
    asked = {"requests": {"storage": "1Gi"}}
    volume = {"accessModes": ["ReadWriteOnce"], "storageClassName": "of-nobody", "resources": asked}
    claim = {"metadata": {"generateName": "tried-"}, "spec": volume}

    def refused() -> bool:
        return "exceeded quota: q" in api.request("POST", claims, claim).message

    until(refused, "a refusal by the quota")
    return f"{quotas}/q"
