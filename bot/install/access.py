"""What the bot may do on a cluster, as RBAC objects that bind it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from bot.install.installation import APP, Installation
from bot.settings import ClusterSettings, Settings
from deploy.errors import InvalidInput
from deploy.kube.objects import Manifest
from deploy.kube.rights import (
    BESIDE_CLUSTER_ROLE,
    IN_CLUSTER,
    IN_NAMESPACE,
    RBAC,
    Rights,
    cluster_role,
    role,
)

_CLIENT_ID = "azure.workload.identity/client-id"


@dataclass(frozen=True)
class Grant:
    """The rights of one Role, or of the ClusterRole where there is no namespace."""

    namespace: str | None
    rights: tuple[Rights, ...]


def grants_on(cluster: ClusterSettings, namespaces: Sequence[str]) -> tuple[Grant, ...]:
    """All that the bot needs on a cluster where those namespaces have gateways: what is printed, and
    what `gateway-bot check` proves."""
    if cluster.namespaces:
        return tuple(Grant(each, IN_NAMESPACE) for each in sorted(namespaces))
    beside = (Grant(each, BESIDE_CLUSTER_ROLE) for each in sorted(namespaces))
    return (Grant(None, IN_CLUSTER), *beside)


def own_cluster(settings: Settings) -> ClusterSettings | None:
    """The cluster that the bot runs in, if it works on that one too."""
    return next((each for each in settings.clusters if each.in_cluster), None)


def uses_workload_identity(settings: Settings) -> bool:
    """Whether the bot signs in to Azure with its ServiceAccount's token: no tenant means no secret
    (azure.github.io/azure-workload-identity, service account labels and annotations)."""
    return settings.azure.client_id is not None and settings.azure.tenant_id is None


def service_account(settings: Settings, installation: Installation) -> Manifest:
    """The bot's identity. Its token is mounted only into a bot that has a use for it."""
    client = settings.azure.client_id
    annotations = {_CLIENT_ID: client} if client and uses_workload_identity(settings) else None
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": installation.metadata(annotations=annotations),
        "automountServiceAccountToken": False,
    }


def rights_on(
    cluster: ClusterSettings,
    settings: Settings,
    installation: Installation,
    user: str | None = None,
) -> list[Manifest]:
    """The Roles of a cluster, bound to the bot's ServiceAccount or to a user. InvalidInput where the
    settings do not say which namespaces have gateways."""
    name, subject = installation.rights_name, _subject(installation, user)
    if cluster.namespaces:
        _only_listed(cluster, installation.gateway_namespaces)
    namespaces = namespaces_of(cluster, settings, installation.gateway_namespaces)
    roles = (_role(grant, name) for grant in grants_on(cluster, namespaces))
    return [each for one in roles for each in (one, _binding(one, subject))]


def namespaces_of(
    cluster: ClusterSettings, settings: Settings, more: Sequence[str] = ()
) -> tuple[str, ...]:
    """The namespaces of a cluster that the settings, or somebody, call by name. Sorted."""
    named = named_in(cluster, settings) | set(more)
    if not named:
        raise InvalidInput(
            f"The settings do not name the namespaces of cluster “{cluster.name}” that have gateways.",
            meaning="The bot needs a Role in each of them.",
            remedy=f"Give each with --gateway-namespace, or list them in `namespaces` of cluster "
            f"{cluster.name}.",
        )
    return tuple(sorted(named))


def named_in(cluster: ClusterSettings, settings: Settings) -> frozenset[str]:
    """Those that the settings call by name; there may be none."""
    if cluster.namespaces:
        return frozenset(cluster.namespaces)
    return frozenset(n for n in _mentioned(cluster, settings) if not _is_pattern(n))


def patterns_of(cluster: ClusterSettings, settings: Settings) -> tuple[str, ...]:
    """The patterns that stand for namespaces which nobody has named, in order."""
    if cluster.namespaces:
        return ()
    return tuple(dict.fromkeys(n for n in _mentioned(cluster, settings) if _is_pattern(n)))


def _mentioned(cluster: ClusterSettings, settings: Settings) -> list[str]:
    here = [
        environment
        for environment in settings.environments
        if any(fnmatchcase(cluster.name, pattern) for pattern in environment.clusters)
    ]
    return [namespace for environment in here for namespace in environment.namespaces]


def _is_pattern(name: str) -> bool:
    return bool(set(name) & set("*?["))


def _only_listed(cluster: ClusterSettings, given: Sequence[str]) -> None:
    other = next((name for name in given if name not in (cluster.namespaces or ())), None)
    if other is not None:
        raise InvalidInput(
            f"--gateway-namespace {other} is not among the `namespaces` of cluster {cluster.name}.",
            meaning="The bot looks only at those.",
            remedy="Add it to the settings.",
        )


def _role(grant: Grant, name: str) -> Manifest:
    if grant.namespace is None:
        return cluster_role(name)
    return role(grant.namespace, grant.rights, name)


def _subject(installation: Installation, user: str | None) -> dict[str, Any]:
    if user is not None:
        return {"apiGroup": RBAC, "kind": "User", "name": user}
    return {"kind": "ServiceAccount", "name": APP, "namespace": installation.namespace}


def _binding(of: Manifest, subject: Manifest) -> Manifest:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": f"{of['kind']}Binding",
        "metadata": of["metadata"],
        "roleRef": {"apiGroup": RBAC, "kind": of["kind"], "name": of["metadata"]["name"]},
        "subjects": [subject],
    }
