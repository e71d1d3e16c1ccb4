"""Getting a container's image, as the kubelet's image manager does: events, failures, back-off."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from bot.sandbox.node.api import Backoff
from bot.sandbox.node.images import Image, PullError, check
from bot.sandbox.node.services import Services

_PULL_SECONDS = 0.5
_ERR_IMAGE_PULL_SECONDS = 1.5
_BACKOFF_FIRST, _BACKOFF_MOST = 10.0, 300.0


class RecordEvent(Protocol):
    """Records an event about the container."""

    def __call__(self, reason: str, message: str, *, warning: bool = False) -> None: ...


async def pull(
    image: Image,
    policy: str,
    node: str,
    services: Services,
    event: RecordEvent,
    waiting: Callable[[str, str], None],
) -> None:
    """Return when `node` has the image. `waiting(reason, message)` tells why it has not yet."""
    reference = image.reference
    present = (node, reference) in services.pulled
    if present and policy != "Always":
        event("Pulled", f'Container image "{reference}" already present on machine')
        return
    backoff = Backoff(_BACKOFF_FIRST, _BACKOFF_MOST)
    while True:
        begun = time.monotonic()
        event("Pulling", f'Pulling image "{reference}"')
        try:
            broken = services.network.trouble.on("image_pull_fails")
            await check(image, services.tags, broken=broken)
        except PullError as problem:
            event("Failed", f'Failed to pull image "{reference}": {problem}', warning=True)
            event("Failed", "Error: ErrImagePull", warning=True)
            waiting("ErrImagePull", str(problem))
            await asyncio.sleep(services.scaled(_ERR_IMAGE_PULL_SECONDS))
            backing_off = f'Back-off pulling image "{reference}"'
            event("BackOff", backing_off)
            event("Failed", "Error: ImagePullBackOff", warning=True)
            waiting("ImagePullBackOff", f"{backing_off}: ErrImagePull: {problem}")
            await asyncio.sleep(services.scaled(backoff.next()))
            continue
        if not present:
            await asyncio.sleep(services.scaled(_PULL_SECONDS))
        took = f"{round((time.monotonic() - begun) * 1000)}ms"
        event(
            "Pulled",
            f'Successfully pulled image "{reference}" in {took} ({took} including waiting). '
            "Image size: 93214510 bytes.",
        )
        services.pulled.add((node, reference))
        return
