"""A spec file that says `manage: token`: others deploy that gateway, and only its token is kept. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.errors import InvalidInput
from deploy.gateway import GatewayRef
from deploy.specs.spec import load_yaml

MANAGE = "manage"
TOKEN = "token"
NEEDED = ("gateway", "cluster", "namespace")
_KNOWN = frozenset((MANAGE, "name", *NEEDED))
"""Which gateway it is, here and in Azure, and nothing of how it runs."""


@dataclass(frozen=True)
class TokenSpec:
    """Where the gateway runs that others deploy, and its name in API Management."""

    ref: GatewayRef
    gateway: str


def token_spec_from_yaml(text: str) -> TokenSpec | None:
    """What a file says that is about the token alone; None for the spec of a whole gateway.

    InvalidInput for anything beside which gateway it is.
    """
    found = load_yaml(text)
    if not isinstance(found, Mapping) or MANAGE not in found:
        return None
    if found[MANAGE] != TOKEN:
        raise InvalidInput(
            "`manage` can only be `token`.",
            field=MANAGE,
            remedy="Leave it out of the spec of a gateway that this bot deploys.",
        )
    more = [name for name in found if name not in _KNOWN]
    if more:
        raise InvalidInput(
            f"`manage: token` cannot stand beside `{more[0][:80]}`.",
            field=more[0],
            meaning="Others deploy that gateway, and the bot keeps its token and changes nothing else.",
            remedy=f"Keep only {', '.join(f'`{name}`' for name in NEEDED)} and `name`, or leave out "
            "`manage`.",
        )
    missing = next((name for name in NEEDED if not _said(found, name)), "")
    if missing:
        raise InvalidInput(f"{missing} is missing.", field=missing)
    gateway = _said(found, "gateway")
    name = _said(found, "name") or gateway.lower()
    return TokenSpec(GatewayRef(_said(found, "cluster"), _said(found, "namespace"), name), gateway)


def _said(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidInput(f"{name} must be text.", field=name)
    return value or ""
