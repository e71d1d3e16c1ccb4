"""What the bot asks of others: Slack, Azure, clusters and the registry of images."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry import HttpRequest, RateLimitErrorRetryHandler
from slack_sdk.http_retry.builtin_handlers import ServerErrorRetryHandler
from slack_sdk.web import SlackResponse

from bot.clients import arm_client, catalogue_of, clusters_of, environments_of, instances_of
from bot.settings import Secrets, Settings
from deploy.access import Environment
from deploy.azure import ApimInstance, ArmClient
from deploy.health.cache import ClusterCache
from deploy.images.catalogue import Catalogue
from deploy.images.registry import Registry
from deploy.kube.cluster import Cluster
from deploy.waits import Service, Waits
from handlers.slack.api_errors import name as error_name
from handlers.slack.own_command import OwnCommandClient
from handlers.slack.people import Team


@dataclass(frozen=True)
class Outside:
    """`slack` waits when Slack says to, and tries again. `posting` does neither: a repeated post
    would be a second message, and while it slept others would wait with it. `team` is the workspace that
    the bot belongs to. `clusters` answer people at once where they have not answered lately; `patient`
    are the same for runs, which repeat what fails automatically. `registry` is Microsoft's of the
    `catalogue`. What all of them wait for is noted
    in `waits`."""

    slack: WebClient
    posting: WebClient
    team: Team
    arm: ArmClient
    instances: Mapping[str, ApimInstance]
    catalogue: Catalogue
    registry: Registry
    clusters: Mapping[str, Cluster]
    patient: Mapping[str, Cluster]
    caches: Mapping[str, ClusterCache]
    environments: tuple[Environment, ...]
    waits: Waits


class _NotedClient(OwnCommandClient):
    """Notes that Slack is waited for, and takes the token as it is then: each method of the client
    calls this one."""

    def __init__(self, waits: Waits, current: Callable[[], str], **options: Any) -> None:
        super().__init__(token=current(), **options)
        self._waits = waits
        self._current = current

    def api_call(self, *arguments: Any, **named: Any) -> SlackResponse:
        self.token = self._current()
        method = str(arguments[0] if arguments else named.get("api_method", ""))
        with self._waits.on("Slack", service=Service("slack", method)) as call:
            try:
                return super().api_call(*arguments, **named)
            except SlackApiError as error:
                call.error = error_name(error)
                raise


class _NotedRateLimits(RateLimitErrorRetryHandler):
    """Notes each 429 also where the same call is made again after it."""

    def __init__(self, refused: Callable[[Service, str], object]) -> None:
        super().__init__(2)
        self._refused = refused

    def prepare_for_next_attempt(self, *, request: HttpRequest, **named: Any) -> None:
        method = urlsplit(request.url).path.rpartition("/")[2]
        # How long the attempt took nobody knows here; the call that it belongs to is timed.
        self._refused(Service("slack", method), "ratelimited")
        super().prepare_for_next_attempt(request=request, **named)


def outside_of(
    settings: Settings,
    secrets: Secrets,
    waits: Waits,
    refused: Callable[[Service, str], object] = lambda service, error: None,
) -> Outside:
    """The clients; nothing is asked of anybody yet. `refused` is called for each attempt that is made
    again within one call."""
    session = requests.Session()
    clusters = clusters_of(settings, waits)
    catalogue = catalogue_of(settings, secrets, session, waits)
    # Without one, each call of Slack reads the machine's certificate authorities anew.
    trust = ssl.create_default_context()
    slack = _web_client(settings, secrets, waits, trust)
    slack.retry_handlers += [ServerErrorRetryHandler(), _NotedRateLimits(refused)]
    posting = _web_client(settings, secrets, waits, trust)
    posting.retry_handlers = []
    return Outside(
        slack=slack,
        posting=posting,
        team=Team(slack),
        arm=arm_client(settings, secrets, session, waits),
        instances=instances_of(settings),
        catalogue=catalogue,
        registry=catalogue.microsoft,
        clusters={name: cluster.prompt() for name, cluster in clusters.items()},
        patient=clusters,
        caches={name: ClusterCache(cluster) for name, cluster in clusters.items()},
        environments=environments_of(settings),
        waits=waits,
    )


def _web_client(
    settings: Settings, secrets: Secrets, waits: Waits, trust: ssl.SSLContext
) -> WebClient:
    return _NotedClient(
        waits,
        secrets.slack_bot_token.get_secret_value,
        command=settings.slack.command,
        base_url=settings.slack.api_url,
        timeout=10,
        ssl=trust,
    )
