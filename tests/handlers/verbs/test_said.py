"""What a message to the bot asks for, by where the bot's name stands in it."""

import pytest

from handlers.slack.mentions import Said
from handlers.verbs import said
from handlers.verbs.table import VERBS

FORMS = ("deploy",)


def message(text: str, *, addressed: bool) -> Said:
    return Said("said:C1:5.1", "U1", "C1", "5.1", text, addressed)


@pytest.mark.parametrize(
    "text",
    [
        "stop edge-1",
        "cancel edge-1",
        "deny edge-1 --reason=no",
        "approve edge-1",
    ],
)
def test_what_counts_at_once_is_asked_about_in_the_middle_of_a_sentence(text: str) -> None:
    asked, spoken_of = (
        said.asked_by(message(text, addressed=each), VERBS, "/gateway", FORMS)
        for each in (True, False)
    )
    assert asked is not None
    assert asked.verb == text.split()[0]
    assert spoken_of is not None
    assert (spoken_of.verb, spoken_of.options) == (said.SAID, {"text": text})
    reply = said.run(said.Needs("/gateway", VERBS), spoken_of)
    assert reply.text == f"Nothing was done. Did you mean `/gateway {text}`?"
    (row,) = [block for block in reply.blocks if block["type"] == "actions"]
    assert [(e["text"]["text"], e["value"]) for e in row["elements"]] == [("Run it", text)]


@pytest.mark.parametrize("text", ["status edge-1", "restart edge-1", "diff edge-1"])
def test_what_only_answers_or_plans_needs_no_question(text: str) -> None:
    found = said.asked_by(message(text, addressed=False), VERBS, "/gateway", FORMS)
    assert found is not None
    assert found.verb == text.split()[0]
