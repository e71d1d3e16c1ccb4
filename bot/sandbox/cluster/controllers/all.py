"""Which controllers a control plane runs."""

from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.controllers.deployment import DeploymentController
from bot.sandbox.cluster.controllers.garbage import GarbageCollector
from bot.sandbox.cluster.controllers.manager import Controller
from bot.sandbox.cluster.controllers.replicaset import ReplicaSetController
from bot.sandbox.cluster.controllers.scheduler import Scheduler
from bot.sandbox.faults import FaultBoard


def controllers(
    api: Api, faults: FaultBoard, *, node_grace_seconds: float, hpa_sync_seconds: float
) -> list[Controller]:
    """Every controller, in the order they look at a change."""
    return [
        DeploymentController(api),
        ReplicaSetController(api),
        Scheduler(api),
        GarbageCollector(api),
    ]
