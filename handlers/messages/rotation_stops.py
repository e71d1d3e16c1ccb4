"""Says in an environment's channels that automatic rotation has stopped there, or goes on."""

import logging
from collections.abc import Mapping, Sequence

from slack_sdk.errors import SlackApiError, SlackClientError

from deploy.expiry.autopilot import RotationStop
from handlers.messages.notices import Poster
from handlers.views import expiry as view

log = logging.getLogger(__name__)


class RotationStops:
    """`channels` are by environment."""

    def __init__(self, poster: Poster, channels: Mapping[str, Sequence[str]]) -> None:
        self._poster = poster
        self._channels = channels

    def post(self, stop: RotationStop) -> None:
        """Post it once in each channel; calling it again is safe. Raises what Redis raises."""
        text, blocks = view.goes_on(stop) if stop.resumed_by else view.stopped(stop)
        what = "resumed" if stop.resumed_by else "stopped"
        for channel in self._channels.get(stop.environment, ()):
            name = f"{what} {stop.environment} {stop.number}"
            try:
                self._poster.post(channel, name, text, blocks)
            except (SlackApiError, SlackClientError, OSError) as error:
                log.warning("a stop is not posted in a channel yet: %s", error)
