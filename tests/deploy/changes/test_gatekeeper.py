"""Rights as they are at this moment: settings and groups together."""

import dataclasses
import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.access import Freeze, Identities
from deploy.changes.gatekeeper import Gatekeeper
from deploy.errors import Unavailable
from tests.support.actions import REF
from tests.support.changes import DEVELOPMENT, PROD, PRODUCTION, Groups

NOW = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC)
FREEZE = Freeze("Year end", NOW, NOW + datetime.timedelta(days=1))


def keeper(groups: Groups, *freezes: Freeze) -> Gatekeeper:
    windows: Any = SimpleNamespace()
    environments = (dataclasses.replace(PRODUCTION, freezes=freezes), DEVELOPMENT)
    return Gatekeeper(
        environments, Identities({"U11": "ana", "U1": "ana"}), groups, windows, clock=lambda: NOW
    )


def test_while_nobody_says_who_is_an_approver_nobody_is_one() -> None:
    groups = Groups(S1=("U2",))
    gate = keeper(groups)
    assert gate.may_close(PROD, "U2").allowed
    groups.away = True
    with pytest.raises(Unavailable):
        gate.may_close(PROD, "U2")
    assert not gate.may_close(REF, "U2").allowed, "nothing there needs an approver"


def test_rights_are_told_with_their_reasons() -> None:
    production, development = keeper(Groups(S1=("U2",)), FREEZE).rights("U2", "C1")
    assert production.approve.allowed
    assert "<!subteam^S1>" in production.approve.why
    assert production.freeze == FREEZE
    assert development.request.allowed
    assert not development.approve.allowed


def test_two_identities_are_one_person() -> None:
    gate = keeper(Groups())
    assert gate.person("U1") == gate.person("U11") == "ana"
    assert gate.person("U2") == "U2"
