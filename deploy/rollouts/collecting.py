"""Old token Secrets: which are no longer needed, and deleting those."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from deploy.errors import GatewayBotError
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.history import owned_by, revision_of
from deploy.observed.installed import deployment_of
from deploy.observed.pods import is_leaving, token_secret_of
from deploy.observed.selecting import labelled
from deploy.observed.token_facts import secret_facts
from deploy.observed.token_only import copy_name, kept_in, stable_name
from deploy.plans.readers import secrets_read
from deploy.rendering.labels import marks, selector
from deploy.rendering.token_only import own_labels
from deploy.specs.gateway_spec import GatewaySpec
from deploy.tokens.token import EXPIRES_AT, SecretFacts, token_secret_name


@dataclass(frozen=True)
class Collected:
    """What was deleted, and why the rest was not, where it could not be."""

    deleted: tuple[str, ...] = ()
    trouble: str = ""


def unneeded(
    deployment: Manifest,
    replica_sets: Iterable[Manifest],
    pods: Iterable[Manifest],
    secrets: Iterable[Manifest],
) -> tuple[str, ...]:
    """The names of those `secrets` that neither a pod nor a way back needs. Pure.

    Needed are what the Deployment and the pods read, what a ReplicaSet reads that still wants pods,
    and the newest other one that a revision reads: the way back. Only Secrets in which this bot
    put a token count.
    """
    current = _used(deployment["spec"]["template"])
    needed = {current, *(_used({"spec": pod["spec"]}) for pod in pods if not is_leaving(pod))}
    owned = [item for item in replica_sets if owned_by(item, deployment)]
    wanting = [item for item in owned if item["spec"].get("replicas")]
    needed |= {_used(item["spec"]["template"]) for item in wanting}
    newest_first = sorted(owned, key=revision_of, reverse=True)
    before = (_used(item["spec"]["template"]) for item in newest_first)
    needed.add(next((used for used in before if used and used != current), ""))
    return tuple(
        sorted(
            item["metadata"]["name"]
            for item in secrets
            if _has_token(item) and item["metadata"]["name"] not in needed
        )
    )


def collect(cluster: Cluster, spec: GatewaySpec, keep: str = "") -> Collected:
    """Delete the gateway's token Secrets that are no longer needed, but never `keep`: a Deployment
    may be set to hold no revision that shows the previous one. Those count too in which the bot kept
    its token while others deployed it.

    Nothing is raised: what is left over does no harm, and the next time finds it again.
    """
    return collect_labelled(cluster, spec, *marks(spec), own_labels(spec.ref.name), keep=keep)


def collect_labelled(
    cluster: Cluster, spec: GatewaySpec, *labels: Mapping[str, str], keep: str = ""
) -> Collected:
    """As `collect`, of the Secrets that have all labels of one of these."""
    deleted: list[str] = []
    try:
        for name in _found(cluster, spec, labels):
            if name == keep:
                continue
            cluster.delete("Secret", spec.ref.namespace, name)
            deleted.append(name)
    except GatewayBotError as error:
        return Collected(tuple(deleted), error.happened)
    return Collected(tuple(deleted))


def token_secrets(cluster: Cluster, spec: GatewaySpec) -> tuple[SecretFacts, ...]:
    """What is known of every token that this bot keeps for the gateway, in use or not."""
    namespace = spec.ref.namespace
    listed = cluster.at_once([_listing(cluster, namespace, each) for each in marks(spec)])
    secrets = _once(listed)
    return tuple(secret_facts(item) for item in secrets if _has_token(item) and _is_of(item, spec))


def _has_token(secret: Manifest) -> bool:
    return EXPIRES_AT in (secret["metadata"].get("annotations") or {})


def _is_of(secret: Manifest, spec: GatewaySpec) -> bool:
    """Whether its name is one that this gateway's tokens get: labels alone do not tell, for those
    of an adopted gateway's selector may be another one's too."""
    name: str = secret["metadata"]["name"]
    return name == token_secret_name(spec, name.rpartition("-")[2])


def _once(listed: Iterable[Iterable[Manifest]]) -> Iterable[Manifest]:
    """Each object once, in whatever lists it is."""
    return {item["metadata"]["name"]: item for each in listed for item in each}.values()


def _found(
    cluster: Cluster, spec: GatewaySpec, labels: Iterable[Mapping[str, str]]
) -> Sequence[str]:
    namespace = spec.ref.namespace
    deployment = deployment_of(cluster, spec.ref)
    sets, pods, *listed = cluster.at_once(
        [
            lambda: cluster.list("ReplicaSet", namespace),
            lambda: cluster.list("Pod", namespace, labelled(selector(spec))),
            *(_listing(cluster, namespace, each) for each in labels),
        ]
    )
    secrets = [item for item in _once(listed) if _may_go(item, spec)]
    unused = unneeded(deployment, sets, pods, secrets)
    if set(unused) & {stable_name(spec.ref.name), copy_name(spec.ref.name)}:
        # These names may have been told to others, and its own pods may take them in besides.
        read, unread = secrets_read(cluster, namespace)
        unused = tuple(name for name in unused if not unread and name not in read)
    return unused


def _listing(
    cluster: Cluster, namespace: str, labels: Mapping[str, str]
) -> Callable[[], list[Manifest]]:
    return lambda: cluster.list("Secret", namespace, labelled(labels))


def _may_go(secret: Manifest, spec: GatewaySpec) -> bool:
    kept = kept_in(secret)
    return _is_of(secret, spec) if kept is None else kept.workload == spec.ref.name


def _used(template: Manifest) -> str:
    found = token_secret_of(template.get("spec") or {})
    return found[0] if found else ""
