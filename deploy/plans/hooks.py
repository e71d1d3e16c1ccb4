"""A preStop hook of somebody else's, beside which Kubernetes takes none of the bot's. Pure."""

from deploy.errors import Conflict
from deploy.kube.objects import Manifest
from deploy.rendering.labels import container_name
from deploy.rules.reading import at, mapping, mappings
from deploy.specs.gateway_spec import GatewaySpec

_OURS = "sleep"


def check_hook(spec: GatewaySpec, live: Manifest | None) -> None:
    """Conflict where the spec asks for a sleep and the container has another hook, which the bot does
    not write and so cannot take away."""
    if spec.rollout.pre_stop is None:
        return
    containers = mappings(at(live, "spec", "template", "spec", "containers"))
    own = next((each for each in containers if each.get("name") == container_name(spec)), None)
    others = sorted(set(mapping(at(own, "lifecycle", "preStop"))) - {_OURS})
    if not others:
        return
    raise Conflict(
        f"Container {container_name(spec)} has a preStop hook already ({', '.join(others)}).",
        meaning="Somebody else added it, and Kubernetes allows only one handler for each hook.",
        remedy=(
            "Leave out rollout.preStopSleepSeconds (set it to null), or remove that hook from "
            "the Deployment."
        ),
    )
