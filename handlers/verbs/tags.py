"""`/gateway tags`: the tags of the gateway's image, their support, where they are, and how many gateways
run each."""

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from deploy.access import Right
from deploy.commands import Command
from deploy.errors import GatewayBotError, InvalidInput, NotFound
from deploy.health.cache import ClusterCache
from deploy.images.catalogue import Catalogue
from deploy.images.registry import Registry
from deploy.images.support import support
from deploy.specs.forms import TAG
from handlers.fleet import everywhere
from handlers.slack.payloads import Request
from handlers.verbs.verb import Option, Verb
from handlers.views import tags as view
from handlers.views.reply import Reply
from handlers.views.words.help import Group

T = TypeVar("T")


@dataclass(frozen=True)
class Needs:
    """`image_repository` is what manifests name, `catalogue` knows the registries."""

    catalogue: Catalogue
    caches: Mapping[str, ClusterCache]
    image_repository: str
    command: str


def run(needs: Needs, request: Request) -> Reply:
    """Ask the registries what there is, and the caches of the clusters what runs."""
    repositories = _repositories(needs)
    if wanted := str(request.options.get("digest", "")):
        return _digests(repositories, TAG.read(wanted, "digest"))
    read = _at_once(repositories, lambda registry: registry.tags())
    microsoft = read.pop(needs.catalogue.own)
    if isinstance(microsoft, GatewayBotError) and not read:
        raise microsoft
    released = () if isinstance(microsoft, GatewayBotError) else microsoft
    mirrors = [
        view.Mirror(name, None, found.happened)
        if isinstance(found, GatewayBotError)
        else view.Mirror(name, frozenset(found))
        for name, found in read.items()
    ]
    found, failed = everywhere(needs.caches)
    running = Counter(summary.tag for summary in found)
    mirrored = {tag for mirror in mirrors for tag in mirror.tags or ()}
    rows = [
        view.TagRow(tag, support(tag, released), running[tag], tag in released)
        for tag in {*released, *mirrored, *running}
    ]
    shown = view.Shown(
        rows,
        mirrors,
        sorted(failed),
        needs.image_repository,
        microsoft.happened if isinstance(microsoft, GatewayBotError) else "",
    )
    return view.listing(shown, needs.command, whole=bool(request.options.get("all")))


def _repositories(needs: Needs) -> dict[str, Registry]:
    """Microsoft's own first."""
    catalogue = needs.catalogue
    others = {n: r for n, r in catalogue.mirrors.items() if r is not catalogue.microsoft}
    return {catalogue.own: catalogue.microsoft, **others}


def _digests(repositories: Mapping[str, Registry], tag: str) -> Reply:
    """What to write to pin a tag, where it is. NotFound where no registry has it."""
    read = _at_once(repositories, lambda registry: registry.digest(tag))
    found = {name: digest for name, digest in read.items() if isinstance(digest, str) and digest}
    failed = [error for error in read.values() if isinstance(error, GatewayBotError)]
    if not found and failed:
        raise failed[0]
    if not found:
        raise NotFound(
            f"No registry has the tag “{tag}”.", remedy=f"{Command('tags')} lists those there are."
        ).offering(Command("tags"))
    return view.digests(tag, found, [error.happened for error in failed])


def _at_once(
    repositories: Mapping[str, Registry], ask: Callable[[Registry], T]
) -> dict[str, T | GatewayBotError]:
    """What each registry says; one that is slow holds up none of the others."""

    def asked(registry: Registry) -> T | GatewayBotError:
        try:
            return ask(registry)
        except InvalidInput:
            raise
        except GatewayBotError as error:
            return error

    with ThreadPoolExecutor(len(repositories), thread_name_prefix="registries") as pool:
        return dict(zip(repositories, pool.map(asked, repositories.values()), strict=True))


VERB = Verb(
    "tags",
    "lists image tags, whether each is supported, and how many gateways run it",
    Needs,
    run,
    Right.SEE,
    group=Group.LOOK,
    options=(
        Option("all", "also unsupported versions that no gateway runs", kind="flag"),
        Option("digest", "only the digest of one tag, to pin an image by", "tag"),
    ),
    examples=("tags", "tags --digest 2.11.1"),
)
