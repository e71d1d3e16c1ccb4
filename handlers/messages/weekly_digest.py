"""Once a week each channel hears how the tokens are of which it would be warned."""

import datetime
import logging
from collections.abc import Callable, Sequence

from slack_sdk.errors import SlackApiError, SlackClientError

from deploy.expiry.tracker import Tracker
from deploy.expiry.weekly import Weekly, due
from handlers.messages.notices import Poster
from handlers.views import expiry as view

log = logging.getLogger(__name__)


class Digest:
    """`channels` are those that hear of tokens."""

    def __init__(
        self,
        tracker: Tracker,
        poster: Poster,
        channels: Sequence[str],
        weekly: Weekly,
        *,
        clock: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
    ) -> None:
        self._tracker = tracker
        self._poster = poster
        self._channels = channels
        self._weekly = weekly
        self._clock = clock
        self._done: set[tuple[str, str]] = set()

    def turn(self) -> None:
        """Post what is due; what Slack does not take is tried again at the next turn."""
        now = self._clock()
        week = due(self._weekly, now)
        if week is None:
            self._done.clear()
            return
        waiting = [c for c in self._channels if (c, week) not in self._done]
        if not waiting:
            return
        every = self._tracker.listing()
        for channel in waiting:
            mine = [t for t in every if channel in t.facts.channels and t.over != "gone"]
            text, blocks = view.digest(mine, now.timestamp())
            try:
                if self._poster.post(channel, f"digest {week}", text, blocks):
                    self._done.add((channel, week))
            except (SlackApiError, SlackClientError, OSError) as error:
                log.warning("the digest waits for its next turn in %s: %s", channel, error)
