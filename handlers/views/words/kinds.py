"""The words of each kind of change: its line here belongs to its line in deploy.changes.kinds."""

from dataclasses import dataclass

from deploy.changes.kinds import (
    ADOPT,
    DELETE,
    DEPLOY,
    REGENERATE,
    RESTART,
    ROLLBACK,
    ROTATE,
    SCALE,
)


@dataclass(frozen=True)
class KindWords:
    """How a kind of change is spoken of.

    `title` is formatted with `name`, `place` and `request`, the typed request. `infinitive`
    completes “wants to …” and `button` labels the confirmation, formatted with `request` too.
    `question` asks for it: formatted with `title`, `tag` and `summary`, what the plan comes to.
    With `danger` the button is red.
    """

    title: str
    infinitive: str
    button: str
    question: str = "{title}, image *{tag}*? It {summary}."
    danger: bool = False


KIND_WORDS: dict[str, KindWords] = {
    DEPLOY: KindWords("Deploy {name} to {place}", "deploy this", "Deploy"),
    SCALE: KindWords("Scale {name} on {place}", "scale this", "Scale"),
    RESTART: KindWords("Restart {name} on {place}", "restart this", "Restart"),
    ROLLBACK: KindWords("Roll back {name} on {place}", "roll this back", "Roll back"),
    ROTATE: KindWords(
        "Rotate the token of {name} on {place}", "rotate this token", "Rotate the token"
    ),
    REGENERATE: KindWords(
        "Regenerate the {request.key} key of {name} on {place}",
        "regenerate this key",
        "Regenerate the {request.key} key",
        "{title}? Every token made with it dies at once.",
        danger=True,
    ),
    ADOPT: KindWords("Adopt {name} on {place}", "adopt this", "Adopt"),
    DELETE: KindWords(
        "Delete {name} from {place}",
        "delete this",
        "Delete",
        "{title}? It {summary}, and its pods end.",
        danger=True,
    ),
}
