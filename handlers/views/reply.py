"""What views make: Block Kit, and a reply of it."""

from dataclasses import dataclass
from typing import Any

Block = dict[str, Any]
View = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What the person who asked is shown, and nobody else."""

    text: str
    blocks: tuple[Block, ...] = ()
