"""`/gateway tags`: the tags of the gateway's image, their support, and how many gateways run each."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.access import Right
from deploy.health.cache import ClusterCache
from deploy.images import Registry, support
from handlers.fleet import everywhere
from handlers.slack.payloads import Request
from handlers.verbs.verb import Option, Verb
from handlers.views import tags as view
from handlers.views.reply import Reply


@dataclass(frozen=True)
class Needs:
    """`image_repository` is what manifests name, `registry` where its tags are read."""

    registry: Registry
    caches: Mapping[str, ClusterCache]
    image_repository: str
    command: str


def run(needs: Needs, request: Request) -> Reply:
    """Ask the registry what there is, and the caches of the clusters what runs."""
    known = needs.registry.tags()
    found, failed = everywhere(needs.caches)
    running = Counter(summary.tag for summary in found)
    rows = [
        view.TagRow(tag, support(tag, known), running[tag], tag in known)
        for tag in {*known, *running}
    ]
    whole = bool(request.options.get("all"))
    return view.listing(rows, sorted(failed), needs.image_repository, needs.command, whole)


VERB = Verb(
    "tags",
    "lists the image's tags with their support, and how many gateways run each",
    Needs,
    run,
    Right.SEE,
    options=(
        Option("all", "versions too that have no support and that no gateway runs", kind="flag"),
    ),
    examples=("tags",),
)
