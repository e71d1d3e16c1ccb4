"""The registries that the settings know, by the repository that manifests name.

Nobody's word makes the bot ask another one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.errors import GatewayBotError
from deploy.images.names import host_and_path, is_this_machine
from deploy.images.registry import Registry


@dataclass(frozen=True)
class Stock:
    """What the registry has that a gateway's pods pull from.

    `tags` is None where it is not known. Of a pinned image, `pinned_alike` says whether its tag names
    that digest, and `pullable` whether there is such a digest at all; None where it is not known.
    `unread` is why something is not known, as a sentence.
    """

    tags: tuple[str, ...] | None = None
    pinned_alike: bool | None = None
    pullable: bool | None = None
    unread: str = ""


@dataclass(frozen=True)
class Catalogue:
    """`microsoft` has every version with its support; `mirrors` are other registries that have some of
    them, by repository. `own` is Microsoft's repository, as manifests name it."""

    microsoft: Registry
    own: str
    mirrors: Mapping[str, Registry] = field(default_factory=dict)

    def released(self) -> tuple[str, ...]:
        """The tags of Microsoft's own repository; errors as of Registry.tags."""
        return self.microsoft.tags()

    def registry(self, repository: str) -> Registry | None:
        """The one that a repository is pulled from; None for one that the settings do not know."""
        return self.microsoft if repository == self.own else self.mirrors.get(repository)

    def stock(self, repository: str, tag: str, digest: str = "") -> Stock:
        """What is known of an image where its pods pull it."""
        registry = self.registry(repository)
        if registry is None:
            return Stock()
        tags: tuple[str, ...] | None = None
        try:
            tags = registry.tags()
            if not digest:
                return Stock(tags)
            # Of what a tag names the registry gives the SHA-256 sums alone.
            told = tag in tags and digest.startswith("sha256:")
            alike = digest in registry.digests(tag) if told else None
            return Stock(tags, alike, alike or registry.has(digest))
        except GatewayBotError as error:
            return Stock(tags, unread=error.happened)


def address_of(repository: str) -> tuple[str, str]:
    """Where a repository's registry answers, and the path there.

    This machine's is asked over plain HTTP; it is the only one that Docker by default does not ask for
    TLS either (github.com/moby/moby, daemon/pkg/registry/config.go; read 2026-11-30).
    """
    host, path = host_and_path(repository)
    scheme = "http" if is_this_machine(host.partition(":")[0]) else "https"
    return f"{scheme}://{host}", path
