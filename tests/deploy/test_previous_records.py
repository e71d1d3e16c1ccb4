"""What the previous version's bot left in Redis, in every state there is, is read by today's code.

`tests/data/records/previous.json` is all that a Redis held at that moment of tests/faults/
test_upgrade.py, which also writes it: `WRITE_RECORDS=1`, after tests/data/previous-version was moved.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.action import State
from deploy.actions.audit import AuditLog
from deploy.actions.batches import Batches
from deploy.actions.connection import connect
from deploy.actions.inbox import Inbox
from deploy.actions.records import BATCHES
from deploy.actions.store import ActionStore
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef, GatewayResource
from deploy.governance.admitted import AdmittedTokens, TokenInUse
from deploy.governance.placements import PlacementRecord
from deploy.health.incident_store import IncidentStore
from handlers.messages.store import MessageStore
from handlers.slack.connections import ConnectionCount
from tests.support.actions import CODEC
from tests.support.records import recorded, restore
from tests.support.redis_servers import started
from tests.support.windows import windows_of

How = Literal["own version", "its owner's version", "an index", "a number", "a lease"]
KEYS: Mapping[str, How] = {
    r"{a:\w+}:act": "own version",
    r"{a:\w+}:(log|req|steps|votes)": "its owner's version",
    r"{admitted:.*}": "own version",
    r"{audit}:(filed|head|seen:.*)": "a number",
    r"{audit}:log": "own version",
    r"{audit}:of:.*": "an index",
    r"{b:\w+}": "own version",
    r"{g:.*}": "a lease",
    r"{i:.*}": "its owner's version",
    r"{lease:.*}": "a lease",
    r"{messages}:budget:.*": "a number",
    r"{messages}:generation": "a number",
    r"{messages}:record:.*": "own version",
    r"{messages}:(owed|searched)": "an index",
    r"{placements}:.*": "own version",
    r"{slack}:connections": "own version",
    r"{w:\w+}": "own version",
    r"{w:[^}]*/[^}]*}:gw": "own version",
    r"{w:.*}:log": "its owner's version",
    r"{watch:.*}(:.*@\d+)?": "own version",
    r"{watch:\w+}:channels": "an index",
    r"{(batches|due|inbox|looks|unaudited|windows)}(:open)?": "an index",
    r"{(recent|named):.*}": "an index",
    r"{warnings}:(due|episodes|known)": "an index",
    r"{azure}:known": "an index",
    r"waited": "a number",
}
"""Every key there is, and what carries the version by which a bot knows whether it can read it. An
index has nothing but names and times, a number and a lease nothing that ever had another form."""

WEST = {name: GatewayRef("west", "dev", name) for name in ("edge-1", "edge-2", "run-1", "legacy-9")}
STORE = GatewayRef("west", "prod", "store-7")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def redis(server: Valkey) -> Any:
    client = connect(server.url)
    restore(client, "previous")
    return client


def named(pattern: str) -> dict[str, Any]:
    """The recorded values whose keys are of that pattern, by what stands for its group."""
    found = {}
    for key, value in recorded("previous").items():
        if match := re.fullmatch(f"gateway-bot:{pattern}", key):
            found[match[1]] = value["value"]
    return found


def test_every_record_carries_a_version_or_has_no_form_that_could_change() -> None:
    for key, kept in recorded("previous").items():
        short = key.removeprefix("gateway-bot:")
        (how,) = {how for pattern, how in KEYS.items() if re.fullmatch(pattern, short)}
        versioned = re.search(r'"(version|format)\\*": ?\\*"?\d', json.dumps(kept["value"]))
        assert versioned or how != "own version", f"{key} may be of another form some day"


def test_actions_in_every_state_are_read(redis: Any) -> None:
    store = ActionStore(redis, CODEC)
    states: dict[str, State] = {}
    for name in named(r"{a:(\w+)}:act"):
        action, events = store.told(name)
        assert action is not None
        assert action.plan.digest == action.digest
        assert events
        states[name] = action.state
    assert set(states.values()) == {
        State.PENDING,
        State.APPROVED,
        State.RUNNING,
        State.SUCCEEDED,
    }
    listing = store.listing()
    assert {each.id for each in listing.actions} >= {
        name for name, state in states.items() if state is not State.SUCCEEDED
    }
    assert listing.unreadable == ()
    assert {each.id for each in store.recent(STORE)} == {
        name for name, fields in named(r"{a:(\w+)}:act").items() if "store-7" in fields["body"]
    }


def test_a_batch_is_read_with_its_members(redis: Any) -> None:
    ((name, _),) = named(r"{b:(\w+)}").items()
    batch = Batches(redis).get(name)
    assert batch is not None
    assert len(batch.members) == 4
    assert [each.name for each in batch.unplanned] == [str(WEST["legacy-9"])]
    assert batch.planned
    assert MessageStore(redis, "one").known(BATCHES, name).place is not None


def test_a_window_is_read(redis: Any) -> None:
    ((name, fields),) = named(r"{w:(\w+)}").items()
    window = windows_of(redis).at(f"{name}-{fields['number']}")
    assert window is not None
    assert (window.ref, window.requester, window.by) == (STORE, "U0ANA", "U0BEN")
    assert window.reason == "troubleshooting"


def test_tokens_and_their_warnings_are_read(redis: Any) -> None:
    tracker = Tracker(redis, "one")
    register = tracker.register()
    assert {each.ref for each in register.tracked} == {*WEST.values(), STORE}
    assert register.unreadable == ()
    warned = tracker.find(WEST["legacy-9"])
    assert warned is not None
    assert [entry.event for entry in warned.entries] == ["warning"]
    assert warned.places() == ("C0GWALERTS",)


def test_incidents_are_read(redis: Any) -> None:
    store = IncidentStore(redis, "one")
    assert store.channels("west") == {"C0GWALERTS"}
    (incidents,) = store.watched(["west"]).values()
    assert incidents
    for incident in named(r"{watch:west:C0GWALERTS}:(.*@\d+)"):
        assert store.find("west:C0GWALERTS", incident) is not None


def test_messages_and_what_is_owed_are_read(redis: Any) -> None:
    store = MessageStore(redis, "one")
    for name in named(r"{messages}:record:([^#]*)#?"):
        family, _, key = name.partition(":")
        assert store.known(family, key).place is not None, name
    owed = named(r"{messages}:(owed)")["owed"]
    assert owed
    for name in owed:
        family, _, key = name.partition(":")
        assert store.take(family, key) is not None


def test_answered_requests_are_known_and_what_was_left_is_taken_up(redis: Any) -> None:
    inbox = Inbox(redis)
    requests = named(r"{i:(.*)}")
    assert requests
    for key, fields in requests.items():
        assert inbox.knows(key)
        assert inbox.accept(key, {}) == "known"
        assert (inbox.claim(key, "one", 1) is None) == ("answer" in fields)


def test_the_audit_trail_is_whole_and_goes_on(redis: Any) -> None:
    trail = AuditLog(redis)
    count, wrong = trail.verify()
    assert wrong == []
    assert len(trail.read(limit=count)) == count
    of_store = trail.of(str(STORE))
    assert of_store
    assert {str(entry.ref) for entry in of_store} == {str(STORE)}
    trail.append("running", "one", "", ref=STORE, subject="X", kind="scale", version=3, at=1.0)
    assert trail.verify() == (count + 1, [])


def test_where_tokens_were_decided_on_and_gateways_seen_is_read(
    redis: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for text in named(r"{admitted:(.*)}").values():
        value = json.loads(text)
        resource = GatewayResource(*value["resource"].rsplit("/gateways/", 1))
        ref = GatewayRef(*value["ref"].split("/"))
        token = TokenInUse(ref, value["cluster_uid"], value["secret"], value["secret_uid"])
        assert AdmittedTokens(redis).decided_by(token, resource) == set(value["decided_by"])
        # Where they were seen counts for 30 days; what cannot be read is reported.
        PlacementRecord(redis).read(resource)
    assert caplog.records == []


def test_connections_of_a_bot_are_counted(redis: Any) -> None:
    assert ConnectionCount(redis, "one").report(2) is not None
