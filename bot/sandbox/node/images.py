"""Image references, and asking the registry whether a tag is there before a pull succeeds."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

GATEWAY_REPOSITORY = "azure-api-management/gateway"
TagSource = Callable[[], Awaitable[set[str]]]
_REGISTRY_SECONDS = 10.0


class PullError(Exception):
    """The image cannot be pulled; the text is what the container runtime would say."""


@dataclass(frozen=True)
class Image:
    """A parsed image reference."""

    reference: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, reference: str) -> "Image":
        """Split a reference; no tag means `latest`."""
        name, _, digest = reference.partition("@")
        repository, colon, tag = name.rpartition(":")
        if not colon or "/" in tag:
            repository, tag = name, "latest"
        return cls(reference, repository, digest or tag)

    @property
    def is_gateway(self) -> bool:
        """Whether this is the self-hosted gateway, from whichever registry."""
        return self.repository.endswith(GATEWAY_REPOSITORY)

    @property
    def image_id(self) -> str:
        """A digest reference that is always the same for the same tag."""
        return f"{self.repository}@sha256:{hashlib.sha256(self.reference.encode()).hexdigest()}"

    @property
    def version(self) -> tuple[int, ...]:
        """(2, 8, 1) of `2.8.1`; a rolling tag such as `v2` or `latest` counts as the newest."""
        match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", self.tag)
        return tuple(int(part) for part in match.groups()) if match else (9999,)

    def pull_policy(self, asked: str | None) -> str:
        """The policy in force: the API server's default when none was asked for."""
        return asked or ("Always" if self.tag == "latest" else "IfNotPresent")


def registry_tags(url: str, session: aiohttp.ClientSession) -> TagSource:
    """The gateway's tags as a registry's /v2 API lists them."""

    async def fetch() -> set[str]:
        address = f"{url.rstrip('/')}/v2/{GATEWAY_REPOSITORY}/tags/list"
        timeout = aiohttp.ClientTimeout(total=_REGISTRY_SECONDS)
        async with session.get(address, timeout=timeout) as response:
            response.raise_for_status()
            body = await response.json(content_type=None)
            return set(body.get("tags") or [])

    return fetch


async def check(image: Image, tags: TagSource | None, *, broken: bool) -> None:
    """Return if `image` can be pulled, else raise PullError with the runtime's words.

    Only the gateway's repository is known to the registry: other images are taken to exist.
    """
    what = f'failed to pull and unpack image "{image.reference}": failed to resolve reference'
    if broken:
        raise PullError(
            f'rpc error: code = Unknown desc = {what} "{image.reference}": '
            "unexpected status from HEAD request: 503 Service Unavailable"
        )
    if tags is None or not image.is_gateway:
        return
    try:
        known = await tags()
    except (aiohttp.ClientError, TimeoutError, OSError) as problem:
        raise PullError(
            f'rpc error: code = Unavailable desc = {what} "{image.reference}": '
            f"failed to do request: {type(problem).__name__}"
        ) from problem
    if image.tag not in known and not image.tag.startswith("sha256:"):
        raise PullError(
            f'rpc error: code = NotFound desc = {what} "{image.reference}": '
            f"{image.reference}: not found"
        )
