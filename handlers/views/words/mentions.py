"""What the bot says to messages that mention it."""


def understood(slash: str, command: str) -> str:
    """How a message was read."""
    return f"I read that as `{slash} {command}`."


def needs_form(slash: str, command: str) -> str:
    """That a command takes a form, which only a click can open."""
    return f"`{slash} {command}` needs a few more details."


OPEN_FORM = "Open the form"
