"""The bot, asking its services every second: what takes minutes in production takes seconds in a test."""

import sys

from bot import service_probes
from bot.__main__ import main
from bot.wiring import probing

SECONDS = 1.0


if __name__ == "__main__":
    service_probes.PERIOD = probing.REDIS_PERIOD = SECONDS
    sys.exit(main())
