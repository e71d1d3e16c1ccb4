"""Regenerating a gateway's key: which tokens die of it, whether a pod still holds one, and doing it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from deploy.actions.action import LOOK, Action, Outcome, State
from deploy.actions.executor import Outgrown, Run
from deploy.azure import ApimInstance, resource_of
from deploy.errors import Conflict, GatewayBotError, NotFound, Refused, Unavailable
from deploy.gateway import GatewayRef
from deploy.governance.custody import Custody
from deploy.kube.cluster import Cluster
from deploy.observed.installed import installed
from deploy.plans.binding import build_plan
from deploy.plans.plan import FieldChange, ObjectChange, Plan
from deploy.plans.requests import KeyRequest
from deploy.retry import PATIENCE
from deploy.rollouts.survey import Holding, Survey, TokenHolder, Unread
from deploy.rollouts.verdicts import superseded
from deploy.rollouts.work import Work
from deploy.rules.finding import Finding
from deploy.specs.gateway_spec import GatewaySpec
from deploy.times import minute
from deploy.tokens.token import KeyType, SecretFacts, iso
from deploy.tokens.token_plan import TokenPlan

_RULE = "regenerate-key"
ASK = "regenerate"
"""The step of a run that is about to ask Azure: without it Azure was not asked."""


def check_unheld(gateway: str, key: KeyType, holding: Holding) -> None:
    """Conflict where a running pod holds a token of the key, or may hold one; Unavailable where only
    Secrets beside the pods' own cannot be read. Pure."""
    held = [h for h in holding.pods if h.facts is not None and h.facts.key == key]
    if held:
        raise Conflict(
            f"{_counted(held)} still {'holds' if len(held) == 1 else 'hold'} a token of the {key} "
            f"key of {gateway}: {_named(held)}.",
            meaning=(
                "They would lose their connection to Azure at once. The key was not regenerated."
            ),
            remedy=_remedy(held, "; a rotation uses the other key"),
        )
    unknown = [h for h in holding.pods if h.facts is None or h.facts.key is None]
    if unknown or holding.unread:
        raise _not_known(key, unknown, holding.unread)


def _not_known(
    key: KeyType, unknown: Sequence[TokenHolder], unread: Sequence[Unread]
) -> GatewayBotError:
    """All that may hold a token of the key, said at once."""
    said: list[str] = []
    remedies: list[str] = []
    if unknown:
        why = next((f" ({h.why_unknown})" for h in unknown if h.why_unknown), "")
        said.append(
            f"The bot cannot determine which key made the token of {_counted(unknown)}{why}: "
            f"{_named(unknown)}."
        )
        remedies.append(_remedy(unknown, ", or adopt gateways that this bot did not deploy"))
    if unread:
        refs = ", ".join(str(each.ref) for each in unread)
        said.append(f"Secrets that may keep a token of {refs} cannot be read:")
        said += dict.fromkeys(each.why for each in unread)
        remedies += dict.fromkeys(each.remedy for each in unread if each.remedy)
    # What is refused may be granted in a moment, as after an API server's restart.
    return (Conflict if unknown else Unavailable)(
        " ".join(said),
        meaning=f"Some token may have been made with the {key} key. The key was not regenerated.",
        remedy=" ".join(remedies),
    )


def _remedy(held: Sequence[TokenHolder], more: str) -> str:
    """What has to be done first. What this bot cannot change is not rotated by it."""
    ours, others = [h for h in held if h.managed], [h for h in held if not h.managed]
    parts = [f"Rotate {_refs(ours)} first{more}."] if ours else []
    if others:
        parts.append(
            f"This bot cannot change {_refs(others)}: give it a token of the other key where it is "
            "defined, or remove it."
        )
    return " ".join(parts)


def regeneration_plan(
    cluster: Cluster, spec: GatewaySpec, key: KeyType, token: TokenPlan, holding: Holding
) -> Plan:
    """The key, and each Secret that could no longer be gone back to."""
    dying = [h for h in holding.spare if h.facts is not None and h.facts.key == key]
    changes = [
        ObjectChange("Key", f"{key} of {spec.apim.instance}/{spec.apim.gateway}", "update"),
        *(
            ObjectChange(
                "Secret",
                f"{held.ref}: {held.secret}",
                "update",
                (FieldChange("token", _life(held.facts), "dead"),),
            )
            for held in dying
        ),
    ]
    looked_at = f"{len(holding.pods)} pods on {', '.join(map(str, holding.refs))}"
    notes = [
        Finding(
            _RULE,
            "warning",
            f"Every token made with the {key} key stops working at once, wherever it is used.",
            "A leaked token becomes useless.",
            f"No such token is in use on the gateways that this bot watches: {looked_at}.",
        )
    ]
    notes += [
        Finding(
            _RULE,
            "warning",
            left_out,
            "Gateways in other namespaces may use a token of this key, which stops working too.",
            "Make sure that there are no such gateways.",
        )
        for left_out in holding.left_out
    ]
    return build_plan(
        spec,
        cluster_uid=cluster.uid(spec.ref.namespace),
        observed=(),
        token=token,
        deletions=changes,
        findings=notes,
    )


@dataclass
class _Asked:
    """Whether Azure was asked, in this run or an earlier one, and its answer not seen."""

    unanswered: bool


class KeySource(Protocol):
    """Where keys are regenerated: ARM."""

    def regenerate_key(self, instance: ApimInstance, gateway: str, key: KeyType) -> None:
        """A new key; every token made with the one before is dead."""


class Regenerator:
    """The executor of actions of kind `regenerate-key`."""

    def __init__(
        self,
        survey: Survey,
        clusters: Mapping[str, Cluster],
        keys: KeySource,
        instances: Mapping[str, ApimInstance],
        custody: Custody,
        authorize: Callable[[Action], object],
        *,
        allowed: bool,
        patience: float = PATIENCE,
    ) -> None:
        """`authorize` raises Outgrown where what was decided does not suffice; `allowed` says whether
        the settings still allow it."""
        self._survey = survey
        self._clusters = clusters
        self._keys = keys
        self._instances = instances
        self._custody = custody
        self._authorize = authorize
        self._allowed = allowed
        self._patience = patience

    def execute(self, action: Action, run: Run) -> Outcome:
        """Do it, if still no pod holds a token of the key.

        A run that follows one which may have done it does it again only where the plan holds
        still: then the clusters have no token that was made with the key in between, and the
        second time kills none that the first did not.
        """
        work = Work(action, run, self._patience, "Ask again")
        asked = _Asked(any(step.name == ASK for step in action.steps))
        try:
            return self._execute(work, asked)
        except Outgrown:
            if not asked.unanswered:
                raise
            return _half_known("This now requires more approvals than it has.")
        except GatewayBotError as error:
            if asked.unanswered:
                return _half_known(error.happened, error.remedy)
            return work.failure(error)

    def _execute(self, work: Work, asked: "_Asked") -> Outcome:
        action, run = work.action, work.run
        spec, key = action.plan.spec, _key_of(action)
        if not self._allowed:
            raise Refused("The settings no longer allow keys to be regenerated.")
        instance = self._instances.get(spec.apim.instance)
        if instance is None or spec.ref.cluster not in self._clusters:
            raise NotFound(f"{spec.ref} is no longer in the bot's settings.")
        run.step(LOOK, "Checking whether a pod uses a token of this key")
        plan = work.patiently(lambda: self.plan(spec.ref, key))
        if plan.digest == action.digest:
            run.step(ASK, f"Regenerating the {key} key")
            plan = work.patiently(lambda: self._held(work, instance, key, asked))
        if plan.digest != action.digest:
            if asked.unanswered:
                return _half_known(
                    f"The tokens of the {key} key have changed since the plan was shown."
                )
            return superseded(plan)
        return Outcome(
            State.SUCCEEDED,
            f"The {key} key of {spec.apim.gateway} is regenerated",
            "No earlier token of that key works any longer; no pod that this bot sees used one.",
        )

    def _held(self, work: Work, instance: ApimInstance, key: KeyType, asked: "_Asked") -> Plan:
        """Ask Azure while nobody else mints a token of that gateway, unless the plan, which is returned, is
        another one by now: who held the gateway before may have minted one with this key."""
        action, spec = work.action, work.action.plan.spec
        with self._custody.held(resource_of(instance, spec.apim.gateway), action.id) as keep:
            self._authorize(action)
            plan = self.plan(spec.ref, key)
            if plan.digest == action.digest:
                keep()
                self._regenerate(work.run, instance, spec.apim.gateway, key, asked)
            return plan

    def _regenerate(
        self, run: Run, instance: ApimInstance, gateway: str, key: KeyType, asked: "_Asked"
    ) -> None:
        run.guard()
        try:
            self._keys.regenerate_key(instance, gateway, key)
        except GatewayBotError as error:
            asked.unanswered = asked.unanswered or not error.untouched
            raise

    def plan(self, ref: GatewayRef, key: KeyType) -> Plan:
        """What regenerating would kill. Conflict where a pod holds, or may hold, such a token."""
        return plan_regeneration(self._survey, self._clusters[ref.cluster], ref, key)[0]


def plan_regeneration(
    survey: Survey, cluster: Cluster, ref: GatewayRef, key: KeyType
) -> tuple[Plan, Holding]:
    """The plan and all it is made from. Conflict as `check_unheld`, or where `ref` is not ours."""
    spec = installed(cluster, ref).spec
    if spec.auth.kind != "token":
        raise Conflict(f"{ref} signs in to Entra ID, so it does not use its keys.")
    holding = survey.holding(spec)
    check_unheld(spec.apim.gateway, key, holding)
    own = next((h for h in holding.pods if h.ref == ref and h.facts is not None), None)
    facts = own.facts if own else None
    expires_at = iso(facts.expires_at) if facts and facts.expires_at else None
    token = TokenPlan(own.secret if own else "", False, expires_at, "")
    return regeneration_plan(cluster, spec, key, token, holding), holding


def _key_of(action: Action) -> KeyType:
    request = action.request
    if not isinstance(request, KeyRequest):
        raise TypeError(f"{action.id} is not a key regeneration")
    return request.key


def _half_known(happened: str, remedy: str = "") -> Outcome:
    return Outcome(
        State.UNKNOWN,
        happened,
        "Azure may have regenerated the key: the bot sent a request and did not see the answer.",
        remedy or "Request it again: the plan shows which tokens would stop working now.",
    )


def _life(facts: SecretFacts | None) -> str:
    if facts is None or facts.expires_at is None:
        return "good"
    return f"good until {minute(facts.expires_at)}"


def _counted(held: Sequence[TokenHolder]) -> str:
    what = "pod" if all(h.pod for h in held) else "gateway"
    return f"1 {what}" if len(held) == 1 else f"{len(held)} {what}s"


def _named(held: Iterable[TokenHolder]) -> str:
    names = [f"{h.ref.cluster}/{h.ref.namespace}/{h.pod or h.ref.name}" for h in held]
    more = len(names) - 10
    return ", ".join(names[:10]) + (f" and {more} more" if more > 0 else "")


def _refs(held: Iterable[TokenHolder]) -> str:
    return ", ".join(dict.fromkeys(str(h.ref) for h in held))
