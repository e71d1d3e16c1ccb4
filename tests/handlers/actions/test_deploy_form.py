"""The form of `deploy`: what it is filled with, what it keeps, and what it marks."""

import dataclasses
import datetime
import itertools
import json
import secrets
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from bot.sandbox.valkey import Valkey
from deploy.access import Environment, Freeze
from deploy.actions.connection import connect
from deploy.errors import Refused, Unavailable
from deploy.gateway import GatewayRef
from deploy.health.status import GatewaySummary
from deploy.kube.places import Places
from handlers.actions import deploy_form, form_sent
from handlers.actions.deploy_form import prefilled
from handlers.slack import spec_file
from handlers.slack.form_clicks import FormClick, FormClicks, form_click
from handlers.slack.payloads import Click, Request, Submission
from handlers.views import deploy_modal as modal
from handlers.views.errors import InForm
from tests.support.clicks import clicked
from tests.support.needs import needs
from tests.support.redis_servers import started
from tests.support.shown import check_blocks

ENDS = datetime.datetime(2026, 12, 31, tzinfo=datetime.UTC)
FREEZE = Freeze("Year end", ENDS - datetime.timedelta(days=9), ENDS)
PRODUCTION = Environment("production", namespaces=("prod",), production=True)


def summary(place: str, name: str = "edge-1", tag: str = "2.11.1", **more: Any) -> GatewaySummary:
    ref = GatewayRef.parse(f"{place}/{name}")
    return GatewaySummary(ref, "edge-1", tag, 1, 1, 1, 1, 0.0, "gateway-bot", **more)


def alone(click: Click) -> tuple[FormClick, ...]:
    """As where nobody clicks quickly."""
    return (form_click(click),)


class Slack:
    """The views that were shown last."""

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []
        self.id = secrets.token_hex(4)

    @property
    def hash(self) -> str:
        """Another one with each drawing."""
        return f"h{len(self.shown)}"

    def views_open(self, *, trigger_id: str, view: Any) -> dict[str, Any]:
        return {"view": {"id": self.id, "hash": self.hash}}

    def views_update(self, *, view: dict[str, Any], hash: str | None, **more: Any) -> None:
        if hash not in (None, self.hash):
            raise SlackApiError("hash_conflict", {"error": "hash_conflict"})
        check_blocks(view["blocks"])
        self.shown.append(view)


class Form:
    """What the form works with; `running` is what runs, `freezes` what nobody may change now."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *running: GatewaySummary,
        clicks: Any = None,
    ) -> None:
        self._clicks = itertools.count(1)
        self.slack = Slack()
        self.freezes: tuple[Any, ...] = ()
        self.refused: Refused | None = None
        found = SimpleNamespace(summaries=running)
        monkeypatch.setattr(deploy_form, "found_everywhere", lambda caches, wait: found)
        self.needs = needs(
            deploy_form.Needs,
            slack=self.slack,
            team=SimpleNamespace(granted=lambda scope: True),
            choices=SimpleNamespace(warm=dict, find=lambda source, text: ()),
            policies=SimpleNamespace(freezes=lambda ref: self.freezes),
            proposer=SimpleNamespace(check=self._check),
            clusters={"west": SimpleNamespace(places=Places("west"))},
            caches={},
            command="/gateway",
            form_clicks=clicks or SimpleNamespace(noted=alone, of=alone),
        )

    def _check(self, *given: Any, **more: Any) -> None:
        if self.refused is not None:
            raise self.refused

    def opened(self, gateway: str = "", **options: Any) -> dict[str, Any]:
        request = Request("r1", "deploy", "U1", "C1", "", gateway, options)
        deploy_form.open_modal(self.needs, request, "trigger")
        return self.slack.shown[-1]

    def chosen(self, view: dict[str, Any], gateway: str, **entered: str) -> dict[str, Any]:
        """The form once a gateway is chosen in it, and before that this was entered."""
        deploy_form.clicked(self.needs, self.click(view, modal.GATEWAY, gateway, **entered))
        return self.slack.shown[-1]

    def click(self, view: dict[str, Any], name: str, value: str, **entered: str) -> Click:
        """One in the form as it was shown last, of whoever has entered this."""
        values = {"values": state(view, **entered)}
        given = {**view, "id": self.slack.id, "hash": self.slack.hash, "state": values}
        found = clicked("U1", value, name, at=f"{next(self._clicks)}.5")
        return dataclasses.replace(found, view=given)

    def with_file(self, view: dict[str, Any], **entered: str) -> dict[str, Any]:
        """The form once a spec file is wanted in it, and before that this was entered."""
        return self._pressed(view, modal.SpecFile.GIVEN, **entered)

    def without_file(self, view: dict[str, Any], **entered: str) -> dict[str, Any]:
        """The form with its fields alone once more."""
        return self._pressed(view, modal.SpecFile.OFFERED, **entered)

    def _pressed(
        self, view: dict[str, Any], wanted: modal.SpecFile, **entered: str
    ) -> dict[str, Any]:
        click = self.click(view, modal.FILE_OR_NOT, wanted.value, **entered)
        deploy_form.clicked(self.needs, click)
        return self.slack.shown[-1]

    def sent(self, view: dict[str, Any], **entered: str) -> Request:
        values = state(view, **entered)
        return form_sent.submit(
            self.needs, Submission("s1", "deploy", "U1", view["private_metadata"], values)
        )


def inputs(view: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The blocks of its inputs by the names of these."""
    return {b["element"]["action_id"]: b for b in view["blocks"] if b["type"] == "input"}


def state(view: dict[str, Any], **entered: str) -> dict[str, Any]:
    """As Slack has it: what was entered, else what each starts with."""
    found: dict[str, Any] = {}
    for name, block in inputs(view).items():
        element, value = block["element"], entered.get(name)
        if element["type"].endswith("select"):
            option = {"value": value} if value else element.get("initial_option")
            given: dict[str, Any] = {"selected_option": option}
        elif element["type"] == "file_input":
            given = {"files": []}
        else:
            given = {"value": value or element.get("initial_value")}
        found[block["block_id"]] = {name: given}
    return found


def starts(view: dict[str, Any]) -> dict[str, Any]:
    return modal.values(state(view))


def said(view: dict[str, Any]) -> str:
    return json.dumps([b for b in view["blocks"] if b["type"] != "input"], ensure_ascii=False)


def test_a_gateway_that_is_given_brings_where_it_runs_and_its_tag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    form = Form(monkeypatch, summary("west/dev", name="front"), summary("east/dev", "other", "1"))
    view = form.opened("contoso/edge-1", to="west/dev")
    assert starts(view) == {
        "gateway": "contoso/edge-1",
        "to": "west/dev",
        "tag": "2.11.1",
        "name": "front",
    }
    typed = starts(form.opened("edge-1", to="west/dev", tag="2.12.1"))
    assert typed["tag"] == "2.12.1", "what was typed goes over what runs"


def test_of_several_places_none_is_taken_for_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    form = Form(monkeypatch, summary("west/dev"), summary("west/prod", tag="2.10.0"))
    view = form.opened("edge-1")
    assert starts(view) == {"gateway": "edge-1"}
    assert "`west/dev/edge-1` (2.11.1), `west/prod/edge-1` (2.10.0)" in said(view)


def test_a_gateway_that_is_chosen_fills_what_nobody_has_entered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    form = Form(monkeypatch, summary("west/dev"))
    empty = form.opened()
    assert inputs(empty)[modal.GATEWAY]["dispatch_action"]
    view = form.chosen(empty, "contoso/edge-1", deploy_tag="2.12.1", deploy_replicas="4")
    blocks = inputs(view)
    assert blocks[modal.PLACE]["block_id"] != modal.PLACE, "else Slack keeps it empty"
    assert blocks[modal.TAG]["block_id"] == modal.TAG, "and what was entered stays"
    assert starts(view)["to"] == "west/dev"
    # Another gateway takes the place of the first with it, but of nothing that was entered.
    other = form.chosen(view, "contoso/edge-2", deploy_tag="2.12.1", deploy_replicas="4")
    assert "to" not in starts(other)
    # With nothing to fill in it is left alone: drawn anew it would be in somebody's way.
    opened, shown = form.opened(), len(form.slack.shown)
    form.chosen(opened, "contoso/edge-2")
    form.chosen(view, "contoso/edge-2", deploy_place="east/dev")
    assert len(form.slack.shown) == shown


def test_options_without_a_field_are_kept_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    form = Form(monkeypatch, summary("west/dev"))
    options = {"reason": "an outage", "set": ["logs.level=warn"], "break-glass": "urgent"}
    view = form.opened("contoso/edge-1", **options)
    assert "`--reason`, `--set`, `--break-glass`" in said(view)
    sent = form.sent(form.chosen(view, "contoso/edge-1"))
    assert sent.options == {"to": "west/dev", "tag": "2.11.1", **options}
    long = form.opened("contoso/edge-1", set=["labels.a=" + "b" * 3000])
    assert len(long["private_metadata"]) <= 3000
    assert "too long to be kept" in said(long)


def test_a_spec_file_goes_over_what_nobody_has_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    form = Form(monkeypatch, summary("west/dev", name="front"))
    file = "image: {tag: 2.12.1}\nname: edge-1"
    monkeypatch.setattr(spec_file, "fetched", lambda slack, file: file["text"])
    filled_first = form.with_file(form.opened("contoso/edge-1"))
    chosen_then = form.chosen(form.with_file(form.opened()), "contoso/edge-1")
    assert modal.takes_file(chosen_then["blocks"])
    for view in (filled_first, chosen_then):
        values = state(view, deploy_gateway="contoso/edge-1")
        values[modal.FILE] = {modal.FILE: {"files": [{"text": file}]}}
        sent = form_sent.submit(
            form.needs, Submission("s1", "deploy", "U1", view["private_metadata"], values)
        )
        assert sent.options == {"to": "west/dev", "tag": "2.12.1", "name": "edge-1", "file": file}


def test_what_was_entered_stays_whether_a_file_is_given_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    form = Form(monkeypatch, summary("west/dev", name="front"))
    view = form.opened("contoso/edge-1", reason="an outage")
    with_file = form.with_file(view, deploy_replicas="4")
    assert modal.FILE in inputs(with_file)
    without = form.without_file(with_file, deploy_replicas="4")
    assert modal.FILE not in inputs(without)
    assert starts(with_file) == starts(without) == {**starts(view), "replicas": "4"}
    assert list(inputs(without)) == list(inputs(view)), "by the same ids, else Slack empties them"
    assert "`--reason`" in said(with_file)
    assert with_file["private_metadata"] == view["private_metadata"]


def test_what_nobody_has_entered_is_not_filled_in_beside_a_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    form = Form(monkeypatch, summary("west/dev"), summary("west/test"))
    view = form.with_file(form.opened("edge-1"), deploy_place="west/dev")
    assert starts(view) == {"gateway": "edge-1", "to": "west/dev"}


def test_every_field_that_is_missing_or_wrong_is_marked_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    form = Form(monkeypatch)
    view = form.opened()
    with pytest.raises(InForm) as refused:
        form.sent(view, deploy_name="Not_A_Name", deploy_more="logs: {levle: warn}")
    assert set(refused.value.marked) == {
        modal.GATEWAY, modal.PLACE, modal.TAG, modal.NAME, modal.MORE,
    }  # fmt: skip
    assert "levle" in refused.value.marked[modal.MORE]
    assert "missing" in refused.value.marked[modal.TAG]
    with pytest.raises(InForm) as again:
        form.sent(view, deploy_gateway="contoso/edge-1", deploy_tag="1", deploy_place="west/A_b")
    assert set(again.value.marked) == {modal.PLACE}


def test_a_freeze_is_seen_before_anything_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    form = Form(monkeypatch, summary("west/prod"))
    form.freezes = ((PRODUCTION, FREEZE),)
    shown = said(form.opened())
    assert ":snowflake: *🔶 production is frozen* until <!date^" in shown
    assert "Year end" in shown
    assert "/gateway deploy … --break-glass" in shown
    overriding = said(form.opened("edge-1", **{"break-glass": "it is down"}))
    assert "This request overrides it." in overriding


def test_what_was_entered_comes_back_where_something_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = {"to": "west/dev", "tag": "2.12.1", "replicas": 4, "more": "logs: {level: warn}"}
    reply = modal.once_more(Unavailable("Azure is silent."), "contoso/edge-1", options)
    check_blocks(list(reply.blocks))
    assert "Azure is silent." in reply.text
    (button,) = reply.blocks[-1]["elements"]
    form = Form(monkeypatch)
    deploy_form.open_by_button(form.needs, clicked("U1", button["value"], modal.OPEN))
    entered = starts(form.slack.shown[-1])
    assert entered == {**options, "gateway": "contoso/edge-1", "replicas": "4"}
    deploy_form.open_by_button(form.needs, clicked("U1", "", modal.OPEN))
    assert starts(form.slack.shown[-1]) == {}


def test_what_runs_by_a_digest_alone_brings_no_tag() -> None:
    at = [summary("west/dev", tag="sha256:0a0a")]
    assert prefilled({"gateway": "edge-1"}, at) == {"gateway": "edge-1", "to": "west/dev"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_quick_clicks_both_count_whichever_bot_answers_first(
    monkeypatch: pytest.MonkeyPatch, server: Valkey, order: tuple[int, int]
) -> None:
    form = Form(
        monkeypatch, summary("west/dev", name="front"), clicks=FormClicks(connect(server.url))
    )
    gateway, wanted = "contoso/edge-1", modal.SpecFile.GIVEN.value
    for first, second in (
        ((modal.GATEWAY, gateway), (modal.FILE_OR_NOT, wanted)),
        ((modal.FILE_OR_NOT, wanted), (modal.GATEWAY, gateway)),
    ):
        empty = form.opened()
        # Both are made on the same drawing of the form, so the second knows nothing of the first.
        clicks = [form.click(empty, *first, deploy_tag="2.12.1")]
        entered = {"deploy_gateway": gateway, "deploy_tag": "2.12.1"}
        clicks.append(form.click(empty, *second, **entered))
        for index in order:
            deploy_form.clicked(form.needs, clicks[index])
        view = form.slack.shown[-1]
        assert modal.takes_file(view["blocks"])
        told = {"gateway": gateway, "to": "west/dev", "name": "front", "tag": "2.12.1"}
        assert starts(view) == told


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_gateways_that_are_chosen_quickly_the_later_one_is_filled_in(
    monkeypatch: pytest.MonkeyPatch, server: Valkey, order: tuple[int, int]
) -> None:
    form = Form(monkeypatch, summary("west/dev"), clicks=FormClicks(connect(server.url)))
    empty = form.opened()
    clicks = [form.click(empty, modal.GATEWAY, f"contoso/edge-{n}") for n in (1, 2)]
    for index in order:
        deploy_form.clicked(form.needs, clicks[index])
    view = form.slack.shown[-1]
    # Nothing is known of the second gateway, and where the first one runs must not stay for it.
    assert starts(view) == {"gateway": "contoso/edge-2"}
    assert inputs(view)[modal.PLACE]["block_id"] != modal.PLACE, "else Slack keeps what was in it"


def test_a_click_while_the_form_is_being_filled_in_is_drawn_with_it(
    monkeypatch: pytest.MonkeyPatch, server: Valkey
) -> None:
    form = Form(monkeypatch, summary("west/dev"), clicks=FormClicks(connect(server.url)))
    empty = form.opened()
    first = form.click(empty, modal.GATEWAY, "contoso/edge-1")
    second = form.click(empty, modal.FILE_OR_NOT, modal.SpecFile.GIVEN.value)
    while_it_looks(monkeypatch, lambda: form.needs.form_clicks.noted(second))
    deploy_form.clicked(form.needs, first)
    view = form.slack.shown[-1]
    assert modal.takes_file(view["blocks"])
    assert starts(view)["to"] == "west/dev"


def while_it_looks(monkeypatch: pytest.MonkeyPatch, *happens: Any) -> None:
    """What happens at each look at what runs, once."""
    look = iter(happens)
    found = SimpleNamespace(summaries=(summary("west/dev"),))

    def found_everywhere(caches: Any, wait: float) -> Any:
        next(look, lambda: None)()
        return found

    monkeypatch.setattr(deploy_form, "found_everywhere", found_everywhere)


def test_a_late_drawing_of_the_older_click_keeps_what_was_entered_before_the_newer_one(
    monkeypatch: pytest.MonkeyPatch, server: Valkey
) -> None:
    form = Form(monkeypatch, summary("west/dev"), clicks=FormClicks(connect(server.url)))
    empty = form.opened()
    first = form.click(empty, modal.GATEWAY, "contoso/edge-1")
    entered = {"deploy_gateway": "contoso/edge-1", "deploy_name": "blue"}
    second = form.click(empty, modal.FILE_OR_NOT, modal.SpecFile.GIVEN.value, **entered)
    while_it_looks(monkeypatch, lambda: deploy_form.clicked(form.needs, second))
    deploy_form.clicked(form.needs, first)
    view = form.slack.shown[-1]
    assert modal.takes_file(view["blocks"])
    assert starts(view)["name"] == "blue"


def test_a_late_drawing_does_not_replace_one_that_somebody_has_clicked_in(
    monkeypatch: pytest.MonkeyPatch, server: Valkey
) -> None:
    form = Form(monkeypatch, summary("west/dev"), clicks=FormClicks(connect(server.url)))
    empty = form.opened()
    first = form.click(empty, modal.GATEWAY, "contoso/edge-1")
    second = form.click(
        empty, modal.FILE_OR_NOT, modal.SpecFile.GIVEN.value, deploy_gateway="contoso/edge-1"
    )

    def meanwhile() -> None:
        deploy_form.clicked(form.needs, second)
        form.without_file(form.slack.shown[-1])

    while_it_looks(monkeypatch, meanwhile)
    deploy_form.clicked(form.needs, first)
    assert not modal.takes_file(form.slack.shown[-1]["blocks"])


def test_a_click_after_one_that_drew_nothing_replaces_only_what_it_was_made_on(
    monkeypatch: pytest.MonkeyPatch, server: Valkey
) -> None:
    form = Form(monkeypatch, clicks=FormClicks(connect(server.url)))
    empty = form.opened()
    deploy_form.clicked(form.needs, form.click(empty, modal.GATEWAY, "contoso/edge-9"))
    assert form.slack.shown == [empty], "nothing is known of that gateway"
    known: list[Any] = []
    shows = form.slack.views_update

    def noticed(*, hash: str | None, **more: Any) -> None:
        known.append(hash)
        shows(hash=hash, **more)

    monkeypatch.setattr(form.slack, "views_update", noticed)
    form.with_file(empty, deploy_gateway="contoso/edge-9")
    assert known == ["h1"]


def test_where_redis_is_away_a_form_is_filled_in_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(click: Click) -> Any:
        raise Unavailable("Redis cannot be used now.")

    form = Form(monkeypatch, summary("west/dev"), clicks=SimpleNamespace(noted=away, of=away))
    assert starts(form.chosen(form.opened(), "contoso/edge-1"))["to"] == "west/dev"
