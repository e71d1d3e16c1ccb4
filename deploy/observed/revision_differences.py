"""What tells a revision from another, and which one there is to go back to. Pure."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.errors import Conflict, InvalidInput, NotFound
from deploy.gateway import GatewayRef
from deploy.images.names import image_name
from deploy.observed.history import Revision
from deploy.specs.spec import spec_from_mapping, spec_to_mapping

_COUNTED = ("replicas", "autoscaling")
_PLACE = ("cluster", "namespace", "name")
_RESTARTED = "rollout.restartedAt"
_LISTED = 5


@dataclass(frozen=True)
class Difference:
    """How a revision differs from another one.

    `image` are both images, where they are not the same one; `settings` the fields of the spec that
    are not. `restart` says that without either there are other marks of a restart, `token` that the
    pods read their token from another Secret, and `template` that they are made otherwise though the
    settings are the same: edited by hand, or written by another version of the bot.
    """

    image: tuple[str, str] | None = None
    settings: tuple[str, ...] = ()
    restart: bool = False
    token: bool = False
    template: bool = False

    @property
    def matters(self) -> bool:
        """Whether going back makes another gateway of it: the number of pods, the token and a restart
        stay as they are today in any case."""
        return self.image is not None or bool(self.settings)


def difference(before: Revision, after: Revision) -> Difference:
    """What changed from one revision to another.

    Where both specs are known they tell it; else only the templates of the pods do.
    """
    image = (before.image, after.image) if before.image != after.image else None
    settings: tuple[str, ...] = ()
    if before.spec is not None and after.spec is not None:
        old, new = _fields(before.spec), _fields(after.spec)
        changed = {path for path in {*old, *new} if old.get(path) != new.get(path)}
        if not any(_is_image(path) for path in changed):
            # A webhook wrote the same image otherwise.
            image = None
        settings = tuple(sorted(path for path in changed if not _is_image(path)))
    told = image is not None or bool(settings)
    return Difference(
        image,
        settings,
        restart=not told and before.restarts != after.restarts,
        token=before.token_secret != after.token_secret,
        template=not settings and before.rest != after.rest,
    )


def way_back(known: Iterable[Revision]) -> Revision | None:
    """The one that a rollback of the current one goes to; None where none differs, or where it is not known
    what that was deployed with."""
    ordered = sorted(known, key=lambda revision: -revision.number)
    now = next((each for each in ordered if each.current), None)
    found = _last_different(now, ordered) if now is not None else None
    return found if found is not None and found.spec is not None else None


def gone_back_to(
    ref: GatewayRef, now: Revision, known: Iterable[Revision], number: int | None
) -> Revision:
    """The revision of that number; without one, the last that differs from what is asked for `now`.

    NotFound says what history there is; Conflict where it is not known what the revision was deployed
    with.
    """
    ordered = sorted(known, key=lambda revision: -revision.number)
    if number is None:
        found = _last_different(now, ordered)
        if found is None:
            raise _nothing(ref, ordered)
        if found.spec is None:
            raise _unknown(ref, found, _nearest(now, ordered))
        return found
    for each in ordered:
        if each.number == number:
            if each.spec is None:
                raise _unknown(ref, each, None)
            return each
    listed = ", ".join(str(each.number) for each in ordered) or "none"
    raise NotFound(
        f"{ref} has no revision {number}.",
        remedy=f"The cluster holds {listed}: `/gateway history {ref}` shows them.",
    )


def _last_different(now: Revision, ordered: Iterable[Revision]) -> Revision | None:
    return next((each for each in ordered if difference(now, each).matters), None)


def _nearest(now: Revision, ordered: Iterable[Revision]) -> Revision | None:
    """The newest that differs and that this bot can bring back."""
    return next(
        (each for each in ordered if each.spec is not None and difference(now, each).matters), None
    )


def _nothing(ref: GatewayRef, ordered: Sequence[Revision]) -> NotFound:
    shown = ", ".join(f"{each.number} ({_version(each)})" for each in ordered[:_LISTED])
    more = len(ordered) - _LISTED
    held = f"{shown} and {more} more" if more > 0 else shown or "no revision"
    unread = " The specs of some of them are unknown." if _some_unknown(ordered) else ""
    return NotFound(
        f"There is nothing to roll back to: no revision of {ref} has a different image or "
        "different settings.",
        meaning=(
            f"The cluster holds {held}.{unread} Restarts, scaling and token rotations do not "
            "change the image or settings."
        ),
        remedy=f"Deploy another tag, or choose a revision with `/gateway rollback {ref} "
        "--to-revision N`.",
    )


def _some_unknown(revisions: Iterable[Revision]) -> bool:
    return any(each.spec is None for each in revisions)


def _unknown(ref: GatewayRef, revision: Revision, other: Revision | None) -> Conflict:
    by_hand = f"`kubectl rollout undo --to-revision={revision.number}` can bring it back."
    instead = (
        f" `/gateway rollback {ref} --to-revision {other.number}` rolls back to {_version(other)}."
        if other is not None
        else ""
    )
    return Conflict(
        f"The spec of revision {revision.number} of {ref} is unknown.",
        meaning=f"It runs {_version(revision)}. This bot did not deploy it, or a newer version of the "
        "bot did.",
        remedy=by_hand + instead,
    )


def _version(revision: Revision) -> str:
    return image_name(revision.image).version or revision.image or "no image"


def _fields(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """What a spec says by the paths of its fields, but for what a rollback leaves as it is."""
    # Bots of several versions wrote them: what is said by default is not a difference.
    with contextlib.suppress(InvalidInput):
        mapping = spec_to_mapping(spec_from_mapping(mapping))
    kept = {k: v for k, v in mapping.items() if k not in (*_COUNTED, *_PLACE)}
    return {path: value for path, value in _leaves(kept, "") if path != _RESTARTED}


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield path, value
        return
    for key, below in value.items():
        yield from _leaves(below, f"{path}.{key}" if path else str(key))


def _is_image(path: str) -> bool:
    return path in ("image.repository", "image.tag", "image.digest")
