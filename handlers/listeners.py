"""Where Slack's payloads come in: commands, clicks, modals, suggestions and the Home tab.

Everything a payload holds is unpacked here, once. Each listener makes the request safe and acks
within Slack's three seconds; the work is done elsewhere.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from deploy.access import Right
from deploy.changes.authority import Authority
from deploy.errors import GatewayBotError, InvalidInput
from handlers.slack import replies
from handlers.slack.payloads import Click, Request, Submission
from handlers.slack.people import Team, origin_of
from handlers.verbs.grammar import parse
from handlers.verbs.verb import BoundVerb, Suggestions
from handlers.views import denial, errors
from handlers.views import help as help_view
from handlers.views.reply import Reply

log = logging.getLogger(__name__)

Body = dict[str, Any]

_STRANGER = "Only members of the workspace that this bot belongs to can use it. Nothing was done."


@dataclass(frozen=True)
class Needs:
    """`accept` makes a request safe and starts on it; `team` is the workspace that the bot belongs
    to, `command` what people type in it."""

    slack: WebClient
    authority: Authority
    team: Team
    accept: Callable[[Request], None]
    command: str


class Listeners:
    """The listeners over one table of verbs.

    `buttons` are those of an action's message, by action_id; `deny` denies an action for the reason
    in its modal; `draw_home` draws the Home tab of a person.
    """

    def __init__(
        self,
        needs: Needs,
        verbs: Sequence[BoundVerb],
        buttons: Mapping[str, Callable[[Click], None]],
        deny: Callable[[Submission], None],
        draw_home: Callable[[str], None],
    ) -> None:
        self._needs = needs
        self._verbs = {bound.verb.name: bound for bound in verbs}
        self._grammar = [bound.verb for bound in verbs]
        self._clicks = {
            **buttons,
            **{name: click for bound in verbs for name, click in bound.clicks.items()},
        }
        self._deny = deny
        self._draw_home = draw_home

    def register(self, app: App) -> None:
        """Tell Bolt what each payload is for; one that nothing takes is still acked."""
        app.middleware(self.own_workspace)
        app.view(denial.CALLBACK)(self.denial)
        app.command(self._needs.command)(self.command)
        for action_id in self._clicks:
            app.action(action_id)(self.click)
        for bound in self._verbs.values():
            if bound.submit is not None:
                app.view(bound.verb.modal)(self.submission(bound.submit))
            for action_id, suggest in bound.suggest.items():
                app.options(action_id)(self.suggestions(suggest))
        app.event("app_home_opened")(self.home)
        app.action(re.compile(".*"))(_ack_only)
        app.view_closed(re.compile(".*"))(_ack_only)

    def own_workspace(self, ack: Ack, body: Body, next: Callable[[], None]) -> None:
        """Let nothing in that is not from this workspace's people: who else shares a channel with
        them is in no environment, group or approval of the settings."""
        origin = origin_of(body)
        try:
            if self._needs.team.takes(origin):
                next()
                return
            refused = Reply(_STRANGER)
        except GatewayBotError as error:
            refused = errors.trouble(error)
        log.warning("a payload of another workspace was refused")
        self._refuse(ack, body, origin.user, refused)

    def _refuse(self, ack: Ack, body: Body, user: str, reply: Reply) -> None:
        """Say why, where Slack shows it to the person for this kind of payload."""
        kind = body.get("type")
        blocks = (body.get("view") or {}).get("blocks") or ()
        inputs = [block["block_id"] for block in blocks if block["type"] == "input"]
        if "command" in body:
            _ack_with(ack, reply)
        elif kind == "view_submission" and inputs:
            ack(response_action="errors", errors={inputs[0]: reply.text})
        elif kind == "block_suggestion":
            ack(options=[])
        else:
            ack()
        if kind == "block_actions" and user:
            channel = (body.get("channel") or {}).get("id") or ""
            replies.send(self._needs.slack, reply, user=user, channel=channel, response_url="")

    def denial(self, ack: Ack, body: Body) -> None:
        """A denial with its reason: written down before the modal closes."""
        try:
            self._deny(_submission(body))
        except GatewayBotError as error:
            ack(response_action="errors", errors={denial.REASON: str(error)})
            return
        ack()

    def command(self, ack: Ack, body: Body) -> None:
        """`/gateway …`: understood or explained, made safe, then acked."""
        try:
            command = parse(body.get("text") or "", self._grammar)
        except InvalidInput as error:
            _ack_with(ack, errors.trouble(error))
            return
        if command.help:
            _ack_with(ack, help_view.usage(self._needs.command, command.verb))
            return
        request = Request(
            id=f"command:{body['trigger_id']}",
            verb=command.verb.name,
            user=body["user_id"],
            channel=body["channel_id"],
            response_url=body.get("response_url", ""),
            gateway=command.gateway,
            options=command.options,
        )
        open_modal = self._verbs[request.verb].open_modal
        if open_modal is not None and command.verb.incomplete(request):
            ack()
            self._open(open_modal, request, body["trigger_id"])
            return
        try:
            self._needs.accept(request)
        except GatewayBotError as error:
            _ack_with(ack, errors.trouble(error))
            return
        ack()

    def _open(
        self, open_modal: Callable[[Request, str], None], request: Request, trigger_id: str
    ) -> None:
        try:
            self._needs.authority.check(Right.SEE, request.user)
            open_modal(request, trigger_id)
        except GatewayBotError as error:
            replies.send(
                self._needs.slack,
                errors.trouble(error),
                user=request.user,
                channel=request.channel,
                response_url=request.response_url,
            )
        except (SlackApiError, SlackClientError, OSError) as error:
            log.warning("a modal did not open: %s", error)
            replies.send(
                self._needs.slack,
                Reply("Slack did not open the form. Please try again."),
                user=request.user,
                channel=request.channel,
                response_url=request.response_url,
            )

    def click(self, ack: Ack, body: Body) -> None:
        """A button: what it decides is written down before the ack, and nothing is for whoever is
        nobody here."""
        action = body["actions"][0]
        selected = action.get("selected_option") or {}
        container = body.get("container") or {}
        click = Click(
            user=body["user"]["id"],
            channel=(body.get("channel") or {}).get("id") or container.get("channel_id") or "",
            trigger_id=body.get("trigger_id", ""),
            response_url=body.get("response_url", ""),
            value=action.get("value") or selected.get("value") or "",
            body=body,
        )
        try:
            self._needs.authority.check(Right.SEE, click.user)
            self._clicks[action["action_id"]](click)
        except GatewayBotError as error:
            replies.send(
                self._needs.slack,
                errors.trouble(error),
                user=click.user,
                channel=click.channel,
                response_url="",
            )
        except (SlackApiError, SlackClientError, OSError) as error:
            log.warning("the click %s did not reach Slack: %s", action["action_id"], error)
            replies.send(
                self._needs.slack,
                Reply("Slack did not open that. Please click again."),
                user=click.user,
                channel=click.channel,
                response_url="",
            )
        ack()

    def home(self, event: Body) -> None:
        """The Home tab was opened: draw it anew."""
        if event.get("tab") != "home":
            return
        try:
            self._draw_home(str(event["user"]))
        except (SlackApiError, SlackClientError, OSError) as error:
            log.warning("the Home tab was not drawn: %s", error)

    def submission(self, submit: Callable[[Submission], Request]) -> Any:
        """The listener for a verb's modal: errors stay in it, a right one closes it."""

        def listener(ack: Ack, body: Body) -> None:
            sent = _submission(body)
            first_block = next(iter(sent.values), "")
            try:
                self._needs.accept(submit(sent))
            except GatewayBotError as error:
                field = error.field if isinstance(error, InvalidInput) else ""
                block = field if field in sent.values else first_block
                ack(response_action="errors", errors={block: str(error)})
                return
            ack()

        return listener

    def suggestions(self, suggest: Callable[[Click], Suggestions]) -> Any:
        """The listener that fills one external select."""

        def listener(ack: Ack, body: Body) -> None:
            click = Click(
                user=body["user"]["id"],
                channel="",
                trigger_id="",
                response_url="",
                value=body.get("value") or "",
                body=body,
            )
            ack(options=suggest(click))

        return listener


def _submission(body: Body) -> Submission:
    view = body["view"]
    return Submission(
        id=f"view:{view['id']}:{view['hash']}",
        user=body["user"]["id"],
        private_metadata=view.get("private_metadata", ""),
        values=view["state"]["values"],
    )


def _ack_with(ack: Ack, reply: Reply) -> None:
    ack(text=reply.text, blocks=list(reply.blocks), response_type="ephemeral")


def _ack_only(ack: Ack) -> None:
    ack()
