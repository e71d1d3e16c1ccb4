"""How what the bot depends on stands, from memory: a probe that asks waits for nothing."""

import logging
from collections.abc import Mapping, Sequence

from bot.service_probes import OK, Outcome, ServiceProbe
from deploy.actions.connection import NotAdmitted
from deploy.actions.replicas import Agreement, Replicas
from deploy.errors import GatewayBotError, Refused
from deploy.health.cache import ClusterCache
from deploy.health.standing import Standing

log = logging.getLogger(__name__)


class Shared:
    """Reports to the other bots on Redis which settings this one has, and so finds out whether Redis
    takes writes."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self.agreement: Agreement | None = None

    def report(self) -> None:
        """Report once. Refused where Redis refuses the bot, Unavailable where it takes no writes."""
        try:
            self.agreement = self._replicas.report()
        except NotAdmitted as error:
            self.agreement = None
            raise Refused(error.happened, remedy=error.remedy) from error
        except GatewayBotError:
            self.agreement = None
            raise

    def leave(self) -> None:
        """Report that this bot ends."""
        try:
            self._replicas.leave()
        except GatewayBotError as error:
            log.info("other bots find later that this one has ended: %s", error)


class Dependencies:
    """What readiness says beside whether the bot is ready."""

    def __init__(
        self,
        shared: Shared,
        probes: Sequence[ServiceProbe],
        caches: Mapping[str, ClusterCache],
    ) -> None:
        self._shared = shared
        self._probes = probes
        self._caches = caches

    def detail(self) -> dict[str, str]:
        """In words, by name; `ok` where nothing is wrong."""
        return {
            **{_field(probe): self._probed(probe) for probe in self._probes},
            "settings": self._settings(),
        }

    def _probed(self, probe: ServiceProbe) -> str:
        condition = probe.condition
        wrong = condition is not None and condition.outcome is not Outcome.OK
        cache = self._caches.get(probe.service.name) if probe.service.kind == "cluster" else None
        # A cluster that answers may still refuse what is watched.
        return probe.words if cache is None or wrong else _watched(cache.standing)

    def _settings(self) -> str:
        agreement = self._shared.agreement
        if agreement is None:
            return "unknown: Redis does not say which settings the other bots have"
        if agreement.agreed:
            return OK
        return f"{agreement.bots} bots have {agreement.settings} different settings"


def _field(probe: ServiceProbe) -> str:
    # `slack` is whether payloads arrive.
    return "slack api" if probe.service.kind == "slack" else probe.name


def _watched(standing: Standing) -> str:
    if standing.lost or not standing.unread:
        return standing.lost or OK
    (name, why), unread = standing.unread[0], len(standing.unread)
    more = f" ({unread - 1} more)" if unread > 1 else ""
    return f"namespace {name}{more}: {why}"
