"""From a gateway that others deploy to a plan that gives it a new token and changes nothing else.

Where nobody declares the reference to its Secret, each token gets a Secret of its own and the
reference is changed. Where somebody does, the bot keeps one Secret of its own, and whoever declares
the reference has to point it there once.
"""

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from deploy import rules
from deploy.annotations import ACTION_ANNOTATION, SPEC_ANNOTATION, TOKEN_ACTION_ANNOTATION
from deploy.azure import ApimInstance
from deploy.commands import Command
from deploy.errors import Conflict, GatewayBotError, InvalidInput, NotFound
from deploy.gateway import ApimGateway, GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.kube.places import Everywhere
from deploy.observed.declaring import declarer, editors, owner_of_secret
from deploy.observed.effective import EffectiveSettings
from deploy.observed.given import given_among
from deploy.observed.installed import deployment_of
from deploy.observed.inventory import tag_of
from deploy.observed.managers import Manager
from deploy.observed.other_rotation import rotators_of
from deploy.observed.sign_in import sign_in
from deploy.observed.token_facts import secret_facts
from deploy.observed.token_only import (
    KeptToken,
    TokenReading,
    copy_name,
    kept_in,
    marked_by,
    restart_mark,
    restarted_by_reloader,
    stable_name,
    token_reading,
)
from deploy.plans.binding import bound
from deploy.plans.given_sources import GivenSources, given_from, reading_among, sources_read
from deploy.plans.owners_change import owners_change
from deploy.plans.plan import FieldChange, ObjectChange, Plan, ReplacedSecret, TokenOnly, WayBack
from deploy.plans.planning import jobs_unseen
from deploy.rules.finding import Finding
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_of_others_from_mapping
from deploy.times import minute
from deploy.tokens.rotation import Rotation, other_key, signs_in, why_rotated
from deploy.tokens.token import ENOUGH, SecretFacts, new_token
from deploy.tokens.token_plan import TokenPlan

MANAGES = "manage-token"
"""What findings on this are called."""
_JUDGED = rules.BINDING | {"token-lifetime", "rotated-elsewhere"}
"""Nothing else of what others deploy is this plan's business."""
_DAY = 24 * 3600


class Check(Protocol):
    """What the rules say of objects (deploy.plans.planning.Planner.check)."""

    def __call__(
        self,
        ref: GatewayRef,
        objects: Sequence[Manifest],
        *,
        instance: str,
        tags: Sequence[str],
        token_days: float | None = None,
        rotated_by: Sequence[str] = (),
    ) -> tuple[Finding, ...]: ...


@dataclass(frozen=True)
class Wanted:
    """A new token for a gateway that others deploy. `begins` says that the bot is to keep it from now
    on, rather than that it does so already."""

    ref: GatewayRef
    gateway: KeptToken
    rotation: Rotation
    begins: bool = False


@dataclass(frozen=True)
class _Live:
    """What there is: the Deployment, what it is given, how it reads its token, and the Secrets that
    concern it."""

    deployment: Manifest
    sources: GivenSources
    given: EffectiveSettings
    reading: TokenReading
    secret: Manifest | None
    stable: Manifest | None
    copy: Manifest | None
    declared_by: Manager | None

    @property
    def keeps_one(self) -> bool:
        """Whether one Secret is written again and again, rather than the reference."""
        name = stable_name(_name(self.deployment))
        plain = self.reading.how == "reference" and self.reading.secret != name
        return not plain or self.declared_by is not None

    @property
    def waits(self) -> bool:
        """Whether the pods have yet to be pointed to that Secret."""
        return self.keeps_one and self.reading.secret != stable_name(_name(self.deployment))


def token_kept(cluster: Cluster, ref: GatewayRef) -> KeptToken | None:
    """Whose token this bot keeps for the Deployment of that name, as its own Secrets say; None where
    it keeps none, or deploys the gateway itself."""
    deployment = cluster.get("Deployment", ref.namespace, ref.name)
    if deployment is None or SPEC_ANNOTATION in (deployment["metadata"].get("annotations") or {}):
        return None
    names = (token_reading(deployment).secret, stable_name(ref.name))
    for name in dict.fromkeys(filter(None, names)):
        found = kept_in(cluster.get("Secret", ref.namespace, name))
        if found is not None and found.workload == ref.name:
            return found
    return None


def plan_token_only(
    cluster: Cluster,
    wanted: Wanted,
    action_id: str,
    *,
    instances: Mapping[str, ApimInstance],
    check: Check,
) -> Plan:
    """What giving it a new token would change; nothing is written.

    Conflict where there is no token to keep, where the Secret to keep it in is somebody else's, or
    where the pods have yet to be pointed to it: the remedy is what its owner has to change.
    """
    ref, kept = wanted.ref, wanted.gateway
    instance = instances.get(kept.instance)
    if instance is None:
        raise NotFound(f"API Management instance “{kept.instance}” is no longer in the settings.")
    cluster.check_namespace(ref.namespace)
    live = _look(cluster, ref)
    _check_sign_in(ref, live.deployment, live.given)
    endpoint = instance.configuration_endpoint
    spec = outline(live.deployment, ref, ApimGateway(kept.instance, kept.gateway, endpoint))
    _check(wanted, live, action_id)
    token, facts = _token(spec, live, action_id, wanted.rotation)
    manages = TokenOnly(
        live.reading,
        live.keeps_one,
        # Nobody would go back to a token that no pod has read.
        copy_name(ref.name) if live.keeps_one and not live.waits else "",
        live.waits,
        not (live.keeps_one and restarted_by_reloader(live.deployment, stable_name(ref.name))),
        live.declared_by,
    )
    jobs, unread = _rotators(cluster, live, wanted, instance)
    judged = check(
        ref,
        [live.deployment, *live.sources.objects],
        instance=kept.instance,
        tags=(),
        token_days=token.seconds / _DAY,
        rotated_by=jobs,
    )
    replaced = facts is not None and facts.immutable and not live.keeps_one
    plan = Plan(
        spec=spec,
        cluster_uid=cluster.uid(ref.namespace),
        objects=(),
        changes=_changes(live, manages, token, action_id),
        token=token,
        findings=(
            *(each for each in judged if each.rule in _JUDGED),
            *unread,
            *_explained(live, manages, token),
        ),
        on_failure=WayBack(secret=token.previous) if token.previous else None,
        replaces=ReplacedSecret(facts.name, facts.uid) if replaced and facts else None,
        manages=manages,
        partial=True,
    )
    plan = bound(plan)
    return dataclasses.replace(plan, digest="") if plan.denied else plan


def check_has_token(ref: GatewayRef, deployment: Manifest, config_maps: Sequence[Manifest]) -> None:
    """Conflict for a gateway that signs in to Entra ID; `config_maps` are those of its settings, or
    all there are."""
    _check_sign_in(ref, deployment, given_among(deployment, config_maps))


def _check_sign_in(ref: GatewayRef, deployment: Manifest, given: EffectiveSettings) -> None:
    how = sign_in(deployment, given)
    if how != "token":
        raise signs_in(ref, how)


def outline(deployment: Manifest, ref: GatewayRef, apim: ApimGateway) -> GatewaySpec:
    """As much of a spec as it takes to find the gateway's pods and to say what it is; what no spec
    takes is left out. Nothing is made from it."""
    spec, template = deployment["spec"], deployment["spec"]["template"]
    chosen = (spec.get("selector") or {}).get("matchLabels")
    labels = chosen or (template.get("metadata") or {}).get("labels") or {}
    needed: dict[str, Any] = {
        "gateway": apim.gateway,
        "apim": {"instance": apim.instance, "endpoint": apim.configuration_endpoint},
        "cluster": ref.cluster,
        "namespace": ref.namespace,
        "name": ref.name,
        "image": {"tag": "latest"},
        "objects": {"selector": labels},
    }
    rollout = {
        "progressDeadlineSeconds": spec.get("progressDeadlineSeconds"),
        "terminationGracePeriodSeconds": template["spec"].get("terminationGracePeriodSeconds"),
    }
    for name, value in (
        ("image", {"tag": tag_of(deployment)}),
        ("replicas", spec.get("replicas")),
        ("rollout", {key: each for key, each in rollout.items() if each is not None}),
    ):
        try:
            spec_of_others_from_mapping(needed | {name: value})
        except InvalidInput:
            continue
        needed[name] = value
    return spec_of_others_from_mapping(needed)


def _look(cluster: Cluster, ref: GatewayRef) -> _Live:
    deployment = deployment_of(cluster, ref)
    if SPEC_ANNOTATION in (deployment["metadata"].get("annotations") or {}):
        raise Conflict(
            f"{ref} is deployed by this bot.",
            meaning="The bot already keeps its token valid.",
            remedy=f"{Command('rotate', ref)} gives it a new token.",
        ).offering(Command("rotate", ref))
    sources = sources_read(cluster, deployment)
    given = given_from(deployment, sources)
    reading = reading_among(deployment, given)
    names = (reading.secret, stable_name(ref.name), copy_name(ref.name))
    secret, stable, copy = cluster.at_once(
        [_getting(cluster, ref.namespace, name) for name in names]
    )
    owner = declarer(deployment, reading)
    return _Live(deployment, sources, given, reading, secret, stable, copy, owner)


def _getting(cluster: Cluster, namespace: str, name: str) -> Callable[[], Manifest | None]:
    return lambda: cluster.get("Secret", namespace, name) if name else None


def _check(wanted: Wanted, live: _Live, action_id: str) -> None:
    """Conflict where there is nothing to do for the bot now."""
    ref = wanted.ref
    name = stable_name(ref.name)
    if live.reading.how == "nowhere":
        raise Conflict(
            f"The bot cannot determine where {ref} gets its token from.",
            remedy=(
                "Change its container to read `config.service.auth` from a Secret with "
                "secretKeyRef."
            ),
        )
    if live.keeps_one:
        _check_own(ref, live.stable, "the token", read=live.reading.secret == name)
        _check_own(ref, live.copy, "the previous token for a while")
    if live.waits:
        ours = live.stable is not None and not _is_by(live.stable, action_id)
        ends = secret_facts(live.stable, live.reading.key).expires_at if live.stable else None
        good = ours and ends is not None and _far(ends)
        if good or not wanted.begins:
            until = f" The Secret has a token that is valid until {minute(ends)}." if ends else ""
            raise Conflict(
                f"{ref} does not read its token from the bot's Secret {name} yet.",
                meaning=f"{_declares(live)}{until} The bot only warns until "
                "its pods read that Secret.",
                remedy=owners_change(live.deployment, live.reading, name),
            )


def _check_own(ref: GatewayRef, secret: Manifest | None, what: str, *, read: bool = False) -> None:
    """Conflict where somebody else has a Secret of the name under which the bot would keep that;
    `read` says that the pods are given it."""
    if secret is None:
        return
    owner, kept = owner_of_secret(secret), kept_in(secret)
    if owner is None and kept is not None and kept.workload == ref.name:
        return
    whose = f"it belongs to {owner}" if owner else "this bot did not make it"
    first = "Point the pods to another Secret with this token. " if read else ""
    raise Conflict(
        f"The bot would store {what} in Secret {_name(secret)}, but {whose}.",
        meaning="The bot writes only its own Secrets.",
        remedy=f"{first}Delete it, or recreate it under another name, then ask again.",
    )


def _token(
    spec: GatewaySpec, live: _Live, action_id: str, rotation: Rotation
) -> tuple[TokenPlan, SecretFacts | None]:
    """The new token's plan, and what is known of the one that it replaces."""
    current, key = live.secret, live.reading.key
    if live.keeps_one and not live.waits and _is_by(live.stable, action_id) and live.copy:
        # An earlier run of this action has written it already.
        current = live.copy
    facts = secret_facts(current, key) if current else None
    made_with = rotation.key or other_key(facts.key if facts else None)
    why = why_rotated(facts, made_with) if facts else "Nothing is known about the token in use."
    token = new_token(spec, action_id, why, key=made_with, lifetime=rotation.lifetime)
    if not live.keeps_one:
        return dataclasses.replace(token, previous=_name(current) if current else ""), facts
    previous = "" if live.waits else copy_name(spec.ref.name)
    return dataclasses.replace(token, secret=stable_name(spec.ref.name), previous=previous), facts


def _changes(
    live: _Live, manages: TokenOnly, token: TokenPlan, action_id: str
) -> tuple[ObjectChange, ...]:
    """What is written beside the new token's Secret, which every plan shows separately."""
    name, reading = _name(live.deployment), live.reading
    if manages.waits or not manages.restarts:
        return ()
    template = live.deployment["spec"]["template"]
    mark = restart_mark(action_id)
    before = marked_by(template) or None
    fields = [
        # As before this very action began.
        FieldChange(
            f'spec.template.metadata.annotations["{TOKEN_ACTION_ANNOTATION}"]',
            None if before == mark else before,
            mark,
            restarts_pods=True,
        )
    ]
    if not manages.stable:
        at = f"spec.template.spec.containers[{reading.container}].env[{reading.variable}]"
        path = f"{at}.valueFrom.secretKeyRef.name"
        fields.insert(0, FieldChange(path, reading.secret, token.secret, restarts_pods=True))
    return (ObjectChange("Deployment", name, "update", tuple(fields)),)


def _rotators(
    cluster: Cluster, live: _Live, wanted: Wanted, instance: ApimInstance
) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    try:
        jobs = cluster.everywhere("CronJob")
    except GatewayBotError as error:
        return (), jobs_unseen(Everywhere((), (error.happened,)))
    found = rotators_of(
        jobs.items,
        namespace=wanted.ref.namespace,
        gateway=wanted.gateway.gateway,
        service=instance.service,
        secret=live.reading.secret,
    )
    return tuple(map(str, found)), jobs_unseen(jobs)


def _explained(live: _Live, manages: TokenOnly, token: TokenPlan) -> tuple[Finding, ...]:
    """How the token gets to the pods, and what its owner has to do."""
    found = []
    owner = owner_of_secret(live.secret)
    if owner is not None:
        found.append(
            _note(
                f"Secret {live.reading.secret} belongs to {owner}, so the bot never writes it.",
                f"{owner} would put the old token back.",
            )
        )
    if manages.waits:
        found.append(
            _note(
                f"{_declares(live)} No pod reads Secret {token.secret} until that is changed.",
                "A change by the bot would be reverted, so the bot does not make one.",
                owners_change(live.deployment, live.reading, token.secret or ""),
                severity="warning",
            )
        )
    elif not manages.stable:
        wrote = editors(live.deployment, live.reading)
        by = (
            (f" It was written with {', '.join(wrote)}, which does not revert changes.")
            if wrote
            else ""
        )
        found.append(
            _note(
                "Nothing else declares where its pods read the token from, so the bot changes "
                f"it.{by}",
                "Nothing reverts the change.",
            )
        )
    else:
        found.append(
            _note(
                f"Secret {token.secret} is written; {token.previous} holds the previous token until "
                "the new one is verified.",
                _declares(live),
            )
        )
    if not manages.restarts and not manages.waits:
        found.append(
            _note("Reloader restarts the pods; the bot does not.", "Both would restart them twice.")
        )
    found.append(
        _note("Nothing else in this gateway changes, and the bot takes over no other fields.", "")
    )
    return tuple(found)


def _note(what: str, why: str, fix: str = "", *, severity: Any = "info") -> Finding:
    return Finding(MANAGES, severity, what, why, fix)


def _declares(live: _Live) -> str:
    """The owner of the token's reference, in a sentence."""
    if live.declared_by is not None:
        return f"{live.declared_by} declares where its pods read the token from."
    return (
        "Its manifest contains the token or imports a whole Secret, so the change may be reverted."
    )


def _is_by(secret: Manifest | None, action_id: str) -> bool:
    noted = (secret["metadata"].get("annotations") or {}) if secret else {}
    return bool(noted.get(ACTION_ANNOTATION) == action_id)


def _far(moment: datetime.datetime) -> bool:
    return moment - datetime.datetime.now(datetime.UTC) > ENOUGH


def _name(item: Manifest) -> str:
    return str(item["metadata"]["name"])
