"""`gateway-bot admin pause`, `resume` and `list`: where no action starts, on all bots of one Redis."""

import difflib
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bot import admin
from bot.audit import moment_of
from bot.clients import environments_of, redis_of
from bot.settings import Secrets, Settings, load_all
from deploy.access import Environment, environment_of
from deploy.actions.action import Action, State
from deploy.actions.connection import now_of
from deploy.actions.pauses import CLUSTER, ENVIRONMENT, LATEST, Pause, Pauses, holding, waits_for
from deploy.actions.records import canonical
from deploy.actions.store import ActionStore
from deploy.changes.decide import checked_reason
from deploy.errors import Conflict, InvalidInput, NotFound
from deploy.times import minute_of
from handlers.messages.home_tabs import HomeReaders
from handlers.messages.pauses_shown import may_show, show_anew


def pause(
    config: Path,
    *,
    cluster: str = "",
    environment: str = "",
    reason: str,
    until: str = "",
    by: str = "",
) -> int:
    """Have no action start on the cluster or in the environment. NotFound where the settings have none of
    that name; InvalidInput without a reason or a name, or with an end that is over."""
    settings, given = load_all(config)
    scope, name = _place(settings, cluster, environment)
    why, who, redis = checked_reason(reason), admin.operator(by), redis_of(settings, given)()
    end = _end(until, now_of(redis))
    pauses = Pauses(redis)
    begun = pauses.begin(scope, name, reason=why, by=who, until=end)
    until_then = f" until {minute_of(end)}" if end else ""
    _record(given, redis, "paused", begun, who, f"{why}{f' ({until_then[1:]})' if end else ''}")
    store = admin.store_in(redis, settings)
    held, running = _concerned(store, settings, begun)
    show_anew(store, HomeReaders(redis), held)
    kept = pauses.replicated()
    print(f"{scope.capitalize()} {name} is paused{until_then}. No action starts there.")
    print("Automatic token rotation continues. Approved actions wait, for a day at most.")
    for each in _approved(held, begun, environments_of(settings)):
        print(_line(each, "waits"))
    for each in running:
        print(_line(each, "is running and continues to its end"))
    print(f"Resume it with: gateway-bot admin resume --{scope} {shlex.quote(name)}")
    return _status(kept)


def resume(
    config: Path, *, cluster: str = "", environment: str = "", reason: str = "", by: str = ""
) -> int:
    """Have actions start there again, at once. Conflict where it is not paused; InvalidInput as for
    `pause`."""
    settings, given = load_all(config)
    # What the settings no longer have may be paused still.
    scope, name = _place(settings, cluster, environment, known=False)
    who, redis = admin.operator(by), redis_of(settings, given)()
    pauses = Pauses(redis)
    if not pauses.end(scope, name):
        raise Conflict(
            f"{scope.capitalize()} {name} is not paused.",
            remedy="List what is paused with: gateway-bot admin list",
        )
    ended = Pause(scope, name)
    _record(given, redis, "resumed", ended, who, admin.one_line(reason))
    store = admin.store_in(redis, settings)
    held, _ = _concerned(store, settings, ended)
    show_anew(store, HomeReaders(redis), held)
    kept = pauses.replicated()
    print(f"{scope.capitalize()} {name} is resumed.")
    left, environments = pauses.all(), environments_of(settings)
    for each in _approved(held, ended, environments):
        still = holding(each, left, environments)
        print(_line(each, f"waits: {still.scope} {still.name} is paused" if still else "starts"))
    return _status(kept)


def listing(config: Path) -> int:
    """Print what is paused, with how many approved actions wait for it."""
    settings, given = load_all(config)
    redis = redis_of(settings, given)()
    rows, environments = [], environments_of(settings)
    for each in Pauses(redis).all():
        held, _ = _concerned(admin.store_in(redis, settings), settings, each)
        rows.append(
            (
                f"{each.scope} {each.name}",
                minute_of(each.since) if each.since is not None else "",
                minute_of(each.until) if each.until is not None else "resumed",
                str(len(_approved(held, each, environments))),
                admin.one_line(each.by),
                admin.one_line(each.reason),
            )
        )
    admin.table(("PAUSED", "SINCE", "UNTIL", "WAITING", "BY", "REASON"), rows)
    return 0


def _place(
    settings: Settings, cluster: str, environment: str, *, known: bool = True
) -> tuple[str, str]:
    """Of which kind it is, and its name."""
    scope, name = (CLUSTER, cluster) if cluster else (ENVIRONMENT, environment)
    names = [each.name for each in (settings.clusters if cluster else settings.environments)]
    if name in names or not known:
        return scope, name
    near = difflib.get_close_matches(name, names, n=1)
    raise NotFound(
        f"The settings have no {scope} “{name[:40]}”.",
        remedy=f"Did you mean {near[0]}?" if near else f"They have {', '.join(names[:12])}.",
    )


def _end(text: str, now: float) -> float | None:
    end = moment_of("until", text, now, ahead=True)
    if end is not None and end <= now:
        raise InvalidInput(f"{minute_of(end)} is over.", field="--until")
    if end is not None and end > LATEST:
        raise InvalidInput("That is after the year 9999.", field="--until")
    return end


def _record(given: Secrets, redis: Any, event: str, pause: Pause, who: str, reason: str) -> None:
    where = f"{pause.scope} {pause.name}"
    subject = f"pause-{pause.scope}-{pause.name}"
    admin.record(given, redis, event, subject, where, who, canonical({"reason": reason}))


def _concerned(
    store: ActionStore, settings: Settings, pause: Pause
) -> tuple[list[Action], list[Action]]:
    """The actions that may show this pause and those that run there."""
    environments = environments_of(settings)
    held, running = [], []
    for each in store.open():
        if each.state is not State.RUNNING:
            held += [each] if may_show(each, pause, environments) else []
        elif pause.covers(each.ref.cluster, environment_of(each.ref, environments).name):
            running.append(each)
    return held, running


def _approved(
    held: Iterable[Action], pause: Pause, environments: Sequence[Environment]
) -> list[Action]:
    """Those among them that would start without this pause."""
    return [
        each
        for each in held
        if each.state is State.APPROVED
        and (holding(each, [pause], environments) or _waits_for(each, pause))
    ]


def _waits_for(action: Action, pause: Pause) -> bool:
    found = waits_for(action)
    return found is not None and (found.scope, found.name) == (pause.scope, pause.name)


def _status(kept: bool) -> int:
    """The exit status: 1 where a failover of Redis could still undo it, which is said."""
    if not kept:
        print(
            "No replica of Redis has confirmed this. If Redis fails over now, it may be undone: look "
            "with gateway-bot admin list, and repeat the command where it was.",
            file=sys.stderr,
        )
    return 0 if kept else 1


def _line(action: Action, said: str) -> str:
    return f"  {action.id}  {action.kind} {action.ref} {said}"
