"""What the bot asks of others: Slack, Azure, clusters and the registry of images."""

from collections.abc import Mapping
from dataclasses import dataclass

import requests
from slack_sdk import WebClient
from slack_sdk.http_retry import RateLimitErrorRetryHandler
from slack_sdk.http_retry.builtin_handlers import ServerErrorRetryHandler

from bot.clients import arm_client, clusters_of, environments_of, instances_of, registry_of
from bot.settings import Secrets, Settings
from deploy.access import Environment
from deploy.azure import ApimInstance, ArmClient
from deploy.health.cache import ClusterCache
from deploy.images import Registry
from deploy.kube.cluster import Cluster
from handlers.slack.people import Team


@dataclass(frozen=True)
class Outside:
    """`slack` waits when Slack says to, and tries again. `posting` does neither: a repeated post
    would be a second message, and while it slept others would wait with it. `team` is the workspace that
    the bot belongs to."""

    slack: WebClient
    posting: WebClient
    team: Team
    arm: ArmClient
    instances: Mapping[str, ApimInstance]
    registry: Registry
    clusters: Mapping[str, Cluster]
    caches: Mapping[str, ClusterCache]
    environments: tuple[Environment, ...]


def outside_of(settings: Settings, secrets: Secrets) -> Outside:
    """The clients; nothing is asked of anybody yet."""
    session = requests.Session()
    clusters = clusters_of(settings)
    slack = _web_client(settings, secrets)
    slack.retry_handlers += [ServerErrorRetryHandler(), RateLimitErrorRetryHandler(2)]
    posting = _web_client(settings, secrets)
    posting.retry_handlers = []
    return Outside(
        slack=slack,
        posting=posting,
        team=Team(slack),
        arm=arm_client(settings, secrets, session),
        instances=instances_of(settings),
        registry=registry_of(settings, session),
        clusters=clusters,
        caches={name: ClusterCache(cluster) for name, cluster in clusters.items()},
        environments=environments_of(settings),
    )


def _web_client(settings: Settings, secrets: Secrets) -> WebClient:
    return WebClient(
        token=secrets.slack_bot_token.get_secret_value(),
        base_url=settings.slack.api_url,
        timeout=10,
    )
