"""docs/commands.md says of every verb how it is typed, as the table has it.

`WRITE_DOCS=1` writes the page anew in place of comparing it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from handlers.verbs.table import VERBS
from handlers.verbs.verb import AnyVerb

PAGE = Path(__file__).parents[3] / "docs" / "commands.md"
START = "## Verbs\n"


def test_the_page_has_every_verb_as_the_table_has_it() -> None:
    page = PAGE.read_text(encoding="utf-8")
    intro, _, written = page.partition(START)
    made = "\n" + "\n".join(line for verb in VERBS for line in lines(verb))
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(f"{intro}{START}{made}", encoding="utf-8")
        return
    assert written == made, "run this test with WRITE_DOCS=1, and look at what changed"


def lines(verb: AnyVerb) -> Iterator[str]:
    """One verb, as the page has it."""
    synonyms = " · ".join(f"`{name}`" for name in verb.synonyms)
    yield f"### {verb.name}\n\n```text\n/gateway {verb.usage}\n```\n"
    yield (
        verb.summary[0].upper()
        + verb.summary[1:]
        + "."
        + (f" Also: {synonyms}." if synonyms else "")
    )
    yield ""
    if verb.options:
        yield "| option | meaning |\n|---|---|"
        for option in verb.options:
            value = option.value.replace("|", "\\|")
            yield f"| `{f'--{option.name} {value}'.rstrip()}` | {option.help} |"
        yield ""
    for example in verb.examples:
        yield f"    /gateway {example}"
    if verb.examples:
        yield ""
