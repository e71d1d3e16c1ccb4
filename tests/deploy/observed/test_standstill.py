"""When a rollout that is held up is no longer waited for: by its cause, and by what else still moves."""

import dataclasses
from collections.abc import Sequence

import pytest

from deploy.observed.causes import Cause
from deploy.observed.pods import PodProgress
from deploy.observed.progress import Progress
from deploy.observed.standstill import (
    AT_ONCE,
    RESTARTED,
    SOON,
    Standstill,
    patience_with,
    standstill,
)

COMING = PodProgress("new", "ContainerCreating", ready=False)
PULLING = dataclasses.replace(COMING, trouble="ErrImagePull: x", reason="ErrImagePull")
SECRETLESS = dataclasses.replace(
    COMING, trouble='secret "t" not found', reason="CreateContainerConfigError"
)
GOING = PodProgress("old", "Terminating", ready=False, updated=False)


def held_up(*causes: Cause, pods: Sequence[PodProgress] = ()) -> Progress:
    words = tuple(map(str, causes))
    return Progress(2, 0, 0, 2, 2, False, False, 2, tuple(pods), words, causes)


def followed(*looks: tuple[float, Progress]) -> Standstill | None:
    found = None
    for at, progress in looks:
        found = standstill(progress, found, at)
    return found


def final_at(found: Standstill | None) -> float:
    """The first whole second at which it is given up."""
    assert found is not None
    return next(second for second in range(10_000) if found.is_final(second))


@pytest.mark.parametrize(
    ("cause", "waits"),
    [
        (Cause.POLICY, AT_ONCE),
        (Cause.POD_SECURITY, AT_ONCE),
        (Cause.LIMIT_RANGE, AT_ONCE),
        (Cause.WEBHOOK, AT_ONCE),
        (Cause.QUOTA, SOON),
        (Cause.WEBHOOK_DOWN, RESTARTED),
        (Cause.MISSING_OBJECT, SOON),
        (Cause.MISSING_KEY, SOON),
        (Cause.PULL, None),
        (Cause.IMAGE, None),
        (Cause.RESOURCES, None),
        (Cause.SCHEDULING, None),
        (Cause.CRASH, None),
        (Cause.OTHER, None),
    ],
)
def test_a_cause_that_waiting_does_not_heal_is_given_up_soon_and_others_never(
    cause: Cause, waits: float | None
) -> None:
    assert patience_with(cause) == waits
    found = followed((0.0, held_up(cause)))
    if waits is None:
        assert found is None
    else:
        assert final_at(found) == waits


def test_a_cause_that_went_away_is_forgotten() -> None:
    assert followed((0.0, held_up(Cause.QUOTA)), (40.0, held_up())) is None
    again = followed((0.0, held_up(Cause.QUOTA)), (40.0, held_up()), (50.0, held_up(Cause.QUOTA)))
    assert final_at(again) == 50 + SOON


def test_what_is_not_seen_is_not_given_up() -> None:
    unseen = dataclasses.replace(held_up(Cause.POLICY), stale_since=1.0)
    assert followed((0.0, held_up(Cause.POLICY)), (3.0, unseen)) is None


@pytest.mark.parametrize("pod", [COMING, PULLING, GOING])
def test_while_a_pod_comes_or_goes_it_is_waited_for_and_then_as_long_again(
    pod: PodProgress,
) -> None:
    moving = held_up(Cause.QUOTA, pods=[pod])
    found = followed((0.0, moving))
    assert found is not None
    assert not found.is_final(10_000)
    still = followed((0.0, moving), (100.0, held_up(Cause.QUOTA)))
    assert final_at(still) == 200


def test_a_ready_pod_that_has_yet_to_count_as_available_is_waited_for() -> None:
    """With minReadySeconds nothing else moves meanwhile, and old pods make room only after that."""
    ready = dataclasses.replace(COMING, state="Running", ready=True)
    old = dataclasses.replace(ready, name="old", updated=False)
    waiting = Progress(2, 1, 1, 1, 1, False, False, 1, (ready, old), ("q",), (Cause.QUOTA,))
    found = followed((0.0, waiting))
    assert found is not None
    assert not found.is_final(10_000)
    counted = dataclasses.replace(waiting, available=2)
    assert final_at(followed((0.0, waiting), (60.0, counted))) == 120


def test_a_pod_that_its_own_cause_keeps_back_is_not_about_to_come() -> None:
    assert final_at(followed((0.0, held_up(Cause.MISSING_OBJECT, pods=[SECRETLESS])))) == SOON


def test_of_two_causes_the_shorter_patience_counts() -> None:
    assert final_at(followed((0.0, held_up(Cause.QUOTA, Cause.POLICY)))) == AT_ONCE


def test_a_longer_wait_can_be_asked_for() -> None:
    found = followed((0.0, held_up(Cause.POLICY)))
    assert found is not None
    assert not found.is_final(SOON - 1, SOON)
    assert found.is_final(SOON, SOON)
