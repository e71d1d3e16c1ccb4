"""The bot, and the demo around it, with one kind of change more than the product has."""

import signal
import sys
import threading
from pathlib import Path

from bot.app import Bot
from bot.demo import demo
from bot.settings import load_all
from deploy.changes.kinds import KINDS
from deploy.deadline import Deadline
from handlers.verbs.table import VERBS
from handlers.views.words.kinds import KIND_WORDS
from tests.support.annotating.kind import ANNOTATE, ANNOTATING
from tests.support.annotating.verb import VERB, WORDS


def run(config: Path) -> None:
    """Run it until SIGTERM or SIGINT."""
    KIND_WORDS[ANNOTATE] = WORDS
    settings, secrets = load_all(config)
    bot = Bot(settings, secrets, kinds=(*KINDS, ANNOTATING), verbs=(*VERBS, VERB))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    bot.start()
    print("ready", flush=True)
    ended.wait()
    bot.stop(Deadline.after(25))


def main() -> None:
    """`run --config PATH …`, or `demo --data PATH …` as tests/support/demo.py starts it."""
    command, options = sys.argv[1], sys.argv[2:]
    if command == "run":
        run(Path(options[options.index("--config") + 1]))
        return
    demo(
        port=0,
        data=Path(options[options.index("--data") + 1]),
        open_browser=False,
        kubeconfig=None,
        slack_mode="socket",
        program="tests.support.annotating",
    )


if __name__ == "__main__":
    main()
