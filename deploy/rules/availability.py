"""Rules on how many pods serve, and on what may stop them."""

from deploy.rules.reading import at, mapping, mappings, pods, whole
from deploy.rules.rule import BUDGETS, DEPLOYMENTS, POD_LIFE, PRODUCTION, Rule
from deploy.rules.view import GatewayView

_DEFAULT_GRACE = 30
"""Kubernetes' terminationGracePeriodSeconds (Kubernetes documentation, Pod Lifecycle)."""


def _blocks_evictions(view: GatewayView) -> bool:
    least = view.least_pods
    for budget in view.budgets:
        most_down = pods(budget.get("maxUnavailable"), least, up=True)
        least_up = pods(budget.get("minAvailable"), least, up=True)
        if most_down == 0 or (least_up is not None and least_up >= least):
            return True
    return False


def _is_spread(view: GatewayView) -> bool:
    affinity = mapping(at(view.pod, "affinity", "podAntiAffinity"))
    return bool(mappings(view.pod.get("topologySpreadConstraints")) or affinity)


def _grace_is_short(view: GatewayView) -> bool:
    grace = whole(view.pod.get("terminationGracePeriodSeconds"))
    return grace is not None and grace < _DEFAULT_GRACE


AVAILABILITY: tuple[Rule, ...] = (
    Rule(
        "default-namespace",
        "warning",
        "warning",
        lambda view: view.namespace == "default",
        "It is in the namespace “default”.",
        "Microsoft advises a namespace of its own for production.",
        "Choose another namespace.",
        PRODUCTION,
    ),
    Rule(
        "single-replica",
        "warning",
        "warning",
        lambda view: view.autoscaler is None and view.least_pods < 2,
        "One pod or none: every restart or node failure is an outage.",
        "Microsoft advises at least three replicas; in 2020 it was two.",
        "Ask for three replicas.",
        PRODUCTION,
        {"replicas": 3},
    ),
    Rule(
        "few-replicas",
        "info",
        "warning",
        lambda view: view.autoscaler is None and view.least_pods == 2,
        "Two pods: one is left while a node fails, unless both run on it.",
        "Microsoft advises at least three replicas.",
        "Ask for three replicas.",
        PRODUCTION,
        {"replicas": 3},
    ),
    Rule(
        "autoscaler-minimum",
        "info",
        "warning",
        lambda view: view.autoscaler is not None and view.least_pods < 3,
        "The autoscaler may go below three pods.",
        "Microsoft advises at least three replicas, which holds in quiet hours too.",
        "Set autoscaling.minReplicas to 3 or more.",
        PRODUCTION,
    ),
    Rule(
        "rollout-implicit",
        "info",
        "warning",
        lambda view: (
            not view.recreates and not {"maxSurge", "maxUnavailable"} <= view.rolling.keys()
        ),
        "maxSurge or maxUnavailable is not set.",
        "Microsoft advises reviewing both; with Kubernetes' default of 25% and four or more replicas, "
        "pods stop before new ones are ready.",
        "Set rollout.maxUnavailable to 0 and rollout.maxSurge to 25%.",
        PRODUCTION,
        {"rollout": {"maxUnavailable": "0", "maxSurge": "25%"}},
    ),
    Rule(
        "rollout-stops-all",
        "warning",
        "deny",
        lambda view: not view.recreates and view.stopped_at_once >= view.least_pods > 0,
        "A rollout may stop every pod at once.",
        "Kubernetes keeps only the pods beyond maxUnavailable running, so each deployment can "
        "be an outage.",
        "Set rollout.maxUnavailable to 0 and rollout.maxSurge to 25%.",
        DEPLOYMENTS,
        {"rollout": {"maxUnavailable": "0", "maxSurge": "25%"}},
    ),
    Rule(
        "recreates-pods",
        "warning",
        "deny",
        lambda view: view.recreates and view.least_pods > 0,
        "The strategy Recreate stops every pod before a new one starts.",
        "Each deployment and each rotation of the token is an outage.",
        "Let two of its pods run at once, with volumes that several nodes can mount (ReadWriteMany) "
        "and without host ports, and set rollout.strategy to RollingUpdate.",
        DEPLOYMENTS,
    ),
    Rule(
        "short-termination",
        "info",
        "warning",
        _grace_is_short,
        "A pod that stops has less than 30 seconds for its open requests.",
        "Kubernetes' own value is 30 seconds, the Azure portal's YAML and the Helm chart give 60.",
        "Set rollout.terminationGracePeriodSeconds to 60.",
        POD_LIFE,
        {"rollout": {"terminationGracePeriodSeconds": 60}},
    ),
    Rule(
        "no-disruption-budget",
        "info",
        "warning",
        lambda view: view.several and not view.budgets,
        "No PodDisruptionBudget: draining nodes may stop every pod at once.",
        "Microsoft advises a PodDisruptionBudget for high availability.",
        "Turn disruptionBudget on.",
        PRODUCTION,
        {"disruptionBudget": {"enabled": True}},
    ),
    Rule(
        "blocking-disruption-budget",
        "warning",
        "warning",
        _blocks_evictions,
        "The PodDisruptionBudget allows no eviction at all.",
        "Kubernetes cannot drain a node while minAvailable is every pod or maxUnavailable is 0.",
        "Set disruptionBudget.maxUnavailable to 1 and leave minAvailable out.",
        BUDGETS,
        {"disruptionBudget": {"maxUnavailable": "1", "minAvailable": None}},
    ),
    Rule(
        "no-spread",
        "info",
        "warning",
        lambda view: view.several and not _is_spread(view),
        "Nothing keeps the pods on different nodes or in different zones.",
        "Microsoft advises topology spread constraints, or pod anti-affinity.",
        "Turn placement.spread on.",
        PRODUCTION,
        {"placement": {"spread": True}},
    ),
)
