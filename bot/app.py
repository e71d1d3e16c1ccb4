"""The composition root: the one place where everything meets, and the list of what runs."""

from collections.abc import Mapping, Sequence

from bot.health import HealthServer
from bot.parts import Part, Parts
from bot.pool import Pool
from bot.settings import Secrets, Settings
from bot.wiring.binder import Binder
from bot.wiring.changes import changes_of
from bot.wiring.conversation import WORKERS, conversation_of, for_verbs_of, live_views_of
from bot.wiring.expiry import expiry_of
from bot.wiring.outside import outside_of
from bot.wiring.stores import stores_of
from bot.wiring.watching import watching_of
from bot.wiring.work import work_of
from deploy.changes.kinds import KINDS, Kind, codec_of
from deploy.deadline import Deadline
from handlers.messages.budget import Budgets
from handlers.verbs.table import VERBS
from handlers.verbs.verb import AnyVerb


class Bot:
    """One running bot. Several of them share one Redis and split the work between them."""

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        *,
        kinds: Sequence[Kind] = KINDS,
        verbs: Sequence[AnyVerb] = VERBS,
    ) -> None:
        """`kinds` are the changes it knows, `verbs` what people can type."""
        budgets = Budgets()
        outside = outside_of(settings, secrets)
        stores = stores_of(settings, secrets, codec_of(kinds))
        changes = changes_of(settings, outside, stores, kinds)
        work = work_of(outside, stores, changes, budgets)
        expiry = expiry_of(settings, secrets, outside, stores, changes, budgets)
        watching = watching_of(settings, outside, stores, expiry.azure_events, budgets)
        live = live_views_of(outside, stores, budgets)
        pool = Pool(WORKERS, "work")
        for_verbs = for_verbs_of(settings, outside, stores, pool, verbs)
        binder = Binder(outside, changes, watching, expiry, live, for_verbs)
        talk = conversation_of(settings, secrets, outside, stores, binder, live, pool, verbs)
        self._transport = talk.transport
        parts: dict[str, Part] = {
            **{f"cache {name}": cache for name, cache in outside.caches.items()},
            "levels": watching.levels,
            "watchers": watching.watchers,
            **expiry.parts,
            "watches": live.watches,
            "follows": live.follows,
            **talk.sweeps,
            **work.chores,
            "delivery": work.deliveries,
            "work": pool,
            "runner": work.runner,
            "intake": talk.intake,
            "listeners": talk.listening,
            "slack": talk.transport,
        }
        self._reported = Parts(parts)
        self.health = HealthServer(
            settings.health.host,
            settings.health.port,
            {"/livez": self._reported.live, "/readyz": self._ready, "/healthz": self._ready},
        )
        # That it lives itself is said by its answering.
        self._parts = Parts({"health": self.health, **parts})

    def start(self) -> None:
        """Start every part; what an earlier bot left undone is taken up at once."""
        self._parts.start()

    def stop(self, deadline: Deadline) -> None:
        """Stop every part, and return at `deadline` at the latest."""
        self._parts.stop(deadline)

    def _ready(self) -> Mapping[str, bool]:
        return {**self._reported.live(), "slack": self._transport.connected}
