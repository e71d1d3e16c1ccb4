"""Asking again: what does not answer, and what was granted a moment ago."""

import threading
from collections.abc import Callable

import pytest

from deploy.errors import GatewayBotError, NotGranted, Refused, Unavailable
from deploy.retry import patiently


def failing(times: int, error: GatewayBotError) -> Callable[[], str]:
    """A call that fails so many times."""
    left = [error] * times

    def call() -> str:
        if left:
            raise left.pop()
        return "done"

    return call


@pytest.mark.parametrize("error", [Unavailable("Away."), NotGranted("May not.")])
def test_what_passes_is_asked_again(error: GatewayBotError) -> None:
    assert patiently(failing(2, error), threading.Event(), 60, refused=60) == "done"


@pytest.mark.parametrize("error", [NotGranted("May not."), Refused("A policy says no.")])
def test_a_refusal_of_what_was_never_granted_is_final(error: GatewayBotError) -> None:
    with pytest.raises(Refused):
        patiently(failing(1, error), threading.Event(), 5)


def test_a_policy_that_refuses_is_believed_at_once() -> None:
    with pytest.raises(Refused):
        patiently(failing(1, Refused("A policy says no.")), threading.Event(), 5, refused=5)
