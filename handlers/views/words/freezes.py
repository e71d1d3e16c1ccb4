"""What is said of change freezes before they refuse anything."""


def frozen(environment: str, until: str, reason: str) -> str:
    """A freeze that is in effect."""
    return f":snowflake: *{environment}* is frozen until {until}: {reason}"


def will_freeze(environment: str, starts: str, until: str, reason: str) -> str:
    """A freeze that begins soon."""
    return f":snowflake: *{environment}* will be frozen from {starts} until {until}: {reason}"
