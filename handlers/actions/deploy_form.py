"""The form of `/gateway deploy`: opened over live data, filled with what runs."""

import contextlib
import dataclasses
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slack_sdk.errors import SlackApiError

from deploy.actions.versions import reading
from deploy.changes.policies import Policies
from deploy.errors import GatewayBotError, InvalidInput
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from deploy.health.status import GatewaySummary
from handlers.actions import form_sent
from handlers.actions.form_sent import VERB
from handlers.actions.target import with_place
from handlers.fleet import found_everywhere
from handlers.slack import api_errors
from handlers.slack.choices import Choices
from handlers.slack.form_clicks import FormClick, FormClicks, form_click
from handlers.slack.payloads import Click, Request
from handlers.slack.people import Team
from handlers.views import deploy_modal as modal
from handlers.views.reply import Reply, View
from handlers.views.words import form as form_words

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
"""How long for the clusters that were not read yet; the others' gateways are known at once."""


@dataclass(frozen=True)
class Needs(form_sent.Needs):
    """`team` knows what the bot may do in its workspace; `caches` what runs, `policies` which freezes
    are in effect; `form_clicks` are those in forms that are drawn anew; `command` is what people type."""

    choices: Choices
    team: Team
    form_clicks: FormClicks
    caches: Mapping[str, ClusterCache]
    policies: Policies
    command: str


def open_modal(needs: Needs, request: Request, trigger_id: str) -> None:
    """Open the form at once and fill it when the live data is there."""
    request = with_place(request)
    given: dict[str, Any] = dict(request.options)
    if request.gateway:
        given["gateway"] = request.gateway
    typed = {name: value for name, value in given.items() if name not in modal.FIELDS}
    private_metadata = modal.metadata(request.channel, request.response_url, typed)
    opened = needs.slack.views_open(trigger_id=trigger_id, view=modal.loading(private_metadata))
    failed = needs.choices.warm()
    view: Mapping[str, Any] = opened["view"]
    filled = _filled(needs, given)
    anew = {
        name: f"{name}:{view['hash']}"
        for name, option in modal.PREFILLED.items()
        if filled.given.get(option) != given.get(option)
    }
    needs.slack.views_update(
        view_id=view["id"],
        hash=view["hash"],
        view=modal.form(
            modal.with_filled(private_metadata, filled.anew(given)),
            filled.given,
            failed,
            file=_files(needs),
            place=_offered(needs, filled.given),
            said=(*filled.said, *_about_typed(private_metadata, typed)),
            blocks=anew,
        ),
    )


def _offered(needs: Needs, given: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The option of the place that is given, as it is offered: it says whether that is production."""
    if "to" not in given:
        return None
    offered = needs.choices.find("places", str(given["to"]))
    return next((each for each in offered if each["value"] == given["to"]), None)


def clicked(needs: Needs, click: Click) -> Reply | None:
    """Draw the form for what was clicked in it. A chosen gateway brings where it runs, its tag and its
    name there; a spec file is taken, or no longer. What somebody has entered stays.

    Quick clicks are made on one drawing of the form, before what the first of them draws is shown: each
    draws what all of them want, with what was entered before the last of them. Once somebody has clicked
    in a newer drawing, those in older ones draw nothing.
    """
    drawing = click.view["hash"]
    clicks = _noted(needs.form_clicks.noted, click)
    while clicks[-1].drawing == drawing:
        quick = [each for each in clicks if each.drawing == drawing]
        drawn = _drawn(needs, click, quick)
        # Looking what runs takes a moment, in which somebody may click again.
        now = _noted(needs.form_clicks.of, click)
        if now == clicks:
            if drawn is not None:
                _replace(needs, click, drawn, several=len(quick) > 1)
            break
        clicks = now
    return None


def _replace(needs: Needs, click: Click, drawn: View, *, several: bool) -> None:
    """Show that drawing in place of the one that was clicked in; with `several` quick clicks also in
    place of what another of them has drawn, and of nothing else."""
    view_id, drawing = click.view["id"], click.view["hash"]
    # Sent or closed meanwhile, or changed once more: then there is nothing left to fill in.
    with contextlib.suppress(SlackApiError):
        try:
            needs.slack.views_update(view_id=view_id, hash=drawing, view=drawn)
        except SlackApiError as error:
            newest = _noted(needs.form_clicks.of, click)[-1]
            if (
                not several
                or api_errors.name(error) != "hash_conflict"
                or newest.drawing != drawing
            ):
                return
            needs.slack.views_update(view_id=view_id, hash=None, view=drawn)


def _noted(note: Callable[[Click], tuple[FormClick, ...]], click: Click) -> tuple[FormClick, ...]:
    try:
        return note(click)
    except GatewayBotError as error:
        log.warning("a click in a form is taken for the only one: %s", error)
        return (form_click(click),)


def _drawn(needs: Needs, click: Click, clicks: Sequence[FormClick]) -> View | None:
    """The form as these clicks want it; None where it is left alone."""
    wanted = {each.name: each.value for each in clicks}
    shown = dataclasses.replace(_Shown.of(click), state=clicks[-1].state)
    metadata: str = click.view["private_metadata"]
    if modal.GATEWAY in wanted:
        before = {**shown.entered, "gateway": wanted[modal.GATEWAY]}
        free = modal.untouched(shown.blocks, shown.state)
        given = {
            name: value
            for name, value in before.items()
            if not any(modal.PREFILLED[each] == name for each in free)
        }
        filled = _filled(needs, {**shown.typed, **given})
        quick = len(clicks) > 1
        anew = {
            name: f"{name}:{click.view['hash']}:{clicks[-1].at}"
            for name, option in modal.PREFILLED.items()
            if filled.given.get(option) != before.get(option) or (quick and name in free)
        }
        if not (anew or filled.several or modal.FILE_OR_NOT in wanted):
            # Drawn anew for nothing, it would only get in the way of whoever fills it in.
            return None
        metadata = modal.with_filled(metadata, filled.anew(given))
    else:
        entered = {**shown.typed, **shown.entered}
        # What runs is not filled in here: a file would not go over it.
        filled, anew = dataclasses.replace(_filled(needs, entered), given=entered), {}
    takes = modal.takes_file(shown.blocks)
    if modal.FILE_OR_NOT in wanted:
        takes = wanted[modal.FILE_OR_NOT] == modal.SpecFile.GIVEN.value
    return modal.form(
        metadata,
        filled.given,
        {},
        file=modal.SpecFile.GIVEN if takes else _files(needs),
        place=_offered(needs, filled.given),
        said=(*filled.said, *_about_typed(click.view["private_metadata"], shown.typed)),
        blocks={**modal.filled_anew(shown.blocks), **anew},
    )


def _files(needs: Needs) -> modal.SpecFile:
    granted = needs.team.granted("files:read")
    return modal.SpecFile.OFFERED if granted else modal.SpecFile.IMPOSSIBLE


@dataclass(frozen=True)
class _Shown:
    """The form that somebody clicked in."""

    blocks: Sequence[dict[str, Any]]
    state: Mapping[str, Mapping[str, Any]]
    typed: Mapping[str, Any]

    @classmethod
    def of(cls, click: Click) -> "_Shown":
        view = click.view
        with reading("The form"):
            typed = dict(json.loads(view["private_metadata"]).get("typed") or {})
        return cls(view.get("blocks") or (), (view.get("state") or {}).get("values") or {}, typed)

    @property
    def entered(self) -> dict[str, Any]:
        """What is in its fields."""
        return modal.values(self.state)


@dataclass(frozen=True)
class _Filled:
    """What is given once what runs is known, and what there is to say of it; `several` places may be
    meant."""

    given: Mapping[str, Any]
    said: tuple[str, ...]
    several: bool = False

    def anew(self, before: Mapping[str, Any]) -> dict[str, str]:
        """What nobody has given."""
        return {k: str(v) for k, v in self.given.items() if k not in before}


def _filled(needs: Needs, given: Mapping[str, Any]) -> _Filled:
    running = _running(needs, str(given.get("gateway", "")))
    found = prefilled(given, running)
    place = str(found.get("to", ""))
    several = len(running) > 1 and not given.get("to")
    lines = [form_words.runs_in(running)] if several else []
    try:
        ref = GatewayRef.parse(f"{place}/any") if place else None
    except InvalidInput:
        ref = None
    overridden = bool(given.get("break-glass"))
    lines += [
        form_words.frozen(environment, freeze, needs.command, overridden)
        for environment, freeze in needs.policies.freezes(ref)
    ]
    return _Filled(found, tuple(lines), several)


def prefilled(given: Mapping[str, Any], running: Sequence[GatewaySummary]) -> dict[str, Any]:
    """What was given, and where the gateway runs with its tag and name there, if only one place is
    meant. Pure."""
    at = [s for s in running if given.get("to") in (None, "", f"{s.ref.cluster}/{s.ref.namespace}")]
    if len(at) != 1:
        return dict(given)
    (found,) = at
    told: dict[str, Any] = {"to": f"{found.ref.cluster}/{found.ref.namespace}"}
    if ":" not in found.tag:
        # A digest alone is not a tag.
        told["tag"] = found.tag
    name = str(given.get("gateway", "")).rpartition("/")[2].lower()
    if found.ref.name != name:
        told["name"] = found.ref.name
    return {**told, **{key: value for key, value in given.items() if value}}


def _running(needs: Needs, gateway: str) -> Sequence[GatewaySummary]:
    """Where it runs as a Deployment, as far as the clusters have been read."""
    name = gateway.rpartition("/")[2].strip().lower()
    if not name:
        return ()
    found = found_everywhere(needs.caches, _LOOK_SECONDS).summaries
    own = [s for s in found if s.manageable and s.gateway.lower() == name]
    return own or [s for s in found if s.manageable and s.ref.name == name]


def _about_typed(private_metadata: str, typed: Mapping[str, Any]) -> Sequence[str]:
    if not typed:
        return ()
    held = json.loads(private_metadata).get("typed")
    return (form_words.kept(typed) if held else form_words.TOO_LONG,)


def open_by_button(needs: Needs, click: Click) -> Reply | None:
    """The Deploy button of the help and of the Home tab, and the one that brings back what was
    entered."""
    gateway, options = modal.entered(click.value)
    request = Request("", VERB, click.user, click.channel or click.user, "", gateway, options)
    open_modal(needs, request, click.trigger_id)
    return None
