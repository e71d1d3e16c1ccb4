"""A run's hold of the gateway's Lease: taken before it writes, renewed while it works, let go of."""

import logging
import threading

from deploy.actions.action import WAIT, Action
from deploy.actions.claimed import ClaimedRun
from deploy.actions.fencing import Fence, FenceHeld, FenceLost, Fences, FenceTooLow
from deploy.errors import GatewayBotError
from deploy.gateway import GatewayRef
from deploy.log_context import carried
from deploy.retry import RunLost, patiently

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0


class Holds:
    """What the runs of one bot do with the Leases of their gateways."""

    def __init__(
        self,
        fences: Fences,
        owner: str,
        *,
        lease_seconds: float,
        renew_seconds: float,
        patience: float,
    ) -> None:
        """`patience` is for how many seconds a cluster that does not answer is asked."""
        self._fences = fences
        self._owner = owner
        self._lease = lease_seconds
        self._beat = renew_seconds
        self._patience = patience

    def seen(self, ref: GatewayRef) -> int:
        """The fence that a Redis which has lost its own must go above."""
        try:
            return self._fences.seen(ref)
        except GatewayBotError:
            # Taking the Lease meets the same trouble, with more patience, and reports it.
            return 0

    def take(self, action: Action, run: ClaimedRun, ended: threading.Event) -> None:
        """Hold the Lease, once whoever had it has let go, until the run has `ended`.

        Raises RunLost when the run is over first or needs a higher fence, and the cluster's errors.
        """
        run.hold = hold = self._wait(action, run, run.lost)
        threading.Thread(
            target=carried(self._keep),
            args=(action, run, hold, ended),
            name=f"Lease {action.id}",
            daemon=True,
        ).start()

    def outwait(self, action: Action, run: ClaimedRun, stopping: threading.Event) -> None:
        """Return when no other run of a stopped action can still have a write under way: those end
        before their hold does (`Fence.guard`).

        A cluster that does not answer is asked for longer than a hold lasts. Raises RunLost when
        the bot is `stopping`, or a higher fence is needed.
        """
        if run.hold is not None:
            return
        try:
            run.hold = self._wait(action, run, stopping)
        except GatewayBotError as error:
            log.info("the stopped action %s ends without the gateway's Lease: %s", action.id, error)

    def let_go(self, run: ClaimedRun) -> None:
        """So that another need not wait for it."""
        if run.hold is None:
            return
        try:
            run.hold.release()
        except GatewayBotError as error:
            log.warning("a Lease is left to expire: %s", error)

    def _wait(self, action: Action, run: ClaimedRun, over: threading.Event) -> Fence:
        waiting = False
        while True:
            try:
                return patiently(
                    lambda: self._fences.take(
                        action.ref, action.id, self._owner, run.fence, self._lease
                    ),
                    over,
                    self._patience,
                )
            except FenceTooLow:
                raise RunLost from None
            except FenceHeld as held:
                if run.stopped and held.action_id != action.id:
                    raise
                if not waiting and not run.stopped:
                    run.step(WAIT, f"Waiting for the bot {held.holder} to release the gateway")
                    waiting = True
                if over.wait(min(held.seconds, _LOOK_SECONDS)):
                    raise RunLost from None

    def _keep(self, action: Action, run: ClaimedRun, hold: Fence, ended: threading.Event) -> None:
        while not ended.wait(self._beat):
            try:
                hold.renew()
            except GatewayBotError as error:
                # The cluster is away. Nothing is written before it has been asked again.
                log.info("the Lease of action %s is not renewed: %s", action.id, error)
            except FenceLost:
                if not ended.is_set():
                    log.warning("the Lease of action %s is lost", action.id)
                    run.lost.set()
                return
