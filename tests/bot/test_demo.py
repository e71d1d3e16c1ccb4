"""How the demo waits for its parts."""

import os
import sys
import threading

from bot.demo import Child

TALKS = """import time
for number in range(1000):
    print(number, flush=True)
    time.sleep(0.001)
print("ready", flush=True)
"""


def test_a_part_that_says_much_before_it_is_ready_has_no_less_time_for_that() -> None:
    child = Child([sys.executable, "-c", TALKS], os.environ)
    try:
        assert child.line_with("ready", threading.Event()) == "ready\n"
    finally:
        child.stop()
