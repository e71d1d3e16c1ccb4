"""Quotas that an API server holds everybody to already."""

from tests.support.kube_api import KubeApi
from tests.support.waiting import until


def enforced_quota(api: KubeApi, namespace: str, *, pods: int) -> str:
    """The path of a ResourceQuota `q` of so many pods, below the path of a namespace.

    That it has a status is not enough: of it the API server's admission learns by a watch of its
    own, and until then it lets everything pass, or refuses it in other words, which a ReplicaSet
    keeps for as long as it is refused at all. So claims, which nothing else here makes, are limited
    too, and one is tried until it is refused.
    """
    quotas, claims = f"{namespace}/resourcequotas", f"{namespace}/persistentvolumeclaims"
    hard = {"pods": str(pods), "persistentvolumeclaims": "0"}
    api.create(quotas, {"metadata": {"name": "q"}, "spec": {"hard": hard}})
    asked = {"requests": {"storage": "1Gi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "of-nobody", "resources": asked}
    claim = {"metadata": {"generateName": "tried-"}, "spec": spec}

    def refused() -> bool:
        return "exceeded quota: q" in api.request("POST", claims, claim).message

    until(refused, "a refusal by the quota")
    return f"{quotas}/q"
