"""The words of each kind of change: its line here belongs to its line in deploy.changes.kinds."""

from dataclasses import dataclass

from deploy.changes.kinds import (
    ADOPT,
    DELETE,
    DEPLOY,
    END_MANAGE_TOKEN,
    MANAGE_TOKEN,
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
    completes “wants to …”, `clause` does so where nothing else is said, formatted with `gateway`, `tag`
    and `request`. `button` labels the confirmation, formatted with `request` too.
    `question` asks for it: formatted with `title`, `tag` and `summary`, what the plan comes to.
    With `danger` the button is red. `lost` is what the cluster does not show of one whose record is
    lost. `several` is the title of several at once, formatted with `gateways`, such as
    “10 gateways”; as the button says where it is empty. With `rolls_back` the verb `rollback` undoes it;
    with `goes_back` it is what that verb asks for. `stop` labels what ends it while it
    runs; `noun` names it where a button plans it.
    """

    title: str
    infinitive: str
    clause: str
    button: str
    question: str = "{title}, image *{tag}*? It {summary}."
    danger: bool = False
    lost: str = ""
    several: str = ""
    rolls_back: bool = False
    goes_back: bool = False
    stop: str = "Stop rollout"
    noun: str = "change"

    def of_several(self, gateways: str) -> str:
        """The title of a change of several gateways."""
        return (self.several or f"{self.button} {{gateways}}").format(gateways=gateways)


KIND_WORDS: dict[str, KindWords] = {
    DEPLOY: KindWords(
        "Deploy {name} to {place}",
        "deploy this",
        "deploy {gateway}, image {tag}",
        "Deploy",
        rolls_back=True,
    ),
    SCALE: KindWords(
        "Scale {name} on {place}", "scale this", "scale {gateway}", "Scale", stop="Stop scaling"
    ),
    RESTART: KindWords(
        "Restart {name} on {place}",
        "restart this",
        "restart {gateway}",
        "Restart",
        stop="Stop restart",
    ),
    ROLLBACK: KindWords(
        "Roll back {name} to {request.target} on {place}",
        "roll this back",
        "roll {gateway} back to image {tag}",
        "Roll back",
        "{title}? It {summary}.",
        rolls_back=True,
        goes_back=True,
        stop="Stop rollback",
        noun="rollback",
    ),
    ROTATE: KindWords(
        "Rotate the token of {name} on {place}",
        "rotate this token",
        "rotate the token of {gateway}",
        "Rotate the token",
        several="Rotate the tokens of {gateways}",
        stop="Stop rotation",
    ),
    MANAGE_TOKEN: KindWords(
        "Keep the token of {name} on {place} valid",
        "have this bot keep the token valid and change nothing else",
        "have this bot keep the token of {gateway} valid and change nothing else",
        "Keep the token valid",
        "{title}? It {summary}. Nothing else of the gateway is changed.",
        several="Keep the tokens of {gateways} valid",
        stop="Stop this change",
    ),
    END_MANAGE_TOKEN: KindWords(
        "Stop keeping the token of {name} on {place}",
        "have this bot no longer keep the token valid",
        "have this bot no longer keep the token of {gateway} valid",
        "Stop keeping the token",
        "{title}? It {summary}. The pods keep running with the token that they have.",
        several="Stop keeping the tokens of {gateways}",
        stop="Stop this change",
    ),
    REGENERATE: KindWords(
        "Regenerate the {request.key} key of {name} on {place}",
        "regenerate this key",
        "regenerate the {request.key} key of {gateway}",
        "Regenerate the {request.key} key",
        "{title}? Every token made with it stops working at once.",
        danger=True,
        lost="Whether Azure regenerated the key is not known: if so, every token made with it is dead.",
        several="Regenerate a key of {gateways}",
        stop="Stop regeneration",
    ),
    ADOPT: KindWords(
        "Adopt {name} on {place}", "adopt this", "adopt {gateway}", "Adopt", stop="Stop adoption"
    ),
    DELETE: KindWords(
        "Delete {name} from {place}",
        "delete this",
        "delete {gateway}",
        "Delete",
        "{title}? It {summary}, and its pods end.",
        danger=True,
        stop="Stop deletion",
        noun="deletion",
    ),
}
