"""Whether the bot reaches a cluster with the rights that it needs there."""

from collections.abc import Callable, Sequence

from bot.doubt import Doubtful
from deploy.errors import GatewayBotError, Unavailable
from deploy.kube.cluster import Cluster
from deploy.kube.rights import IN_NAMESPACE, Rights


def cluster_works(cluster: Cluster) -> str:
    """What is found there. Unavailable, or Doubtful, where rights are missing."""
    version = cluster.version()
    if cluster.places.listed:
        return _listed(cluster, version)
    missing = _not_granted(cluster, _WATCHED)
    if missing:
        raise Unavailable(
            f"The bot is not allowed to {', '.join(missing)} in all namespaces.",
            meaning="It would not see any gateways there.",
            remedy=cluster.places.rights,
        )
    namespaces = cluster.namespaces()
    some = namespaces[:_NAMESPACES]
    changes = cluster.at_once(
        [_bind_right(cluster, "patch", "apps", "deployments", n) for n in some]
    )
    changed = [name for name, granted in zip(some, changes, strict=True) if granted]
    told = ", ".join(changed) if changed else "no namespace"
    of = f" of the first {_NAMESPACES}" if len(namespaces) > _NAMESPACES else ""
    found = f"Kubernetes {version}, {len(namespaces)} namespaces; may change gateways in {told}{of}"
    helpful = _not_granted(cluster, _helpful(cluster))
    if helpful:
        raise Doubtful(
            f"{found}. The bot is not allowed to {', '.join(helpful)} in all namespaces.",
            meaning=(
                "Gateways of these kinds are shown only while they have pods. Without "
                "ConfigMaps, gateways that only their settings identify are not recognized. "
                "Keys cannot be regenerated."
            ),
            remedy=cluster.places.rights,
        )
    return found


def _listed(cluster: Cluster, version: str) -> str:
    """The same where namespaces are listed, each separately."""
    told, failed, doubted = [], [], []
    served = cluster.serves("Rollout")
    rights = [each for each in IN_NAMESPACE if served or each.group != _ARGO]
    for namespace in cluster.places.listed:
        try:
            cluster.check_namespace(namespace)
        except GatewayBotError as error:
            failed.append(f"{namespace}: {error.happened}")
            continue
        needed, helpful = _missing(cluster, namespace, rights)
        if needed:
            failed.append(f"{namespace}: The bot is not allowed to {', '.join(needed)}.")
        elif helpful:
            doubted.append(f"{namespace}: The bot is not allowed to {', '.join(helpful)}.")
        else:
            told.append(namespace)
    works = f"Kubernetes {version}, {cluster.places.text}"
    if failed:
        some = f" No problems in {', '.join(told)}." if told else ""
        raise Unavailable(
            f"{works}. {' '.join([*failed, *doubted])}",
            meaning=f"The bot cannot see or change gateways there.{some}",
            remedy=cluster.places.rights,
        )
    if doubted:
        raise Doubtful(
            f"{works}. {' '.join(doubted)}",
            meaning=(
                "Plans and status show the related facts as unknown; plans that need them are "
                "refused. docs/install.md lists what each right is for."
            ),
            remedy=cluster.places.rights,
        )
    return f"{works}; may change gateways there"


def _missing(
    cluster: Cluster, namespace: str, rights: Sequence[Rights]
) -> tuple[list[str], list[str]]:
    """The rights without which nothing works there, and those without which something is unknown."""
    asked = [(e, verb, resource) for e in rights for resource in e.resources for verb in e.verbs]
    may = cluster.at_once([_asking(cluster, namespace, *each) for each in asked])
    missing = [each for each, granted in zip(asked, may, strict=True) if not granted]
    needed = [f"{verb} {resource}" for each, verb, resource in missing if each.needed]
    helpful = [f"{verb} {resource}" for each, verb, resource in missing if not each.needed]
    return needed, helpful


def _asking(
    cluster: Cluster, namespace: str, rights: Rights, verb: str, resource: str
) -> Callable[[], bool]:
    name, _, subresource = resource.partition("/")
    return lambda: cluster.can_i(verb, rights.group, name, namespace, subresource)


def _helpful(cluster: Cluster) -> list[tuple[str, str]]:
    """The kinds that show more gateways, as far as the cluster serves them."""
    return [right for kind, right in _WATCHED_TOO.items() if cluster.serves(kind)]


def _not_granted(cluster: Cluster, kinds: Sequence[tuple[str, str]]) -> list[str]:
    asked = [(verb, *kind) for kind in kinds for verb in ("list", "watch")]
    may = cluster.at_once([_bind_right(cluster, *right, None) for right in asked])
    return [
        f"{verb} {what}" for (verb, _, what), granted in zip(asked, may, strict=True) if not granted
    ]


_ARGO = "argoproj.io"
_WATCHED = (("apps", "deployments"), ("", "pods"))
_WATCHED_TOO = {
    "ConfigMap": ("", "configmaps"),
    "StatefulSet": ("apps", "statefulsets"),
    "DaemonSet": ("apps", "daemonsets"),
    "Rollout": (_ARGO, "rollouts"),
}
_NAMESPACES = 100
"""In so many the right to change is asked for."""


def _bind_right(
    cluster: Cluster, verb: str, group: str, resource: str, namespace: str | None
) -> Callable[[], bool]:
    return lambda: cluster.can_i(verb, group, resource, namespace)
