"""Whether each cluster answers and grants every right that `gateway-bot k8s-manifest` prints."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from bot.install.access import Grant, grants_on, named_in, patterns_of
from bot.install.installation import APP
from bot.proofs.commands import command
from bot.proofs.results import Prove, Result, fail, ok, warn, wrong
from bot.settings import ClusterSettings, Settings
from deploy.errors import GatewayBotError, NotFound, NotGranted
from deploy.kube.cluster import Cluster, connect
from deploy.sentences import joined

_CHANGES = ("patch", "apps", "deployments")
_ARGO = "argoproj.io"
_MOST = 100
"""In so many namespaces that only a pattern covers the right to change is asked for."""
_MANY = 25
"""In more namespaces than these only the rights are asked for without which nothing works."""
_SECONDS = 45.0
"""After so long no further right is asked for: a request that runs then has ended before a proof has to."""
_NAMED = 8
"""So many namespaces are named in a sentence."""
_ACCOUNT = "system:serviceaccount:"
_OF_TOKENS = (
    ("", "secrets", "create"),
    *(("coordination.k8s.io", "leases", verb) for verb in ("get", "create", "update", "delete")),
)
"""What keeping tokens alone needs of a whole namespace (docs/install.md, “Only tokens”)."""


@dataclass(frozen=True)
class Right:
    """One verb on one resource; `needed` says whether nothing works without."""

    verb: str
    group: str
    resource: str
    needed: bool = True


_EVERY = Right("*", "*", "*")
"""Stands before the rights of a Role of which none is granted."""


def proofs(settings: Settings, config: Path, seconds: float = _SECONDS) -> dict[str, Prove]:
    """A proof for each cluster, which asks for rights for so many seconds at most."""
    return {
        f"cluster {each.name}": _proving(each, settings, config, seconds)
        for each in settings.clusters
    }


def _proving(of: ClusterSettings, settings: Settings, config: Path, seconds: float) -> Prove:
    def prove() -> list[Result]:
        cluster = connect(
            of.name,
            kubeconfig=of.kubeconfig,
            context=of.context,
            in_cluster=of.in_cluster,
            namespaces=of.namespaces or (),
        )
        try:
            return list(_Proof(cluster, of, settings, config, seconds).results())
        finally:
            cluster.close()

    return prove


class _Proof:
    """What is found of one cluster."""

    def __init__(
        self,
        cluster: Cluster,
        of: ClusterSettings,
        settings: Settings,
        config: Path,
        seconds: float,
    ) -> None:
        self._cluster = cluster
        self._of = of
        self._settings = settings
        self._config = config
        self._name = f"cluster {of.name}"
        self._rights = f"rights on cluster {of.name}"
        self._serves_rollouts = False
        self._many = False
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._unasked: list[Right] = []
        self._unanswered: list[GatewayBotError] = []

    def results(self) -> list[Result]:
        """The cluster itself first, then a line for each group of rights that are missing."""
        version = self._cluster.version()
        self._serves_rollouts = self._cluster.serves("Rollout")
        absent: list[Result] = []
        there = [n for n in sorted(named_in(self._of, self._settings)) if self._is_there(n, absent)]
        live = None if self._of.namespaces else self._live(absent)
        covered = self._covered(live or (), there)
        matched = self._changeable(covered[:_MOST])
        if self._of.namespaces:
            seen = self._cluster.places.text
        else:
            seen = f"{len(live)} namespaces" if live is not None else "namespaces unknown"
        grants = grants_on(self._of, [*there, *matched])
        self._many = len(grants) > _MANY
        missing = self._missing(grants)
        limited, short = self._told(missing)
        good = [
            grant.namespace
            for grant in grants
            if grant.namespace is not None
            and not any(right.needed for right in missing.get(grant, ()))
        ]
        changes = f"may change gateways in {_some(good) if good else 'no namespace'}"
        if self._many:
            changes += "; with so many namespaces, optional rights were not checked"
        amiss = self._asked_all()
        works = [amiss or ok(self._name, f"Kubernetes {version}, {seen}; {changes}")]
        if not there and not matched and amiss is None:
            works += self._nowhere(live, covered)
        return [*works, *absent, *limited, *short]

    def _asked_all(self) -> Result | None:
        """What is wrong where not every right could be proved."""
        if self._unasked:
            return fail(
                self._name,
                f"{len(self._unasked)} rights on cluster {self._of.name} were not proved within "
                f"{self._seconds:.0f} s: it has too many namespaces for that, or answers slowly.",
                "Run the check again while the cluster has less to do.",
            )
        return wrong(self._name, self._unanswered[0]) if self._unanswered else None

    def _is_there(self, namespace: str, absent: list[Result]) -> bool:
        try:
            self._cluster.check_namespace(namespace)
        except NotGranted as error:
            if not self._of.namespaces:
                # The right to read it is proved with the others.
                return True
            absent.append(wrong(self._rights, error))
        except NotFound as error:
            if self._of.namespaces:
                absent.append(wrong(self._rights, error))
            else:
                # An environment may cover several clusters, and not be on all of them.
                remedy = "Create it, or correct `environments` in the settings."
                absent.append(warn(self._rights, error.happened, remedy))
        except GatewayBotError as error:
            absent.append(wrong(self._rights, error))
        else:
            return True
        return False

    def _live(self, absent: list[Result]) -> tuple[str, ...] | None:
        try:
            return self._cluster.namespaces()
        except NotGranted:
            # The right to list them is proved with the others.
            return None
        except GatewayBotError as error:
            absent.append(wrong(self._rights, error))
            return None

    def _covered(self, live: Sequence[str], named: Sequence[str]) -> list[str]:
        """The namespaces that only patterns cover."""
        patterns = patterns_of(self._of, self._settings)
        return [
            n
            for n in live
            if n not in named and any(fnmatchcase(n, pattern) for pattern in patterns)
        ]

    def _changeable(self, covered: Sequence[str]) -> list[str]:
        """Those where the bot was given the right to change gateways, all of them or some by name: it
        need not have it everywhere."""
        may = self._cluster.at_once([self._asking(Right(*_CHANGES), n) for n in covered])
        rest = [n for n, granted in zip(covered, may, strict=True) if granted is False]
        named = self._cluster.at_once([partial(self._by_name, n) for n in rest])
        some = {n for n, names in zip(rest, named, strict=True) if names}
        return [n for n, granted in zip(covered, may, strict=True) if granted or n in some]

    def _missing(self, grants: Sequence[Grant]) -> Mapping[Grant, list[Right]]:
        """What is not granted, all of it asked for at once, as many at a time as a cluster's client
        does."""
        asked = [(grant, right) for grant in grants for right in self._asked(grant)]
        may = self._cluster.at_once(
            [self._asking(right, grant.namespace) for grant, right in asked]
        )
        missing: dict[Grant, list[Right]] = {}
        for (grant, right), granted in zip(asked, may, strict=True):
            if granted is False:
                missing.setdefault(grant, []).append(right)
        return missing

    def _asked(self, grant: Grant) -> list[Right]:
        """The rights of a Role, without those on what the cluster does not have; where there are many
        namespaces, only those without which nothing works."""
        return [
            Right(verb, rights.group, resource, rights.needed)
            for rights in grant.rights
            for resource in rights.resources
            for verb in rights.verbs
            if (rights.group != _ARGO or self._serves_rollouts)
            and (rights.needed or not self._many or grant.namespace is None)
        ]

    def _asking(self, right: Right, namespace: str | None) -> Callable[[], bool | None]:
        """Asks whether it is granted: None where there was no time for it, or no answer."""
        resource, _, subresource = right.resource.partition("/")

        def ask() -> bool | None:
            if time.monotonic() >= self._until:
                self._unasked.append(right)
                return None
            try:
                return self._cluster.can_i(
                    right.verb, right.group, resource, namespace, subresource
                )
            except GatewayBotError as error:
                self._unanswered.append(error)
                return None

        return ask

    def _told(self, missing: Mapping[Grant, list[Right]]) -> tuple[list[Result], list[Result]]:
        """Of namespaces where the bot keeps tokens alone, and of all others."""
        limited: list[Result] = []
        groups: dict[tuple[Right, ...], list[Grant]] = {}
        for grant, rights in missing.items():
            if rights == self._asked(grant):
                groups.setdefault((_EVERY, *rights), []).append(grant)
                continue
            names = self._gateways_by_name(grant, rights)
            if names:
                limited.append(self._only_tokens(grant, rights, names))
                continue
            for needed in (True, False):
                some = tuple(right for right in rights if right.needed is needed)
                if some:
                    groups.setdefault(some, []).append(grant)
        return limited, [self._short(rights, grants) for rights, grants in groups.items()]

    def _gateways_by_name(self, grant: Grant, missing: Sequence[Right]) -> tuple[str, ...]:
        if grant.namespace is None or Right(*_CHANGES) not in missing:
            return ()
        return self._by_name(grant.namespace)

    def _by_name(self, namespace: str) -> tuple[str, ...]:
        verb, group, resource = _CHANGES
        try:
            return self._cluster.by_name(namespace, group, resource, verb)
        except GatewayBotError:
            return ()

    def _only_tokens(self, grant: Grant, rights: Sequence[Right], names: Sequence[str]) -> Result:
        where = f"namespace {self._of.name}/{grant.namespace}"
        lacks = [r for r in rights if (r.group, r.resource, r.verb) in _OF_TOKENS]
        if lacks:
            return fail(
                self._rights,
                f"In {where} the bot only keeps tokens valid, but is not allowed to {listed(lacks)}.",
                "Compare its Role with “Only tokens” in docs/install.md.",
            )
        return warn(
            self._rights,
            f"In {where} the bot may change only {_some(names)}, so it keeps tokens there and "
            "deploys no gateways.",
            f"If it is to deploy there, grant the rest with: {self._command([grant])}",
        )

    def _short(self, rights: Sequence[Right], grants: Sequence[Grant]) -> Result:
        """One line for the same rights that are missing in one place or several."""
        lacks = (
            "has none of its rights"
            if rights[0] is _EVERY
            else f"is not allowed to {listed(rights)}"
        )
        happened = f"The bot {lacks} {self._where(grants)}."
        remedy = self._granting(grants)
        if not rights[0].needed:
            return warn(
                self._rights,
                f"{happened} Plans and status show the related facts as unknown.",
                remedy,
            )
        everywhere = grants[0].namespace is None
        means = (
            "It does not see all that it needs of gateways there."
            if everywhere
            else "It cannot deploy or change gateways there."
        )
        return fail(self._rights, f"{happened} {means}", remedy)

    def _where(self, grants: Sequence[Grant]) -> str:
        if grants[0].namespace is None:
            return f"on the whole of cluster {self._of.name}"
        places = [f"{self._of.name}/{grant.namespace}" for grant in grants]
        return f"in {'namespace' if len(places) == 1 else 'namespaces'} {_some(places)}"

    def _nowhere(self, live: Sequence[str] | None, covered: Sequence[str]) -> list[Result]:
        """Why no namespace was proved."""
        where, patterns = f"cluster {self._of.name}", patterns_of(self._of, self._settings)
        told = ", ".join(patterns)
        if not patterns:
            if named_in(self._of, self._settings):
                # Of each of these it is said why not.
                return []
            happened = f"No environment covers {where}, so there is no namespace to prove."
            remedy = "Name the cluster in `clusters` of an environment, if it is to have gateways."
            return [warn(self._rights, happened, remedy)]
        if live is None:
            happened = (
                f"The namespaces of {where} could not be listed, so of those that the settings "
            )
            happened += f"cover ({told}) there is no namespace to prove."
            return [warn(self._rights, happened, "Run the check again once they can be listed.")]
        if not covered:
            happened = (
                f"Cluster {self._of.name} has none of the namespaces that the settings cover "
            )
            happened += f"({told}), so there is no namespace to prove."
            remedy = "Create one, or correct `environments` in the settings."
            return [warn(self._rights, happened, remedy)]
        if len(covered) > _MOST:
            happened = "The bot is not allowed to patch deployments in any of the first "
            happened += f"{_MOST} of {len(covered)} namespaces of {where} that the settings cover "
            happened += f"({told}). The others were not asked about."
            remedy = f"If it has no rights in those either: {self._granting([])}"
            return [warn(self._rights, happened, remedy)]
        happened = (
            f"The bot is not allowed to patch deployments in any namespace of {where} that the "
        )
        happened += f"settings cover ({told}). It cannot deploy or change gateways there."
        return [fail(self._rights, happened, self._granting([]))]

    def _granting(self, grants: Sequence[Grant]) -> str:
        """How to give the bot all that it needs there, in an imperative."""
        if named_in(self._of, self._settings) or any(grant.namespace for grant in grants):
            return f"Grant it with: {self._command(grants)}"
        return (
            f"Grant it with {self._command(grants)}, in which you name each namespace that has gateways "
            "with --gateway-namespace."
        )

    def _command(self, grants: Sequence[Grant]) -> str:
        """What gives the bot all that it needs there."""
        user = self._cluster.signed_in_as() or "USER"
        words = ["--cluster", self._of.name, "--user", user]
        if user.startswith(_ACCOUNT):
            namespace, _, account = user.removeprefix(_ACCOUNT).partition(":")
            # Of the names of the objects, which that of the bot's namespace is a part of.
            words += ["--namespace", namespace] if account == APP and namespace != APP else []
        named = named_in(self._of, self._settings)
        more = [g.namespace for g in grants if g.namespace and g.namespace not in named]
        for namespace in more:
            words += ["--gateway-namespace", namespace]
        context = ["--context", self._of.context] if self._of.context else []
        apply = ["kubectl", *context, "apply", "--server-side", "-f", "-"]
        return command("k8s-manifest", self._config, *words, into=apply)


def listed(rights: Sequence[Right]) -> str:
    """Rights as a person reads them: “create or patch deployments or services, get secrets”."""
    verbs: dict[str, list[str]] = {}
    for right in rights:
        verbs.setdefault(right.resource, []).append(right.verb)
    resources: dict[tuple[str, ...], list[str]] = {}
    for resource, its in verbs.items():
        resources.setdefault(tuple(its), []).append(resource)
    return "; ".join(f"{joined(its, 'or')} {joined(some, 'or')}" for its, some in resources.items())


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
