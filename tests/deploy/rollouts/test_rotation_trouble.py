"""What goes wrong in a rotation: each ends in a true message, and the retry works."""

import itertools
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import requests

import deploy.kube.cluster
import deploy.kube.server_clock
from deploy.actions.action import State
from deploy.azure import ArmClient
from deploy.kube.cluster import connect
from deploy.retry import RunLost
from deploy.rollouts.applying import Applier
from deploy.rollouts.minting import Minter
from deploy.rollouts.rotator import Rotator
from deploy.rollouts.verification import Observing
from deploy.tokens.token import Token
from tests.support.azure import OWNER, READER
from tests.support.custody import LocalCustody
from tests.support.gateway_bed import TIMEOUTS, RecordingRun
from tests.support.rotation_bed import MARGIN, RotationBed, rotation_bed, spec_of

QUICK = Observing(quiet=0.3, patience=2.5, look=0.1)


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RotationBed]:
    with rotation_bed(tmp_path_factory.mktemp("trouble"), spec_of(replicas=1)) as ready:
        ready.arm = arm(ready, OWNER)
        ready.rotator = rotator(ready, ready.arm)
        yield ready


def arm(bed: RotationBed, client: str, answer_seconds: float = 30.0) -> ArmClient:
    """A client for which no time passes while it waits."""
    waited = itertools.count(0, 4)
    session = requests.Session()
    session.trust_env = False
    session.verify = str(bed.azure.authority.ca_pem_path)
    return ArmClient(
        session,
        bed.azure.credential(client),
        endpoint=bed.azure.azure.url,
        timeout=(10.0, answer_seconds),
        clock=lambda: float(next(waited)),
        sleep=lambda seconds: None,
    )


def rotator(bed: RotationBed, tokens: Any) -> Rotator:
    applier = Applier({"west": bed.cluster}, Minter(tokens, bed.instances, LocalCustody()))
    return bed.rotating(applier, observing=QUICK, patience=0.3, margin=MARGIN)


def test_rights_that_are_missing_in_azure_are_named(bed: RotationBed) -> None:
    before = bed.in_use(), bed.secrets()
    outcome = rotator(bed, arm(bed, READER)).execute(bed.decided(), RecordingRun())
    assert outcome.state is State.FAILED
    assert "generateToken/action" in outcome.meaning
    assert "Nothing was changed." in outcome.meaning
    assert (bed.in_use(), bed.secrets()) == before


@pytest.mark.parametrize(
    ("fault", "value", "said"),
    [
        ("arm_status", "401", "Azure rejected the bot's sign-in"),
        ("arm_status", "403", "not allowed to do this with the gateway edge-1"),
        ("arm_status", "404", "Azure does not have the gateway edge-1"),
        ("arm_status", "409", "Azure is currently changing the gateway edge-1"),
        ("arm_status", "429", "Azure is throttling the bot's requests"),
        ("arm_status", "500", "Azure Resource Manager answered 500"),
        ("arm_status", "503", "Azure Resource Manager answered 503"),
        ("arm_slow_ms", 4000.0, "Azure Resource Manager did not answer in time"),
        ("arm_garbage", True, "Azure sent an unreadable answer"),
        ("entra_down", True, "The bot cannot sign in to Azure"),
    ],
)
def test_trouble_in_azure_changes_nothing_and_the_next_try_works(
    bed: RotationBed, fault: str, value: Any, said: str
) -> None:
    before = bed.in_use(), bed.secrets()
    faults = bed.azure.azure.faults
    good = faults.get(fault)
    action = bed.decided()
    faults.set("retry_after_seconds", 120)
    faults.set(fault, value)
    # A client that is not signed in yet, for the one in use may have a bearer token for an hour.
    tokens = arm(bed, OWNER, 2.0) if fault == "arm_slow_ms" else arm(bed, OWNER)
    outcome = rotator(bed, tokens).execute(action, RecordingRun())
    faults.set(fault, good)
    assert outcome.state is State.FAILED
    assert said in outcome.happened
    assert "Nothing was changed." in outcome.meaning
    assert outcome.remedy
    assert (bed.in_use(), bed.secrets()) == before
    again = bed.rotator.execute(bed.decided(), RecordingRun())
    assert again.state is State.SUCCEEDED, again


@pytest.mark.parametrize("hours", [-1, 1], ids=["behind", "ahead"])
def test_a_refusal_is_seen_by_a_bot_whose_clock_is_wrong_by_an_hour(
    bed: RotationBed, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bed.in_use()
    wrong = SimpleNamespace(
        time=lambda: time.time() + 3600 * hours, monotonic=time.monotonic, sleep=time.sleep
    )
    for module in (deploy.kube.cluster, deploy.kube.server_clock):
        monkeypatch.setattr(module, "time", wrong)
    cluster = connect("west", kubeconfig=bed.kubeconfig, timeouts=TIMEOUTS)
    action = bed.decided()
    bed.mint_elsewhere()
    applier = Applier({"west": cluster}, Minter(bed.arm, bed.instances, LocalCustody()))
    outcome = bed.rotating(applier, observing=QUICK, patience=0.3, margin=MARGIN).execute(
        action, RecordingRun()
    )
    bed.mint_right()
    cluster.close()
    assert outcome.state is State.FAILED
    assert "Azure refuses the new token" in outcome.happened
    assert bed.in_use() == before


def test_a_wait_that_azure_asks_for_is_told(bed: RotationBed) -> None:
    action = bed.decided()
    bed.azure.azure.faults.set("retry_after_seconds", 120)
    bed.azure.azure.faults.set("arm_status", "429")
    outcome = bed.rotator.execute(action, RecordingRun())
    bed.azure.azure.faults.set("arm_status", "none")
    assert outcome.remedy == "Try again in 120 s."


class Interrupted:
    """Mints, and then what is given happens before the Secret can be written."""

    def __init__(self, tokens: ArmClient, then: Any) -> None:
        self._tokens, self._then = tokens, then
        self.time = tokens.time
        self.minted: list[Token] = []

    def generate_token(self, *asked: Any) -> Token:
        token = self._tokens.generate_token(*asked)
        self.minted.append(token)
        self._then()
        return token


def test_a_token_that_was_minted_and_not_written_is_minted_again(bed: RotationBed) -> None:
    before = bed.in_use(), bed.secrets()
    assert bed.sandbox is not None
    sandbox = bed.sandbox

    def away(value: bool) -> None:
        sandbox.call(lambda: sandbox.cluster.faults.set("api_down", value))

    action = bed.decided()
    tokens = Interrupted(bed.arm, lambda: away(True))
    outcome = rotator(bed, tokens).execute(action, RecordingRun())
    away(False)
    assert outcome.state is State.FAILED
    assert "Cluster “west” does not answer" in outcome.happened
    assert "No pod was changed" in outcome.meaning
    assert "may have been created" in outcome.meaning
    assert len(tokens.minted) == 1
    assert (bed.in_use(), bed.secrets()) == before
    assert bed.rotator.execute(action, RecordingRun()).state is State.SUCCEEDED


def test_a_bot_that_dies_after_writing_the_secret_is_followed_by_one_that_uses_it(
    bed: RotationBed,
) -> None:
    class Dies(RecordingRun):
        """The bot's last write is its first: the Secret, for which it asked Azure before."""

        guards = 0

        def guard(self) -> None:
            """Allow both, and nothing after them."""
            super().guard()
            self.guards += 1
            if self.guards == 2:
                self.lost.set()

    action = bed.decided()
    with pytest.raises(RunLost):
        bed.rotator.execute(action, Dies())
    written = action.plan.token.secret
    assert written is not None
    assert written in bed.secrets()
    kept = bed.token(written)
    assert bed.rotator.execute(action, RecordingRun()).state is State.SUCCEEDED
    assert (bed.in_use().name, bed.token(written)) == (written, kept)


def test_a_cluster_that_is_gone_while_the_token_is_verified_leaves_it_unknown(
    bed: RotationBed,
) -> None:
    assert bed.sandbox is not None
    sandbox = bed.sandbox
    before = bed.in_use()

    class Gone(RecordingRun):
        """The cluster goes as soon as the rollout is over."""

        def step(self, name: str, detail: str = "") -> None:
            """Record a step."""
            super().step(name, detail)
            if name == "verify":
                sandbox.call(lambda: sandbox.cluster.faults.set("api_down", True))

    outcome = bed.rotator.execute(bed.decided(), Gone())
    sandbox.call(lambda: sandbox.cluster.faults.set("api_down", False))
    assert outcome.state is State.UNKNOWN
    assert "no evidence that Azure accepts it" in outcome.happened
    assert "Cluster “west” does not answer" in outcome.meaning
    assert before.name in bed.secrets(), "nothing is deleted before it is known"
    assert bed.rotator.execute(bed.decided(), RecordingRun()).state is State.SUCCEEDED


def test_logs_that_may_not_be_read_leave_it_unknown(bed: RotationBed) -> None:
    assert bed.sandbox is not None
    sandbox = bed.sandbox
    before = bed.in_use()
    sandbox.call(lambda: sandbox.cluster.faults.set("deny_logs", True))
    outcome = bed.rotator.execute(bed.decided(), RecordingRun())
    sandbox.call(lambda: sandbox.cluster.faults.set("deny_logs", False))
    assert outcome.state is State.UNKNOWN
    assert "its log cannot be read" in outcome.meaning
    assert before.name in bed.secrets()
    assert bed.in_use().name != before.name, "nothing is taken back on a guess"


def test_a_link_that_is_lost_is_not_the_tokens_fault(bed: RotationBed) -> None:
    bed.nodes("link_lost", False)
    before = bed.in_use()

    class Lost(RecordingRun):
        """The nodes lose their link as soon as the rollout is over."""

        def step(self, name: str, detail: str = "") -> None:
            """Record a step."""
            super().step(name, detail)
            if name == "verify":
                bed.nodes("link_lost", True)

    # Its next poll may be a while in coming, and what is not seen for so long counts as accepted.
    slow = Observing(quiet=60.0, patience=6.0, look=0.1)
    applier = Applier({"west": bed.cluster}, Minter(bed.arm, bed.instances, LocalCustody()))
    outcome = bed.rotating(applier, observing=slow, patience=0.3, margin=MARGIN).execute(
        bed.decided(), Lost()
    )
    bed.nodes("link_lost", False)
    assert outcome.state is State.UNKNOWN
    assert "Azure cannot be reached" in outcome.meaning
    assert before.name in bed.secrets()


def test_a_gateway_that_was_deleted_since_is_said_to_run_no_more(bed: RotationBed) -> None:
    decided, before = bed.decided(), bed.secrets()
    bed.cluster.delete("Deployment", bed.ref.namespace, bed.ref.name)
    outcome = bed.rotator.execute(decided, RecordingRun())
    assert outcome.state is State.FAILED
    assert outcome.happened == "There is no Deployment “edge-1” in west/dev."
    assert "Nothing was changed." in outcome.meaning
    assert bed.secrets() == before
