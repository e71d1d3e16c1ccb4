"""The ConfigMaps and whole Secrets from which a gateway of others gets its settings, as they are."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from deploy.errors import Refused
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.effective import EffectiveSettings, Origin, sources_of
from deploy.observed.given import content_of, given_by
from deploy.observed.inventory import container_of
from deploy.observed.sign_in import AUTH_KEY, token_origin
from deploy.observed.token_only import TokenReading, token_reading
from deploy.specs.settings import AUTH


@dataclass(frozen=True)
class GivenSources:
    """Those that are there and may be read. One that may be missing, and is, counts as empty."""

    config_maps: tuple[Manifest, ...]
    secrets: tuple[Manifest, ...]

    @property
    def objects(self) -> tuple[Manifest, ...]:
        """All of them."""
        return (*self.config_maps, *self.secrets)


def sources_read(cluster: Cluster, deployment: Manifest) -> GivenSources:
    """What the Deployment's gateway takes in; of Secrets those that it takes whole. Raises what reading
    raises, but for Secrets that must not be read."""
    container = container_of(deployment)
    wanted = {o.name: "ConfigMap" for o in sources_of(container) if o.kind == "ConfigMap"}
    whole = {o.name: "Secret" for o in sources_of(container) if o.kind == "Secret" and not o.key}
    optional = {
        (kind, source[key]["name"])
        for source in container.get("envFrom") or ()
        for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret"))
        if (source.get(key) or {}).get("optional")
    }
    origins = [(kind, name) for each in (wanted, whole) for name, kind in each.items()]
    namespace = deployment["metadata"]["namespace"]
    found = cluster.at_once(
        [
            _reading(cluster, kind, namespace, name, (kind, name) in optional)
            for kind, name in origins
        ]
    )
    there = [item for item in found if item is not None]
    return GivenSources(
        tuple(item for item in there if item["kind"] == "ConfigMap"),
        tuple(item for item in there if item["kind"] == "Secret"),
    )


def given_from(deployment: Manifest, sources: GivenSources) -> EffectiveSettings:
    """What its container is given. Pure."""
    contents = {
        (str(item["kind"]), str(item["metadata"]["name"])): content_of(item)
        for item in sources.objects
    }
    return given_by(container_of(deployment), contents)


def reading_among(deployment: Manifest, given: EffectiveSettings) -> TokenReading:
    """How its container gets its token where that is what it is `given`: of several Secrets that it
    takes in whole, the one that holds it. Pure."""
    reading = token_reading(deployment)
    origin = token_origin(given) if reading.how == "whole" else None
    if origin is None or not origin.key:
        return reading
    if origin.kind != "Secret":
        return TokenReading("inline", reading.container)
    return dataclasses.replace(reading, secret=origin.name, key=_setting(given, origin))


def _setting(given: EffectiveSettings, origin: Origin) -> str:
    """The name under which the container gets the token, a prefix included."""
    by_key = given.find(AUTH_KEY)
    return AUTH_KEY if by_key is not None and by_key.origin == origin else AUTH


def _reading(
    cluster: Cluster, kind: str, namespace: str, name: str, optional: bool
) -> Callable[[], Manifest | None]:
    empty = {"metadata": {"name": name, "namespace": namespace}} if optional else None

    def read() -> Manifest | None:
        try:
            found = cluster.get(kind, namespace, name) or empty
        except Refused:
            if kind != "Secret":
                raise
            return None
        return None if found is None else {**found, "kind": kind}

    return read
