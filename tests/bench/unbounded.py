"""The bot without limits of its own to what Slack is called: a thousand messages are posted at once."""

import sys
from pathlib import Path

from bot.run import run
from handlers.messages import budgets

_MANY = 60_000.0


def main() -> None:
    """`run --config PATH …`."""
    budgets._PER_MINUTE["chat.postMessage"] = budgets._PER_MINUTE["chat.update"] = _MANY
    budgets._A_CHANNEL = _MANY
    options = sys.argv[1:]
    sys.exit(run(Path(options[options.index("--config") + 1]), "error"))


if __name__ == "__main__":
    main()
