"""What the table of all gateways says beside their facts."""

from deploy.health.status import Renewal


def start_with(name: str, ref: str) -> str:
    """What to look at next: the gateway that is most urgent."""
    return f"Start with *{name}*: `/gateway status {ref}` says what is wrong and what to do."


def see_one(ref: str) -> str:
    """What to look at next where nothing is wrong."""
    return f"In depth: `/gateway status {ref}`"


def look_at(ref: str) -> str:
    """Where to read what is wrong with it."""
    return f"Find out why: `/gateway status {ref}`."


def renew(renewal: Renewal, command: str) -> str:
    """What to do about a token that is expired, refused or about to expire."""
    return f"{'Renew it' if renewal == 'rotate' else 'Keep its token valid'}: `{command}`."
