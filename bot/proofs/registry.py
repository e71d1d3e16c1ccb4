"""Whether the image registries list their tags."""

from collections.abc import Sequence

import requests

from bot.clients import catalogue_of
from bot.doubt import Doubtful
from bot.proofs.results import Find, Prove, one
from bot.settings import Secrets, Settings
from deploy.errors import GatewayBotError
from deploy.images.registry import Registry


def proofs(settings: Settings, secrets: Secrets) -> dict[str, Prove]:
    """Microsoft's registry, or a copy of it, and each mirror."""
    catalogue = catalogue_of(settings, secrets, requests.Session())
    mirrors = {
        f"images {repository}": one(f"images {repository}", _tags_of(mirror))
        for repository, mirror in catalogue.mirrors.items()
        if mirror is not catalogue.microsoft
    }
    name = "image registry"
    return {name: one(name, lambda: _counted(catalogue.released())), **mirrors}


def _counted(tags: Sequence[str]) -> str:
    if not tags:
        raise Doubtful(
            "The repository has no tags.",
            meaning="There is no version to deploy from it.",
            remedy="Push or cache an image there, or correct the repository in `images`.",
        )
    return f"{len(tags)} tags"


def _tags_of(mirror: Registry) -> Find:
    def tags() -> str:
        try:
            return _counted(mirror.tags())
        except Doubtful:
            raise
        except GatewayBotError as error:
            raise Doubtful(
                error.happened,
                meaning="Plans cannot check whether a tag exists.",
                remedy=error.remedy,
            ) from error

    return tags
