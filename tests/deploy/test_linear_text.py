"""Whatever runs over text of clusters, Azure and people takes time that grows with its length."""

import json
import time
from collections.abc import Callable

import pytest

from deploy.errors import InvalidInput
from deploy.expiry import event_grid
from deploy.health.link_signs import read_log
from deploy.kube.api_errors import error_from
from deploy.kube.warnings import warnings_in
from deploy.logs.lines import read_lines
from deploy.masking import mask_secrets
from deploy.plans.dry_run import readable
from deploy.times import epoch
from deploy.tokens.token import Token
from handlers.slack.typed_text import as_typed
from handlers.views.columns import wrapped
from handlers.views.text import escape, fence, section

STAMP = "2024-01-01T00:00:00Z "
UNITS = (
    "a", "\\", "\\u0026", "\\\\u00", '"', "[", "]", "&", "<", " ", "\n", ".", "1", "=", "{", '{"a":',
    "status code", "status code ", "StatusCode: ", "eyJ", "eyJaaaaaaaa.", "-eyJ", "Bearer ",
    "Bearer  ", "&202601010000&", "&202601010000&aaaaaaaa\\", "%26202601010000", "&amp;",
    "R2F0ZXdheUtleS", "\x1b[", "\x1b[1;", "<https:", "<https://a|", "<@U1|", '"timestamp": "',
    '"eventType"', '"eventType" ', '\\"eventType":', "exception", 'exception": ', "[Error] 1 [",
    '{"level":', "cannot ", 'cannot x resource "', 'conflict with "', 'conflict with "\\', "://a:", ".000000",
)  # fmt: skip
BEGINNINGS = (
    "",
    "{",
    "[Error] 2024-01-01T00:00:00 [ConfigurationApiV2NotAvailable], ",
    '{"eventType": "ConfigurationApiV2NotAvailable", ',
)


def grid(text: str) -> None:
    try:
        event_grid.read(text.encode(), 1.0)
    except InvalidInput:
        return


def refused(text: str) -> None:
    causes = [{"reason": "FieldManagerConflict", "message": text, "field": "f"}]
    status = {"message": text, "reason": "Conflict", "details": {"causes": causes}}
    for code in (403, 404, 409, 422, 500):
        error_from("west", code, json.dumps(status).encode(), what="Service x")


READERS: dict[str, Callable[[str], object]] = {
    "masking": mask_secrets,
    "a line of a log": lambda text: read_lines("p", STAMP + text),
    "the signs in an entry": lambda text: read_log([STAMP + text]),
    "the signs in a log": lambda text: read_log([STAMP + line for line in text.split("\n")]),
    "what was typed": as_typed,
    "a refusal of a cluster": refused,
    "a warning of a cluster": lambda text: warnings_in(['299 - "' + text, text]),
    "a delivery of Event Grid": grid,
    "a time": epoch,
    "a token": Token.parse,
    "a managed field": readable,
    "a section": lambda text: section(escape(text)),
    "a fence": lambda text: fence(text.split("\n")),
    "a line that is broken": wrapped,
}
LENGTH, TIMES, BARELY = 5_000, 4, 0.02


@pytest.mark.parametrize("name", READERS)
def test_four_times_the_text_takes_about_four_times_as_long(name: str) -> None:
    """A square would take sixteen times as long. What takes less than BARELY s is not compared."""
    for beginning in BEGINNINGS:
        for unit in UNITS:
            short = beginning + unit * (LENGTH // len(unit))
            long = beginning + unit * (TIMES * LENGTH // len(unit))
            assert grows_with_length(READERS[name], short, long), (beginning, unit)


def grows_with_length(read: Callable[[str], object], short: str, long: str) -> bool:
    """Judged by this thread's own time, and the best of some tries: others use the machine too."""
    least = took(read, long)
    if least < BARELY:
        return True
    for _ in range(5):
        least = min(least, took(read, long))
        if least < BARELY or least < 2.5 * TIMES * min(took(read, short) for _ in range(3)):
            return True
    return False


def took(read: Callable[[str], object], text: str) -> float:
    began = time.thread_time()
    read(text)
    return time.thread_time() - began
