"""What a warning of a token offers, by what this bot can do about it."""

import dataclasses
import json

import pytest

from deploy.expiry.thresholds import DEFAULT
from deploy.expiry.tracked import ExpiryFacts, Source, Tracked
from deploy.gateway import GatewayRef
from handlers.views import expiry as view
from handlers.views import renewals
from handlers.views.text import date
from tests.support.shown import check_blocks

NOW, DAY = 1_800_000_000.0, 86_400.0
REF = GatewayRef("west", "dev", "edge-1")


def tracked(
    kind: str, *, source: Source = "token", secret: str = "edge-1-token", refused: bool = False
) -> Tracked:
    """A gateway whose token has two days, in a workload of that kind."""
    facts = ExpiryFacts(
        REF, "edge", "development", NOW + 2 * DAY, source, DEFAULT, ("C0ALERTS",),
        why="Azure refuses its token." if refused else "",
        refused_since=NOW - 60 if refused else None, kind=kind, secret=secret,
    )  # fmt: skip
    return Tracked(facts, NOW, 1, 1, DAY, "", None, "", "", (), ())


def warning(of: Tracked) -> str:
    _, blocks = view.message(of)
    check_blocks(blocks)
    return json.dumps(blocks)


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("StatefulSet", "kubectl -n dev rollout restart statefulset/edge-1"),
        ("DaemonSet", "kubectl -n dev rollout restart daemonset/edge-1"),
        ("Rollout", "restart its pods"),
    ],
)
def test_a_token_that_this_bot_cannot_rotate_is_warned_of_with_what_renews_it(
    kind: str, command: str
) -> None:
    said = warning(tracked(kind))
    assert renewals.ROTATE not in said
    assert f"It runs in a {kind}, which this bot does not change." in said
    assert "gateway edge in the Azure portal, put it into Secret edge-1-token" in said
    assert command in said
    _, listed = view.listing([tracked(kind, refused=True)], NOW)
    assert "/gateway rotate" not in json.dumps(listed)
    assert command in json.dumps(listed)


def test_where_the_token_is_may_be_unknown() -> None:
    assert "put it where its pods read it" in warning(tracked("StatefulSet", secret=""))


def test_a_token_in_a_deployment_is_warned_of_with_a_button() -> None:
    said = warning(tracked("Deployment"))
    assert renewals.ROTATE in said
    assert "does not change" not in said
    said = warning(tracked("Deployment", source="credential"))
    assert renewals.ROTATE not in said
    assert "does not change" not in said


@pytest.mark.parametrize(("left", "said"), [(2 * DAY, "expires"), (-60, "expired")])
def test_a_warning_begins_with_whose_token_it_is_where_and_when_it_expires(
    left: float, said: str
) -> None:
    found = tracked("Deployment")
    found = dataclasses.replace(
        found, facts=dataclasses.replace(found.facts, expires_at=NOW + left)
    )
    _, blocks = view.message(found, production=True)
    first = blocks[0]["text"]["text"].splitlines()[0]
    title = "The token of 🔶 edge-1 on west/dev (development, production)"
    assert f"*{title} {said} {date(NOW + left)}*" in first
    labels = [each["text"]["text"] for each in blocks[-1]["elements"]]
    assert labels == ["Renew token…", "Snooze…", "Status"]
