"""Where Slack's payloads come in: commands, clicks, modals, suggestions and the Home tab.

What a payload holds is unpacked once, by `handlers.slack.bodies`. Before its ack stands only what must be durable,
one write to Redis within a second; what asks Slack, Azure or a cluster comes after, on other threads
than those that ack. Two things answer in that time: a verb's form is checked for a moment, and a
select gets the suggestions that are known. A modal is opened from here too, since Slack's trigger for
it lives three seconds.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

from slack_bolt import Ack, BoltRequest, BoltResponse
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from deploy.access import Right
from deploy.background import begin
from deploy.changes.authority import Authority
from deploy.errors import GatewayBotError, InvalidInput
from deploy.log_context import about, request_reference
from handlers.slack import replies
from handlers.slack.api_errors import opened_before
from handlers.slack.bodies import Body, click_in, clicked, run_id, submission_in, user_in
from handlers.slack.in_time import InTime, Late
from handlers.slack.mentions import said_to_bot
from handlers.slack.own_command import renamed
from handlers.slack.payloads import (
    Click,
    Request,
    Submission,
    request_of_click,
    request_of_form,
)
from handlers.slack.people import Team, origin_of
from handlers.slack.typed_text import as_typed
from handlers.verbs.grammar import parse
from handlers.verbs.said import asked_by
from handlers.verbs.verb import BoundVerb, ByClick, Suggestions
from handlers.views import errors
from handlers.views import help as help_view
from handlers.views.commands import is_run
from handlers.views.reply import Reply
from handlers.views.status import PORTAL

log = logging.getLogger(__name__)

Listener = Callable[[Ack, Body], None]

_STRANGER = "Only members of the workspace that this bot belongs to can use it. Nothing was done."
_NOT_OPENED = Reply("Slack did not open that. Please try again.")
_OF_ANOTHER_VERSION = Reply("Another version of the bot drew this button. Try again in a minute.")


@dataclass(frozen=True)
class Needs:
    """`accept` makes a request safe within a second, which it waits for with `accepting`, and
    starts on it; `team` is the workspace that the bot belongs to, `command` what people type in it.
    `checking` is what a sent form is checked with, `aside` does the work after an ack."""

    slack: WebClient
    authority: Authority
    team: Team
    accept: Callable[[Request], None]
    command: str
    accepting: InTime
    checking: InTime
    aside: Executor


class Listeners:
    """The listeners over one table of verbs: what both transports hand Slack's payloads to.

    They are found by name. Bolt's own app tries one after another, with all that a listener could
    ask for put together for each, and looks for the ack every 10 ms.

    `clicks` and `opens` are the buttons of an action's message, as a verb has its own; `forms` are
    modals that no verb has, by callback_id, each with what is looked for before it closes, in its
    values alone. `draw_home` has the Home tab of a person drawn.
    """

    def __init__(
        self,
        needs: Needs,
        verbs: Sequence[BoundVerb],
        clicks: Iterable[str],
        opens: Mapping[str, ByClick],
        forms: Mapping[str, Callable[[Submission], object]],
        draw_home: Callable[[str], None],
    ) -> None:
        self._needs = needs
        self._verbs = {bound.verb.name: bound for bound in verbs}
        self._grammar = [bound.verb for bound in verbs]
        self._opens = {
            **opens,
            **{name: click for bound in verbs for name, click in bound.opens.items()},
        }
        self._clicks: dict[str, Listener] = {
            **dict.fromkeys(self._opens, self.opening),
            **dict.fromkeys(clicks, self.click),
            **{name: self.click for bound in verbs for name in bound.clicks},
        }
        self._forms = forms
        self._submissions: dict[str, Listener] = {
            **dict.fromkeys(forms, self.form),
            **{
                bound.verb.modal: self.submission(bound.submit)
                for bound in verbs
                if bound.submit is not None
            },
        }
        self._suggestions: dict[str, Listener] = {
            name: self.suggestions(suggest)
            for bound in verbs
            for name, suggest in bound.suggest.items()
        }
        self._draw_home = draw_home
        self._events: dict[str, Listener] = {
            "app_home_opened": self.home,
            "app_mention": self.said,
            "message": self.said,
        }

    def dispatch(self, request: BoltRequest, /) -> BoltResponse:
        """What Slack is answered: 404 where nothing takes a payload, so that whoever sent it sees
        that nothing was done."""
        ack = Ack()
        try:
            with about(user=user_in(request.body), anew=True):
                self._dispatch(ack, request.body)
        except Exception:  # whoever sent it sees that it failed; the log keeps it whole
            log.exception("a payload could not be answered")
            return BoltResponse(status=500)
        return ack.response or BoltResponse(status=404)

    def _dispatch(self, ack: Ack, body: Body) -> None:
        if body.get("ssl_check") == "1":
            ack()
        elif body.get("type") == "url_verification":
            ack.response = BoltResponse(status=200, body={"challenge": body.get("challenge")})
        elif not self._needs.team.may_own(origin_of(body)):
            log.warning("a payload of another workspace was refused")
            _refuse(ack, body, self._needs.command)
        elif (listener := self._listener_of(body)) is not None:
            listener(ack, body)
        else:
            log.warning("nothing takes a payload of type %.40s", body.get("type"))

    def _listener_of(self, body: Body) -> Listener | None:
        """What takes a payload; a click that no table knows is still acked."""
        if "command" in body:
            return self.command if body["command"] == self._needs.command else None
        match body.get("type"):
            case "block_actions":
                name, _ = clicked(body["actions"][0])
                return self.run if is_run(name) else self._clicks.get(name, self.unknown)
            case "view_submission":
                return self._submissions.get(body["view"]["callback_id"])
            case "view_closed":
                return _ack_only
            case "block_suggestion":
                return self._suggestions.get(body["action_id"])
            case "event_callback":
                return self._events.get(body["event"]["type"])
        return None

    def command(self, ack: Ack, body: Body) -> None:
        """`/gateway …`: understood or explained, made safe, then acked."""
        reply = self._ask(
            as_typed(body.get("text") or ""),
            body["trigger_id"],
            id=f"command:{body['trigger_id']}",
            user=body["user_id"],
            channel=body["channel_id"],
            response_url=body.get("response_url", ""),
        )
        if reply is None:
            ack()
        else:
            replies.with_ack(ack, reply, self._needs.command)

    def run(self, ack: Ack, body: Body) -> None:
        """The button with a command as it was probably meant: the same as typing that."""
        ack()
        click = click_in(body)
        reply = self._ask(
            click.value,
            click.trigger_id,
            # Of one message and moment, so that a double click asks for nothing more.
            id=run_id(body, click),
            user=click.user,
            channel=click.channel,
            response_url=click.response_url,
        )
        if reply is not None:
            self._aside(self._tell, request_of_click(click), reply)

    def _ask(self, text: str, trigger_id: str, **by: Any) -> Reply | None:
        """Have a command carried out; what to tell at once where it is not. `by` is what a request
        says of whoever asks."""
        try:
            command = parse(text, self._grammar, self._needs.command)
        except InvalidInput as error:
            return errors.trouble(error)
        if command.help:
            return help_view.usage(self._needs.command, command.verb)
        request = Request(
            verb=command.verb.name, gateway=command.gateway, options=command.options, **by
        )
        open_modal = self._verbs[request.verb].open_modal
        if open_modal is not None and command.verb.incomplete(request):
            self._aside(self._open, request, lambda: open_modal(request, trigger_id))
            return None
        try:
            self._needs.accept(request)
        except GatewayBotError as error:
            return errors.trouble(error)
        return None

    def said(self, ack: Ack, body: Body) -> None:
        """A message to the bot: the same as typing that, and answered where it was said."""
        message = said_to_bot(body)
        forms = [name for name, bound in self._verbs.items() if bound.open_modal is not None]
        request = message and asked_by(message, self._grammar, self._needs.command, forms)
        if not request:
            ack()
            return
        try:
            self._needs.accept(request)
        except GatewayBotError as error:
            ack()
            self._aside(self._tell, request, errors.trouble(error))
            return
        ack()

    def click(self, ack: Ack, body: Body) -> None:
        """A button whose effect must not be lost."""
        request = request_of_click(click_in(body))
        try:
            self._needs.accept(request)
        except GatewayBotError as error:
            ack()
            self._aside(self._tell, request, errors.trouble(error))
            return
        ack()

    def unknown(self, ack: Ack, body: Body) -> None:
        """A click that no table knows. Links and what is chosen in a form need the ack alone; any other
        button is of another version, whose bots share the same messages during an upgrade."""
        ack()
        (action, *_), click = body["actions"], click_in(body)
        link = "url" in action or click.name == PORTAL
        if action.get("type") in ("button", "overflow") and not link:
            self._aside(self._tell, request_of_click(click), _OF_ANOTHER_VERSION)

    def opening(self, ack: Ack, body: Body) -> None:
        """A button that opens a modal."""
        ack()
        click = click_in(body)
        self._aside(self._open, request_of_click(click), lambda: self._opens[click.name](click))

    def _aside(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do it on another thread: a slow Slack must not take those that ack."""
        begin(self._needs.aside, work, *arguments)

    def _open(self, request: Request, opens: Callable[[], Reply | None]) -> None:
        # Also where the click was carried from: the reference that a person sees is this one.
        with about(request=request_reference(request.id), user=request.user, anew=True):
            self._open_it(request, opens)

    def _open_it(self, request: Request, opens: Callable[[], Reply | None]) -> None:
        try:
            self._needs.authority.check(Right.SEE, request.user)
            reply = opens()
        except GatewayBotError as error:
            reply = errors.trouble(error)
        except SlackApiError as error:
            if opened_before(error):
                return
            log.warning("a modal did not open: %s", error)
            reply = _NOT_OPENED
        except (SlackClientError, OSError) as error:
            log.warning("a modal did not open: %s", error)
            reply = _NOT_OPENED
        except Exception:  # a person must learn of any fault; the log keeps it whole
            log.exception("%s did not open a modal", request.verb)
            reply = errors.unexpected(request_reference(request.id))
        if reply is not None:
            self._tell(request, reply)

    def _tell(self, request: Request, reply: Reply) -> None:
        replies.send(
            self._needs.slack,
            reply,
            user=request.user,
            channel=request.channel,
            response_url=request.response_url,
            thread=request.open_thread,
        )

    def form(self, ack: Ack, body: Body) -> None:
        """A sent modal that needs no look-up to be complete."""
        sent = submission_in(body)
        try:
            self._forms[sent.name](sent)
            self._needs.accept(request_of_form(sent))
        except GatewayBotError as error:
            ack(
                response_action="errors",
                errors={next(iter(sent.values), ""): renamed(str(error), self._needs.command)},
            )
            return
        ack()

    def submission(self, submit: Callable[[Submission], Request]) -> Listener:
        """The listener for a verb's modal: errors stay in it, a right one closes it. Where they
        cannot be found in time it closes, and its sender is notified."""

        def listener(ack: Ack, body: Body) -> None:
            sent = submission_in(body)
            first_block = next(iter(sent.values), "")
            try:
                try:
                    request = self._needs.checking.result(partial(submit, sent))
                except Late:
                    request = request_of_form(sent)
                self._needs.accept(request)
            except GatewayBotError as error:
                marked = _marked(error, sent.values, first_block)
                ack(
                    response_action="errors",
                    errors={at: renamed(said, self._needs.command) for at, said in marked.items()},
                )
                return
            ack()

        return listener

    def suggestions(self, suggest: Callable[[Click], Suggestions]) -> Listener:
        """The listener that fills one external select."""

        def listener(ack: Ack, body: Body) -> None:
            ack(options=suggest(click_in(body)))

        return listener

    def home(self, ack: Ack, body: Body) -> None:
        """The Home tab was opened: draw it anew."""
        ack()
        event = body["event"]
        if event.get("tab") == "home":
            self._aside(self._draw, str(event["user"]))

    def _draw(self, user: str) -> None:
        try:
            self._draw_home(user)
        except GatewayBotError as error:
            log.warning("the Home tab was not drawn: %s", error)


def _marked(
    error: GatewayBotError, values: Mapping[str, Mapping[str, Any]], first_block: str
) -> dict[str, str]:
    """What is wrong by the blocks of a form; what is about none of them is said at the first."""
    field = error.field if isinstance(error, InvalidInput) else ""
    marked = error.marked if isinstance(error, errors.InForm) else {field: str(error)}
    blocks = {name: block for block, inputs in values.items() for name in (block, *inputs)}
    found: dict[str, str] = {}
    for name, text in marked.items():
        block = blocks.get(name, first_block)
        found[block] = f"{found[block]} {text}" if block in found else text
    return found


def _refuse(ack: Ack, body: Body, command: str) -> None:
    """Let nothing in that was sent to another workspace's bot. Who sent it is asked of Slack after
    the ack, like every right; people of other workspaces have none."""
    blocks = (body.get("view") or {}).get("blocks") or ()
    inputs = [block["block_id"] for block in blocks if block["type"] == "input"]
    if "command" in body:
        replies.with_ack(ack, Reply(_STRANGER), command)
    elif body.get("type") == "view_submission" and inputs:
        ack(response_action="errors", errors={inputs[0]: _STRANGER})
    elif body.get("type") == "block_suggestion":
        ack(options=[])
    else:
        ack()


def _ack_only(ack: Ack, body: Body) -> None:
    ack()
