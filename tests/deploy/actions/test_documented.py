"""docs/actions.md says the same as the table of edges."""

from pathlib import Path

from deploy.actions.action import EDGES, State

PAGE = Path(__file__).parents[3] / "docs" / "actions.md"


def test_the_page_has_every_state_with_its_edges_and_no_other() -> None:
    told: dict[State, frozenset[State]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 2 or cells[0].partition(",")[0] not in set(State):
            continue
        after = frozenset() if cells[1].startswith("nothing") else cells[1].split(", ")
        for name in cells[0].split(", "):
            told[State(name)] = frozenset(State(state) for state in after)
    assert told == dict(EDGES)
