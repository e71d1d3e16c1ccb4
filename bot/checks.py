"""`gateway-bot check`: prove each connection and each right that the settings imply, all at once."""

import logging
import sys
from pathlib import Path

from bot import check_report
from bot.problems import UnusableSettings, as_results
from bot.proofs import azure, clock, kubernetes, redis, registry, slack
from bot.proofs.results import Prove, all_of
from bot.settings import Secrets, Settings, load_all


def check(config: Path, *, as_json: bool = False) -> int:
    """Print what was found; the exit status is 0 where all of it works, 1 where something does not, and 2
    where the settings or secrets cannot be read."""
    printed = check_report.for_programs if as_json else check_report.for_people
    try:
        settings, secrets = load_all(config)
    except UnusableSettings as error:
        print(f"gateway-bot: {error}", file=sys.stderr)
        if as_json:
            sys.stdout.write(check_report.as_json(as_results(error)))
        return check_report.SETTINGS_UNREADABLE
    # It warns of each sign-in that fails, which is a result already.
    logging.getLogger("azure.identity").setLevel(logging.ERROR)
    results = all_of(proofs(settings, secrets, config))
    sys.stdout.write(printed(results))
    return check_report.exit_status(results)


def proofs(
    settings: Settings, secrets: Secrets, config: Path = Path("gateway-bot.yaml")
) -> dict[str, Prove]:
    """What there is to prove, by the name a person is shown, in the order in which it is read."""
    return {
        **slack.proofs(settings, secrets, config),
        **redis.proofs(settings, secrets),
        **azure.proofs(settings, secrets, config),
        **kubernetes.proofs(settings, config),
        **registry.proofs(settings, secrets),
        **clock.proofs(settings, secrets),
    }
