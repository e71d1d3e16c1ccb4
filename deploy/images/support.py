"""Which versions of the gateway Microsoft supports, as far as the tags of its image tell. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

_MOVING = re.compile(r"latest|v\d{1,3}")
_PREVIEW = re.compile(r"beta|v\d{1,3}-preview|.*preview.*")
_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})")
_SUPPORTED_MINORS = 3

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Mended:
    """`by` is the patch that mended a version, `what` the vulnerability in it; empty where none
    is known by name."""

    by: Version
    what: str = ""


MENDED: Mapping[Version, Mended] = {
    (2, 10, 0): Mended((2, 10, 1), "CVE-2025-55315"),
    (2, 11, 0): Mended((2, 11, 1), "CVE-2026-26130"),
    (2, 11, 1): Mended((2, 11, 2)),
    (2, 12, 0): Mended((2, 12, 1)),
}
"""By the releases and issues of github.com/Azure/api-management-self-hosted-gateway, 2026-11-28."""


@dataclass(frozen=True)
class Support:
    """What Microsoft promises for a tag (azure-docs, self-hosted-gateway-support-policies).

    `patch` is the newest patch of its minor version where that is another one.
    """

    state: Literal["supported", "unsupported", "rolling", "preview", "unknown"]
    summary: str
    patch: str = ""


def version_of(tag: str) -> Version | None:
    """The version a full tag names; None for one that moves."""
    found = _VERSION.fullmatch(tag)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def sort_tags(tags: Sequence[str]) -> list[str]:
    """Full versions first, newest first; then the tags that move, by name."""
    versions = sorted((t for t in tags if version_of(t)), key=_key, reverse=True)
    return versions + sorted(t for t in tags if not version_of(t))


def support(tag: str, tags: Sequence[str]) -> Support:
    """The support of `tag`, given every tag there is; what a digest pins has none that is known."""
    if tag.startswith("sha256:"):
        return Support("unknown", "pinned by a digest, support unknown")
    if _PREVIEW.fullmatch(tag):
        return Support("preview", "preview, unsupported")
    version = version_of(tag)
    if version is None:
        if tag and not _MOVING.fullmatch(tag):
            return Support("unknown", "not a tag that Microsoft documents")
        return Support("rolling", "moving tag, not for production")
    known = sorted({v[:2] for t in tags if (v := version_of(t))}, reverse=True)
    if not known:
        return Support("unknown", "support unknown")
    newest_major = known[0][0]
    supported = [minor for minor in known if minor[0] == newest_major][:_SUPPORTED_MINORS]
    if not _existed(version, tags):
        return Support("unknown", "not among Microsoft's tags, support unknown")
    if version[:2] in supported:
        patch = newest_patch(version, tags)
        if patch != version:
            name = ".".join(map(str, patch))
            return Support("supported", f"supported, {name} is newer", name)
        newest = max(v for t in tags if (v := version_of(t)))
        return Support("supported", "newest" if version == newest else "supported")
    return Support("unsupported", "no longer supported")


def _existed(version: Version, tags: Sequence[str]) -> bool:
    """Whether that version was released, as far as is known: it is listed, or a newer one of its minor
    version is, or of its major version a newer minor."""
    there = {v for tag in tags if (v := version_of(tag))} | {each.by for each in MENDED.values()}
    return any(v >= version and v[0] == version[0] for v in there)


def newest_patch(version: Version, tags: Sequence[str]) -> Version:
    """The newest version of the same minor version that is known of."""
    there = {version, *(v for tag in tags if (v := version_of(tag)) and v[:2] == version[:2])}
    return max(there | {mended.by for at in there if (mended := MENDED.get(at))})


def _key(tag: str) -> Version:
    return version_of(tag) or (0, 0, 0)
