"""What is counted has labels within bounds, whatever is said to the bot."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from slack_bolt import BoltRequest, BoltResponse

from bot.metrics.events import Events
from bot.metrics.gateways import left
from bot.metrics.heard import Heard
from deploy.waits import Service
from handlers.verbs.table import VERBS

DAY = 86_400.0


def heard(body: dict[str, str]) -> tuple[str, str]:
    """What one payload is counted as."""
    found: list[tuple[str, str]] = []
    listeners = SimpleNamespace(dispatch=lambda request: BoltResponse(status=200))
    of = Heard(listeners, VERBS, "/gateway", lambda kind, verb, seconds: found.append((kind, verb)))
    of.dispatch(BoltRequest(mode="socket_mode", body=body))
    return found[0]


@pytest.mark.parametrize(
    ("typed", "verb"),
    [
        ("status edge-1", "status"),
        ("/gateway STATUS edge-1", "status"),
        ("", "help"),
        ("ls", "list"),
        ("xoxb-1-2-3", "other"),
    ],
)
def test_a_command_is_counted_by_its_verb(typed: str, verb: str) -> None:
    assert heard({"command": "/gateway", "text": typed}) == ("command", verb)


def test_slack_is_answered_though_nothing_can_be_noted(caplog: pytest.LogCaptureFixture) -> None:
    def took(kind: str, verb: str, seconds: float) -> None:
        raise RuntimeError("no room for a figure")

    listeners = SimpleNamespace(dispatch=lambda request: BoltResponse(status=200))
    of = Heard(listeners, VERBS, "/gateway", took)
    request = BoltRequest(mode="socket_mode", body={"command": "/gateway", "text": "status"})
    assert of.dispatch(request).status == 200
    assert "no room for a figure" in caplog.text


@given(st.text(), st.text())
def test_whatever_is_typed_is_one_of_few_kinds_and_verbs(text: str, kind: str) -> None:
    verbs = {verb.name for verb in VERBS} | {"other"}
    assert heard({"command": "/gateway", "text": text})[1] in verbs
    assert heard({"type": kind})[0] in {"button", "form", "options", "event", "other"}


def test_errors_that_others_make_up_are_counted_under_a_bounded_number_of_names() -> None:
    registry = CollectorRegistry()
    events = Events(registry, ["deploy"])
    for number in range(1000):
        events.called(Service("slack", "chat.update"), 0.1, f"error_{number}")
    (family,) = (f for f in registry.collect() if f.name == "gateway_bot_call_errors")
    errors = {s.labels["error"] for s in family.samples}
    assert len(errors) <= 101
    assert sum(s.value for s in family.samples if s.name.endswith("_total")) == 1000


def test_only_the_end_of_an_action_is_counted_and_a_strange_kind_is_other() -> None:
    registry = CollectorRegistry()
    events = Events(registry, ["deploy"])
    for kind, event in [("deploy", "pending"), ("deploy", "failed"), ("strange", "succeeded")]:
        events.audited(kind, event)

    def ended(kind: str, end: str) -> float | None:
        return registry.get_sample_value(
            "gateway_bot_actions_ended_total", {"kind": kind, "end": end}
        )

    assert (ended("deploy", "failed"), ended("other", "succeeded")) == (1, 1)
    assert ended("deploy", "pending") is None


@pytest.mark.parametrize(
    ("days", "label"),
    [(-1, "expired"), (0.5, "1"), (2.5, "3"), (6, "7"), (29, "30"), (31, "longer")],
)
def test_a_token_is_counted_by_the_days_within_which_it_expires(days: float, label: str) -> None:
    assert left(1000 + days * DAY, "annotation", 1000) == label
