"""A rollout that is stuck is called so soon after the cause appears, whatever else happens meanwhile."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deploy.observed.causes import Cause
from deploy.observed.pods import PodProgress
from deploy.observed.progress import Progress
from deploy.rollouts.telling import QUIET, Telling

SHOWN_WITHIN = 20.0
"""Seconds after which the message must show it."""
_POSTED = 3.0
"""So long after it is recorded the message is updated: what is new within two seconds is shown together,
and what is owed is looked for each second."""
_ASKING = 2.0
"""A question to the cluster takes no longer."""
_LOOK = 0.25
WAITING = Progress(2, 2, 0, 0, 0, False, False)


class Followed:
    """A rollout followed by a clock of its own."""

    def __init__(self, *, asking: float = 0.0) -> None:
        self.now = 1000.0
        self.told: Mapping[str, Cause] = {}
        self.stuck_at: float | None = None
        self._asking = asking
        run: Any = self
        self.telling = Telling(run, 600.0, self._warned, clock=lambda: self.now)

    def progress(self, told: Mapping[str, Any]) -> None:
        """What the run records."""
        if told["stuck"] is not None and self.stuck_at is None:
            self.stuck_at = self.now

    def _warned(self, progress: Progress) -> Mapping[str, Cause]:
        self.now += self._asking
        return self.told

    def see(self, number: int, **changes: Any) -> None:
        """The pods have changed in some way that does not matter here."""
        pods = (PodProgress(f"edge-1-{number}", "Pending", ready=False),)
        self.telling.see(dataclasses.replace(WAITING, pods=pods, **changes))

    def until(self, moment: float, noise: float = 0.0) -> None:
        """Follow it until then, with a change each `noise` seconds."""
        seen, number = self.now, 0
        while self.now < moment:
            self.now += _LOOK
            self.telling.look()
            if noise and self.now - seen >= noise:
                seen, number = self.now, number + 1
                self.see(number)


@given(
    begins=st.floats(0.0, 30.0),
    noise=st.sampled_from([0.0, 0.3, 1.0, 3.0, 7.0]),
    asking=st.floats(0.0, _ASKING),
)
@example(begins=0.0, noise=0.3, asking=1.6875)
def test_a_cause_that_an_event_tells_is_shown_in_time(
    begins: float, noise: float, asking: float
) -> None:
    followed = Followed(asking=asking)
    followed.see(0)
    followed.until(1000.0 + begins, noise)
    appeared = followed.now
    followed.told = {"FailedAttachVolume: elsewhere": Cause.ATTACHED}
    followed.until(appeared + SHOWN_WITHIN + QUIET, noise)
    assert followed.stuck_at is not None
    assert followed.stuck_at - appeared <= SHOWN_WITHIN - _POSTED


@given(outage=st.floats(0.0, 60.0))
def test_a_cause_of_the_pods_is_shown_in_time_once_the_cluster_can_be_seen_again(
    outage: float,
) -> None:
    followed = Followed()
    followed.see(0)
    followed.until(1001.0)
    followed.see(1, stale_since=1001.0)
    followed.until(1001.0 + outage)
    assert followed.stuck_at is None
    back = followed.now
    followed.see(2, trouble=("ImagePullBackOff: so",), causes=(Cause.PULL,))
    followed.until(back + SHOWN_WITHIN)
    assert followed.stuck_at is not None
    assert followed.stuck_at - back <= SHOWN_WITHIN - _POSTED


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_a_cause_that_is_gone_at_the_next_question_is_not_shown(noise: float) -> None:
    followed = Followed()
    followed.see(0)
    followed.told = {"FailedAttachVolume: elsewhere": Cause.ATTACHED}
    followed.until(1000.0 + QUIET + 1.0, noise)
    followed.told = {}
    followed.until(1060.0, noise)
    assert followed.stuck_at is None
