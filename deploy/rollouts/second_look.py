"""What became of a success a while later: read off the cluster, in sentences."""

from collections.abc import Callable, Mapping

from deploy.actions.action import Action
from deploy.errors import NotFound
from deploy.kube.api_errors import NamespaceEnds
from deploy.kube.cluster import Cluster
from deploy.rollouts.token_ways import way_of


def second_look(clusters: Mapping[str, Cluster]) -> Callable[[Action], str]:
    """Says of a rollout that succeeded what no longer holds; empty where all does, or where its
    cluster is no longer the one it ran on. Raises what looking raises."""

    def look(action: Action) -> str:
        plan = action.plan
        cluster = clusters.get(action.ref.cluster)
        if cluster is None:
            return ""
        try:
            if cluster.uid(action.ref.namespace) != plan.cluster_uid:
                return ""
            return way_of(plan).look_again(cluster, action)
        except (NotFound, NamespaceEnds) as error:
            parts = ("This is no longer in effect.", error.happened, error.meaning, error.remedy)
            return " ".join(part for part in parts if part)

    return look
