from tests.support.processes import line_of, python

HANGING = """
import sys, threading
from pathlib import Path
from types import SimpleNamespace
import bot.app, bot.run

class Hanging:
    def __init__(self, settings, secrets):
        self.health = SimpleNamespace(port=0)

    def start(self):
        threading.Thread(target=threading.Event().wait, name="hangs").start()

    def stop(self, deadline):
        print(f"stops within {deadline.left:.0f} s", flush=True)

bot.app.Bot = Hanging
bot.run.load_settings = bot.run.load_secrets = lambda _: None
sys.exit(bot.run.run(Path("settings.yaml"), "error"))
"""


def test_a_bot_that_is_told_to_end_does_so_though_a_thread_of_it_hangs() -> None:
    process = python(HANGING)
    try:
        assert line_of(process).startswith("ready")
        process.terminate()
        assert line_of(process) == "stops within 25 s"
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
