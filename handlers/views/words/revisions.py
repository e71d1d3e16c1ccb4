"""What changed from one revision of a gateway to the next, in few words: a line of a phone."""

from deploy.images.names import image_name
from deploy.observed.revision_differences import Difference
from handlers.views.text import counted, cut

WIDTH = 40
"""Characters, so that it can be indented within a fence."""


def changes(difference: Difference) -> str:
    """What changed, the most important first, in at most `WIDTH` characters."""
    parts = [] if difference.image is None else [_image(*difference.image)]
    parts += _settings(difference.settings, WIDTH - sum(len(part) + 2 for part in parts))
    parts += ["restart"] if difference.restart else []
    parts += ["new token"] if difference.token else []
    if not parts:
        parts = ["pod template edited" if difference.template else "no change"]
    return cut(", ".join(parts), WIDTH)


def _image(before: str, after: str) -> str:
    """The versions, shortened alike so that both are seen; of equal ones, where they come from."""
    old, new = image_name(before), image_name(after)
    if old.version == new.version:
        return cut(f"image from {new.repository}", WIDTH)
    half = (WIDTH - 3) // 2
    return f"{cut(old.version or '?', half)} → {cut(new.version or '?', half)}"


def _settings(paths: tuple[str, ...], room: int) -> list[str]:
    """The fields by name where they fit, else how many there are."""
    if not paths:
        return []
    named = ", ".join(paths)
    return [named if len(named) <= room else counted(len(paths), "setting")]
