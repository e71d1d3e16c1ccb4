"""Live options for modals: gateways from Azure, places from the clusters, tags from the registry.

Slack gives a suggestion three seconds, so it is answered from what was loaded before, and that is
loaded anew beside it once it is half a minute old. What does not answer is left out, the others are
offered without it.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from typing import Any

from deploy.access import Environment, environment_of
from deploy.azure import ApimInstance, ArmClient
from deploy.errors import GatewayBotError, Unavailable
from deploy.gateway import GatewayRef
from deploy.images.catalogue import Catalogue
from deploy.images.support import sort_tags, support
from deploy.kube.cluster import Cluster
from handlers.views.places import heading
from handlers.views.text import cut

log = logging.getLogger(__name__)

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

_FIRST_SECONDS = 0.75
_FORM_SECONDS = 2.0
_KEPT_SECONDS = 30.0


@dataclass
class _Part:
    """What one source last offered, and since when it is being asked (seconds of the clock)."""

    load: Source
    offered: tuple[Choice, ...] = ()
    loaded_at: float | None = None
    error: GatewayBotError | None = None
    loading: Future[None] | None = None
    asked_at: float = 0.0

    @property
    def unheard(self) -> bool:
        """Whether it has never answered, not even with an error."""
        return self.loaded_at is None and self.error is None


class Choices:
    """What may be chosen, by name, from the sources of that name by what people call them.

    A source is asked by one thread at a time. What is older than `seconds` is still offered while
    it is asked again. `first` is how long a suggestion waits for a source that has never answered.
    """

    def __init__(
        self,
        sources: Mapping[str, Mapping[str, Source]],
        pool: Executor,
        *,
        seconds: float = _KEPT_SECONDS,
        first: float = _FIRST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = {
            name: {called: _Part(load) for called, load in parts.items()}
            for name, parts in sources.items()
        }
        self._pool = pool
        self._seconds = seconds
        self._first = first
        self._clock = clock
        self._lock = threading.Lock()

    def warm(self, seconds: float = _FORM_SECONDS) -> dict[str, GatewayBotError]:
        """Ask every source at once and wait so long; what each said that offers nothing new."""
        parts = {called: part for each in self._parts.values() for called, part in each.items()}
        wait([flight for part in parts.values() if (flight := self._asked(part))], seconds)
        failed = {}
        for called, part in parts.items():
            if part.error is not None:
                failed[called] = part.error
            elif part.loaded_at is None or not self._fresh(part):
                failed[called] = _no_answer_yet(called)
        return failed

    def find(self, name: str, typed: str) -> list[dict[str, Any]]:
        """The options whose text holds every word typed, of all sources that have answered."""
        parts = list(self._parts[name].values())
        now = self._clock()
        awaited = [
            flight
            for part in parts
            if (flight := self._asked(part)) and part.unheard and now < part.asked_at + self._first
        ]
        wait(awaited, self._first)
        words = typed.lower().split()
        known = (choice for part in parts for choice in part.offered)
        fitting = [c for c in known if all(word in c.text.lower() for word in words)]
        return [choice.option() for choice in fitting[:OPTION_LIMIT]]

    def _fresh(self, part: _Part) -> bool:
        return part.loaded_at is not None and self._clock() - part.loaded_at < self._seconds

    def _asked(self, part: _Part) -> Future[None] | None:
        """Its answer that is on its way, asked for now where what it offered is old."""
        with self._lock:
            if part.loading is None and not (self._fresh(part) and part.error is None):
                part.asked_at = self._clock()
                part.loading = self._pool.submit(self._load, part)
            return part.loading

    def _load(self, part: _Part) -> None:
        offered, error = part.offered, None
        loaded_at = part.loaded_at
        try:
            offered, loaded_at = part.load(), self._clock()
        except GatewayBotError as trouble:
            error = trouble
        except Exception:  # whoever chooses is answered whatever happens; the log keeps it whole
            log.exception("what may be chosen could not be loaded")
            error = Unavailable("The options could not be loaded.")
        with self._lock:
            part.offered, part.loaded_at, part.error = offered, loaded_at, error
            part.loading = None


def _no_answer_yet(called: str) -> Unavailable:
    return Unavailable(
        f"{called} has not answered yet.",
        meaning="The form offers what it has as soon as it does.",
        remedy="",
    )


def gateways(arm: ArmClient, instances: Sequence[ApimInstance]) -> Mapping[str, Source]:
    """Every gateway resource of every API Management instance."""

    def loading(instance: ApimInstance) -> Source:
        return lambda: tuple(
            Choice(
                resource.name if len(instances) == 1 else f"{instance.name}/{resource.name}",
                f"{instance.name}/{resource.name}",
                resource.description or resource.location,
            )
            for resource in arm.list_gateways(instance)
        )

    return {f"Azure API Management “{each.name}”": loading(each) for each in instances}


def places(
    clusters: Mapping[str, Cluster], environments: Sequence[Environment]
) -> Mapping[str, Source]:
    """Every namespace a gateway may go to, with its environment; the system's own left out."""

    def loading(name: str, cluster: Cluster) -> Source:
        return lambda: tuple(
            place(name, namespace, environments)
            for namespace in cluster.namespaces()
            if not namespace.startswith("kube-")
        )

    return {f"Cluster “{name}”": loading(name, cluster) for name, cluster in clusters.items()}


def place(cluster: str, namespace: str, environments: Sequence[Environment]) -> Choice:
    """One namespace. What is chosen keeps its text, so that says whether it is production."""
    environment = environment_of(GatewayRef(cluster, namespace, "any"), environments)
    where = f"{cluster}/{namespace}"
    if environment.production:
        return Choice(heading(where, environment), where)
    return Choice(where, where, environment.name)


def tags(catalogue: Catalogue, repository: str) -> Mapping[str, Source]:
    """Image tags of the repository that new gateways are pulled from, newest first, with the support
    that they have of Microsoft. Where that registry cannot be read, those that Microsoft has."""

    def load() -> tuple[Choice, ...]:
        stock = catalogue.stock(repository, "")
        released = _released(catalogue) if stock.tags is not None else catalogue.released()
        known = released if stock.tags is None else stock.tags
        return tuple(Choice(tag, tag, support(tag, released).summary) for tag in sort_tags(known))

    return {"The image registry": load}


def _released(catalogue: Catalogue) -> tuple[str, ...]:
    try:
        return catalogue.released()
    except GatewayBotError:
        return ()
