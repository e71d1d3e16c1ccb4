"""`/gateway status`: every gateway, or one in depth."""

import time
from concurrent.futures import ThreadPoolExecutor

from deploy.errors import GatewayBotError, Unavailable
from deploy.status import GatewaySummary, gateway_detail, resolve, summaries
from handlers import replies
from handlers.services import Services
from handlers.verb import Click, Reply, Request, Verb
from handlers.views import errors
from handlers.views import status as view


def run(services: Services, request: Request) -> Reply:
    """Look now, on every cluster at once; a cluster that does not answer is said, not hidden."""
    found, failed = everywhere(services)
    if not request.gateway:
        return view.overview(found, failed, time.time())
    ref = resolve(request.gateway, found)
    return view.detail(gateway_detail(services.caches[ref.cluster], ref), time.time())


def everywhere(
    services: Services,
) -> tuple[tuple[GatewaySummary, ...], dict[str, GatewayBotError]]:
    """The gateways of every cluster that answers, and what each of the others said."""
    with ThreadPoolExecutor(max(1, len(services.caches))) as pool:
        running = {name: pool.submit(cache.read) for name, cache in services.caches.items()}
    found: list[GatewaySummary] = []
    failed: dict[str, GatewayBotError] = {}
    for name, future in running.items():
        try:
            snapshot = future.result()
        except GatewayBotError as error:
            failed[name] = error
            continue
        found += summaries(snapshot, time.time())
        if snapshot.stale:
            failed[name] = Unavailable(snapshot.stale)
    return tuple(found), failed


def by_button(services: Services, click: Click) -> None:
    """The Status button of the help and of the Home tab."""
    try:
        reply = run(
            services, Request("", VERB.name, click.user, click.channel, gateway=click.value)
        )
    except GatewayBotError as error:
        reply = errors.trouble(error)
    replies.send(
        services.slack,
        reply,
        user=click.user,
        channel=click.channel,
        response_url=click.response_url,
    )


VERB = Verb(
    "status",
    "shows every gateway, or one in depth",
    run,
    gateway="optional",
    examples=("status", "status edge-1", "status west/dev/edge-1"),
    clicks={"show_status": by_button},
)
