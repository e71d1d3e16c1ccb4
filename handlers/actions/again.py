"""Planning once more what an action was about: after it was superseded, or when somebody asks."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from deploy.actions.executor import Executor, Run
from deploy.actions.record import AUTOMATIC, Action, Outcome, State
from deploy.gateway import GatewayRef
from deploy.rollouts import regeneration
from deploy.specs.spec import spec_from_mapping
from deploy.tokens import rotation
from handlers.actions.proposal import propose
from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs import delete, regenerate_key, revise, rotate
from handlers.verbs.verb import Verb
from handlers.views.reply import Reply

_DELETE = "delete"


def request_for(action: Action, request_id: str) -> Request:
    """The request that plans the same again; one id makes one plan."""
    asked = action.request
    return Request(
        id=f"again:{request_id}",
        verb=VERB.name,
        user=action.requester,
        channel=str(action.origin.get("channel", "")),
        gateway=str(action.ref),
        options={
            "kind": action.kind,
            "verb": asked.get("verb", action.kind),
            "spec": json.dumps(asked.get("spec", {})),
            "take-over": bool(asked.get("take_over")),
            "with-volumes": _with_volumes(action),
            "rotation": json.dumps(asked.get("rotation")),
            "key": asked.get("key", ""),
            "reason": asked.get("reason", ""),
            "break-glass": action.policy.break_glass,
        },
    )


def run(services: Services, request: Request) -> Reply | None:
    """Plan it anew and show the plan, which is decided on as if it had never been asked before."""
    options = dict(request.options)
    if options["kind"] == _DELETE:
        return delete.run(services, dataclasses.replace(request, verb=_DELETE))
    if options["kind"] == regeneration.KIND:
        return regenerate_key.run(services, dataclasses.replace(request, verb=regeneration.KIND))
    if options["kind"] == rotation.KIND:
        return rotate.propose_rotation(
            services,
            dataclasses.replace(request, verb=rotation.KIND),
            GatewayRef.parse(request.gateway),
            rotation.rotation_from_mapping(json.loads(options["rotation"])),
        )
    verb, spec = str(options["verb"]), spec_from_mapping(json.loads(options["spec"]))
    again = dataclasses.replace(request, verb=verb)
    if verb == revise.RESTART.name:
        return revise.restart(services, again)
    if verb == revise.SCALE.name:
        # What was asked for is the number, not the rest of the gateway as it was then.
        options["replicas"] = spec.replicas
        return revise.scale(services, dataclasses.replace(again, options=options))
    return propose(services, again, spec, take_over=bool(options["take-over"]))


class Reproposing:
    """An executor that has a fresh plan shown where the one decided on no longer holds."""

    def __init__(self, inner: Executor, accept: Callable[[Request], None]) -> None:
        self._inner = inner
        self._accept = accept

    def execute(self, action: Action, run: Run) -> Outcome:
        """As the inner one; the request for the fresh plan is safe before the end is recorded.

        What was begun without anybody asking is planned anew by what began it.
        """
        outcome = self._inner.execute(action, run)
        if outcome.state is State.SUPERSEDED and not action.request.get(AUTOMATIC):
            self._accept(request_for(action, action.id))
        return outcome


def _with_volumes(action: Action) -> bool:
    changes: Any = action.plan.get("changes") or ()
    return any(change["kind"] == "PersistentVolumeClaim" for change in changes)


VERB = Verb("again", "plans the same once more", run)
"""Not in the table of verbs: only the bot asks for it."""
