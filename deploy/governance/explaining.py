"""What a plan says of the other places where its gateway's token is. Pure."""

from collections.abc import Collection, Sequence

from deploy.gateway import GatewayRef
from deploy.governance.requirements import Because, TokenAuthority
from deploy.rules.finding import Finding

_RULE = "token-authority"
_BECAUSE: dict[Because, str] = {
    "governed_by": "the settings assign gateways named {by} to it",
    "seen": "the same gateway runs in {by}, or did within the last 30 days",
    "never_read": "the bot has never been able to read {by}, so the gateway may run there",
    "out_of_sight": (
        "the bot sees only the listed namespaces of {by}, and the gateway may run in other ones"
    ),
    "unidentified": "the bot cannot determine which gateway the token of {by} belongs to",
}
_LISTED = 3


def findings(
    authority: TokenAuthority, target: GatewayRef, approving: Collection[str]
) -> tuple[Finding, ...]:
    """Who else decides and why, and which places could act as this gateway.

    `approving` are the environments in which somebody has to approve: no other has a decision.
    """
    found = []
    # The first is the target's own, which decides in any case.
    for governing in authority.governing[1:]:
        reasons = [
            _BECAUSE[reason.because].format(by=reason.by)
            for reason in governing.reasons
            if reason.because in _BECAUSE
        ]
        if reasons and governing.environment in approving:
            found.append(
                Finding(
                    _RULE,
                    "info",
                    f"This also requires approval for {governing.environment}: "
                    f"{_listed(reasons, '; ')}.",
                    "Anyone with a token of a gateway can act as that gateway everywhere.",
                    "Use one gateway resource per environment, or set `governed_by` for it "
                    "under `apim[].gateways` in the settings.",
                )
            )
    places = [str(place.ref) for place in authority.less_protected if place.ref != target]
    if places:
        found.append(
            Finding(
                _RULE,
                "warning",
                "A token of the same gateway is, or was within the last 30 days, in less "
                f"protected places: {_listed(places, ', ')}.",
                "Anyone who may change those can act as this gateway.",
                "Use one gateway resource per environment.",
            )
        )
    unlisted = [str(ref) for ref in authority.unlisted if ref != target]
    if unlisted:
        found.append(
            Finding(
                _RULE,
                "info",
                f"The same gateway runs outside every environment: {_listed(unlisted, ', ')}.",
                "This does not add a required approval here.",
                "Add its namespace under `environments` in the settings.",
            )
        )
    return tuple(found)


def _listed(texts: Sequence[str], separator: str) -> str:
    more = len(texts) - _LISTED
    return separator.join(texts[:_LISTED]) + (f" and {more} more" if more > 0 else "")
