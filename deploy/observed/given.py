"""Reads what a gateway's container is given: its ConfigMaps, and of its Secrets what shows a token.

Of a Secret only names are kept, and what a gateway signs in with, a token without its signature.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.effective import EffectiveSettings, effective_settings, sources_of
from deploy.observed.inventory import gateway_container
from deploy.observed.sign_in import HIDDEN, sign_in_text

Content = Mapping[str, str | None]


def read_given(
    cluster: Cluster, namespace: str, pod_spec: Mapping[str, Any], *, secrets: bool = False
) -> EffectiveSettings:
    """What the gateway's container in a pod of that spec gets if it starts now; what its Secrets hold
    only where asked for. Raises what reading raises."""
    container = gateway_container(pod_spec)
    wanted = {(o.kind, o.name) for o in sources_of(container) if secrets or o.kind == "ConfigMap"}
    # One after another: this is read beside other things, by threads that must not wait for threads.
    found: dict[tuple[str, str], Content | None] = {
        (kind, name): content_of(cluster.get(kind, namespace, name))
        for kind, name in sorted(wanted)
    }
    return given_by(container, found)


def given_among(deployment: Manifest, config_maps: Iterable[Manifest]) -> EffectiveSettings:
    """What a Deployment's gateway container is given where these are all of its ConfigMaps. Pure."""
    container = gateway_container(deployment["spec"]["template"].get("spec") or {})
    return effective_settings(container, config_map_data(config_maps))


def given_by(
    container: Mapping[str, Any], contents: Mapping[tuple[str, str], Content | None]
) -> EffectiveSettings:
    """What a container is given; `contents` are by kind and name. Pure."""
    maps, secrets = (
        {name: content for (of, name), content in contents.items() if of == kind}
        for kind in ("ConfigMap", "Secret")
    )
    return effective_settings(container, maps, secrets)


def config_map_data(config_maps: Iterable[Manifest]) -> dict[str, Content]:
    """What ConfigMaps hold, by their names."""
    return {str(each["metadata"]["name"]): each.get("data") or {} for each in config_maps}


def data_of_all(
    container: Mapping[str, Any], config_maps: Iterable[Manifest]
) -> dict[str, Content | None]:
    """The same where these are all that there are: any other that the container names is not there."""
    named = {origin.name for origin in sources_of(container) if origin.kind == "ConfigMap"}
    return {**dict.fromkeys(named), **config_map_data(config_maps)}


def content_of(item: Manifest | None) -> Content | None:
    """What a ConfigMap or Secret holds; None where there is none."""
    if item is None:
        return None
    data = item.get("data") or {}
    if item.get("kind") != "Secret":
        return {str(name): str(value) for name, value in data.items()}
    return {str(name): _shown(str(value)) for name, value in data.items()}


def _shown(encoded: str) -> str | None:
    try:
        text = base64.b64decode(encoded, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    shown = sign_in_text(text)
    return None if shown == HIDDEN else shown
