"""Every message, reply and modal at its largest: Slack takes it, and a phone shows it.

A new public function of `handlers.views` that makes one has its line in `MESSAGES`, `REPLIES` or
`MODALS`; one that makes a part of others, in `PARTS`.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block as SlackBlock
from slack_sdk.models.views import View as SlackView

from bot.sandbox.slack.blocks import (
    MESSAGE_CHARACTERS,
    characters,
    check_message_blocks,
    check_view,
    view_too_large,
)
from deploy.access import Frozen, Standing
from deploy.actions.action import State
from deploy.actions.pauses import CLUSTER, Pause
from deploy.errors import Ambiguous
from deploy.health.live_messages import Ending, LiveMessage
from deploy.images.support import Support, support
from deploy.rollouts.lost import Remains
from deploy.waits import Wait
from handlers import views
from handlers.verbs.table import VERBS
from handlers.views import (
    action,
    approvals,
    batch,
    batch_replies,
    check,
    connections,
    conversation,
    denial,
    deploy_modal,
    details,
    diff,
    errors,
    expiry,
    fleet,
    freezes,
    help,
    history,
    home,
    incidents,
    live,
    logs,
    lost,
    modals,
    progress,
    refusals,
    sharing,
    status,
    status_more,
    tags,
    whoami,
    window,
)
from handlers.views.allowed import JUDGED, Allowed
from handlers.views.columns import columns
from handlers.views.fitting import fitted
from handlers.views.reply import Reply
from handlers.views.text import escape
from handlers.views.words import deciding as words
from tests.support.largest import GATEWAY, NAME, PRODUCTION, REF, USERS, Largest
from tests.support.shown import NOW

Blocks = Sequence[dict[str, Any]]
Message = tuple[str, Blocks]
FILLERS = (
    "w",
    "long words ",
    "日本語",
    "👩‍👩‍👧",
    "<&>",
    "`*_~",
    "```\n",
    "\x1b[31mred\x1b[0m",
    "é\u0301",
    "a\tb\n",
)
STATES = tuple(State)
MAY = Allowed(JUDGED, words.OWN)
SUPPORT = Support("unsupported", "no longer supported")


def _of(*made: Any) -> Iterator[Message]:
    """Texts and blocks, of replies too."""
    for each in made:
        yield (each.text, each.blocks) if isinstance(each, Reply) else each


def _live(x: Largest, ending: Ending | None) -> LiveMessage:
    shown = status.detail(x.detail(), SUPPORT, "https://x", NOW, PRODUCTION)
    whole = {"text": shown.text, "blocks": list(shown.blocks)}
    return LiveMessage("l", {"user": USERS[0]}, whole, 1, NOW, NOW + 60, ending)


def _lost(ran: bool, x: Largest) -> lost.LostRequest:
    return lost.LostRequest(x.text(300), "deploy", str(REF), USERS[0], ran, True)


MESSAGES: Mapping[str, Callable[[Largest], Iterator[Message]]] = {
    "action.render": lambda x: _of(
        *(action.render(x.action(state), x.environment) for state in STATES),
        action.render(x.action(State.PENDING, denied=True), x.environment),
    ),
    "batch.message": lambda x: _of(
        *(batch.message(x.batch(state)) for state in (None, State.PENDING, State.FAILED))
    ),
    "connections.message": lambda x: _of(
        *(
            connections.message(connections.LostConnections(9, 1, NOW, end), "/gateway")
            for end in (0.0, NOW)
        )
    ),
    "expiry.message": lambda x: _of(
        *(expiry.message(x.tracked(n), production=True) for n in (0, 1))
    ),
    "expiry.stopped": lambda x: _of(
        *(expiry.stopped(x.stop(by), production=True) for by in ("", USERS[0]))
    ),
    "expiry.digest": lambda x: _of(expiry.digest([x.tracked(n) for n in range(60)], NOW)),
    "incidents.message": lambda x: _of(
        *(
            incidents.message(x.incident(over), x.environment, lambda ref: "rotate")
            for over in (None, NOW + 60)
        )
    ),
    "live.message": lambda x: _of(
        *(live.message(_live(x, e), "stop") for e in (None, Ending("stopped", USERS[0], NOW)))
    ),
    "lost.ended": lambda x: _of(
        *(
            lost.ended(_lost(ran, x), remains, x.text(500), x.environment)
            for ran in (True, False)
            for remains in (None, Remains(True, x.text(500)))
        )
    ),
    "lost.window_closed": lambda x: _of(lost.window_closed(str(REF), USERS[0], x.environment)),
    "lost.stale": lambda x: _of(lost.stale(*action.render(x.action(State.RUNNING)))),
    "window.message": lambda x: _of(
        *(window.message(x.window(left=left), PRODUCTION) for left in (60.0, 0.0))
    ),
}
"""What the message engine posts, which cuts what is too long all together."""

REPLIES: Mapping[str, Callable[[Largest], Iterator[Message]]] = {
    "action.no_change": lambda x: _of(action.no_change(x.plan())),
    "action.denied": lambda x: _of(action.denied(x.plan(denied=True), lambda f: "deploy x")),
    "approvals.pending": lambda x: _of(
        approvals.pending(
            [(x.action(State.PENDING), MAY)] * 40, USERS[0], [NAME] * 40, x.environment
        )
    ),
    "approvals.decided": lambda x: _of(approvals.decided(x.action(State.APPROVED), "approved")),
    "approvals.plan_to_approve": lambda x: _of(
        approvals.plan_to_approve(
            x.action(State.PENDING), x.environment, MAY, [x.action(State.RUNNING)] * 9
        )
    ),
    "batch_replies.decided": lambda x: _of(
        batch_replies.decided(
            batch.CONFIRM, [], {f"{escape(x.text(300))}{n}": [GATEWAY] * 50 for n in range(20)}
        )
    ),
    "batch_replies.stale": lambda x: _of(batch_replies.stale()),
    "batch_replies.unseen": lambda x: _of(batch_replies.unseen()),
    "batch_replies.nothing_planned": lambda x: _of(
        batch_replies.nothing_planned(x.unplanned(), x.text(500))
    ),
    "batch_replies.not_planned": lambda x: _of(batch_replies.not_planned(x.unplanned())),
    "check.findings": lambda x: _of(check.findings(REF, x.plan(denied=True).findings)),
    "diff.drift": lambda x: _of(diff.drift(x.plan())),
    "errors.trouble": lambda x: _of(
        errors.trouble(x.error()),
        errors.trouble(
            Ambiguous(
                x.text(500), field="gateway", candidates=(str(REF),) * 40, remedy=x.text(500)
            ),
            lambda part, name: f"deploy {name}",
        ),
        errors.trouble(
            Frozen(PRODUCTION, x.freeze(), REF, "Ask again after that."),
            lambda part, reason: f"deploy {x.text(300)} {part}={reason}",
        ),
    ),
    "conversation.understood": lambda x: _of(
        *(
            conversation.understood(reply, "/gateway", x.text(900)) or Reply("", ())
            for reply in (None, errors.trouble(x.error()))
        )
    ),
    "deploy_modal.once_more": lambda x: _of(
        deploy_modal.once_more(x.error(), GATEWAY, {"more": x.text(3000)})
    ),
    "freezes.told": lambda x: _of(
        freezes.told(fleet.overview(x.rows(), x.failed(), NOW), [(PRODUCTION, x.freeze())] * 9, NOW)
    ),
    "sharing.offered": lambda x: _of(
        sharing.offered(fleet.overview(x.rows(), x.failed(), NOW), "share", "page")
    ),
    "sharing.shared": lambda x: _of(
        sharing.shared(fleet.overview(x.rows(), x.failed(), NOW), USERS[0], NOW)
    ),
    "errors.damaged": lambda x: _of(errors.damaged()),
    "errors.unexpected": lambda x: _of(errors.unexpected("abcd1234")),
    "expiry.snoozed": lambda x: _of(expiry.snoozed(x.tracked())),
    "expiry.listing": lambda x: _of(
        expiry.listing([x.tracked(n) for n in range(60)], NOW, [REF] * 40, [x.text(900)] * 20)
    ),
    "fleet.overview": lambda x: _of(
        fleet.overview(x.rows(), x.failed(), NOW, None, [x.text(900)] * 20, [x.text(900)] * 9)
    ),
    "help.overview": lambda x: _of(help.overview("/gateway", VERBS)),
    "help.usage": lambda x: _of(*(help.usage("/gateway", verb) for verb in VERBS)),
    "history.trail": lambda x: _of(
        history.trail(x.entries(), {}, x.text(80)),
    ),
    "history.revisions": lambda x: _of(
        history.revisions(REF, x.revisions(), x.entries(), "/gateway")
    ),
    "logs.lines": lambda x: _of(
        logs.lines(x.log(), logs.ReadSoFar(str(REF), [NAME] * 3, 10_000, 99, [x.text(300)] * 9))[0],
        logs.lines([], logs.ReadSoFar(str(REF), [NAME], 0, 0, (), [(NAME, x.text(300))] * 9))[0],
    ),
    "logs.left": lambda x: _of(logs.left()),
    "progress.working": lambda x: _of(
        progress.working(True, x.text(900), [Wait(x.text(80), x.text(200))] * 9)
    ),
    "refusals.gone": lambda x: _of(refusals.gone()),
    "refusals.paused": lambda x: _of(
        *(
            refusals.paused(
                Pause(CLUSTER, "west", x.text(300), x.text(300), NOW, NOW),
                x.action(State.RUNNING),
                kind,
            )
            for kind in ("rollback", "delete")
        )
    ),
    "refusals.planned_already": lambda x: _of(refusals.planned_already(x.action(State.PENDING))),
    "refusals.refused": lambda x: _of(
        *(refusals.refused("already", x.action(state)) for state in STATES),
        refusals.refused("not-approver", x.action(State.PENDING)),
    ),
    "status.detail": lambda x: _of(
        status.detail(x.detail(), SUPPORT, "https://x", NOW, PRODUCTION)
    ),
    "tags.listing": lambda x: _of(
        tags.listing(
            tags.Shown(
                [tags.TagRow(f"2.{n}.1", support(f"2.{n}.1", ()), n, False) for n in range(200)],
                [tags.Mirror(x.text(200), None, x.text(400))] * 9,
                [REF.cluster] * 20,
                x.text(200),
                x.text(900),
            ),
            "/gateway",
            whole=True,
        )
    ),
    "tags.digests": lambda x: _of(
        tags.digests(
            "2.11.1",
            {f"{x.text(200)}{n}": f"sha256:{'a' * 64}" for n in range(20)},
            [x.text(900)] * 9,
        )
    ),
    "whoami.powers": lambda x: _of(
        whoami.powers(x.powers(), [x.window()] * 9, USERS[0], Standing.GUEST)
    ),
    "window.gone": lambda x: _of(window.gone()),
}
"""What one person is shown; what is too long all together is cut as well."""

MODALS: Mapping[str, Callable[[Largest], Iterator[dict[str, Any]]]] = {
    "denial.ask": lambda x: iter(
        [denial.ask(x.action(State.PENDING), PRODUCTION, "d" * 64, "C1", "https://x")]
    ),
    "deploy_modal.loading": lambda x: iter([deploy_modal.loading("{}")]),
    "deploy_modal.form": lambda x: iter(
        [
            deploy_modal.form(
                "{}", {"gateway": GATEWAY, "to": "west/dev"}, dict(list(x.failed().items())[:9])
            )
        ]
    ),
    "details.modal": lambda x: iter(
        [details.modal(x.action(state, denied=True)) for state in (State.PENDING, State.FAILED)]
    ),
    "expiry.snooze_form": lambda x: iter([expiry.snooze_form(str(REF), "C1")]),
    "home.view": lambda x: iter([home.view(x.home(), x.environment)]),
    "home.refusal": lambda x: iter([home.refusal(errors.trouble(x.error()))]),
    "home.plain": lambda x: iter([home.plain("/gateway")]),
    "modals.loading": lambda x: iter([modals.loading(x.text(200), "m" * 32)]),
    "modals.showing": lambda x: iter(
        [modals.showing(x.text(200), fleet.overview(x.rows(), x.failed(), NOW).blocks, "m" * 32)]
    ),
    "modals.review": lambda x: iter(
        [
            modals.review(
                x.action(state),
                action.render(x.action(state), x.environment)[1],
                MAY,
                "m" * 32,
                NOW,
                errors.trouble(x.error()).blocks,
            )
            for state in STATES
        ]
    ),
    "status_more.loading": lambda x: iter([status_more.loading(REF)]),
    "status_more.unread": lambda x: iter([status_more.unread(x.text(5000))]),
    "status_more.modal": lambda x: iter([status_more.modal(x.detail(), NOW, x.entries())]),
}

PARTS = {
    *("commands.runs", "fixes.commands", "fixes.offered", "rollout.blocks"),
    *("plan.blocks", "plan.denied", "plan.findings_in_full", "plan.what"),
    *("text.header", "text.section", "text.context", "text.button", "text.confirm"),
    "text.sections",
    *("allowed.only", "menus.menu", "modals.listing", "ways_out.of_failed", "ways_out.of_running"),
    *("fitting.fitted", "fitting.fitting_reply"),
}
"""What others are made of, and shown in them above."""


def test_every_view_is_in_the_table() -> None:
    assert {*MESSAGES, *REPLIES, *MODALS, *PARTS} == set(_views())


def _views() -> Iterator[str]:
    """The public functions that make blocks, by module and name."""
    (folder,) = views.__path__
    for path in sorted(Path(folder).rglob("*.py")):
        for made in ast.parse(path.read_text()).body:
            if isinstance(made, ast.FunctionDef) and not made.name.startswith("_"):
                returned = ast.unparse(made.returns) if made.returns else ""
                if re.search(r"\b(Reply|Block|View)\b", returned):
                    yield f"{path.stem}.{made.name}"


Filler = st.text(min_size=1, max_size=8)
LARGE = settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _each_filler(test: Any) -> Any:
    for filler in FILLERS:
        test = example(filler)(test)
    return LARGE(given(Filler)(test))


@pytest.mark.parametrize("name", [*MESSAGES, *REPLIES])
def test_every_message_and_reply_is_taken_by_slack_and_fits_a_phone(name: str) -> None:
    made = {**MESSAGES, **REPLIES}[name]

    @_each_filler
    def check(filler: str) -> None:
        for text, blocks in made(Largest(filler)):
            said, kept, _ = fitted(text, tuple(blocks))
            takes(said, kept)
            narrow(kept)

    check()


@pytest.mark.parametrize("name", MODALS)
def test_every_modal_is_taken_by_slack_and_fits_a_phone(name: str) -> None:
    @_each_filler
    def check(filler: str) -> None:
        for view in MODALS[name](Largest(filler)):
            assert check_view(view) == []
            assert not view_too_large(view)
            SlackView(**view).validate_json()
            modelled(view["blocks"])
            narrow(view["blocks"])

    check()


def test_a_line_of_45_columns_would_be_found() -> None:
    wide = {"type": "section", "text": {"type": "mrkdwn", "text": f"```\n{'日' * 22}x\n```"}}
    with pytest.raises(AssertionError):
        narrow([wide])


def takes(text: str, blocks: Blocks) -> None:
    """Slack takes it: its limits as the sandbox holds them, and its SDK's models."""
    assert text
    assert check_message_blocks(list(blocks)) == []
    assert characters(list(blocks)) <= MESSAGE_CHARACTERS
    modelled(blocks)


def modelled(blocks: Blocks) -> None:
    for block in blocks:
        parsed = SlackBlock.parse(block)
        assert parsed is not None
        parsed.validate_json()


def narrow(value: Any) -> None:
    """No line within a fence is wider than a phone, and nothing is there for a terminal."""
    for kind, text in _texts(value):
        assert "\x1b" not in text
        if kind == "plain_text":
            continue
        for line in "\n".join(text.split("```")[1::2]).splitlines():
            shown = line.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
            assert columns(shown) <= 44, shown


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if isinstance(value.get("text"), str):
            yield str(value.get("type")), value["text"]
        for child in value.values():
            yield from _texts(child)
    elif isinstance(value, list | tuple):
        for child in value:
            yield from _texts(child)
