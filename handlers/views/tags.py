"""The tags of the gateway's image as a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.images import Support, sort_tags
from handlers.views.reply import Block, Reply
from handlers.views.text import context, counted, cut, escape, fence, header, section, table

_LIMIT = 2900


@dataclass(frozen=True)
class TagRow:
    """One tag, or what a gateway runs instead of one: its support, how many gateways run it, and
    whether the registry has it."""

    tag: str
    support: Support
    gateways: int
    listed: bool


def listing(
    rows: Sequence[TagRow], silent: Sequence[str], repository: str, command: str, whole: bool
) -> Reply:
    """Versions first, the newest before the others. Unless `whole`, those that have no support are
    counted only where no gateway runs them. `silent` names clusters that were not heard."""
    shown = [row for row in rows if whole or row.gateways or row.support.state != "unsupported"]
    by_tag = {row.tag: row for row in shown}
    lines: list[tuple[str, ...]] = [("TAG", "SUPPORT", "GATEWAYS")]
    lines += [_line(by_tag[tag]) for tag in sort_tags(list(by_tag))]
    body, left = fence(table(lines), _LIMIT)
    blocks: list[Block] = [header("Image tags"), section(body)]
    if left:
        blocks.append(context(f"… and {counted(left, 'more tag')}."))
    if len(shown) < len(rows):
        older = counted(len(rows) - len(shown), "version")
        blocks.append(context(f"{older} without support left out: `{command} tags --all`."))
    if silent:
        names = ", ".join(map(escape, silent))
        blocks.append(
            context(
                f":warning: {names} cannot be read now, so more gateways may run these or others."
            )
        )
    blocks.append(context(f"`{escape(repository)}`"))
    old = sum(row.gateways for row in rows if row.support.state == "unsupported")
    worse = f", {counted(old, 'gateway')} without support" if old else ""
    return Reply(f"{counted(len(rows), 'tag')}{worse}", tuple(blocks))


def _line(row: TagRow) -> tuple[str, str, str]:
    said = row.support.summary
    if not row.tag:
        said = "no tag: latest, not for production"
    elif not row.listed and not row.tag.startswith("sha256:"):
        said += ", not in the registry"
    return cut(row.tag or "(none)", 40), said, str(row.gateways or "")
