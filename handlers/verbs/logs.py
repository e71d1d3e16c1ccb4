"""`/gateway logs`: the last lines of a gateway's pods, or what they write from now on."""

import logging
import random
import re
import shlex
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient

from deploy.access import Environment, Right, environment_of
from deploy.commands import USUAL
from deploy.errors import Conflict, InvalidInput, NotFound
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.logs.filters import Filter, checked_level, compile_pattern
from deploy.logs.following import Following, Pods, read_now
from deploy.logs.lines import Line
from deploy.observed.installed import deployment_of
from deploy.observed.inventory import container_of
from deploy.observed.selecting import chosen_by
from deploy.observed.workloads import is_managed
from handlers.fleet import find
from handlers.messages import live
from handlers.slack import api_errors
from handlers.slack.api_errors import FAILURES
from handlers.slack.payloads import Click, Request, request_to_mapping
from handlers.verbs.status import end
from handlers.verbs.verb import Option, Verb
from handlers.views import logs as view
from handlers.views.places import heading, placed
from handlers.views.reply import Reply
from handlers.views.text import escape
from handlers.views.words.help import Group

log = logging.getLogger(__name__)

STOP = "logs_stop"
_MINUTES, _LONGEST = 10, 60
_TAIL, _MOST = 100, 5000
_FOLLOWED_TAIL = 10
_FILE_LINES = 20_000
_FILE_CHARACTERS = 1 << 20
_SPAN = re.compile(r"(?P<count>\d{1,5})(?P<unit>[smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Needs:
    """`follows` are the messages that show logs as they are written."""

    slack: WebClient
    caches: Mapping[str, ClusterCache]
    clusters: Mapping[str, Cluster]
    environments: tuple[Environment, ...]
    follows: live.Live


@dataclass(frozen=True)
class _Asked:
    """What is asked for, once it is known to make sense."""

    ref: GatewayRef
    where: str
    cluster: Cluster
    pods: Pods
    wanted: Filter
    tail: int
    since: int | None
    previous: bool
    title: str


def run(needs: Needs, request: Request) -> Reply | None:
    """Show them in a thread of the channel; a reply is left only where something is wrong."""
    asked = _understood(needs, request)
    if request.options.get("follow"):
        _follow(needs, request, asked)
        return None
    batch = read_now(
        asked.cluster,
        asked.pods,
        asked.wanted,
        tail=asked.tail,
        since_seconds=asked.since,
        previous=asked.previous,
    )
    follow = "" if asked.previous else _following(asked.ref, request.options)
    told = view.ReadSoFar(
        asked.where, batch.pods, len(batch.lines), 0, batch.trouble, batch.waiting, follow
    )
    shown, more = view.lines(batch.lines, told)
    needs.follows.once({**request_to_mapping(request), "title": asked.title}, shown)
    if more:
        _upload(needs, asked.ref, request.id, view.texts_of(batch.lines, batch.pods))
    return None


def by_stop(needs: Needs, click: Click) -> Reply | None:
    """Anybody who sees the message ends it."""
    return end(needs.follows, click)


def left_behind(asked: live.Asked) -> Reply:
    """What a follow shows whose bot is gone."""
    return view.left()


class _Tail:
    """What one follow has read, within bounds."""

    def __init__(self, following: Following, where: str) -> None:
        self._following = following
        self._where = where
        self._recent: list[Line] = []
        self._file: deque[str] = deque(maxlen=_FILE_LINES)
        self._size = 0
        self._total = 0
        self._skipped = 0
        self.cut = 0
        self.more = False

    def look(self, asked: live.Asked) -> Reply:
        """Take the new lines, and show the newest of it."""
        batch = self._following.take()
        self._total += len(batch.lines) + batch.skipped
        self._skipped += batch.skipped
        # A pod whose lines come late is shown in its place among the others.
        recent = sorted([*self._recent, *batch.lines], key=lambda line: line.at)
        self._recent = recent[-view.SHOWN :]
        for text in view.texts_of(batch.lines, batch.pods):
            self._keep(text)
        told = view.ReadSoFar(
            self._where, batch.pods, self._total, self._skipped, batch.trouble, batch.waiting
        )
        shown, self.more = view.lines(self._recent, told, waiting=True)
        return shown

    def texts(self) -> list[str]:
        """Everything that is still held."""
        head = [f"… {self.cut} earlier lines are left out"] if self.cut else []
        return [*head, *self._file]

    def _keep(self, text: str) -> None:
        while self._file and (
            len(self._file) == self._file.maxlen or self._size + len(text) > _FILE_CHARACTERS
        ):
            self._size -= len(self._file.popleft())
            self.cut += 1
        self._file.append(text)
        self._size += len(text)


def _follow(needs: Needs, request: Request, asked: _Asked) -> None:
    following = Following(
        asked.cluster, asked.pods, asked.wanted, tail=asked.tail, since_seconds=asked.since
    )
    tail = _Tail(following, asked.where)

    def ended(own: bool) -> None:
        following.close()
        if own and tail.more:
            _upload(needs, asked.ref, request.id, tail.texts())

    following.start()
    kept = {**request_to_mapping(request), "title": asked.title}
    needs.follows.begin(kept, _minutes(request) * 60, tail.look, ended=ended)


def _upload(needs: Needs, ref: GatewayRef, request: str, texts: list[str]) -> None:
    """All of it, as a file in the thread."""
    place = needs.follows.placed(request)
    if place is None:
        log.warning("the whole log for %s is not sent: its message is not posted", request)
        return
    name = f"{ref.cluster}-{ref.namespace}-{ref.name}.log"
    try:
        needs.slack.files_upload_v2(
            channel=place.channel,
            thread_ts=place.thread,
            filename=name,
            title=name,
            content="\n".join(texts) + "\n",
        )
    except FAILURES as error:
        log.warning("the whole log for %s is not sent: %s", request, api_errors.name(error))
        needs.follows.note(request, view.no_file(api_errors.trouble(error).what))


def _understood(needs: Needs, request: Request) -> _Asked:
    options = request.options
    ref = find(needs.caches, request.gateway)
    if options.get("follow") and options.get("previous"):
        raise InvalidInput("`--follow` and `--previous` cannot be combined.", field="previous")
    if "minutes" in options and not options.get("follow"):
        raise InvalidInput(
            "`--minutes` is how long to follow.", field="minutes", remedy="Add `--follow`."
        )
    if options.get("random") and "pod" in options:
        raise InvalidInput("It is either `--pod` or `--random`.", field="random")
    wanted = Filter(
        contains=str(options.get("grep", "")),
        pattern=compile_pattern(str(options["regex"])) if "regex" in options else None,
        level=checked_level(str(options["level"])) if "level" in options else "",
        event=str(options.get("event", "")),
    )
    since = _seconds(str(options["since"])) if "since" in options else None
    tail = int(options.get("tail", _FOLLOWED_TAIL if options.get("follow") else _TAIL))
    if not 0 < tail <= _MOST:
        raise InvalidInput(f"`--tail` is a number from 1 to {_MOST}.", field="tail")
    _minutes(request)
    cluster = needs.clusters[ref.cluster]
    deployment = _workload(needs, ref)
    selector = chosen_by(deployment)
    if not selector:
        raise Conflict(
            f"{ref} does not select its pods by labels.",
            meaning="The bot cannot tell which pods in the namespace belong to it.",
        )
    only = _only(cluster, ref, selector, options)
    environment = environment_of(ref, needs.environments)
    return _Asked(
        ref,
        placed(ref, environment),
        cluster,
        Pods(ref.namespace, selector, str(container_of(deployment).get("name", "")), only),
        wanted,
        tail,
        since,
        bool(options.get("previous")),
        _title(ref, request, only, environment),
    )


def _workload(needs: Needs, ref: GatewayRef) -> Manifest:
    """What its pods belong to: a Deployment, or what else the bot has seen them in."""
    seen = needs.caches[ref.cluster].read().find(ref)
    if seen is not None and not is_managed(seen.deployment):
        return seen.deployment
    return deployment_of(needs.clusters[ref.cluster], ref)


def _only(cluster: Cluster, ref: GatewayRef, selector: str, options: Mapping[str, Any]) -> str:
    """The one pod that is asked for, by the end of its name too; empty for all of them."""
    if "pod" not in options and not options.get("random"):
        return ""
    pods = cluster.list("Pod", ref.namespace, label_selector=selector)
    names = sorted(str(pod["metadata"]["name"]) for pod in pods)
    if options.get("random"):
        if not names:
            raise NotFound(f"{ref} has no pod.")
        return random.choice(names)
    wanted = str(options["pod"])
    found = [name for name in names if name == wanted] or [n for n in names if n.endswith(wanted)]
    if len(found) != 1:
        raise NotFound(
            f"{ref} has no pod “{wanted[:80]}”." if not found else f"Several pods end in {wanted}.",
            meaning=f"It has {', '.join(names[:10])}." if names else "It has none.",
        )
    return found[0]


def _title(ref: GatewayRef, request: Request, only: str, environment: Environment) -> str:
    chosen = [
        f"--{name} {escape(str(value))}" if value is not True else f"--{name}"
        for name, value in request.options.items()
        if name not in ("pod", "random")
    ]
    what = f"pod `{escape(only)}` of " if only else ""
    said = f" `{' '.join(chosen)}`" if chosen else ""
    of = f"Logs of {what}*{escape(ref.name)}* on {ref.cluster}/{ref.namespace}"
    return f":scroll: {heading(of, environment)}{said}, for <@{request.user}>"


def _minutes(request: Request) -> int:
    minutes = int(request.options.get("minutes", _MINUTES))
    if not 0 < minutes <= _LONGEST:
        raise InvalidInput(f"Logs are followed for 1 to {_LONGEST} minutes.", field="minutes")
    return minutes


def _seconds(text: str) -> int:
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None or int(found["count"]) == 0:
        raise InvalidInput(
            f"“{text[:40]}” is not a duration.", field="since", remedy="Write 90s, 10m or 2h."
        )
    return int(found["count"]) * _UNITS[found["unit"]]


def _following(ref: GatewayRef, options: Mapping[str, Any]) -> str:
    """The command that shows what comes next of the same lines."""
    chosen = [
        f"--{each.name} {shlex.quote(str(options[each.name]))}"
        for each in VERB.options
        if each.name in ("pod", "grep", "regex", "level", "event") and options.get(each.name)
    ]
    return " ".join([f"{USUAL} logs {ref} --follow", *chosen])


VERB = Verb(
    "logs",
    "shows a gateway's logs, and follows them",
    Needs,
    run,
    Right.INSPECT,
    group=Group.LOOK,
    gateway="required",
    options=(
        Option(
            "follow",
            f"show new lines for {_MINUTES} minutes, with a *Stop updating* button",
            kind="flag",
        ),
        Option("minutes", f"how long to follow, {_LONGEST} at most", "number", "number"),
        Option("pod", "one pod, by its name or the end of its name", "pod"),
        Option("random", "any one pod", kind="flag"),
        Option("since", "no older than this: 90s, 10m, 2h", "duration"),
        Option("tail", "so many lines of each pod", "number", "number"),
        Option("grep", "lines with these words", "text"),
        Option("regex", "lines that match a pattern (RE2)", "pattern"),
        Option("level", "debug, info, warn, error or fatal, and what is worse", "level"),
        Option("event", "one type of event, such as ConfigurationApiV2NotAvailable", "event"),
        Option("previous", "of the containers before the last restart", kind="flag"),
    ),
    examples=(
        "logs edge-1",
        "logs edge-1 --follow --grep Forbidden",
        "logs edge-1 --level warn --since 1h",
    ),
    clicks={STOP: by_stop},
)
