"""What the Home tab says."""

from collections.abc import Sequence

from handlers.views.text import counted

DECIDE = "Waiting for you"
ASKED = "Your requests"
ATTENTION = "Needs attention"
TOKENS = "Tokens that expire soon"
FREEZES = "Pauses, freezes and approval windows"
CHANGES = "Recent changes"
GATEWAYS = "Gateways"
OTHER_GATEWAYS = "Other gateways"
NOT_PRODUCTION = "None of these is in production."

QUIET = ":white_check_mark: Nothing is waiting for you, and no gateway needs attention."
NO_GATEWAYS = "No self-hosted gateway runs on the clusters that this bot watches."
REVIEW = "Review…"
SHOW = "Show…"
REFRESH = "Refresh"
DEPLOY = "Deploy a gateway"
HELP = "Help"
CLOSE = "Close"
LOADING = ":hourglass_flowing_sand: Loading…"
NOTHING = "There is nothing to show."

STATUS, LOGS = "Status", "Logs"
RESTART, ROTATE, DEPLOY_ONE = "Restart…", "Rotate the token…", "Deploy…"
KEEP = "Keep token valid…"


def plain(command: str) -> str:
    """In place of a tab that cannot be shown."""
    return (
        ":warning: This tab cannot be shown now; the bot's log says why. "
        f"`{command} pending` lists open requests, `{command} status` the gateways."
    )


def same_cause(count: int, state: str, *, all_of: bool) -> str:
    """That several gateways have one trouble, and probably one cause."""
    every = "Both" if count == 2 else f"All {count}"
    which = every if all_of else f"{count} of them"
    return f"{which} are {state} for the same reason."


def more(count: int) -> str:
    """The button below a section that is cut."""
    return f"and {count} more…"


def read_at(when: str) -> str:
    """When what is shown was read."""
    return f"As of {when}"


def unread(section: str, why: str) -> str:
    """That a section could not be read."""
    return f":warning: *{section}* cannot be shown now: {why}"


def unreadable(requests: Sequence[str]) -> str:
    """That a newer bot wrote requests, or that they are damaged."""
    return (
        f"This version of the bot cannot read {', '.join(requests[:10])}. "
        "Run the same version everywhere."
    )


def left(requests: int) -> str:
    """That so many requests are open beyond those that were read."""
    open_now = f"{counted(requests, 'more request')} {_are(requests)} open"
    return f"{open_now}. Only those that are due first were read."


def outage(name: str) -> str:
    """The headline of a production gateway that serves nobody."""
    return f":rotating_light: *Production outage: {name}*"


def window(gateway: str, place: str, person: str, until: str, by: str) -> str:
    """An approval window that is open."""
    return f":unlock: *{gateway}* ({place}): {person} confirms changes alone until {until}. Opened by {by}."


def token(gateway: str, when: str, renewal: str, *, expired: bool) -> str:
    """A token that expires soon or has expired, and how it is renewed; `gateway` says whose and where."""
    return f"{':red_circle:' if expired else ':key:'} {gateway}\n{token_expires(when, renewal, expired=expired)}"


def token_expires(when: str, renewal: str, *, expired: bool) -> str:
    """When it expires or has expired, and how it is renewed."""
    return f"Its token {'expired' if expired else 'expires'} {when}. {renewal}"


def renewed_automatically(when: str, *, frozen: bool, asked: Sequence[str]) -> str:
    """By the bot alone, then; or now, where that moment is over. `frozen` says that a freeze ends then;
    approvers of the environments `asked` may have to approve it."""
    then = f"once the freeze ends: {when}" if frozen else when or "as soon as possible"
    if not asked:
        return f"It is renewed automatically {then}."
    return f"The bot requests its renewal {then}. Approvers of {' and '.join(asked)} may have to approve it."


def renewed_once_approved(channel: str, when: str, *, frozen: bool) -> str:
    """By the bot once somebody approves it in that channel."""
    if not when:
        return f"The bot asks for approval in <#{channel}>, and renews the token once approved."
    then = f" once the freeze ends: {when}" if frozen else f": {when}"
    return f"The bot asks in <#{channel}> whether to renew it{then}."


NO_CHANNEL = "It is not renewed automatically, because no channel gets its environment's warnings: rotate it."


def rotation_stopped(environment: str) -> str:
    """After failures in a row nothing begins there."""
    return (
        f"It is not renewed automatically: after failures, rotation in {environment} is stopped. "
        "Rotate it."
    )


def rotation_ended(state: str) -> str:
    """The bot does not begin again what people ended, nor what succeeded."""
    if state == "succeeded":
        return "It was renewed already; its new expiry is not visible yet."
    return (
        f"It is not renewed automatically, because its last rotation ended as “{state}”: rotate it."
    )


NOT_RENEWED = "It is not renewed automatically: rotate it."


def not_ours(command: str) -> str:
    """That others deploy the gateway, and the command that has the bot keep its token valid."""
    return (
        "This bot did not deploy the gateway, so it does not renew the token. "
        f"To have the bot keep it valid: `{command}`"
    )


def not_changed(kind: str) -> str:
    """That this bot cannot renew it."""
    return f"It is not renewed automatically, because this bot does not change a {kind}."


def cluster_unread(name: str, why: str, gateways: int) -> str:
    """A cluster that does not answer, and how many gateways are shown as they were."""
    shown = f" Its {counted(gateways, 'gateway')} {_are(gateways)} shown as last seen."
    return f":warning: *Cluster {name}*: {why}{shown if gateways else ''}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def image(image: str, updated: int, desired: int) -> str:
    """The image that a gateway is to run, and how many of its pods are made from it where not all are:
    the ready ones may be of the previous version."""
    return f"image {image}" if updated == desired else f"{updated} of {desired} updated to {image}"


def pods(ready: int, desired: int) -> str:
    """How many pods of a gateway are ready."""
    return f"{ready} of {counted(desired, 'pod')} ready"
