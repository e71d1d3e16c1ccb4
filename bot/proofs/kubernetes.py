"""Whether each cluster answers and grants every right that `gateway-bot k8s-manifest` prints."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from bot.install.access import Grant, grants_on, named_in, patterns_of
from bot.install.installation import APP
from bot.proofs.commands import command
from bot.proofs.results import Prove, Result, fail, ok, warn, wrong
from bot.settings import ClusterSettings, Settings
from deploy.errors import GatewayBotError, NotGranted
from deploy.kube.cluster import Cluster, connect

_CHANGES = ("patch", "apps", "deployments")
_ARGO = "argoproj.io"
_MOST = 100
"""In so many namespaces that only a pattern covers the right to change is asked for."""
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


def proofs(settings: Settings, config: Path) -> dict[str, Prove]:
    """A proof for each cluster."""
    return {f"cluster {each.name}": _proving(each, settings, config) for each in settings.clusters}


def _proving(of: ClusterSettings, settings: Settings, config: Path) -> Prove:
    def prove() -> list[Result]:
        cluster = connect(
            of.name,
            kubeconfig=of.kubeconfig,
            context=of.context,
            in_cluster=of.in_cluster,
            namespaces=of.namespaces or (),
        )
        try:
            return list(_Proof(cluster, of, settings, config).results())
        finally:
            cluster.close()

    return prove


class _Proof:
    """What is found of one cluster."""

    def __init__(
        self, cluster: Cluster, of: ClusterSettings, settings: Settings, config: Path
    ) -> None:
        self._cluster = cluster
        self._of = of
        self._settings = settings
        self._config = config
        self._name = f"cluster {of.name}"
        self._rights = f"rights on cluster {of.name}"
        self._serves_rollouts = False

    def results(self) -> list[Result]:
        """The cluster itself first, then a line for each group of rights that are missing."""
        version = self._cluster.version()
        self._serves_rollouts = self._cluster.serves("Rollout")
        absent: list[Result] = []
        there = [n for n in sorted(named_in(self._of, self._settings)) if self._is_there(n, absent)]
        if self._of.namespaces:
            seen, matched = f"{self._cluster.places.text}", []
        else:
            live = self._live()
            matched = self._changeable(live, there)
            seen = f"{len(live)} namespaces" if live is not None else "namespaces unknown"
        grants = grants_on(self._of, [*there, *matched])
        missing = self._missing(grants)
        limited, short = self._told(missing)
        good = [
            grant.namespace
            for grant in grants
            if grant.namespace is not None
            and not any(right.needed for right in missing.get(grant, ()))
        ]
        changes = f"may change gateways in {_some(good) if good else 'no namespace'}"
        works = [ok(self._name, f"Kubernetes {version}, {seen}; {changes}")]
        if not there and not matched and not absent:
            works.append(self._nowhere())
        return [*works, *absent, *limited, *short]

    def _is_there(self, namespace: str, absent: list[Result]) -> bool:
        try:
            self._cluster.check_namespace(namespace)
        except GatewayBotError as error:
            if self._of.namespaces:
                absent.append(wrong(self._rights, error))
            elif isinstance(error, NotGranted):
                # The right to read it is proved with the others.
                return True
            else:
                # An environment may cover several clusters, and not be on all of them.
                remedy = "Create it, or correct `environments` in the settings."
                absent.append(warn(self._rights, error.happened, remedy))
            return False
        return True

    def _live(self) -> tuple[str, ...] | None:
        try:
            return self._cluster.namespaces()
        except GatewayBotError:
            # The right to list them is proved with the others.
            return None

    def _changeable(self, live: Sequence[str] | None, named: Sequence[str]) -> list[str]:
        """Of the namespaces that only patterns cover, those where the bot was given the right to
        change gateways: it need not have it in all of them."""
        patterns = patterns_of(self._of, self._settings)
        covered = [
            n
            for n in live or ()
            if n not in named and any(fnmatchcase(n, pattern) for pattern in patterns)
        ][:_MOST]
        may = self._cluster.at_once([self._asking(Right(*_CHANGES), n) for n in covered])
        return [n for n, granted in zip(covered, may, strict=True) if granted]

    def _missing(self, grants: Sequence[Grant]) -> Mapping[Grant, list[Right]]:
        """What is not granted, all of it asked for at once, as many at a time as a cluster's client
        does."""
        asked = [(grant, right) for grant in grants for right in self._asked(grant)]
        may = self._cluster.at_once(
            [self._asking(right, grant.namespace) for grant, right in asked]
        )
        missing: dict[Grant, list[Right]] = {}
        for (grant, right), granted in zip(asked, may, strict=True):
            if not granted:
                missing.setdefault(grant, []).append(right)
        return missing

    def _asked(self, grant: Grant) -> list[Right]:
        """The rights of a Role, without those on what the cluster does not have."""
        return [
            Right(verb, rights.group, resource, rights.needed)
            for rights in grant.rights
            for resource in rights.resources
            for verb in rights.verbs
            if rights.group != _ARGO or self._serves_rollouts
        ]

    def _asking(self, right: Right, namespace: str | None) -> Callable[[], bool]:
        resource, _, subresource = right.resource.partition("/")
        return lambda: self._cluster.can_i(
            right.verb, right.group, resource, namespace, subresource
        )

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
        verb, group, resource = _CHANGES
        try:
            return self._cluster.by_name(grant.namespace, group, resource, verb)
        except GatewayBotError:
            return ()

    def _only_tokens(self, grant: Grant, rights: Sequence[Right], names: Sequence[str]) -> Result:
        where = f"namespace {self._of.name}/{grant.namespace}"
        lacks = [r for r in rights if (r.group, r.resource, r.verb) in _OF_TOKENS]
        if lacks:
            return fail(
                self._rights,
                f"In {where} the bot keeps tokens alone, and is not allowed to {listed(lacks)}.",
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
        remedy = f"Grant it with: {self._command(grants)}"
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

    def _nowhere(self) -> Result:
        patterns = ", ".join(patterns_of(self._of, self._settings)) or "none"
        return fail(
            self._rights,
            f"The bot is not allowed to patch deployments in any namespace of cluster {self._of.name} that the "
            f"settings cover ({patterns}). It cannot deploy or change gateways there.",
            f"Grant it with: {self._command([])}",
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
        if not named and not more:
            more = ["NAMESPACE"]
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
    return "; ".join(f"{_or(its)} {_or(some)}" for its, some in resources.items())


def _or(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
