"""The grammar of `/gateway`: text in, a verb with its arguments out, or an error a person can use.

People paste from chats and phones: curly quotes, non-breaking spaces and a dash that an editor made
of `--` are read as what was meant.
"""

import difflib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.errors import InvalidInput
from handlers.verbs.verb import AnyVerb, Option

_AS_MEANT = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "\u00a0": " ", "\u202f": " ", "\t": " "}
)
_TEXT_LIMIT = 2000


@dataclass(frozen=True)
class Command:
    """A verb with its arguments; `help` when the person asked how the verb is used."""

    verb: AnyVerb
    gateway: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    help: bool = False


def parse(text: str, verbs: Sequence[AnyVerb]) -> Command:
    """Read what was typed after `/gateway`. InvalidInput says which word is wrong and offers one.

    Nothing typed is the verb `help`.
    """
    words = _words(text)
    if not words:
        words = ["help"]
    name, *rest = words
    by_name = {verb.name: verb for verb in verbs}
    verb = by_name.get(name.lower())
    if verb is None:
        raise InvalidInput(
            f"There is no “{_short(name)}”.",
            field="verb",
            remedy=_suggest(name.lower(), by_name, "`{}`") or "Type `help` for what there is.",
        )
    return _arguments(verb, rest)


def _arguments(verb: AnyVerb, words: list[str]) -> Command:
    by_name = {option.name: option for option in verb.options}
    gateway = ""
    options: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        if word in ("--help", "-h"):
            return Command(verb, help=True)
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            option = by_name.get(name)
            if option is None:
                raise InvalidInput(
                    f"`{verb.name}` has no option `--{_short(name)}`.",
                    field=name,
                    remedy=_suggest(name, by_name, "`--{}`") or _see_help(verb),
                )
            given = _value(option, value if equals else None, rest)
            if option.kind == "many":
                options.setdefault(name, []).append(given)
                continue
            if name in options:
                raise InvalidInput(f"`--{name}` is given twice.", field=name)
            options[name] = given
        elif verb.gateway == "none" or gateway:
            raise InvalidInput(
                f"`{verb.name}` does not know what to do with “{_short(word)}”.",
                remedy=_see_help(verb),
            )
        else:
            gateway = word
    if verb.gateway == "required" and not gateway:
        what = "the name of a gateway" if verb.positional == "gateway" else f"an {verb.positional}"
        raise InvalidInput(f"`{verb.name}` needs {what}.", remedy=_see_help(verb))
    return Command(verb, gateway, options)


def _value(option: Option, given: str | None, rest: Any) -> Any:
    if option.kind == "flag":
        if given is not None:
            raise InvalidInput(f"`--{option.name}` takes no value.", field=option.name)
        return True
    value = given if given is not None else next(rest, None)
    if value is None or value == "" or (given is None and value.startswith("--")):
        raise InvalidInput(
            f"`--{option.name}` needs a value.",
            field=option.name,
            remedy=f"Write `--{option.name} {option.metavar}`.",
        )
    if option.kind == "number":
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise InvalidInput(
                f"“{_short(value)}” is not a number for `--{option.name}`.", field=option.name
            )
        return int(value)
    return value


def _words(text: str) -> list[str]:
    if len(text) > _TEXT_LIMIT:
        raise InvalidInput("That command is too long.", remedy="Keep it under 2,000 characters.")
    plain = text.translate(_AS_MEANT)
    try:
        words = shlex.split(plain)
    except ValueError as error:
        raise InvalidInput(
            "A quote is opened and not closed.", remedy="Close it, or leave it out."
        ) from error
    return ["--" + w[1:] if w[:1] in "—–" and len(w) > 1 else w for w in words]


def _suggest(word: str, known: Mapping[str, object], form: str) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"Did you mean {form.format(near[0])}?" if near else ""


def _see_help(verb: AnyVerb) -> str:
    return f"Type `{verb.name} --help` for how it is used."


def _short(word: str) -> str:
    return word if len(word) <= 40 else word[:39] + "…"
