"""What the cluster holds of a gateway, in words: for outcomes that nobody followed to their end. Pure
but for `within` and `why_gone`."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from deploy.annotations import ACTION_ANNOTATION
from deploy.commands import Command
from deploy.errors import GatewayBotError, NotFound, Unavailable
from deploy.gateway import GatewayRef
from deploy.images.names import image_name
from deploy.kube.api_errors import NamespaceEnds
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.inventory import container_of
from deploy.observed.pods import is_leaving, is_over, is_ready, token_secret_of
from deploy.observed.progress import progress_of
from deploy.observed.token_only import marking_action

T = TypeVar("T")


def wanted(deployment: Manifest) -> str:
    """What a Deployment asks for: replicas, image, and the Secret with its token."""
    used = token_secret_of(deployment["spec"]["template"]["spec"])
    replicas = _counted(int(deployment["spec"].get("replicas", 1)), "replica")
    token = f", token from Secret {used[0]}" if used else ""
    return f"{replicas} of {_image(deployment)}{token}"


def ready_pods(
    deployment: Manifest | None,
    replica_sets: Sequence[Manifest],
    pods: Sequence[Manifest],
    action_id: str,
) -> str:
    """How many are ready, those of the version that the Deployment asks for apart from others: a
    restart or a changed setting leaves image and Secret the same."""
    alive = [pod for pod in pods if not is_over(pod)]
    there = [pod for pod in alive if not is_leaving(pod)]
    ending = len(alive) - len(there)
    said = []
    if deployment is not None:
        progress = progress_of(deployment, replica_sets, there)
        updated = {pod.name for pod in progress.pods if pod.updated}
        ready = sum(pod.ready for pod in progress.pods if pod.updated)
        which = "new" if written_by(deployment) == action_id else "current"
        held = _held(deployment["spec"]["template"])
        said.append(f"{ready} of {progress.desired} of the {which} version ({held})")
        there = [pod for pod in there if pod["metadata"]["name"] not in updated]
    groups: dict[str, list[bool]] = {}
    for pod in there:
        groups.setdefault(_held(pod), []).append(is_ready(pod))
    said += [
        f"{sum(ready)} of {len(ready)} of the previous version ({held})"
        for held, ready in sorted(groups.items())
    ]
    parts = [f"Pods ready: {'; '.join(said)}." if said else "It has no running pods."]
    if ending:
        parts.append(
            f"{_counted(ending, 'pod')} still {'terminates' if ending == 1 else 'terminate'}."
        )
    return " ".join(parts)


def written_by(item: Manifest) -> str:
    """The id of the action that wrote an object last; empty where none did. Of a Deployment that
    others deploy this bot writes nothing but what its pods' template says."""
    template = (item.get("spec") or {}).get("template") or {}
    return str(annotations(item).get(ACTION_ANNOTATION) or marking_action(template))


def annotations(item: Manifest) -> Mapping[str, Any]:
    """An object's annotations."""
    found: Mapping[str, Any] = item["metadata"].get("annotations") or {}
    return found


def why_gone(cluster: Cluster, ref: GatewayRef) -> GatewayBotError:
    """The error for a Deployment that is gone although an action applied it: with its namespace, or
    alone."""
    try:
        cluster.check_namespace(ref.namespace)
    except (NamespaceEnds, NotFound) as error:
        return error
    except GatewayBotError:
        # It explains nothing; that the Deployment is gone is known.
        pass
    return NotFound(
        f"The Deployment “{ref.name}” is gone from {ref.cluster}/{ref.namespace}.",
        meaning="Something else deleted it after it was applied.",
        remedy=f"Deploy it again: {Command('deploy', ref)}.",
    )


def within(seconds: float, cluster: Cluster, calls: Sequence[Callable[[], T]]) -> list[T]:
    """The results of calls that read, all together. Unavailable when they take longer."""
    end = time.monotonic() + seconds
    running = [cluster.begin(call) for call in calls]
    try:
        return [future.result(max(0.0, end - time.monotonic())) for future in running]
    except TimeoutError:
        raise Unavailable(
            f"Cluster “{cluster.name}” did not answer within {seconds:.0f} s."
        ) from None


def _image(item: Manifest) -> str:
    return str(container_of(item).get("image", "an unknown image"))


def _held(pod: Manifest) -> str:
    """The version and the Secret of a pod, or of a template of pods."""
    image = _image({"spec": {"template": pod}})
    used = token_secret_of(pod["spec"])
    version = image_name(image).version or image
    return f"{version}, Secret {used[0]}" if used else version


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
