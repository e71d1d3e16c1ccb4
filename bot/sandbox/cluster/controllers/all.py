"""Which controllers a control plane runs."""

from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.controllers.autoscaler import AutoscalerController
from bot.sandbox.cluster.controllers.deployment import DeploymentController
from bot.sandbox.cluster.controllers.disruption import DisruptionController
from bot.sandbox.cluster.controllers.endpoints import EndpointsController
from bot.sandbox.cluster.controllers.garbage import GarbageCollector
from bot.sandbox.cluster.controllers.loadbalancer import LoadBalancerController
from bot.sandbox.cluster.controllers.manager import Controller
from bot.sandbox.cluster.controllers.namespaces import NamespaceController
from bot.sandbox.cluster.controllers.nodes import NodeLifecycleController
from bot.sandbox.cluster.controllers.other_workloads import (
    DaemonSetController,
    StatefulSetController,
)
from bot.sandbox.cluster.controllers.quotas import QuotaController
from bot.sandbox.cluster.controllers.replicaset import ReplicaSetController
from bot.sandbox.cluster.controllers.scheduler import Scheduler
from bot.sandbox.cluster.controllers.volumes import VolumeController
from bot.sandbox.faults import FaultBoard


def controllers(
    api: Api, faults: FaultBoard, *, node_grace_seconds: float, hpa_sync_seconds: float
) -> list[Controller]:
    """Every controller, in the order they look at a change."""
    return [
        NamespaceController(api),
        DeploymentController(api),
        ReplicaSetController(api),
        StatefulSetController(api),
        DaemonSetController(api),
        Scheduler(api),
        EndpointsController(api),
        LoadBalancerController(api, faults),
        DisruptionController(api),
        AutoscalerController(api, hpa_sync_seconds),
        VolumeController(api),
        QuotaController(api),
        NodeLifecycleController(api, node_grace_seconds),
        GarbageCollector(api),
    ]
