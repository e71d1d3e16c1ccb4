"""Rules on who gets a gateway's token: the host it is sent to, the image and the pods that hold it,
and the objects that decide these.

A token is good wherever its gateway runs, so what these rules guard is not only the place where a
change is asked for. They are the same in every environment.
"""

from collections.abc import Iterable

from deploy.azure import host_of
from deploy.images.names import repository_of
from deploy.rules.rule import OVERVIEW, SECRETS, SETTINGS, TOKEN, Rule
from deploy.rules.view import GatewayView

_ENDPOINT = "config.service.endpoint"
_UNCHECKED = "config.service.endpoint.disableCertificateValidation"
_LONGEST = 300


def _unknown_hosts(view: GatewayView) -> list[str]:
    """The hosts that may be sent the token and that the settings do not know."""
    if view.facts.endpoints is None:
        return []
    said = [v for holder in view.holders for v in holder.values(_ENDPOINT) if v is not None]
    return _unknown((host_of(value) for value in said), view.facts.endpoints)


def _unknown_images(view: GatewayView) -> list[str]:
    """The repositories of the images that hold the token and that the settings do not know."""
    if view.facts.repositories is None:
        return []
    images = (repository_of(holder.image).lower() for holder in view.holders)
    return _unknown(images, [each.lower() for each in view.facts.repositories])


def _unknown(found: Iterable[str], known: Iterable[str]) -> list[str]:
    return sorted(set(found) - set(known))


def _is_sent(view: GatewayView) -> bool:
    """Whether the plan sends a token to the endpoint: a new one, or one that pods hold already."""
    return view.facts.mints or "endpoint" in view.facts.redirects


def _is_given(view: GatewayView) -> bool:
    """Whether the plan gives a token to the image: a new one, or a kept one to another image."""
    return view.facts.mints or ("image" in view.facts.redirects and view.uses_token)


def _is_sent_astray(view: GatewayView) -> bool:
    """Whether a token may be sent to a host that is not known; what cannot be read may be one."""
    unread = view.facts.endpoints is not None and any(
        not holder.complete or None in holder.values(_ENDPOINT) for holder in view.holders
    )
    return _is_sent(view) and (unread or bool(_unknown_hosts(view)))


def _is_unchecked(view: GatewayView) -> bool:
    return any(
        value is None or value.strip().lower() == "true"
        for holder in view.holders
        for value in holder.values(_UNCHECKED)
    )


def _endpoints_line(view: GatewayView) -> str:
    hosts = _unknown_hosts(view)
    if not hosts:
        return "The host must be set in the ConfigMap or Deployment, where the bot can read it."
    # The first is the instance's own, which need not be listed.
    listed = [*(view.facts.endpoints or ())[1:], *hosts]
    return f"Under apim, {view.facts.instance or 'its instance'}: endpoints: {_list(listed)}"


def _repositories_line(view: GatewayView) -> str:
    listed = [*(view.facts.repositories or ()), *_unknown_images(view)]
    return f"Under images: repositories: {_list(listed)}"


def _references_line(view: GatewayView) -> str:
    return f"Found: {_list(view.facts.token_references)}"


def _objects_line(view: GatewayView) -> str:
    return f"Found: {_list(view.facts.others_objects)}"


def _jobs_line(view: GatewayView) -> str:
    return f"Found: {_list(view.facts.rotated_by)}"


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(value[:_LONGEST] for value in values)}]"


TOKENS: tuple[Rule, ...] = (
    Rule(
        "token-to-unknown-endpoint",
        "deny",
        "deny",
        _is_sent_astray,
        "A token would be sent to a host that the settings do not know.",
        "Anyone with the token can act as this gateway everywhere.",
        "Use the instance's own endpoint, or list the host in the settings.",
        SETTINGS,
        line=_endpoints_line,
        binding=True,
    ),
    Rule(
        "unknown-endpoint",
        "warning",
        "warning",
        lambda view: not _is_sent(view) and bool(_unknown_hosts(view)),
        "The gateway gets its configuration from a host that the settings do not know.",
        "A plan for its next token will be denied.",
        "If the host is yours, list it in the settings.",
        SETTINGS,
        line=_endpoints_line,
    ),
    Rule(
        "token-in-unknown-image",
        "deny",
        "deny",
        lambda view: _is_given(view) and bool(_unknown_images(view)),
        "A token would be given to an image that the settings do not know.",
        "Whatever runs in the pod can read the token and act as this gateway.",
        "Use Microsoft's image or your mirror, or list the repository in the settings.",
        OVERVIEW,
        line=_repositories_line,
        binding=True,
    ),
    Rule(
        "unknown-image",
        "warning",
        "warning",
        lambda view: not _is_given(view) and bool(_unknown_images(view)),
        "The pods run an image that the settings do not know.",
        "A plan for its next token will be denied.",
        "If the image is yours, list its repository in the settings.",
        OVERVIEW,
        line=_repositories_line,
    ),
    Rule(
        "token-without-certificate",
        "deny",
        "deny",
        lambda view: (view.uses_token or bool(view.facts.redirects)) and _is_unchecked(view),
        "The gateway sends its token without verifying the endpoint's certificate.",
        "A server that impersonates it gets the token. Microsoft says that turning this check off is for "
        "tests only.",
        "Remove config.service.endpoint.disableCertificateValidation.",
        TOKEN,
        binding=True,
    ),
    Rule(
        "token-by-reference",
        "deny",
        "deny",
        lambda view: bool(view.facts.token_references),
        "The pods would be given a Secret that holds a gateway token, or may hold one.",
        "A token belongs only in config.service.auth of its own gateway's pods. Given in any other way, "
        "it reaches pods that nobody who governs the gateway has approved.",
        "Reference a Secret that exists, that the bot may read and that holds no gateway token.",
        SECRETS,
        line=_references_line,
        binding=True,
    ),
    Rule(
        "object-of-another",
        "deny",
        "deny",
        lambda view: bool(view.facts.others_objects),
        "An object that belongs to another gateway or workload would be overwritten.",
        "Its settings decide where that gateway sends its token, and who reaches its pods.",
        "Give this gateway objects of its own: leave their names out of the spec, or choose others.",
        SETTINGS,
        line=_objects_line,
        binding=True,
    ),
    Rule(
        "rotated-elsewhere",
        "warning",
        "warning",
        lambda view: bool(view.facts.rotated_by),
        "A CronJob that this bot did not make may rotate this token or its keys too.",
        "When it regenerates a key, Azure rejects every token of that key at once, which can include "
        "this gateway's token.",
        "Suspend the CronJob, or leave rotation to it and turn automatic rotation off.",
        TOKEN,
        line=_jobs_line,
    ),
)
