"""The composition root: the one place where everything meets, and the list of what runs."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from bot.chores import Chore
from bot.health import HealthServer
from bot.parts import Part, Parts
from bot.secret_changes import SECONDS, SecretChanges
from bot.settings import Secrets, Settings
from bot.wiring.binder import Binder
from bot.wiring.changes import changes_of
from bot.wiring.conversation import conversation_of, for_verbs_of, homes_of, live_views_of
from bot.wiring.expiry import expiry_of, from_azure_of
from bot.wiring.lost import lost_of
from bot.wiring.measuring import counting_of, measuring_of
from bot.wiring.messages import connections_of, engine_of
from bot.wiring.outside import outside_of
from bot.wiring.stores import stores_of
from bot.wiring.watching import watching_of
from bot.wiring.work import work_of
from deploy.changes.kinds import KINDS, Kind, codec_of
from deploy.deadline import Deadline
from handlers.messages.home_tabs import HomeReaders
from handlers.verbs.table import VERBS
from handlers.verbs.verb import AnyVerb

_RUNNER = "runner"


class Bot:
    """One running bot. Several of them share one Redis and split the work between them."""

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        *,
        kinds: Sequence[Kind] = KINDS,
        verbs: Sequence[AnyVerb] = VERBS,
        hide: Callable[[Iterable[str]], object] = lambda texts: None,
    ) -> None:
        """`kinds` are the changes it knows, `verbs` what people can type. `hide` is given the values of
        secrets that change, which no line of the log may show."""
        counting = counting_of(kind.name for kind in kinds)
        waits = counting.waits
        outside = outside_of(settings, secrets, waits, counting.refused)
        stores = stores_of(settings, secrets, codec_of(kinds), waits, counting.audited)
        changes = changes_of(settings, outside, stores, kinds)
        work = work_of(outside, stores, changes)
        from_azure = from_azure_of(settings, secrets, stores)
        watching = watching_of(settings, outside, stores, from_azure.azure_events)
        expiry = expiry_of(settings, outside, stores, changes, watching.levels.last)
        live = live_views_of(stores)
        for_verbs = for_verbs_of(settings, outside, stores, verbs)
        binder = Binder(outside, changes, watching, expiry, live, for_verbs)
        readers = HomeReaders(stores.redis)
        homes = homes_of(outside, stores, readers, binder, settings.slack.command)
        talk = conversation_of(
            settings, secrets, outside, stores, binder, live, verbs, homes, counting.hearing
        )
        families = [
            *work.families,
            *watching.incident_messages,
            *live.live_messages,
            *expiry.expiry_messages,
            *connections_of(settings, stores),
        ]
        lost = lost_of(settings, outside, stores, families)
        engine = engine_of(outside, stores, [*families, *lost.messages], homes, readers)
        self._transport = talk.transport
        self._started, self._stopping = threading.Event(), threading.Event()
        measuring = measuring_of(
            settings,
            secrets,
            counting,
            outside,
            stores,
            talk,
            work.runner,
            watching.levels.last,
            ready=lambda: self._started.is_set() and not self._stopping.is_set(),
            live=self._alive,
        )
        self._detail = measuring.detail
        changing = SecretChanges(secrets, hide)
        look = Chore("secret files", SECONDS, changing.turn)
        parts: dict[str, Part] = {
            **({look.name: look} if changing.needed else {}),
            **measuring.parts,
            **{f"cache {name}": cache for name, cache in outside.caches.items()},
            "messages": engine,
            "levels": watching.levels,
            "watchers": watching.watchers,
            **expiry.parts,
            **from_azure.azure_parts,
            lost.search.name: lost.search,
            "watches": live.watches,
            "follows": live.follows,
            **talk.sweeps,
            **work.chores,
            **for_verbs.pools,
            "progress": talk.progress,
            "intake": talk.intake,
            _RUNNER: work.runner,
            "slack": talk.transport,
        }
        self._reported = Parts(parts)
        self.health = HealthServer(
            settings.health.host,
            settings.health.port,
            {"/livez": self._alive, "/readyz": self._ready, "/healthz": self._alive},
            metrics=measuring.scrape,
        )
        # That health lives is said by its answering. A run that is let go of is another bot's at
        # once, so the runner's end waits for nothing.
        self._parts = Parts({"health": self.health, **parts}, at_once=[_RUNNER])

    def start(self) -> None:
        """Start every part; what an earlier bot left undone is taken up at once."""
        self._parts.start()
        self._started.set()

    def stop(self, deadline: Deadline) -> None:
        """Stop every part, and return at `deadline` at the latest. It is not ready from now on."""
        self._stopping.set()
        self._parts.stop(deadline)

    def _alive(self) -> Mapping[str, bool]:
        # Parts that have ended are as they should be then.
        return {"stopping": True} if self._stopping.is_set() else self._reported.live()

    def _ready(self) -> Mapping[str, bool | str]:
        transport = self._transport
        return {
            "started": self._started.is_set(),
            "listening": transport.live,
            "serving": not self._stopping.is_set(),
            # What follows is text and changes nothing: one outage must take no bot away.
            "slack": "ok" if transport.connected else "not connected",
            **transport.detail,
            **self._detail(),
        }
