"""`/gateway tags`: the tags of the gateway's image, their support, and how many gateways run each."""

from collections import Counter

from deploy.access import Right
from deploy.images import support
from handlers.fleet import everywhere
from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs.verb import Option, Verb
from handlers.views import tags as view
from handlers.views.reply import Reply


def run(services: Services, request: Request) -> Reply:
    """Ask the registry what there is, and the caches of the clusters what runs."""
    known = services.registry.tags()
    found, failed = everywhere(services.caches)
    running = Counter(summary.tag for summary in found)
    rows = [
        view.Row(tag, support(tag, known), running[tag], tag in known) for tag in {*known, *running}
    ]
    whole = bool(request.options.get("all"))
    return view.listing(rows, sorted(failed), services.image_repository, services.command, whole)


VERB = Verb(
    "tags",
    "lists the image's tags with their support, and how many gateways run each",
    run,
    Right.SEE,
    options=(
        Option("all", "versions too that have no support and that no gateway runs", kind="flag"),
    ),
    examples=("tags",),
)
