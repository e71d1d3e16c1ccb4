"""Whether a container may run as the user that its pod names, as the kubelet looks at it."""

from bot.sandbox.node.api import Json
from bot.sandbox.node.environment import ConfigError


def check_user(pod: Json, container: Json) -> None:
    """ConfigError where the container must not be root and is to be. What the container says goes
    before what its pod says. Images of this node name no user."""
    of_pod = pod["spec"].get("securityContext") or {}
    effective = {**of_pod, **(container.get("securityContext") or {})}
    if effective.get("runAsNonRoot") and effective.get("runAsUser") == 0:
        metadata = pod["metadata"]
        where = f"{metadata['name']}_{metadata['namespace']}({metadata.get('uid', '')})"
        raise ConfigError(
            f'container\'s runAsUser breaks non-root policy (pod: "{where}", container: '
            f"{container['name']})"
        )
