"""The tags of the gateway's image as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.images.support import Support, sort_tags
from handlers.views.reply import Block, Reply
from handlers.views.text import context, counted, cut, escape, fence, header, section, table

_LIMIT = 2900
_MIRRORS = 3
"""So many have a column of their own; a table of more would not fit on a phone."""


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
    columns = [f"MIRROR{f' {n}' if len(mirrors) > 1 else ''}" for n in range(1, len(mirrors) + 1)]
    lines: list[tuple[str, ...]] = [("TAG", "SUPPORT", *columns, "GATEWAYS")]
    lines += [_line(by_tag[tag], mirrors) for tag in sort_tags(list(by_tag))]
    body, left = fence(table(lines), _LIMIT)
    blocks: list[Block] = [header("Image tags"), section(body)]
    if left:
        blocks.append(context(f"… and {counted(left, 'more tag')}."))
    if len(rows) < len(shown.rows):
        older = counted(len(shown.rows) - len(rows), "version")
        blocks.append(context(f"{older} without support left out: `{command} tags --all`."))
    if shown.trouble:
        blocks.append(context(f":warning: Support is not known: {escape(cut(shown.trouble, 400))}"))
    blocks += [
        context(f"{column}: `{escape(mirror.repository)}`{_trouble(mirror)}")
        for column, mirror in zip(columns, mirrors, strict=True)
    ]
    if len(shown.mirrors) > len(mirrors):
        blocks.append(
            context(f"… and {counted(len(shown.mirrors) - len(mirrors), 'more mirror')}.")
        )
    if shown.silent:
        names = ", ".join(map(escape, shown.silent))
        blocks.append(
            context(
                f":warning: {names} cannot be read now, so more gateways may run these or others."
            )
        )
    blocks.append(context(f"`{escape(shown.repository)}`"))
    old = sum(row.gateways for row in shown.rows if row.support.state == "unsupported")
    worse = f", {counted(old, 'gateway')} without support" if old else ""
    return Reply(f"{counted(len(shown.rows), 'tag')}{worse}", tuple(blocks))


def digests(tag: str, found: Mapping[str, str], troubles: Sequence[str]) -> Reply:
    """What pins a tag, by repository."""
    lines = [f"{name}:{tag}@{digest}" for name, digest in found.items()]
    body, _ = fence(lines, _LIMIT)
    one = next(iter(found.values()))
    blocks: list[Block] = [
        header(f"Digest of {cut(tag, 100)}"),
        section(body),
        context(f"Pin it with `--tag {escape(tag)}@{escape(cut(one, 200))}`."),
    ]
    blocks += [context(f":warning: {escape(cut(each, 400))}") for each in troubles]
    return Reply(f"Digest of {cut(tag, 100)}: {cut(one, 100)}", tuple(blocks))


def _trouble(mirror: Mirror) -> str:
    return f" :warning: {escape(cut(mirror.trouble, 400))}" if mirror.trouble else ""


def _line(row: TagRow, mirrors: Sequence[Mirror]) -> tuple[str, ...]:
    said = row.support.summary
    if not row.tag:
        said = "no tag: latest, not for production"
    elif not row.listed and not row.tag.startswith("sha256:"):
        said += ", not in the registry"
    held = ["?" if m.tags is None else "yes" if row.tag in m.tags else "-" for m in mirrors]
    return cut(row.tag or "(none)", 40), said, *held, str(row.gateways or "")
