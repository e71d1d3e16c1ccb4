"""What the bot says to messages that mention it, and to commands with a word wrong."""


def understood(slash: str, command: str) -> str:
    """How a message was read."""
    return f"I read that as `{slash} {command}`."


def needs_form(slash: str, command: str) -> str:
    """That a command takes a form, which only a click can open."""
    return f"`{slash} {command}` needs a few more details."


def meant(slash: str, command: str) -> str:
    """Whether a command is meant that stands in the middle of a sentence, and would count at once."""
    return f"Nothing was done. Did you mean `{slash} {command}`?"


NOTHING_RUN = "Nothing was run."
OPEN_FORM = "Open the deploy form"
RUN = "Run it"
