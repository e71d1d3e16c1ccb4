"""What each service is asked: the cheapest question that shows whether it would do what the bot needs."""

from collections.abc import Mapping
from functools import partial

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.dependencies import Shared
from bot.service_probes import Limits, ServiceProbe
from deploy.azure import ApimInstance, ArmClient
from deploy.errors import NotGranted, Refused, Unavailable
from deploy.kube.cluster import Cluster
from deploy.waits import Service
from handlers.slack import api_errors
from handlers.slack.api_errors import Meaning

REDIS_PERIOD = 5.0
"""Seconds; it also holds the bot's part in the count of bots."""
_REDIS = Limits(slow=0.25, silent=0.9, hanging=5.0)
"""Where Slack waits for an ack, Redis has a second; of several servers each has it, one after another."""
_OTHERS = Limits()
_REFUSALS = (Meaning.FORBIDDEN, Meaning.NOT_GRANTED, Meaning.LATER)


def probes_of(
    shared: Shared,
    slack: WebClient,
    arm: ArmClient,
    instances: Mapping[str, ApimInstance],
    clusters: Mapping[str, Cluster],
) -> tuple[ServiceProbe, ...]:
    """One for each service that the settings name. None of the clients may repeat a call for long."""
    return (
        ServiceProbe(
            Service("redis"), shared.report, _REDIS, period=REDIS_PERIOD, at_end=shared.leave
        ),
        ServiceProbe(Service("slack"), partial(ask_slack, slack), _OTHERS),
        *(
            ServiceProbe(Service("azure", name), partial(arm.reach, instance), _OTHERS)
            for name, instance in instances.items()
        ),
        *(
            ServiceProbe(Service("cluster", name), partial(ask_cluster, cluster), _OTHERS)
            for name, cluster in clusters.items()
        ),
    )


def ask_slack(client: WebClient) -> None:
    """Whose token it is (auth.test). Refused where the token is not valid or there are too many calls,
    Unavailable where Slack does not answer."""
    try:
        client.auth_test()
    except SlackApiError as error:
        name = api_errors.name(error)
        if api_errors.meaning(error) in _REFUSALS:
            raise Refused(f"Slack refused auth.test: {name}.") from error
        raise Unavailable(f"Slack answered {error.response.status_code} ({name}).") from error
    except api_errors.FAILURES as error:
        raise Unavailable(f"Slack does not answer ({api_errors.name(error)}).") from error


def ask_cluster(cluster: Cluster) -> None:
    """Its version, as somebody who is signed in. Refused where it rejects the bot's credentials,
    Unavailable where it does not answer."""
    try:
        cluster.reach()
    except NotGranted:
        raise
    except Refused:
        # It knows who asks, and hides its version from them. What it refuses to show, the watches say.
        return
