"""The demo around a bot whose Redis URL is a file in the directory `MOUNT`, as Kubernetes mounts a Secret."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from bot.demo import demo
from tests.support.secret_mount import SecretMount


def run(arguments: list[str]) -> NoReturn:
    """Become the bot."""
    mount = SecretMount(Path(os.environ["MOUNT"]), REDIS_URL=os.environ["REDIS_URL"])
    given = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    program = [sys.executable, "-m", "bot", *arguments]
    os.execve(sys.executable, program, {**given, **mount.environment})


def main() -> None:
    """`run …`, or `demo …` as tests/support/demo.py starts it."""
    verb, *options = sys.argv[1:]
    if verb == "run":
        run(sys.argv[1:])
    demo(
        port=0,
        data=Path(options[options.index("--data") + 1]),
        open_browser=False,
        kubeconfig=None,
        slack_mode="socket",
        world=Path(options[options.index("--world") + 1]),
        program="tests.support.mounting",
    )


if __name__ == "__main__":
    main()
