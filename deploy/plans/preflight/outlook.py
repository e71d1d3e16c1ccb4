"""What a plan's pods will meet in their namespace and on their cluster. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.kube.objects import Manifest
from deploy.rules.reading import at, mapping, pods, whole

Reference = tuple[str, str]
"""Kind and name of an object in the gateway's namespace."""


@dataclass(frozen=True)
class Outlook:
    """What is read of the surroundings. None is what could not be read; `unseen` says why, by kind.

    `runtimes` and `priorities` are the cluster's RuntimeClasses and PriorityClasses, `space` is the
    namespace. `found` are the objects that pods name, None where there is none of that name.
    `denied` are the rules that deny a plan there; `version` is the API server's, empty where it is
    not known.
    """

    quotas: tuple[Manifest, ...] | None = None
    limits: tuple[Manifest, ...] | None = None
    classes: tuple[Manifest, ...] | None = None
    nodes: tuple[Manifest, ...] | None = None
    runtimes: tuple[Manifest, ...] | None = None
    priorities: tuple[Manifest, ...] | None = None
    space: Manifest | None = None
    denied: frozenset[str] = frozenset()
    found: Mapping[Reference, Manifest | None] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True)
class Wanted:
    """The Deployment as it will be and as it is, and how many pods it is to have at least and at most
    (an autoscaler's bounds)."""

    deployment: Manifest
    live: Manifest | None
    least: int
    most: int

    @property
    def pod(self) -> Mapping[str, Any]:
        """The spec of its pods."""
        return mapping(at(self.deployment, "spec", "template", "spec"))

    @property
    def pod_now(self) -> Mapping[str, Any]:
        """The spec of the pods of the Deployment as it is."""
        return mapping(at(self.live, "spec", "template", "spec"))

    @property
    def replaces(self) -> bool:
        """Whether pods that run are replaced."""
        if self.live is None:
            return False
        before, after = (at(item, "spec", "template") for item in (self.live, self.deployment))
        return bool(before != after)

    @property
    def running(self) -> int:
        """How many pods there are."""
        return whole(at(self.live, "status", "replicas")) or 0

    @property
    def starts(self) -> bool:
        """Whether pods are made that do not run yet."""
        return self.live is None or self.replaces or self.least > self.running

    @property
    def rolls(self) -> bool:
        """Whether new pods start beside old ones."""
        return bool(at(self.deployment, "spec", "strategy", "type") != "Recreate")

    @property
    def gives_up_none(self) -> bool:
        """Whether no old pod stops before a new one is ready. Kubernetes makes it one where neither
        number lets a pod be replaced."""
        most = at(self.deployment, "spec", "strategy", "rollingUpdate", "maxUnavailable")
        surge = at(self.deployment, "spec", "strategy", "rollingUpdate", "maxSurge")
        gone = pods(most, self.least, up=False)
        more = pods(surge, self.least, up=True)
        return self.rolls and not (1 if gone is None else gone) and more != 0
