"""What people see in Slack, message by message, and how each comes about in the demo."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from tests.support.demo import Message, Stage, broken, request_id, words
from tests.support.waiting import until


@dataclass(frozen=True)
class Shown:
    """A message as `who` sees it in `channel`, or the `thread` it stands in; without one it is who's Home,
    or an open form."""

    who: str
    message: Message | None = None
    channel: str = "gateway-ops"
    surface: Literal["message", "thread", "form", "home"] = "message"


@dataclass(frozen=True)
class Scene:
    """`name` is the picture's file, `what` and `when` its row in docs/slack.md. While `shown` is
    entered, the picture can be taken."""

    name: str
    what: str
    when: str
    shown: Callable[[Stage], Any]


@contextmanager
def _plan(stage: Stage) -> Iterator[Shown]:
    yield Shown("ana", stage.person("ana").plans(_DEPLOY))


@contextmanager
def _running(stage: Stage) -> Iterator[Shown]:
    ana = stage.person("ana")
    with broken(stage, "node east", "slow_start_seconds", 600, 0):
        plan = ana.plans("deploy edge-2 --to east/dev --tag 2.12.1 --replicas 2")
        ana.clicks(plan, "Confirm")
        yield Shown("ana", ana.sees_at(plan, r"0 of \d pods ready"))
        ana.types(f"stop {request_id(plan)}")
        ana.sees_at(plan, "(?i)stopped")


@contextmanager
def _done(stage: Stage) -> Iterator[Shown]:
    ana = stage.person("ana")
    plan = ana.plans(_DEPLOY)
    ana.clicks(plan, "Confirm")
    yield Shown("ana", ana.sees_at(plan, "white_check_mark"))


@contextmanager
def _stuck(stage: Stage) -> Iterator[Shown]:
    ana = stage.person("ana")
    with broken(stage, "node west", "image_pull_fails", True, False):
        # A tag that no node has pulled yet.
        plan = ana.plans(_DEPLOY.replace("2.12.1", "2.12.0"))
        ana.clicks(plan, "Confirm")
        yield Shown("ana", ana.sees_at(plan, "Stuck: "))
        ana.types(f"stop {request_id(plan)}")
        ana.sees_at(plan, "(?i)stopped")


@contextmanager
def _failed(stage: Stage) -> Iterator[Shown]:
    ana = stage.person("ana")
    plan = ana.plans("deploy store-7 --to east/dev --tag 2.12.1 --replicas 2")
    with broken(stage, "cluster east", "forbid_writes", True, False):
        ana.clicks(plan, "Confirm")
        yield Shown("ana", ana.sees_at(plan, "(?i)failed|:x:|refuse"))


@contextmanager
def _approval(stage: Stage) -> Iterator[Shown]:
    ana, ben = stage.person("ana"), stage.person("ben")
    top = ana.plans(_PRODUCTION)["ts"]

    def line() -> Message | None:
        thread = (m for m in ben.messages() if m.get("thread_ts") == top != m["ts"])
        return next((m for m in thread if "subteam" in words(m)), None)

    yield Shown("ben", until(line, "a line that calls the approvers"))


@contextmanager
def _production(stage: Stage) -> Iterator[Shown]:
    yield Shown("ben", stage.person("ana").plans(_PRODUCTION))


@contextmanager
def _denied(stage: Stage) -> Iterator[Shown]:
    ana, ben = stage.person("ana"), stage.person("ben")
    plan = ana.plans(_PRODUCTION)
    ben.types(f"deny {request_id(plan)} --reason 'Not before the weekend'")
    yield Shown("ana", ana.sees_at(plan, "(?i)denied by"))


def _answer(
    who: str,
    text: str,
    pattern: str,
    *,
    ephemeral: bool | None = None,
    surface: Literal["message", "thread"] = "message",
) -> Callable[[Stage], Any]:
    @contextmanager
    def shown(stage: Stage) -> Iterator[Shown]:
        person = stage.person(who)
        before = {message["ts"] for message in person.messages()}
        assert person.types(text)["ok"]

        def new() -> Message | None:
            message = person.sees(pattern, ephemeral=ephemeral)
            return message if message["ts"] not in before else None

        yield Shown(who, until(new, f"an answer to {text!r}"), surface=surface)

    return shown


@contextmanager
def _batch(stage: Stage) -> Iterator[Shown]:
    ana = stage.person("ana")
    ana.types("rotate --all")
    batch = ana.sees("Confirm 2 plans")
    yield Shown("ana", batch)
    ana.clicks(batch, "Cancel 2 plans")
    ana.sees_at(batch, "cancelled")


def _warned(fault: str, pattern: str, resolved: str = "") -> Callable[[Stage], Any]:
    @contextmanager
    def shown(stage: Stage) -> Iterator[Shown]:
        alerts = stage.person("ana", "gateway-alerts")
        if not fault:
            yield Shown("ana", alerts.sees(pattern, 120), "gateway-alerts")
            return
        with broken(stage, "node west", fault, True, False):
            message = alerts.sees(pattern, 180)
            if not resolved:
                yield Shown("ana", message, "gateway-alerts")
        if resolved:
            yield Shown("ana", alerts.sees_at(message, resolved, 180), "gateway-alerts")

    return shown


@contextmanager
def _home(stage: Stage) -> Iterator[Shown]:
    yield Shown("ana", surface="home")


@contextmanager
def _form(stage: Stage) -> Iterator[Shown]:
    ana = stage.person("ana")
    ana.types("deploy")
    until(lambda: any(view.get("submit") for view in ana.views()), "a form")
    yield Shown("ana", surface="form")
    for view in reversed(ana.views()):
        stage.post("view", user="ana", view_id=view["id"], type="close")


_DEPLOY = "deploy edge-1 --to west/dev --tag 2.12.1 --replicas 2"
_PRODUCTION = "deploy store-7 --to west/prod --tag 2.12.1 --replicas 3"
_DOWN = r"\A[^\n]*west[^\n]* (is|are) down"
_CUT_OFF = r"\A[^\n]*cut off"

SCENES = (
    Scene("help", "Help", "`/gateway`, `/gateway help`", _answer("ana", "help", "What I can do")),
    Scene(
        "error",
        "A mistyped command",
        "a typo, with what was meant",
        _answer("ana", "deplyo", "(?i)did you mean"),
    ),
    Scene("form", "The form", "`/gateway deploy` without arguments", _form),
    Scene("running", "A rollout", "after **Confirm**, kept current", _running),
    Scene("plan", "A plan", "before anything changes", _plan),
    Scene("done", "Done", "at the end of the same message", _done),
    Scene("stuck", "A rollout that is stuck", "pods do not become ready", _stuck),
    Scene("failed", "A failed action", "the cluster refused it, or pods never got ready", _failed),
    Scene("production", "A plan for production", "it needs approval", _production),
    Scene(
        "approval", "Approval asked for", "in the thread of the plan, for the approvers", _approval
    ),
    Scene("denied", "A denied request", "an approver pressed **Deny**", _denied),
    Scene(
        "freeze",
        "A change freeze",
        "a change is asked for in a freeze",
        _answer("ana", "deploy edge-2 --to east/prod --tag 2.12.1", "(?i)frozen|freeze"),
    ),
    Scene("batch", "Several gateways at once", "`/gateway rotate --all`", _batch),
    Scene(
        "list",
        "Every gateway",
        "`/gateway list`",
        _answer("ana", "list", "harbor-3", ephemeral=True),
    ),
    Scene(
        "status",
        "One gateway in depth",
        "`/gateway status edge-1`",
        _answer("ana", "status edge-1", "(?i)pods", ephemeral=True),
    ),
    Scene(
        "history",
        "Revisions of a gateway",
        "`/gateway history edge-1`",
        _answer("ana", "history edge-1", "edge-1", ephemeral=True),
    ),
    Scene(
        "logs",
        "Logs",
        "`/gateway logs legacy-9`",
        _answer("ana", "logs legacy-9 --tail 8", "lines of the logs of", surface="thread"),
    ),
    Scene(
        "expiring",
        "A token that expires",
        "automatically, in the channel of warnings",
        _warned("", r"\Aeast/dev/depot-2 "),
    ),
    # Before the incident of a link: what ends that one is ten minutes without a warning.
    Scene(
        "resolved",
        "A resolved incident",
        "the message of an incident, when it has recovered",
        _warned("not_ready", _DOWN, r"\AResolved: "),
    ),
    Scene(
        "incident",
        "An incident",
        "a gateway is cut off, denied, crashing or short of pods",
        _warned("dns_broken", _CUT_OFF),
    ),
    Scene("home", "Home", "the app's Home tab", _home),
)
