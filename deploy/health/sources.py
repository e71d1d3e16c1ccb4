"""The ConfigMaps and Secrets that alone show how a gateway signs in, read ahead as tokens' facts are.

Most Deployments show it themselves, as every one of this bot's does, and cost no request. Nothing is
kept but names, a few settings, and of tokens whose they are and when they expire.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from deploy.errors import GatewayBotError
from deploy.health.trimming import kept_value
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed import inventory
from deploy.observed.effective import EffectiveSettings, Origin, effective_settings
from deploy.observed.given import Content, content_of, given_by
from deploy.observed.sign_in import AUTH_KEY, sign_in, token_origin
from deploy.observed.token_facts import AGAIN_SECONDS, SecretKey, TokenFacts, facts_of_text
from deploy.observed.workloads import workload_kind
from deploy.specs.settings import AUTH

_Key = tuple[str, str, str]
"""Kind, namespace and name."""


@dataclass(frozen=True)
class _Read:
    content: Content | None
    at: float
    error: str = ""


@dataclass(frozen=True)
class SignIn:
    """How a gateway signs in, as its Deployment and what was read beside it show.

    `secret` is where its token is, None for a token that is in no Secret; `told` what is known of
    such a token, or why nothing is. Of one that signs in to Entra ID both are None.
    """

    kind: str
    given: EffectiveSettings
    secret: SecretKey | None = None
    told: TokenFacts | None = None

    @property
    def has_token(self) -> bool:
        """Whether it holds a gateway token, as far as anything shows."""
        return self.kind == "token"


@dataclass(frozen=True)
class _Alone:
    """What a Deployment alone shows, and which objects must be read to know more."""

    deployment: Manifest
    wanted: tuple[Origin, ...]
    shows: SignIn


class Sources:
    """Of one cluster. `read` is for one thread, `sign_in` for many; what was read is replaced whole."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._read: Mapping[_Key, _Read] = {}
        self._alone: dict[_Key, _Alone] = {}

    def sign_in(self, deployment: Manifest) -> SignIn:
        """How it signs in, as far as that has been read."""
        alone = self._looked_at(deployment)
        if not alone.wanted:
            return alone.shows
        namespace = deployment["metadata"]["namespace"]
        wanted = [(origin, self._read.get(_key(namespace, origin))) for origin in alone.wanted]
        known = [(o, r.content) for o, r in wanted if r is not None and not r.error]
        contents: dict[tuple[str, str], Content | None] = {
            (origin.kind, origin.name): content for origin, content in known
        }
        given = given_by(inventory.container_of(deployment), contents)
        shown = _shown(deployment, given)
        if not shown.has_token:
            return shown
        if any(read is None for _, read in wanted):
            return replace(shown, secret=None, told=TokenFacts(None, error="not read yet"))
        errors = [read.error for _, read in wanted if read is not None and read.error]
        if shown.secret is None and errors:
            return replace(shown, told=TokenFacts(None, error=errors[0]))
        return shown

    def unread(self, deployments: Iterable[Manifest]) -> bool:
        """Whether something that one of these gateways needs has never been asked for."""
        return bool(self._wanted(deployments) - self._read.keys())

    def read(self, deployments: Iterable[Manifest]) -> bool:
        """Read what these gateways need and what was read too long ago; whether anything is new."""
        now, known = time.time(), self._read
        gateways = tuple(deployments)
        wanted = self._wanted(gateways)
        due = sorted(k for k in wanted if k not in known or now - known[k].at >= AGAIN_SECONDS)
        found = self._cluster.at_once([_reading(self._cluster, key, now) for key in due])
        kept = {key: read for key, read in known.items() if key in wanted}
        self._read = kept | dict(zip(due, found, strict=True))
        present = {_name(deployment) for deployment in gateways}
        # Readers add to it meanwhile, and a copy is made in one go.
        known_alone = list(self._alone.items())
        self._alone = {name: each for name, each in known_alone if name in present}
        return _contents(self._read) != _contents(known)

    def _wanted(self, deployments: Iterable[Manifest]) -> set[_Key]:
        return {
            _key(deployment["metadata"]["namespace"], origin)
            for deployment in deployments
            for origin in self._looked_at(deployment).wanted
        }

    def _looked_at(self, deployment: Manifest) -> _Alone:
        """What it shows alone, which many ask: looked at once for each of its states."""
        known = self._alone.get(_name(deployment))
        if known is None or known.deployment is not deployment:
            given = effective_settings(inventory.container_of(deployment), {})
            wanted = deciding(deployment, given)
            known = _Alone(deployment, wanted, _shown(deployment, given))
            self._alone[_name(deployment)] = known
        return known


def deciding(deployment: Manifest, given: EffectiveSettings) -> tuple[Origin, ...]:
    """The objects that must be read before it is known how a gateway signs in; none where its
    Deployment alone, which gives it this much, shows it. Pure."""
    auth = given.find(AUTH)
    if auth is None:
        # This bot's own Deployment says in its spec what its ConfigMap says.
        return () if inventory.signs_in(deployment) else given.unread
    if auth.value is None:
        return (auth.origin,) if auth.origin.kind == "ConfigMap" else ()
    return given.unread if auth.value in ("", "key") and given.find(AUTH_KEY) is None else ()


def _beside_secrets(given: EffectiveSettings, origin: Origin | None) -> TokenFacts:
    """What is known of a token that is in no Secret."""
    if origin is None:
        return TokenFacts(None, error="nothing in its pods' configuration sets config.service.auth")
    where = (
        "the Deployment itself" if origin.kind == "Deployment" else f"{origin.kind} {origin.name}"
    )
    text = given.value(AUTH_KEY) if given.value(AUTH) in ("", "key") else given.value(AUTH)
    return facts_of_text(text, where)


def _shown(deployment: Manifest, given: EffectiveSettings) -> SignIn:
    """How a gateway signs in that is given this."""
    kind = sign_in(deployment, given)
    if kind != "token":
        return SignIn(kind, given)
    origin = token_origin(given)
    if origin is not None and origin.kind == "Secret":
        namespace = deployment["metadata"]["namespace"]
        return SignIn(kind, given, (namespace, origin.name, origin.key or AUTH_KEY))
    return SignIn(kind, given, told=_beside_secrets(given, origin))


def _name(workload: Manifest) -> _Key:
    metadata = workload["metadata"]
    return workload_kind(workload), metadata["namespace"], metadata["name"]


def _key(namespace: str, origin: Origin) -> _Key:
    return origin.kind, namespace, origin.name


def _reading(cluster: Cluster, key: _Key, now: float) -> Callable[[], _Read]:
    def read() -> _Read:
        kind, namespace, name = key
        try:
            content = content_of(cluster.get(kind, namespace, name))
        except GatewayBotError as error:
            return _Read(None, now, error.happened.rstrip("."))
        if content is None or kind == "Secret":
            return _Read(content, now)
        return _Read({n: kept_value(n, v or "") for n, v in content.items()}, now)

    return read


def _contents(read: Mapping[_Key, _Read]) -> dict[_Key, tuple[Content | None, str]]:
    return {key: (each.content, each.error) for key, each in read.items()}
