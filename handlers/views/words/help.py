"""What help says, and what people come for: each verb stands under one of these titles."""

from enum import StrEnum


class Group(StrEnum):
    """What a verb is for, in the order in which help shows them; its value is the title."""

    LOOK = "Look"
    CHANGE = "Change a gateway"
    TOKENS = "Tokens"
    DECIDE = "Requests and approvals"
    YOU = "Help"


TITLE = "What I can do"
DEPLOY, STATUS, PENDING = "Deploy a gateway", "Show status", "Show open requests"


def how(command: str) -> str:
    """How a verb of the list is typed."""
    return f"Type `{command}` followed by a command, such as `{command} status edge-1`."


def more(command: str) -> str:
    """Where the rest stands."""
    return (
        f"`{command} help COMMAND` shows how to use it. Name a gateway by its name, or by "
        "`cluster/namespace/name` if several share that name."
    )
