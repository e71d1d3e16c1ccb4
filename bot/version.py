"""Which version of the bot this is."""

NAME = "gateway-bot"


def version() -> str:
    """The installed version, as `pyproject.toml` has it."""
    # Only whoever asks waits for it: `--help` must answer at once.
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed(NAME)
    except PackageNotFoundError:
        return "unknown"
