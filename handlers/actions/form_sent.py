"""The sent form of `/gateway deploy`: checked as a whole, each fault at its field."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient

from deploy.actions.versions import reading
from deploy.changes.propose import Proposer
from deploy.errors import GatewayBotError, InvalidInput, Refused
from deploy.gateway import NAME_LIMIT, GatewayRef, check_label
from deploy.specs.overlay import EXAMPLE, from_file, from_yaml, merged
from deploy.specs.spec import spec_from_mapping
from deploy.specs.token_spec import token_spec_from_yaml
from handlers.actions import desired
from handlers.actions.asking import words
from handlers.actions.target import place_of
from handlers.slack import spec_file
from handlers.slack.payloads import Request, Submission
from handlers.views import deploy_modal as modal
from handlers.views.errors import InForm
from handlers.views.words import form as form_words

VERB = "deploy"


@dataclass(frozen=True)
class Needs(desired.Needs):
    """`proposer` knows whether it may be asked for at all."""

    slack: WebClient
    proposer: Proposer


def is_sent(request: Request) -> bool:
    """Whether it was asked for by the form."""
    return request.id.startswith("view:")


class _Marked:
    """What is wrong, by the field: all of it is said at once."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    @contextlib.contextmanager
    def at(self, field: str) -> Iterator[None]:
        """An error in here is about that field."""
        try:
            yield
        except InvalidInput as error:
            self.found.setdefault(field, str(error))

    def missing(self, field: str, what: str) -> None:
        """Nothing was chosen there."""
        self.found.setdefault(field, form_words.missing(what))

    def check(self) -> None:
        """Raise what was found."""
        if self.found:
            raise InForm(self.found)


def submit(needs: Needs, submission: Submission) -> Request:
    """The sent form as a request; what can be told to be wrong at once stays in the form, each at its
    field."""
    with reading("The form"):
        origin = json.loads(submission.private_metadata)
        channel, response_url = str(origin["channel"]), str(origin["response_url"])
        typed, filled = dict(origin.get("typed") or {}), dict(origin.get("filled") or {})
    marked = _Marked()
    entered = modal.values(submission.values)
    # What the bot has filled in nobody has chosen: a file goes over it.
    chosen = {name: value for name, value in entered.items() if filled.get(name) != value}
    text = ""
    with marked.at(modal.FILE):
        for file in modal.files(submission.values)[:1]:
            text = _fetched(needs.slack, file)
            if _is_of_a_token(text, chosen):
                return Request(
                    id=submission.id,
                    verb=VERB,
                    user=submission.user,
                    channel=channel,
                    response_url=response_url,
                    options={"file": text},
                )
            chosen = _with_file(text, chosen)
    chosen = {**entered, **chosen}
    if modal.FILE not in marked.found:
        for name, field, what in _REQUIRED:
            if not chosen.get(name):
                marked.missing(field, what)
    chosen = {**typed, **chosen}
    gateway = str(chosen.pop("gateway", ""))
    request = Request(
        id=submission.id,
        verb=VERB,
        user=submission.user,
        channel=channel,
        response_url=response_url,
        gateway=gateway,
        options=chosen,
    )
    cluster = namespace = ""
    with marked.at(modal.PLACE):
        if chosen.get("to"):
            cluster, namespace = place_of(request)
            GatewayRef(cluster, namespace, "any")
            if cluster in needs.clusters:
                needs.clusters[cluster].places.check(namespace)
    name = str(chosen.get("name") or gateway.rpartition("/")[2].lower())
    with marked.at(modal.NAME):
        if name:
            check_label(name, "name", NAME_LIMIT)
    with marked.at(modal.REPLICAS):
        if "replicas" in chosen:
            chosen["replicas"] = _whole(str(chosen["replicas"]))
    if modal.FILE not in marked.found:
        with marked.at(modal.MORE):
            _check_more(request)
    marked.check()
    try:
        needs.proposer.check(
            GatewayRef(cluster, namespace, name),
            request.user,
            request.channel,
            why=words(request, "reason"),
            break_glass=words(request, "break-glass"),
        )
    except Refused as refusal:
        raise InvalidInput(refusal.happened, field=modal.PLACE, remedy=refusal.remedy) from refusal
    return request


_REQUIRED = (
    ("gateway", modal.GATEWAY, "gateway"),
    ("to", modal.PLACE, "namespace"),
    ("tag", modal.TAG, "tag"),
)


def _fetched(slack: WebClient, file: Mapping[str, Any]) -> str:
    try:
        return spec_file.fetched(slack, file)
    except GatewayBotError as error:
        raise _in_the_file(error) from error


def _is_of_a_token(text: str, chosen: Mapping[str, Any]) -> bool:
    """Whether the file says `manage: token`. InvalidInput where something else was chosen in the form
    than what it says."""
    try:
        managed = token_spec_from_yaml(text)
    except InvalidInput as error:
        raise _in_the_file(error) from error
    if managed is None:
        return False
    ref = managed.ref
    said = {"to": f"{ref.cluster}/{ref.namespace}", "name": ref.name}
    for name, value in chosen.items():
        same = value.rpartition("/")[2] == managed.gateway if name == "gateway" else False
        if not same and value != said.get(name):
            raise InvalidInput(
                f"The file says `manage: token`, which cannot be combined with the chosen {name}.",
                field=modal.FILE,
                remedy="Leave everything else in this form empty.",
            )
    return True


def _in_the_file(error: GatewayBotError) -> InvalidInput:
    return InvalidInput(
        error.happened, field=modal.FILE, meaning=error.meaning, remedy=error.remedy
    )


def _with_file(text: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What was chosen, and what was not as the file says it."""
    try:
        spec = from_file(text)
    except GatewayBotError as error:
        raise _in_the_file(error) from error
    told = {"file": text, **_told(spec)}
    picked = chosen.get("gateway", "").rpartition("/")[2]
    if picked and picked != spec.get("gateway", picked):
        # Its name on the cluster is another gateway's.
        told.pop("name", None)
    return {**told, **chosen}


def _told(spec: Mapping[str, Any]) -> dict[str, str]:
    """What a spec says of gateway, place and tag, by the names of the options."""
    instance = (spec.get("apim") or {}).get("instance")
    gateway = spec.get("gateway")
    place = (spec.get("cluster"), spec.get("namespace"))
    told = {
        "gateway": f"{instance}/{gateway}" if instance and gateway else gateway,
        "to": "/".join(map(str, place)) if all(place) else None,
        "tag": (spec.get("image") or {}).get("tag"),
        "name": spec.get("name"),
    }
    return {name: str(value) for name, value in told.items() if value}


def _check_more(request: Request) -> None:
    """The checks of the further fields before anything is asked: over the rest of a spec."""
    if not (request.options.get("more") or request.options.get("file")):
        return
    more = from_yaml(str(request.options.get("more", "")))
    under = from_file(str(request.options.get("file", "{}")))
    spec_from_mapping(merged(merged(EXAMPLE, under), more))


def _whole(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 100:
        return int(text)
    raise InvalidInput("Replicas are a whole number from 1 to 100.", field="replicas")
