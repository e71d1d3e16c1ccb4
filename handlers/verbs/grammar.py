"""The grammar of `/gateway`: text in, a verb with its arguments out, or an error a person can use.

People paste from chats and phones: curly and angled quotes, non-breaking spaces and a dash that an
editor made of `--` are read as what was meant.
"""

import difflib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.errors import InvalidInput
from deploy.sentences import joined
from handlers.verbs.verb import AnyVerb, Option
from handlers.views.errors import Misspelt

_QUOTES = "“”„«»"
_AS_MEANT = str.maketrans(
    {
        **dict.fromkeys(_QUOTES, '"'),
        **dict.fromkeys("‘’‚‹›", "'"),
        **dict.fromkeys("\u00a0\u202f\t", " "),
    }
)
_DASHES = r"(?<!\S)(?:[—–―][—–―-]?|-[—–―])(?=\w)"
"""Before a word: two hyphens, or one of two, as an editor draws them together."""
# Curly quotes enclose plain ones, too. Possessive, so that nothing is looked at twice.
_OUTSIDE = re.compile(
    rf"""(?P<quoted>\\.|'[^']*+'|"(?:[^"\\]|\\.)*+")|(?P<dashes>{_DASHES})"""
    rf"""|[{_QUOTES}][^{_QUOTES}"]*+[{_QUOTES}"]|.""",
    re.DOTALL,
)
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./?<>{}|-]+")
"""A word that needs no quotes."""
_PLACE, _STATUS = re.compile(r"[^/]+/[^/]+/[^/]+"), "status"
"""A gateway by its whole name, and what is probably asked of one that stands alone."""
_TEXT_LIMIT = 2000
_VERBS_ALIKE, _OPTIONS_ALIKE, _VALUES_ALIKE = 0.7, 0.66, 0.75
"""From so much on words are alike (difflib): `--tga` is a `--tag`, and `resume` does not `remove`."""
_OPPOSITE = ("un", "dis", "no", "keep", "without")
_ASKING = ("--help", "-h", "?", "-?")


@dataclass(frozen=True)
class Command:
    """A verb with its arguments; `help` when the person asked how the verb is used."""

    verb: AnyVerb
    gateway: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    help: bool = False


def parse(text: str, verbs: Sequence[AnyVerb], slash: str) -> Command:
    """Read what was typed after `slash`, which is the command's own name, such as `/gateway`.

    Misspelt says which word is wrong and has the command as it was probably meant, InvalidInput
    what else cannot be right. Nothing typed is the verb `help`.
    """
    words = _words(text)
    while words and words[0].casefold() == slash.casefold():
        # Pasted whole, where it is there already.
        del words[0]
    return _Reading(verbs, slash, words).command()


class _Reading:
    """One command, word by word."""

    def __init__(self, verbs: Sequence[AnyVerb], slash: str, words: list[str]) -> None:
        self._verbs = {name: verb for verb in verbs for name in (verb.name, *verb.synonyms)}
        self._slash = slash
        self._words = words
        self._at = -1

    def command(self) -> Command:
        name = self._next() or "help"
        verb = self._verb(name)
        if verb.name == "help" and (about := self._next()) is not None:
            return Command(self._verb(about), help=True)
        return self._arguments(verb)

    def _next(self) -> str | None:
        self._at += 1
        return self._words[self._at] if self._at < len(self._words) else None

    def _verb(self, typed: str) -> AnyVerb:
        verb = self._verbs.get(typed.casefold())
        if verb is None:
            if self._at == 0 and _PLACE.fullmatch(typed) and _STATUS in self._verbs:
                raise Misspelt(
                    f"“{_short(typed)}” is a gateway, not a command.",
                    field="verb",
                    slash=self._slash,
                    command=_line([_STATUS, *self._words]),
                    runs=True,
                )
            near = _near(typed.casefold(), self._verbs, _VERBS_ALIKE)
            raise self._wrong(
                f"“{_short(typed)}” is not a command.",
                field="verb",
                meant=self._verbs[near].name if near else "",
                remedy=f"`{self._slash} help` lists the commands.",
            )
        return verb

    def _arguments(self, verb: AnyVerb) -> Command:
        by_name = {option.name: option for option in verb.options}
        gateway = ""
        options: dict[str, Any] = {}
        while (word := self._next()) is not None:
            if word.casefold() in _ASKING:
                return Command(verb, help=True)
            if word.startswith("--"):
                typed, equals, value = word[2:].partition("=")
                option = by_name.get(typed.casefold())
                if option is None:
                    near = _near(typed.casefold(), by_name, _OPTIONS_ALIKE)
                    raise self._wrong(
                        f"`{verb.name}` has no option `--{_short(typed)}`.",
                        field=typed,
                        meant=f"--{near}{equals}{value}" if near else "",
                        remedy=self._see_help(verb),
                    )
                given = self._value(option, typed, value if equals else None)
                if option.kind == "many":
                    options.setdefault(option.name, []).append(given)
                    continue
                if option.name in options:
                    raise InvalidInput(f"`--{typed}` is given twice.", field=typed)
                options[option.name] = given
            elif verb.gateway == "none" or gateway:
                number = _only_number(verb) if word.isdecimal() else ""
                raise self._wrong(
                    f"`{verb.name}` does not know what to do with “{_short(word)}”.",
                    field=number,
                    meant=f"--{number}={word}" if number else "",
                    remedy=self._see_help(verb),
                )
            else:
                gateway = word
        self._check_complete(verb, gateway, options)
        return Command(verb, gateway, options)

    def _check_complete(self, verb: AnyVerb, gateway: str, options: Mapping[str, Any]) -> None:
        """InvalidInput where what must be given is not; it has the whole command with its place."""
        missing = [option for option in verb.options if option.missing_in(options)]
        names = [f"`--{option.name}`" for option in missing]
        usages = [option.usage for option in missing]
        if verb.gateway == "required" and not gateway:
            word = verb.positional
            names.insert(0, "a gateway" if word == "gateway" else f"an {word}")
            whole = [verb.name, f"<{word.lower()}>", *self._as_typed(1, None), *usages]
        else:
            whole = [*self._as_typed(0, None), *usages]
        if names:
            raise InvalidInput(
                f"Required: {' and '.join(names)}.",
                field=missing[0].name if gateway and missing else "gateway",
                remedy=f"Write `{self._slash} {' '.join(whole)}`.",
            )

    def _as_typed(self, start: int, end: int | None) -> list[str]:
        return [_quoted(word) for word in self._words[start:end]]

    def _value(self, option: Option, typed: str, given: str | None) -> Any:
        if option.kind == "flag":
            if given is not None:
                raise InvalidInput(f"`--{typed}` takes no value.", field=typed)
            return True
        value = given if given is not None else self._next()
        if value is None or value == "" or (given is None and value.startswith("--")):
            raise self._valueless(option, typed, glued=given is not None)
        if option.choices:
            return self._chosen(option, typed, value, glued=given is not None)
        if option.kind == "number":
            if not (value.isascii() and value.isdigit() and len(value) < 10):
                raise InvalidInput(
                    f"“{_short(value)}” is not a number for `--{typed}`.", field=typed
                )
            return int(value)
        return value

    def _valueless(self, option: Option, typed: str, *, glued: bool) -> InvalidInput:
        """That an option has no value, with the whole command and the place of one."""
        before = self._as_typed(0, self._at)
        after = self._at
        if glued:
            before.append(f"--{typed}")
        if glued or self._words[after : after + 1] == [""]:
            after += 1
        whole = [*before, option.value, *self._as_typed(after, None)]
        return InvalidInput(
            f"`--{typed}` needs a value.",
            field=typed,
            remedy=f"Write `{self._slash} {' '.join(whole)}`.",
        )

    def _chosen(self, option: Option, typed: str, value: str, *, glued: bool) -> str:
        """The one of the choices that was typed, in whatever case."""
        known = {choice.casefold(): choice for choice in option.choices}
        chosen = known.get(value.casefold())
        if chosen is None:
            near = _near(value.casefold(), known, _VALUES_ALIKE)
            meant = known.get(near, "")
            raise self._wrong(
                f"“{_short(value)}” is not a value of `--{typed}`.",
                field=typed,
                meant=f"--{typed}={meant}" if meant and glued else meant,
                remedy=f"It can be {joined(option.choices, 'or')}.",
            )
        return chosen

    def _wrong(self, happened: str, *, field: str, meant: str, remedy: str) -> InvalidInput:
        """That the word at hand is wrong, with the whole command as it was `meant`, if that is known."""
        if not meant:
            return InvalidInput(happened, field=field, remedy=remedy)
        words = [*self._words[: self._at], meant, *self._words[self._at + 1 :]]
        # What it would run takes effect at once: whoever approves types that.
        verb = self._verbs.get(words[0].casefold())
        runs = verb is not None and verb.name != "approve"
        form = verb is not None and verb.open_modal is not None and len(words) == 1
        line = _line(words)
        return Misspelt(
            happened, field=field, slash=self._slash, command=line, runs=runs, form=form
        )

    def _see_help(self, verb: AnyVerb) -> str:
        return f"Type `{self._slash} help {verb.name}` for how it is used."


def _only_number(verb: AnyVerb) -> str:
    """The option that a bare number is for; empty where it could be several."""
    numbers = [option.name for option in verb.options if option.kind == "number"]
    return numbers[0] if len(numbers) == 1 else ""


def typed(verb: AnyVerb, gateway: str, options: Mapping[str, Any]) -> str:
    """What is typed for it, without the slash command: `parse` reads the same from it. Empty where
    that cannot be typed, as for the further fields of a form."""
    if not options.keys() <= {option.name for option in verb.options}:
        return ""
    words = [verb.name, gateway] if gateway else [verb.name]
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
            continue
        words += [f"--{name}={each}" for each in (value if isinstance(value, list) else [value])]
    return _line(words)


def retyped(verb: AnyVerb, gateway: str, options: Mapping[str, Any], part: str, value: str) -> str:
    """What is typed for the same with another value for one of its parts (`Meant`); empty where that
    cannot be typed."""
    if part.startswith("--"):
        name = part.removeprefix("--")
        return typed(verb, gateway, {**options, name: value})
    if part == "gateway":
        return typed(verb, value, options)
    if "to" in options:
        cluster, _, namespace = str(options["to"]).partition("/")
        place = f"{value}/{namespace}" if part == "cluster" else f"{cluster}/{value}"
        return typed(verb, gateway, {**options, "to": place})
    steps = gateway.split("/")
    if len(steps) != 3:
        return ""
    steps[("cluster", "namespace").index(part)] = value
    return typed(verb, "/".join(steps), options)


def _words(text: str) -> list[str]:
    if len(text) > _TEXT_LIMIT:
        raise InvalidInput("That command is too long.", remedy="Keep it under 2,000 characters.")
    try:
        return _split(text)
    except ValueError as error:
        raise InvalidInput(
            "A quote is opened and not closed.", remedy="Close it, or leave it out."
        ) from error


def _split(text: str) -> list[str]:
    """The words; ValueError for a quote that is not closed. Text in plain quotes is meant as
    it stands, unless only a curly quote closes these."""
    try:
        return shlex.split(_OUTSIDE.sub(_meant, text))
    except ValueError:
        return shlex.split(re.sub(_DASHES, "--", text.translate(_AS_MEANT)))


def _meant(found: re.Match[str]) -> str:
    if found["dashes"]:
        return "--"
    return found[0] if found["quoted"] else found[0].translate(_AS_MEANT)


def _near(word: str, known: Mapping[str, object], alike: float) -> str:
    """The word that was probably meant: not one of which what was typed is the opposite."""
    near = next(iter(difflib.get_close_matches(word, known, n=1, cutoff=alike)), "")
    return "" if any(word.startswith(no) and not near.startswith(no) for no in _OPPOSITE) else near


def _line(words: Sequence[str]) -> str:
    """The words as somebody would type them: `_split` takes the same apart again."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    name, equals, value = word.partition("=")
    if not (equals and name.startswith("--") and _PLAIN.fullmatch(name)):
        name, equals, value = "", "", word
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}{equals}"{escaped}"'


def _short(word: str) -> str:
    return word if len(word) <= 40 else word[:39] + "…"
