"""Gateways that others deploy and whose token alone this bot keeps valid. Pure.

That the bot keeps it is written on the Secret of its own that holds the token, so nothing is lost
with Redis: which Deployment it is for, and which gateway in API Management it is a token of.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deploy.annotations import (
    MANAGE_ANNOTATION,
    MANAGER,
    RESOURCE_ANNOTATION,
    TOKEN_ACTION_ANNOTATION,
    WORKLOAD_ANNOTATION,
    WRITTEN_AT_ANNOTATION,
)
from deploy.kube.objects import Manifest
from deploy.observed.effective import effective_settings
from deploy.observed.inventory import container_of
from deploy.observed.sign_in import AUTH_KEY, token_origin
from deploy.specs.settings import AUTH
from deploy.times import epoch
from deploy.tokens.token import LAYOUT_KEY

TOKEN = "token"
"""What MANAGE_ANNOTATION says."""
_RELOADER = "reloader.stakater.com/"
_BACK = ".back"


@dataclass(frozen=True)
class KeptToken:
    """What a Secret of this bot says of the gateway whose token it keeps."""

    workload: str
    instance: str
    gateway: str


@dataclass(frozen=True)
class TokenReading:
    """How the gateway's container is given its token.

    `how` is `reference` where a variable names a Secret and a key, `whole` where a Secret is taken in
    with envFrom, `inline` where the text stands in the Deployment or in a ConfigMap, and `nowhere`
    where nothing shows one. `secret` is empty for the last two; `key` is the one to keep in a Secret
    that takes its place.
    """

    how: Literal["reference", "whole", "inline", "nowhere"]
    container: str
    variable: str = AUTH
    secret: str = ""
    key: str = LAYOUT_KEY


def kept_in(secret: Manifest | None) -> KeptToken | None:
    """Whose token this bot keeps in a Secret; None for every other Secret."""
    if secret is None:
        return None
    noted = secret["metadata"].get("annotations") or {}
    labels = secret["metadata"].get("labels") or {}
    if noted.get(MANAGE_ANNOTATION) != TOKEN or labels.get(_MANAGED_BY) != MANAGER:
        return None
    instance, slash, gateway = str(noted.get(RESOURCE_ANNOTATION, "")).partition("/")
    return KeptToken(str(noted.get(WORKLOAD_ANNOTATION, "")), instance, gateway) if slash else None


_MANAGED_BY = "app.kubernetes.io/managed-by"


def stable_name(workload: str) -> str:
    """The Secret whose content changes at each rotation, where others own the reference to it."""
    return f"{workload}-managed-token"


def copy_name(workload: str) -> str:
    """The Secret that holds the previous token until the new one is verified."""
    return f"{stable_name(workload)}-previous"


def token_reading(deployment: Manifest) -> TokenReading:
    """How the gateway's container gets its token, as far as the Deployment shows it."""
    container = container_of(deployment)
    name = str(container.get("name", ""))
    given = effective_settings(container, {})
    origin = token_origin(given)
    if origin is None:
        return TokenReading("nowhere", name)
    if origin.kind != "Secret":
        return TokenReading("inline", name)
    if not origin.key:
        return TokenReading("whole", name, secret=origin.name, key=AUTH_KEY)
    variables: list[Mapping[str, Any]] = list(container.get("env") or ())
    by_name = (
        str(each["name"])
        for each in variables
        if ((each.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name") == origin.name
        and each["valueFrom"]["secretKeyRef"].get("key") == origin.key
    )
    return TokenReading("reference", name, next(by_name, AUTH), origin.name, origin.key)


def restarted_by_reloader(deployment: Manifest, secret: str) -> bool:
    """Whether Stakater's Reloader restarts the pods when that Secret changes (github.com/stakater/
    Reloader, README): then nobody else should."""
    template = deployment["spec"]["template"].get("metadata") or {}
    for metadata in (deployment["metadata"], template):
        for name, value in (metadata.get("annotations") or {}).items():
            named = [part.strip() for part in str(value).split(",")]
            if name in (f"{_RELOADER}auto", f"secret.{_RELOADER}auto") and value == "true":
                return True
            if name == f"secret.{_RELOADER}reload" and secret in named:
                return True
    return False


def restart_mark(action_id: str, *, back: bool = False) -> str:
    """What the pods' template says of the action that restarts them, also when it goes back."""
    return f"{action_id}{_BACK}" if back else action_id


def marked_by(template: Mapping[str, Any]) -> str:
    """The mark that pods, or a template of them, have of the action that gave them their token."""
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(TOKEN_ACTION_ANNOTATION, ""))


def marking_action(template: Mapping[str, Any]) -> str:
    """The action that gave the pods their token, or took it back; empty where none did."""
    return marked_by(template).removesuffix(_BACK)


def written_at(secret: Manifest | None) -> float | None:
    """When the token was put into the Secret."""
    noted = (secret["metadata"].get("annotations") or {}) if secret else {}
    return epoch(noted.get(WRITTEN_AT_ANNOTATION))
