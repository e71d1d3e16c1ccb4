"""Showing everybody in a channel what one person was shown."""

BUTTON = "Share to channel"


def shared(user: str, read: str) -> str:
    """The person who shared it and when it was read: what is shared does not change afterwards."""
    return f"Shared by <@{user}>. Read {read}."


def not_shared(channel: str) -> str:
    """Where the channel takes nothing of the bot's."""
    return (
        f"The status was not shared: the bot is not allowed to post in <#{channel}>. Invite it there with "
        "`/invite`, then click *Share to channel* again."
    )
