"""The name of an image, `repository:tag@digest`, in its parts. Pure.

The grammar is that of github.com/distribution/reference, reference.go; read 2026-11-30.
"""

import ipaddress
from dataclasses import dataclass

_SHOWN = 12
"""So many characters of a digest tell it from others."""


@dataclass(frozen=True)
class ImageName:
    """Its parts; tag and digest are empty where the name has none."""

    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def version(self) -> str:
        """What a person knows it by: its tag, and the beginning of a digest that pins it."""
        kind, _, sum_ = self.digest.partition(":")
        pin = f"{kind}:{sum_[:_SHOWN]}" if sum_ else ""
        return "@".join(part for part in (self.tag, pin) if part)


def image_name(image: str) -> ImageName:
    """The parts of an image's name."""
    name, _, digest = image.partition("@")
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return ImageName(f"{head}{slash}{last}", tag, digest)


def repository_of(image: str) -> str:
    """An image without its tag and digest."""
    return image_name(image).repository


def host_and_path(repository: str) -> tuple[str, str]:
    """The registry of a repository with its port, and the path there.

    Docker Hub's names are `docker.io/…`, and its registry is another host
    (github.com/distribution/reference, normalize.go; read 2026-11-30).
    """
    host, _, path = repository.partition("/")
    return ("registry-1.docker.io" if host in ("docker.io", "index.docker.io") else host), path


def is_this_machine(host: str) -> bool:
    """Whether a host, without its port, is where the bot itself runs."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
