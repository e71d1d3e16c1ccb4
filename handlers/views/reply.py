"""What views make: Block Kit, and a reply of it."""

from dataclasses import dataclass
from typing import Any

Block = dict[str, Any]
View = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What the person who asked is shown, and nobody else.

    With `replace` it takes the place of the message whose button was clicked, where that can be.
    """

    text: str
    blocks: tuple[Block, ...] = ()
    replace: bool = False
