"""Socket Mode connections that Slack counts and no bot has: what operators learn of them. Pure."""

from dataclasses import dataclass

from handlers.views.reply import Block
from handlers.views.text import context, counted, date, duration, section


@dataclass(frozen=True)
class LostConnections:
    """A time in which Slack counted more connections than all bots had, by `lost`. `began` and
    `ended`, 0.0 while it lasts, are Redis' time, epoch seconds."""

    lost: int
    version: int
    began: float
    ended: float


def message(found: LostConnections, command: str) -> tuple[str, list[Block]]:
    """That commands and clicks get lost, and how to approve meanwhile; and later that it is over."""
    text = sentence(found)
    if found.ended:
        took = duration(found.ended - found.began)
        return text, [
            section(f"✅ *{text}*, after {took}"),
            context("All Socket Mode connections that Slack counts belong to running bots."),
        ]
    return text, [
        section(f"⚠️ *{text}*"),
        section(
            f"Slack counts {counted(found.lost, 'Socket Mode connection')} of this app held by no "
            "running bot, and sends some of the commands and clicks there. No bot receives "
            "them, and Slack does not send them again."
        ),
        section(
            "*What to do*: repeat a command or click that had no effect. To approve by text, type "
            f"`{command} approve ID --plan DIGEST` (both stand below the plan) and repeat it until it "
            "is answered: Slack shows an error for each command that was not received, and an "
            "approval counts once."
        ),
        context(
            "Usually a network failure left these connections behind, and Slack drops them within "
            "about five hours. If they stay, another process uses the same app-level token: stop it."
        ),
        context(f"Since {date(found.began)}"),
    ]


def sentence(found: LostConnections) -> str:
    """It in one sentence, for notifications."""
    if found.ended:
        return "Commands and clicks reach the bot again"
    return "Some commands and clicks do not reach the bot"


def described(of_bots: int, lost: int) -> str:
    """The count in one sentence, for the health port."""
    said = f"all bots have {counted(of_bots, 'connection')}"
    if not lost:
        return said
    return f"{said}; Slack delivers to {lost} more that nobody reads"


def warning(lost: int) -> str:
    """The same for the log, with what to do."""
    return (
        f"Slack counts {counted(lost, 'Socket Mode connection')} of this app held by no running bot, and "
        "commands and clicks that it delivers there get lost. Usually a network failure left them "
        "behind, and Slack drops them within about five hours; if they stay, another process uses "
        "the same app-level token: stop it"
    )
