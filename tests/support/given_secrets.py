"""The secrets of this process' environment, for settings that are in no file."""

import os
from pathlib import Path

from bot.problems import UnusableSettings
from bot.secret_files import given
from bot.secret_problems import needs_of, secret_problems
from bot.settings import Secrets, Settings, secret_variables, secrets_in


def secrets_of(settings: Settings) -> Secrets:
    """They. UnusableSettings names each that the settings make necessary."""
    found = given(secret_variables(), os.environ)
    problems = secret_problems(found, needs_of(settings.model_dump()))
    if problems:
        raise UnusableSettings(Path(), problems)
    return secrets_in(found)
