"""Live options for modals: gateways from Azure, places from the clusters, tags from the registry.

Slack gives a suggestion three seconds, so what was loaded is kept for half a minute; a source that
failed is asked again at the next call.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from deploy.access import Environment, environment_of
from deploy.azure import ApimInstance, ArmClient
from deploy.errors import GatewayBotError
from deploy.gateway import GatewayRef
from deploy.images import Registry, sort_tags, support
from deploy.kube.cluster import Cluster
from handlers.views.text import cut

OPTION_LIMIT = 100
"""Slack shows at most this many options of a select."""


@dataclass(frozen=True)
class Choice:
    """One option of a select."""

    text: str
    value: str
    description: str = ""

    def option(self) -> dict[str, Any]:
        """The option as Block Kit has it (texts of at most 75 characters)."""
        block: dict[str, Any] = {
            "text": {"type": "plain_text", "text": cut(self.text, 75)},
            "value": self.value,
        }
        if self.description:
            block["description"] = {"type": "plain_text", "text": cut(self.description, 75)}
        return block


Source = Callable[[], tuple[Choice, ...]]


class Choices:
    """What may be chosen, by source name, kept for `seconds`."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        pool: ThreadPoolExecutor,
        *,
        seconds: float = 30,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = sources
        self._pool = pool
        self._seconds = seconds
        self._clock = clock
        self._kept: dict[str, tuple[float, tuple[Choice, ...]]] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> tuple[Choice, ...]:
        """Everything `name` offers now. Raises what the source raises."""
        with self._lock:
            kept = self._kept.get(name)
        if kept and self._clock() - kept[0] < self._seconds:
            return kept[1]
        loaded = self._sources[name]()
        with self._lock:
            self._kept[name] = (self._clock(), loaded)
        return loaded

    def warm(self) -> dict[str, GatewayBotError]:
        """Load every source at once; what each one that failed said."""
        running = {name: self._pool.submit(self.get, name) for name in self._sources}
        failed = {}
        for name, future in running.items():
            try:
                future.result()
            except GatewayBotError as error:
                failed[name] = error
        return failed

    def find(self, name: str, typed: str) -> list[dict[str, Any]]:
        """The options whose text holds every word typed; none where the source fails."""
        words = typed.lower().split()
        try:
            known = self.get(name)
        except GatewayBotError:
            return []
        fitting = [c for c in known if all(word in c.text.lower() for word in words)]
        return [choice.option() for choice in fitting[:OPTION_LIMIT]]


def gateways(arm: ArmClient, instances: Sequence[ApimInstance]) -> Source:
    """Every gateway resource of every API Management instance."""

    def load() -> tuple[Choice, ...]:
        return tuple(
            Choice(
                resource.name if len(instances) == 1 else f"{instance.name}/{resource.name}",
                f"{instance.name}/{resource.name}",
                resource.description or resource.location,
            )
            for instance in instances
            for resource in arm.list_gateways(instance)
        )

    return load


def places(clusters: Mapping[str, Cluster], environments: Sequence[Environment]) -> Source:
    """Every namespace a gateway may go to, with its environment; the system's own left out."""

    def load() -> tuple[Choice, ...]:
        found = []
        for name, cluster in clusters.items():
            for namespace in cluster.namespaces():
                if namespace.startswith("kube-"):
                    continue
                environment = environment_of(GatewayRef(name, namespace, "any"), environments)
                found.append(Choice(f"{name}/{namespace}", f"{name}/{namespace}", environment.name))
        return tuple(found)

    return load


def tags(registry: Registry) -> Source:
    """Image tags, newest first, with what support they have."""

    def load() -> tuple[Choice, ...]:
        known = registry.tags()
        return tuple(Choice(tag, tag, support(tag, known).summary) for tag in sort_tags(known))

    return load
