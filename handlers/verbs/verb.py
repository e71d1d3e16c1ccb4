"""What a verb of `/gateway` is: its grammar, what it does, and the clicks that belong to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from deploy.access import Right
from handlers.services import Services
from handlers.slack.payloads import Click, Request, Submission
from handlers.views.reply import Reply

Run = Callable[[Services, Request], Reply | None]
"""Answers a complete request; a reply is for the person who asked alone."""


@dataclass(frozen=True)
class Option:
    """One `--name VALUE` of a verb; a flag has no metavar, one of many may be given repeatedly."""

    name: str
    help: str
    metavar: str = ""
    kind: Literal["text", "number", "flag", "many"] = "text"


@dataclass(frozen=True)
class Verb:
    """One line of the table of verbs.

    `gateway` says whether one word stands beside the options, and `positional` what it is. `run`
    answers a complete request; it may take long and is never called before the request is safe in
    the inbox. Where `incomplete` says that arguments are missing, `open_modal` opens the
    modal `modal` instead. `right` is what the authority is asked about before `run`,
    `option_rights` what instead where an option is given. `submit` turns a sent modal into a
    request, or raises InvalidInput whose `field` is a block_id. `suggest` answers external selects
    by action_id within 3 s.
    """

    name: str
    summary: str
    run: Run
    right: Right
    gateway: Literal["none", "optional", "required"] = "none"
    positional: str = "gateway"
    options: tuple[Option, ...] = ()
    option_rights: Mapping[str, Right] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    incomplete: Callable[[Request], bool] = lambda request: False
    open_modal: Callable[[Services, Request, str], None] | None = None
    modal: str = ""
    submit: Callable[[Services, Submission], Request] | None = None
    suggest: Mapping[str, Callable[[Services, Click], list[dict[str, Any]]]] = field(
        default_factory=dict
    )
    clicks: Mapping[str, Callable[[Services, Click], None]] = field(default_factory=dict)

    def right_for(self, request: Request) -> Right:
        """What it takes to do what is requested."""
        found = (right for name, right in self.option_rights.items() if request.options.get(name))
        return next(found, self.right)

    @property
    def usage(self) -> str:
        """The verb's grammar on one line."""
        word = self.positional
        gateway = {"none": "", "optional": f" [{word}]", "required": f" {word}"}[self.gateway]
        options = "".join(
            f" [--{o.name}{' ' + o.metavar if o.metavar else ''}]" for o in self.options
        )
        return f"{self.name}{gateway}{options}"
