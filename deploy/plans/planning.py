"""From a spec to a plan: look at the cluster, ask it what would change, change nothing."""

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TypeVar

from deploy import rules
from deploy.access import Environment, environment_of
from deploy.azure import ApimInstance, known_hosts
from deploy.errors import GatewayBotError
from deploy.flight import Flight
from deploy.gateway import DEFAULT_REPOSITORY, GatewayRef
from deploy.images.catalogue import Stock
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.kube.places import Everywhere
from deploy.kube.warnings import distinct
from deploy.observed.autoscalers import AUTOSCALER, autoscalers_of
from deploy.observed.history import serving
from deploy.observed.inventory import tag_of
from deploy.observed.managers import Manager
from deploy.observed.other_rotation import rotators_of
from deploy.observed.pods import token_secret_of
from deploy.plans.binding import Observed, bound, build_plan
from deploy.plans.counting import asked_count, counted_elsewhere, is_count
from deploy.plans.handover import left_behind
from deploy.plans.held import held_tokens
from deploy.plans.hooks import check_hook
from deploy.plans.managed import accepted, managers_of
from deploy.plans.others import other_owner
from deploy.plans.plan import ObjectChange, Plan
from deploy.plans.preflight.planned import UNDECIDED, foreseen_of, needed
from deploy.plans.preflight.surroundings import Surroundings
from deploy.plans.redirection import Redirection, redirections
from deploy.plans.sign_in_needs import needs
from deploy.plans.standing import unfinished_rollout
from deploy.plans.token_decision import Onto, TokenDecision, key_of
from deploy.plans.token_references import suspects_of, token_references
from deploy.plans.variables import settings_elsewhere
from deploy.rendering.labels import config_map_name
from deploy.rendering.manifests import render
from deploy.rules.finding import Finding
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Source
from deploy.tokens.rotation import Rotation

T = TypeVar("T")

_DAY = 24 * 3600
_REGISTRY_SECONDS = 3.0
_LATE = f"It did not answer within {_REGISTRY_SECONDS:.0f} s."


class Planner:
    """Makes plans. `cluster_of` finds a cluster by name, `known_tags` asks the image registry.

    `environments` say where rules are those of production, and which of them are waived;
    `instances` and `repositories` where tokens may be sent and which images may hold one;
    `surroundings` read what the pods will meet; `stock` says what is known of repository, tag and
    digest where they are pulled from.
    """

    def __init__(
        self,
        cluster_of: Callable[[str], Cluster],
        known_tags: Callable[[], Sequence[str]],
        environments: Sequence[Environment] = (),
        clock: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
        *,
        instances: Mapping[str, ApimInstance],
        repositories: Sequence[str] = (DEFAULT_REPOSITORY,),
        surroundings: Surroundings | None = None,
        stock: Callable[[str, str, str], Stock | None] = lambda repository, tag, digest: None,
    ) -> None:
        self._instances = instances
        self._repositories = tuple(repositories)
        self._cluster_of = cluster_of
        self._known_tags = known_tags
        self._environments = environments
        self._clock = clock
        self._surroundings = surroundings or Surroundings()
        self._stock = stock
        self._tokens = TokenDecision(instances, clock)

    def plan(
        self,
        spec: GatewaySpec,
        action_id: str,
        *,
        take_over: bool = False,
        rotation: Rotation | None = None,
        restart: bool = False,
        counts: bool = False,
    ) -> Plan:
        """What deploying `spec` would change, by dry runs alone. With `rotation` it is a new token,
        with `restart` the mark of one, and nothing else of what runs. `counts` says that a number of
        pods was asked for; else those that run stay.

        Fields that others own are listed as conflicts. A plan with conflicts that are not to be
        taken over, or with a finding that denies it, has no digest, so that nobody can decide
        it. NotFound when the namespace is missing, or the gateway to rotate, NamespaceEnds when it is
        being deleted; InvalidInput when the cluster rejects an object, Conflict when there is no
        token to rotate.

        That something else undoes the change denies neither a rotation nor a restart, and nothing
        that takes over.
        """
        cluster = self._cluster_of(spec.ref.cluster)
        namespace = spec.ref.namespace
        # Names and kinds do not depend on the token, so all can be read before it is decided.
        outline = render(spec, UNDECIDED if spec.auth.kind == "token" else None)
        there = cluster.begin(lambda: cluster.check_namespace(namespace))
        uid = cluster.begin(lambda: cluster.uid(namespace))
        tags = _beside(cluster, self._tags)
        stocked = _beside(
            cluster, lambda: self._stock(spec.repository, spec.tag, spec.digest or "")
        )
        suspects = suspects_of(cluster, spec)
        scalers = cluster.begin(lambda: cluster.list(AUTOSCALER, namespace))
        beside = _sources_beside(cluster, spec)
        around = self._surroundings.begin(cluster, namespace, needed(outline))
        try:
            live = cluster.at_once([_reading(cluster, wanted) for wanted in outline])
        finally:
            # That the namespace is missing or ends explains more than being refused to read in it.
            space = there.result()
        observed = {key_of(wanted): found for wanted, found in zip(outline, live, strict=True)}
        partial = restart or rotation is not None
        deployment = observed["Deployment", spec.ref.name]
        if not partial:
            check_hook(spec, deployment)
        autoscalers, unlisted = _scaled_by(spec, scalers, left_behind(deployment, outline))
        count = None if partial else asked_count(spec, deployment, autoscalers, named=counts)
        onto = Onto(spec, deployment, take_over, partial, count)
        # Whatever is decided of the token, these have a new one. There may be many jobs.
        mints = spec.auth.kind == "token" and (rotation is not None or deployment is None)
        jobs = cluster.begin(_listing_jobs(cluster)) if mints else None
        decided = self._tokens.decide(cluster, onto, action_id, observed, rotation)
        token, merged = decided.token, decided.merged
        if not token.mint:
            jobs = None
        elif jobs is None:
            jobs = cluster.begin(_listing_jobs(cluster))
        wanted = onto.objects(token.secret)
        becoming = [
            Observed(
                item,
                observed[key_of(item)],
                merged[key_of(item)].result,
            )
            for item in wanted
        ]
        plan = build_plan(
            spec,
            cluster_uid=uid.result(),
            observed=becoming,
            deletions=[] if partial else left_behind(observed["Deployment", spec.ref.name], wanted),
            token=token,
            conflicts=[
                conflict
                for item in wanted
                for conflict in merged[key_of(item)].conflicts
                # A number of pods that was asked for is nobody's to refuse.
                if not is_count(conflict.kind, conflict.path)
            ],
            back_to=_back_to(cluster, spec, observed["Deployment", spec.ref.name]),
            replaces=decided.replaces,
            partial=partial,
            count=count,
        )
        stay = [found for found in observed.values() if found] if partial else []
        # As the objects will be, with what others have put there.
        objects = [
            *(each for each in stay if each["kind"] != "Deployment"),
            *(each.merged for each in becoming),
            *_read(beside),
        ]
        config_maps = [
            found for (kind, _), found in observed.items() if kind == "ConfigMap" and found
        ]
        held = held_tokens(
            cluster, plan, observed["Deployment", spec.ref.name], config_maps, self._instances
        )
        rotators, unread = self._rotators(spec, observed, jobs)
        known, stock = _soon(tags, ()), _soon(stocked, Stock(unread=_LATE))
        findings = (
            *self.check(
                spec.ref,
                objects,
                instance=spec.apim.instance,
                tags=known,
                token_days=token.seconds / _DAY if token.mint else None,
                token_references=token_references(
                    cluster, spec, suspects, observed["Deployment", spec.ref.name]
                ),
                others_objects=_others_objects(cluster, plan, observed),
                redirects=redirections(plan) if held else frozenset(),
                rotated_by=rotators,
                managers=managers_of(plan, observed),
                stock=stock,
            ),
            *unread,
            *_unstocked(spec, stock, known),
            *unlisted,
            *counted_elsewhere(spec, deployment, autoscalers, count, named=counts),
            *settings_elsewhere(spec, objects),
            *needs(spec, observed["Deployment", spec.ref.name], config_maps),
        )
        if not plan.empty:
            ahead = foreseen_of(
                spec,
                becoming,
                token.secret,
                around,
                space,
                denied=self._denied(spec.ref),
                lenient=partial,
            )
            findings = rules.most_severe_first((*findings, *ahead))
        findings += unfinished_rollout(plan, observed["Deployment", spec.ref.name], objects)
        if take_over or partial:
            findings = accepted(findings)
        warnings = distinct(text for item in wanted for text in merged[key_of(item)].warnings)
        live_tag = tag_of(deployment) if partial and deployment else ""
        runs = live_tag if live_tag != spec.tag else ""
        plan = dataclasses.replace(
            plan,
            findings=findings,
            held=held,
            warnings=warnings,
            runs=runs,
            settled=frozenset(key for key, each in merged.items() if each.settled),
            live=deployment,
        )
        plan = bound(plan)
        undecidable = plan.denied or (plan.conflicts and not take_over)
        return dataclasses.replace(plan, digest="") if undecidable else plan

    def check(
        self,
        ref: GatewayRef,
        objects: Sequence[Manifest],
        *,
        instance: str,
        tags: Sequence[str],
        token_days: float | None = None,
        token_references: Sequence[str] = (),
        others_objects: Sequence[str] = (),
        redirects: frozenset[Redirection] = frozenset(),
        rotated_by: Sequence[str] = (),
        managers: Sequence[Manager] = (),
        stock: Stock | None = None,
    ) -> tuple[Finding, ...]:
        """What the rules say of a gateway's objects, as those count where it is.

        `instance` is its API Management instance by name, empty where that is not known: then the
        hosts of every instance are known. The rest is of what is planned, as in deploy.rules.Facts.
        """
        environment = environment_of(ref, self._environments)
        instances = [instance] if instance else self._instances
        facts = rules.Facts(
            production=environment.production,
            tags=tuple(tags),
            token_days=token_days,
            instance=instance,
            endpoints=tuple(h for name in instances for h in known_hosts(self._instances, name)),
            repositories=self._repositories,
            token_references=tuple(token_references),
            others_objects=tuple(others_objects),
            redirects=redirects,
            rotated_by=tuple(rotated_by),
            managers=tuple(managers),
            stock=stock,
        )
        return rules.check(
            objects, facts, environment.exemptions, environment.severities, today=self._today()
        )

    def _denied(self, ref: GatewayRef) -> frozenset[str]:
        here = environment_of(ref, self._environments)
        return rules.denied(here.production, here.exemptions, here.severities, today=self._today())

    def _today(self) -> datetime.date:
        return self._clock().astimezone(datetime.UTC).date()

    def _rotators(
        self,
        spec: GatewaySpec,
        observed: Mapping[tuple[str, str], Manifest | None],
        jobs: Future[Everywhere] | None,
    ) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
        """The CronJobs of others that may rotate the token too, and which cannot be read; nothing
        where `jobs` is None, as no token is made then."""
        if jobs is None:
            return (), ()
        try:
            found = jobs.result()
        except GatewayBotError as error:
            return (), jobs_unseen(Everywhere((), (error.happened,)))
        live = observed["Deployment", spec.ref.name]
        used = token_secret_of(live["spec"]["template"]["spec"]) if live else None
        instance = self._instances.get(spec.apim.instance)
        found_jobs = rotators_of(
            found.items,
            namespace=spec.ref.namespace,
            gateway=spec.apim.gateway,
            service=instance.service if instance else spec.apim.instance,
            secret=used[0] if used else "",
        )
        return tuple(map(str, found_jobs)), jobs_unseen(found)

    def _tags(self) -> Sequence[str]:
        """What the registry has; a registry that does not answer must not stop a plan."""
        try:
            return self._known_tags()
        except GatewayBotError:
            return ()


def _beside(cluster: Cluster, ask: Callable[[], T]) -> Future[T]:
    """A question to a registry, on a thread of its own: one that is slow must take none from what is
    asked of the cluster."""
    return Flight(cluster.waits.carried(ask), "asking a registry").begin()


def _soon(future: Future[T], otherwise: T) -> T:
    """What a registry says, where it does so in time: no plan waits for one that is slow."""
    try:
        return future.result(_REGISTRY_SECONDS)
    except TimeoutError:
        return otherwise


def _unstocked(spec: GatewaySpec, stock: Stock | None, tags: Sequence[str]) -> Sequence[Finding]:
    """That the registry cannot be read. Where Microsoft's gives no tags, a rule says so."""
    if stock is None or not stock.unread or (spec.repository == DEFAULT_REPOSITORY and not tags):
        return ()
    return (
        Finding(
            "image-unread",
            "info",
            f"Could not check whether {spec.repository} has this image: {stock.unread}",
            "If the registry does not have it, nodes that have not pulled it before cannot "
            "start pods.",
            "Give the bot access to the registry: docs/install.md, “Image registries”.",
        ),
    )


def jobs_unseen(jobs: Everywhere) -> tuple[Finding, ...]:
    """That not everything is known of others' CronJobs, where that is so. No right helps where the
    settings leave out the rest of the cluster."""
    if not jobs.unseen:
        return ()
    return (
        Finding(
            "rotated-elsewhere",
            "info",
            f"Could not check whether a CronJob rotates this token too: {' '.join(jobs.unseen)}",
            "A CronJob that regenerates a key invalidates every token made with that key.",
            "Give the bot the right to list CronJobs: docs/install.md."
            if jobs.refused
            else "Ask the teams of the other namespaces whether one of their CronJobs does.",
        ),
    )


def _scaled_by(
    spec: GatewaySpec, scalers: Future[list[Manifest]], going: Sequence[ObjectChange]
) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """The autoscalers of a gateway, but for the one that its own spec makes and those that are
    `going`, or that they cannot be read."""
    try:
        found = scalers.result()
    except GatewayBotError as error:
        unread = Finding(
            "counted-elsewhere",
            "info",
            f"Could not check whether an autoscaler sets the replicas: {error.happened}",
            "The current number stays, unless you ask for another.",
            "Give the bot the right to list HorizontalPodAutoscalers: docs/install.md.",
        )
        return (), (unread,)
    own = {change.name for change in going if change.kind == AUTOSCALER}
    if spec.autoscaling.most is not None:
        own.add(spec.ref.name)
    others = [item for item in found if item["metadata"]["name"] not in own]
    return autoscalers_of(spec.ref.name, others), ()


def _sources_beside(cluster: Cluster, spec: GatewaySpec) -> list[Future[Manifest | None]]:
    """What the container takes in whole beside this bot's own ConfigMap."""
    own = config_map_name(spec)
    beside = [source for source in spec.objects.sources if source.config_map != own]
    return [cluster.begin(_getting(cluster, spec.ref.namespace, source)) for source in beside]


def _getting(cluster: Cluster, namespace: str, source: Source) -> Callable[[], Manifest | None]:
    kind, name = (
        ("Secret", source.secret) if source.secret else ("ConfigMap", source.config_map or "")
    )
    # One that may be missing, and is, gives what an empty one gives.
    empty = {"kind": kind, "metadata": {"name": name, "namespace": namespace}}
    return lambda: cluster.get(kind, namespace, name) or (empty if source.optional else None)


def _read(sources: Sequence[Future[Manifest | None]]) -> list[Manifest]:
    """Those that are there and may be read; of the rest the rules know nothing."""
    found: list[Manifest] = []
    for source in sources:
        try:
            item = source.result()
        except GatewayBotError:
            continue
        found += [item] if item is not None else []
    return found


def _others_objects(
    cluster: Cluster, plan: Plan, observed: Mapping[tuple[str, str], Manifest | None]
) -> list[str]:
    """The existing objects that the plan changes and that are another's, with whose they are."""
    ref = plan.spec.ref
    changed = [
        live
        for change in plan.changes
        if change.change == "update" and change.kind != "Deployment"
        if (live := observed[change.kind, change.name]) is not None
    ]
    if not changed:
        return []
    deployments = cluster.list("Deployment", ref.namespace)
    found = [(live, other_owner(live, ref.name, deployments)) for live in changed]
    return [f"{' '.join(key_of(live))} of {owner}" for live, owner in found if owner]


def _back_to(cluster: Cluster, spec: GatewaySpec, deployment: Manifest | None) -> int:
    """The newest revision that serves, where the spec wants to go back to it; else 0."""
    if deployment is None or not spec.rollout.automatic_rollback:
        return 0
    sets = cluster.list("ReplicaSet", spec.ref.namespace)
    return next((found.number for found in serving(deployment, sets)), 0)


def _listing_jobs(cluster: Cluster) -> Callable[[], Everywhere]:
    return lambda: cluster.everywhere("CronJob")


def _reading(cluster: Cluster, wanted: Manifest) -> Callable[[], Manifest | None]:
    metadata = wanted["metadata"]
    return lambda: cluster.get(wanted["kind"], metadata["namespace"], metadata["name"])
