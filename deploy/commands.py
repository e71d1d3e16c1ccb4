"""What a person types to the bot, as a value: a sentence names it whole, ready to be copied.

How the command itself is called is the installation's choice. Sentences have the usual name, which also
stands in records and in the log; where they are shown, another name takes its place.
"""

from dataclasses import dataclass

USUAL = "/gateway"


@dataclass(frozen=True)
class Command:
    """A verb, what it is about (a gateway or the ID of a request), and options as they are typed."""

    verb: str
    about: object = ""
    options: str = ""

    @property
    def text(self) -> str:
        """What follows the name of the command."""
        return " ".join(part for part in (self.verb, str(self.about), self.options) if part)

    def __str__(self) -> str:
        return f"`{USUAL} {self.text}`"
