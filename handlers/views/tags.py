"""The tags of the gateway's image, a line each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.images.support import Support, sort_tags
from handlers.views.reply import Block, Reply
from handlers.views.text import context, counted, cut, escape, fitting, header, sections

_LIMIT = 4500
"""Characters that the tags may take; a message holds about 13,000."""
_MIRRORS = 3
"""Of so many it is said which tags they have."""
_SILENT = 10
_DIGESTS = 6
_TROUBLES = 3


@dataclass(frozen=True)
class TagRow:
    """One tag, or what a gateway runs instead of one: its support, how many gateways run it, and
    whether Microsoft has it."""

    tag: str
    support: Support
    gateways: int
    listed: bool


@dataclass(frozen=True)
class Mirror:
    """Another registry that images are pulled from. `tags` is None where `trouble` says why."""

    repository: str
    tags: frozenset[str] | None
    trouble: str = ""


@dataclass(frozen=True)
class Shown:
    """What there is to show. `silent` are clusters that were not heard, `repository` is what new
    gateways are pulled from, `trouble` why nothing is known of support."""

    rows: Sequence[TagRow]
    mirrors: Sequence[Mirror]
    silent: Sequence[str]
    repository: str
    trouble: str = ""


def listing(shown: Shown, command: str, *, whole: bool) -> Reply:
    """Versions first, the newest before the others. Unless `whole`, those that have no support are
    counted only where no gateway runs them."""
    rows = [
        row for row in shown.rows if whole or row.gateways or row.support.state != "unsupported"
    ]
    by_tag = {row.tag: row for row in rows}
    mirrors = shown.mirrors[:_MIRRORS]
    every = [_line(by_tag[tag], mirrors) for tag in sort_tags(list(by_tag))]
    lines = fitting(every, _LIMIT)
    blocks: list[Block] = [header("Image tags"), *sections(lines)]
    if len(lines) < len(every):
        blocks.append(context(f"… and {counted(len(every) - len(lines), 'more tag')}."))
    if len(rows) < len(shown.rows):
        older = counted(len(shown.rows) - len(rows), "version")
        blocks.append(context(f"{older} without support left out: `{command} tags --all`."))
    if shown.trouble:
        blocks.append(context(f":warning: Support is not known: {escape(cut(shown.trouble, 300))}"))
    blocks += [
        context(
            f"{_mirror(number, mirrors).capitalize()}: `{escape(cut(mirror.repository, 100))}`{_trouble(mirror)}"
        )
        for number, mirror in enumerate(mirrors, 1)
    ]
    if len(shown.mirrors) > len(mirrors):
        blocks.append(
            context(f"… and {counted(len(shown.mirrors) - len(mirrors), 'more mirror')}.")
        )
    if shown.silent:
        names = ", ".join(escape(name) for name in shown.silent[:_SILENT])
        if len(shown.silent) > _SILENT:
            names += f" and {len(shown.silent) - _SILENT} more"
        blocks.append(
            context(f":warning: {names} cannot be read now, so the gateway counts may be too low.")
        )
    blocks.append(context(f"`{escape(cut(shown.repository, 150))}`"))
    old = sum(row.gateways for row in shown.rows if row.support.state == "unsupported")
    worse = f", {counted(old, 'gateway')} without support" if old else ""
    return Reply(f"{counted(len(shown.rows), 'tag')}{worse}", tuple(blocks))


def digests(tag: str, found: Mapping[str, str], troubles: Sequence[str]) -> Reply:
    """What pins a tag, by repository."""
    # Inline code can be copied whole; a fence would break it to the width of a phone.
    lines = [f"`{escape(f'{cut(name, 150)}:{tag}@{digest}')}`" for name, digest in found.items()]
    one = next(iter(found.values()))
    blocks: list[Block] = [
        header(f"Digest of {cut(tag, 100)}"),
        *sections(lines[:_DIGESTS]),
        context(f"Pin it with `--tag {escape(tag)}@{escape(cut(one, 200))}`."),
    ]
    blocks += [context(f":warning: {escape(cut(each, 200))}") for each in troubles[:_TROUBLES]]
    return Reply(f"Digest of {cut(tag, 100)}: {cut(one, 100)}", tuple(blocks))


def _trouble(mirror: Mirror) -> str:
    return f" :warning: {escape(cut(mirror.trouble, 200))}" if mirror.trouble else ""


def _line(row: TagRow, mirrors: Sequence[Mirror]) -> str:
    """A tag on one line: it breaks on a phone where it has much to say."""
    said = row.support.summary
    if not row.tag:
        said = "no tag: latest, not for production"
    elif not row.listed and not row.tag.startswith("sha256:"):
        said += ", not in the registry"
    facts = [escape(said)]
    if row.gateways:
        facts.append(f"*{counted(row.gateways, 'gateway')}*")
    facts += [
        f"{_mirror(number, mirrors)}: {_held(row.tag, mirror)}"
        for number, mirror in enumerate(mirrors, 1)
    ]
    return f"`{escape(cut(row.tag or '(none)', 80))}`  {' · '.join(facts)}"


def _mirror(number: int, mirrors: Sequence[Mirror]) -> str:
    return f"mirror {number}" if len(mirrors) > 1 else "mirror"


def _held(tag: str, mirror: Mirror) -> str:
    if mirror.tags is None:
        return "unknown"
    return "yes" if tag in mirror.tags else "no"
