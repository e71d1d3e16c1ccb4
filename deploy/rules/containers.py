"""Rules on the container: resources, probes and rights."""

from fractions import Fraction
from typing import Any

from deploy.rules.reading import amount, at, mapping, whole
from deploy.rules.rule import POD_SECURITY, PRODUCTION, RESOURCES, Rule, issue
from deploy.rules.view import GatewayView

_GIB = 1024**3
_ADVISED_CPU, _ADVISED_MEMORY = Fraction(2), Fraction(2 * _GIB)
"""Where Microsoft advises to start (its production guidance, "Container resources")."""
_CONFIGURATION_SECONDS = 100
"""How long the gateway waits for its configuration: `config.service.integration.timeout` is 00:01:40
(Microsoft's settings reference)."""
_PROBE_PERIOD, _PROBE_FAILURES = 10, 3
"""Kubernetes' defaults (Kubernetes API reference, Probe)."""


def _lacks_requests(view: GatewayView) -> bool:
    return any(view.requested(name) is None for name in ("cpu", "memory"))


def _requests_little(view: GatewayView) -> bool:
    return view.less_requested("cpu", _ADVISED_CPU) or view.less_requested(
        "memory", _ADVISED_MEMORY
    )


def _limit_is_under_request(view: GatewayView) -> bool:
    limit, request = (
        view.memory_limit,
        amount(at(view.container, "resources", "requests", "memory")),
    )
    return limit is not None and request is not None and limit < request


def _seconds_to_start(view: GatewayView) -> int | None:
    """For how long a container that is not up yet is left alone; None where nothing kills it."""
    probe: Any = view.container.get("startupProbe") or view.container.get("livenessProbe")
    if not mapping(probe):
        return None
    period, failures = whole(probe.get("periodSeconds")), whole(probe.get("failureThreshold"))
    delay = whole(probe.get("initialDelaySeconds")) or 0
    return delay + (period or _PROBE_PERIOD) * (failures or _PROBE_FAILURES)


def _is_impatient(view: GatewayView) -> bool:
    seconds = _seconds_to_start(view)
    return seconds is not None and seconds < _CONFIGURATION_SECONDS


def _is_weak(view: GatewayView) -> bool:
    security = view.security
    dropped = at(security, "capabilities", "drop")
    names = [str(each).upper() for each in dropped] if isinstance(dropped, list | tuple) else []
    return (
        security.get("allowPrivilegeEscalation") is not False
        or security.get("runAsNonRoot") is not True
        or "ALL" not in names
    )


CONTAINERS: tuple[Rule, ...] = (
    Rule(
        "missing-requests",
        "warning",
        "warning",
        _lacks_requests,
        "CPU or memory is not requested.",
        "Without requests the scheduler may put the pods on a full node; Microsoft advises to "
        "start with two cores and 2 GiB.",
        "Set resources.cpu to 2 and resources.memory to 2Gi.",
        PRODUCTION,
        {"resources": {"cpu": "2", "memory": "2Gi"}},
    ),
    Rule(
        "small-requests",
        "info",
        "info",
        _requests_little,
        "Less is requested than Microsoft advises starting with.",
        "Microsoft advises starting with two cores and 2 GiB, then adjust to the load.",
        "Look at what the pods use before you go lower.",
        PRODUCTION,
    ),
    Rule(
        "limit-under-request",
        "warning",
        "warning",
        _limit_is_under_request,
        "The memory limit is less than what is requested.",
        "Kubernetes rejects such a pod.",
        "Set resources.limits.memory to at least resources.memory.",
        RESOURCES,
    ),
    Rule(
        "small-memory-limit",
        "warning",
        "warning",
        lambda view: view.memory_limit is not None and view.memory_limit < _GIB,
        "The memory limit is less than 1 GiB.",
        "A container that reaches its limit is killed; Microsoft advises starting with 2 GiB.",
        "Set resources.memory and resources.limits.memory to at least 2Gi.",
        RESOURCES,
    ),
    Rule(
        "no-readiness-probe",
        "warning",
        "warning",
        lambda view: not mapping(view.container.get("readinessProbe")),
        "No readiness probe: pods get traffic before they can serve it.",
        "Microsoft advises one; without it callers get 503 from pods that are not fully loaded.",
        "Add one on /status-0123456789abcdef, port 8080; a deployment by this bot does.",
        PRODUCTION,
    ),
    Rule(
        "no-liveness-probe",
        "info",
        "warning",
        lambda view: not mapping(view.container.get("livenessProbe")),
        "No liveness probe: a pod that hangs is not restarted.",
        "Microsoft advises readiness and liveness probes on the status endpoint.",
        "Add one on /status-0123456789abcdef, port 8080; a deployment by this bot does.",
        PRODUCTION,
    ),
    Rule(
        "impatient-startup",
        "warning",
        "warning",
        _is_impatient,
        "A pod is killed when it has not loaded its configuration within 100 seconds.",
        "The gateway itself waits 100 seconds for Azure, so an outage there becomes a loop of "
        "restarts (issue 418 of the gateway's repository).",
        "Add a startup probe that allows minutes; a deployment by this bot does.",
        issue(418),
    ),
    Rule(
        "weak-security-context",
        "info",
        "warning",
        _is_weak,
        "The container keeps rights that it does not need.",
        "Microsoft advises allowPrivilegeEscalation false, runAsNonRoot true and all "
        "capabilities dropped.",
        "Set them in the security context; a deployment by this bot does.",
        PRODUCTION,
    ),
    Rule(
        "privileged",
        "warning",
        "deny",
        lambda view: view.security.get("privileged") is True,
        "The container is privileged: it can do all that its node can.",
        "Microsoft advises privileged false, and Kubernetes' baseline standard forbids it.",
        "Set privileged to false; a deployment by this bot does.",
        POD_SECURITY,
    ),
    Rule(
        "read-only-root",
        "warning",
        "warning",
        lambda view: view.security.get("readOnlyRootFilesystem") is True,
        "The root file system is read-only.",
        "Microsoft says that the gateway does not support it.",
        "Set security.readOnlyRootFilesystem to false.",
        PRODUCTION,
        {"security": {"readOnlyRootFilesystem": False}},
    ),
)
