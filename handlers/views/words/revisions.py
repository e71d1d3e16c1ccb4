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
    """The previous version; where that is the same, where the image comes from now."""
    old, new = image_name(before), image_name(after)
    if old.version == new.version:
        return cut(f"image from {new.repository}", WIDTH)
    return cut(f"was {old.version or '?'}", WIDTH)


def _settings(paths: tuple[str, ...], room: int) -> list[str]:
    """The fields by name where they fit, else how many there are."""
    if not paths:
        return []
    named = f"changed {', '.join(paths)}"
    return [named if len(named) <= room else f"changed {counted(len(paths), 'setting')}"]


_ROLLOUTS = {
    "stopped": "rollout stopped",
    "failed": "rollout failed",
    "unknown": "end of its rollout unknown",
}
OLDEST = "the oldest that is kept"


def revision(number: int, version: str, changed: str, *, current: bool, rollout: str = "") -> str:
    """What a revision runs, and what it changed; `version` is mrkdwn. `rollout` is how it
    ended where that was not well: stopped, failed or unknown."""
    how = [
        *(["current"] if current else []),
        *([_ROLLOUTS[rollout]] if rollout in _ROLLOUTS else []),
    ]
    state = f" ({', '.join(how)})" if how else ""
    title = f"*Revision {number}{state}*: image {version}"
    return f"{title} · {changed}" if changed else title


def pods(count: int, ready: int, *, current: bool) -> str:
    """How many pods it has; of the current one also how many are ready."""
    return (
        f"{ready} of {counted(count, 'pod')} ready" if current and count else counted(count, "pod")
    )


def ended_badly(rollout: str) -> bool:
    """Whether a rollout that ended so did not end well."""
    return rollout in _ROLLOUTS


def keep(version: str) -> str:
    """Where a rollout was stopped late: every pod is ready all the same."""
    return f"All pods are ready on {version}. No action is needed to keep it."


def roll_back(command: str, number: int | None, version: str = "") -> str:
    """How the last one with another image or other settings is brought back; without its number, any."""
    if number is None:
        return f"To go back to revision N: `{command} --to-revision N`."
    return f"To go back to image {version}: `{command} --to-revision {number}`."
