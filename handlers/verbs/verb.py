"""What a verb of `/gateway` is: its grammar, what it does, and the clicks that belong to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from deploy.access import Right
from handlers.lanes import Lane
from handlers.slack.payloads import Click, Request, Submission
from handlers.views.reply import Reply
from handlers.views.words.help import Group

N = TypeVar("N")

Run = Callable[[Request], Reply | None]
"""Answers a complete request; a reply is for the person who asked alone."""
ByClick = Callable[[Click], Reply | None]
"""What a button does; a reply is for whoever clicked alone."""
Suggestions = list[dict[str, Any]]
"""Options of an external select."""


@dataclass(frozen=True)
class Option:
    """One `--name <metavar>` of a verb; a flag has no metavar, one of many may be given repeatedly.

    `choices` are all the values that there are, in the case that they are written in. One that is
    `required` must be given, unless the option `unless` is; where `goes_with` names another, only
    beside that.
    """

    name: str
    help: str
    metavar: str = ""
    kind: Literal["text", "number", "flag", "many"] = "text"
    choices: tuple[str, ...] = ()
    required: bool = False
    unless: str = ""
    goes_with: str = ""

    def missing_in(self, given: Mapping[str, Any]) -> bool:
        """Whether it must be given beside these options, and is not."""
        wanted = self.required and (not self.goes_with or self.goes_with in given)
        return wanted and self.name not in given and self.unless not in given

    @property
    def value(self) -> str:
        """The placeholder of its value in usage lines; empty for a flag."""
        if self.choices:
            return f"{{{'|'.join(self.choices)}}}"
        return f"<{self.metavar}>" if self.metavar else ""

    @property
    def usage(self) -> str:
        """The option with its value, as in usage lines."""
        return f"--{self.name} {self.value}".rstrip()


@dataclass(frozen=True)
class Verb(Generic[N]):
    """One line of the table of verbs.

    `needs` is a frozen dataclass of what the verb works with; each field is given what the bot has
    under that name, and an instance is the first argument of everything the verb does.

    `clicks` are buttons whose effect must not be lost: they wait in the inbox like a request, and
    `opens` those that open a modal, for which Slack gives three seconds. What either returns is for
    whoever clicked alone.

    `group` is what people come to it for: help lists it there. `synonyms` are other words for it that
    people know from elsewhere.

    `gateway` says whether one word stands beside the options, and `positional` what it is; `or_options`
    are those of which one can be given in its place, where one of all these must be. `run`
    answers a complete request; it may take long and is never called before the request is safe in
    the inbox. Where `incomplete` says that arguments are missing, `open_modal` opens the
    modal `modal` instead. `right` is what the authority is asked about before `run`,
    `option_rights` what instead where an option is given. `submit` turns a sent modal into a
    request, or raises InvalidInput whose `field` is a block_id. `suggest` answers external selects
    by action_id within 3 s. `lane` is what requests wait for each other on, `clicks_lane` the same
    of `clicks`. With `alone` its answer is for whoever asks and nobody else, also where they ask before
    others.
    """

    name: str
    summary: str
    needs: type[N]
    run: Callable[[N, Request], Reply | None]
    right: Right
    group: Group = field(kw_only=True)
    lane: Lane = Lane.READS
    clicks_lane: Lane = Lane.DECISIONS
    alone: bool = False
    gateway: Literal["none", "optional", "required"] = "none"
    positional: str = "gateway"
    or_options: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    option_rights: Mapping[str, Right] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    incomplete: Callable[[Request], bool] = lambda request: False
    open_modal: Callable[[N, Request, str], None] | None = None
    modal: str = ""
    submit: Callable[[N, Submission], Request] | None = None
    suggest: Mapping[str, Callable[[N, Click], Suggestions]] = field(default_factory=dict)
    clicks: Mapping[str, Callable[[N, Click], Reply | None]] = field(default_factory=dict)
    opens: Mapping[str, Callable[[N, Click], Reply | None]] = field(default_factory=dict)

    def right_for(self, request: Request) -> Right:
        """What it takes to do what is requested."""
        found = (right for name, right in self.option_rights.items() if request.options.get(name))
        return next(found, self.right)

    @property
    def usage(self) -> str:
        """The verb's grammar on one line: `<required>`, `[optional]`, `(one | or the other)`."""
        options = {option.name: option for option in self.options}
        word = f"<{self.positional.lower()}>"
        if self.or_options:
            others = [options.pop(name).usage for name in self.or_options]
            word = f"({' | '.join([word, *others])})"
        gateway = {"none": "", "optional": f"[{word}]", "required": word}[self.gateway]
        if self.or_options:
            gateway = word
        beside = {o.goes_with: options.pop(o.name) for o in self.options if o.goes_with}
        required = [options.pop(option.name) for option in self.options if _stands_alone(option)]
        alternatives = {
            option.name: options.pop(option.unless) for option in required if option.unless
        }
        words = [self.name, gateway]
        for option in required:
            other = alternatives.get(option.name)
            words.append(f"({option.usage} | {other.usage})" if other else option.usage)
        for option in options.values():
            more = f" {beside[option.name].usage}" if option.name in beside else ""
            words.append(f"[{option.usage}{more}]" + ("..." if option.kind == "many" else ""))
        return " ".join(filter(None, words))

    def bound(self, needs: N) -> "BoundVerb":
        """The verb with what it needs."""
        return BoundVerb(
            self,
            partial(self.run, needs),
            partial(self.open_modal, needs) if self.open_modal else None,
            partial(self.submit, needs) if self.submit else None,
            {name: partial(suggest, needs) for name, suggest in self.suggest.items()},
            {name: partial(click, needs) for name, click in self.clicks.items()},
            {name: partial(click, needs) for name, click in self.opens.items()},
        )


def _stands_alone(option: Option) -> bool:
    return option.required and not option.goes_with


AnyVerb: TypeAlias = Verb[Any]
"""A verb as grammar and help see it, whatever it needs."""


@dataclass(frozen=True)
class BoundVerb:
    """What `verb` does, for those who call it and need not know what it works with."""

    verb: AnyVerb
    run: Run
    open_modal: Callable[[Request, str], None] | None
    submit: Callable[[Submission], Request] | None
    suggest: Mapping[str, Callable[[Click], Suggestions]]
    clicks: Mapping[str, ByClick]
    opens: Mapping[str, ByClick]
