"""What a verb of `/gateway` is: its grammar, what it does, and the clicks that belong to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from handlers.services import Services

Block = dict[str, Any]
View = dict[str, Any]


@dataclass(frozen=True)
class Option:
    """One `--name VALUE` of a verb; a flag has no metavar, one of many may be given repeatedly."""

    name: str
    help: str
    metavar: str = ""
    kind: Literal["text", "number", "flag", "many"] = "text"


@dataclass(frozen=True)
class Request:
    """One accepted command or modal: JSON-able, since it waits in the inbox until it is answered.

    `id` tells deliveries of the same request apart from others; `response_url` may be empty.
    """

    id: str
    verb: str
    user: str
    channel: str
    response_url: str = ""
    gateway: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What the person who asked is shown, and nobody else."""

    text: str
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Click:
    """A button or a suggestion request: who did what, on which surface."""

    user: str
    channel: str
    trigger_id: str
    response_url: str
    value: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Submission:
    """A modal that was sent: who, its values and what it carried."""

    id: str
    user: str
    private_metadata: str
    values: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Verb:
    """One line of the table of verbs.

    `gateway` says whether one word stands beside the options, and `positional` what it is. `run`
    answers a complete request; it may take long and is never called before the request is safe in
    the inbox. Where `incomplete` says that arguments are missing, `open_modal` opens the
    modal `modal` instead. `submit` turns a sent modal into a request, or raises InvalidInput whose
    `field` is a block_id. `suggest` answers external selects by action_id within 3 s.
    """

    name: str
    summary: str
    run: Callable[[Services, Request], Reply | None]
    gateway: Literal["none", "optional", "required"] = "none"
    positional: str = "gateway"
    options: tuple[Option, ...] = ()
    examples: tuple[str, ...] = ()
    incomplete: Callable[[Request], bool] = lambda request: False
    open_modal: Callable[[Services, Request, str], None] | None = None
    modal: str = ""
    submit: Callable[[Services, Submission], Request] | None = None
    suggest: Mapping[str, Callable[[Services, Click], list[dict[str, Any]]]] = field(
        default_factory=dict
    )
    clicks: Mapping[str, Callable[[Services, Click], None]] = field(default_factory=dict)

    @property
    def usage(self) -> str:
        """The verb's grammar on one line."""
        word = self.positional
        gateway = {"none": "", "optional": f" [{word}]", "required": f" {word}"}[self.gateway]
        options = "".join(
            f" [--{o.name}{' ' + o.metavar if o.metavar else ''}]" for o in self.options
        )
        return f"{self.name}{gateway}{options}"
