"""The modal of `/gateway deploy`: a loading view, the form over live data, and its values."""

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Any

from deploy.errors import GatewayBotError
from handlers.views import errors
from handlers.views.reply import Block, Reply, View
from handlers.views.text import button, context, escape, section
from handlers.views.words import form as words

CALLBACK = "deploy"
GATEWAY, PLACE, TAG, REPLICAS, SERVICE, NAME, FILE, MORE = (
    "deploy_gateway",
    "deploy_place",
    "deploy_tag",
    "deploy_replicas",
    "deploy_service",
    "deploy_name",
    "deploy_file",
    "deploy_more",
)
FIELDS = ("gateway", "to", "tag", "replicas", "service", "name", "more", "file")
"""The options that have a field."""
PREFILLED = {PLACE: "to", TAG: "tag", NAME: "name"}
"""Fields that a chosen gateway fills in, with their options."""
_METADATA_LIMIT = 3000
_VALUE_LIMIT = 2000
OPEN = "open_deploy"
"""The action_id of a button that opens the form."""
FILE_OR_NOT = "deploy_file_or_not"
"""The action_id of the button for a spec file, or back to the fields alone."""
SERVICE_TYPES = ("LoadBalancer", "ClusterIP", "NodePort")


class SpecFile(Enum):
    """Whether the form takes a spec as a file, in which everything may be said."""

    IMPOSSIBLE = "impossible"
    OFFERED = "fields"
    GIVEN = "file"


def loading(private_metadata: str) -> View:
    """The screen while Azure, the clusters and the registry are asked."""
    return _view(
        private_metadata,
        [section(":hourglass_flowing_sand: Asking Azure, the clusters and the registry…")],
        submit=False,
    )


def form(
    private_metadata: str,
    given: Mapping[str, Any],
    failed: Mapping[str, GatewayBotError],
    *,
    file: SpecFile = SpecFile.OFFERED,
    said: Sequence[str] = (),
    place: Mapping[str, Any] | None = None,
    blocks: Mapping[str, str] = MappingProxyType({}),
) -> View:
    """The form, with what was typed filled in and what could not be asked said.

    `place` is the option of the place that is given, as it is offered.
    `said` stands on top.
    `blocks` are the ids of blocks that have another one than their name: what was entered in a block
    stays in it while its id does (Slack, "Modal views", Preserving input entry in views), so one that
    is filled in anew gets a new id.
    """
    top: list[Block] = [section(text) for text in said]
    top += [section(f":warning: {escape(str(error))}") for error in failed.values()]
    top.append(context(words.HOW))
    in_file = file is SpecFile.GIVEN
    if file is not SpecFile.IMPOSSIBLE:
        other = SpecFile.OFFERED if in_file else SpecFile.GIVEN
        label = words.FIELDS_INSTEAD if in_file else words.FILE_INSTEAD
        elements = [button(label, FILE_OR_NOT, other.value)]
        top.append({"type": "actions", "elements": elements})
    inputs: list[Block] = [
        *([_FILE] if in_file else []),
        {
            **_select(
                GATEWAY,
                "Gateway in API Management",
                "Search gateways",
                given.get("gateway"),
                in_file,
            ),
            "dispatch_action": True,
        },
        _select(
            PLACE, "Cluster and namespace", "Search namespaces", given.get("to"), in_file, place
        ),
        _select(TAG, "Image tag", "Search tags", given.get("tag"), in_file),
        {
            "type": "input",
            "block_id": REPLICAS,
            "optional": True,
            "label": _plain("Replicas"),
            "hint": _plain("Leave empty to keep the current number, 3 for a new gateway."),
            "element": {
                "type": "number_input",
                "action_id": REPLICAS,
                "is_decimal_allowed": False,
                "min_value": "1",
                "max_value": "100",
                **({"initial_value": str(given["replicas"])} if given.get("replicas") else {}),
            },
        },
        {
            "type": "input",
            "block_id": SERVICE,
            "optional": True,
            "label": _plain("Service type"),
            "element": {
                "type": "static_select",
                "action_id": SERVICE,
                "placeholder": _plain("Unchanged, or LoadBalancer"),
                "options": [_option(kind) for kind in SERVICE_TYPES],
                **_initial(given.get("service")),
            },
        },
        {
            "type": "input",
            "block_id": NAME,
            "optional": True,
            "label": _plain("Name in Kubernetes"),
            "hint": _plain("Leave empty for the gateway's own name."),
            "element": {
                "type": "plain_text_input",
                "action_id": NAME,
                "max_length": 44,
                **({"initial_value": given["name"]} if given.get("name") else {}),
            },
        },
        {
            "type": "input",
            "block_id": MORE,
            "optional": True,
            "label": _plain("More settings (YAML)"),
            "hint": _plain("Any field of docs/spec.md. Leave empty to keep the current values."),
            "element": {
                "type": "plain_text_input",
                "action_id": MORE,
                "multiline": True,
                "max_length": 3000,
                "placeholder": _plain("logs:\n  level: warn\nbackup:\n  size: 50Mi"),
                **({"initial_value": given["more"]} if given.get("more") else {}),
            },
        },
    ]
    named = [_with_id(block, blocks) for block in inputs]
    return _view(private_metadata, [*top, *named], submit=True)


def _with_id(block: Block, ids: Mapping[str, str]) -> Block:
    name = block.get("block_id", "")
    return {**block, "block_id": ids[name]} if name in ids else block


def takes_file(blocks: Sequence[Block]) -> bool:
    """Whether a form has the field for a file."""
    return any((block.get("element") or {}).get("action_id") == FILE for block in blocks)


def filled_anew(blocks: Sequence[Block]) -> dict[str, str]:
    """The ids of blocks that the bot has filled in, by their names."""
    named = {(block.get("element") or {}).get("action_id"): block for block in blocks}
    return {
        name: str(named[name]["block_id"])
        for name in PREFILLED
        if name in named and named[name].get("block_id") != name
    }


def untouched(blocks: Sequence[Block], state: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The names of those that still hold what the bot has filled in, or are empty."""
    given = values(state)
    ours = filled_anew(blocks)
    initial = values({ours[name]: {name: _starts_with(blocks, ours[name])} for name in ours})
    return {
        name
        for name, option in PREFILLED.items()
        if option not in given or (name in ours and given[option] == initial.get(option))
    }


def _starts_with(blocks: Sequence[Block], block_id: str) -> dict[str, Any]:
    """The state of an input that nobody has touched."""
    element = next(b["element"] for b in blocks if b.get("block_id") == block_id)
    return {
        "selected_option": element.get("initial_option"),
        "value": element.get("initial_value"),
    }


def values(state: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What was chosen, by option name; fields left empty are absent."""
    chosen = {
        "gateway": _selected(state, GATEWAY),
        "to": _selected(state, PLACE),
        "tag": _selected(state, TAG),
        "service": _selected(state, SERVICE),
        "replicas": _input(state, REPLICAS).get("value"),
        "name": _input(state, NAME).get("value"),
        "more": _input(state, MORE).get("value"),
    }
    return {name: value for name, value in chosen.items() if value}


def once_more(error: GatewayBotError, gateway: str, options: Mapping[str, Any]) -> Reply:
    """What did not answer, and a button that opens the form with what was entered in it; a file has to
    be given again."""
    reply = errors.trouble(error)
    kept = {name: value for name, value in options.items() if name != "file"}
    value = json.dumps({"gateway": gateway, "options": kept}, ensure_ascii=False)
    again = button("Open the form again", OPEN, value if len(value) <= _VALUE_LIMIT else "")
    return Reply(reply.text, (*reply.blocks, {"type": "actions", "elements": [again]}))


def entered(value: str) -> tuple[str, dict[str, Any]]:
    """Gateway and options that such a button carries; nothing where it carries none."""
    try:
        carried = json.loads(value)
        return str(carried["gateway"]), dict(carried["options"])
    except (ValueError, KeyError, TypeError):
        return "", {}


def files(state: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The file objects of what was uploaded."""
    return list(_input(state, FILE).get("files") or ())


def _input(state: Mapping[str, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """The state of the input of that name, whatever the id of its block."""
    found = (inputs[name] for inputs in state.values() if name in inputs)
    return next(found, None) or {}


def _selected(state: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    option = _input(state, name).get("selected_option")
    return option["value"] if option else None


def _view(private_metadata: str, blocks: list[Block], *, submit: bool) -> View:
    view: View = {
        "type": "modal",
        "callback_id": CALLBACK,
        "private_metadata": private_metadata,
        "title": _plain("Deploy a gateway"),
        "close": _plain("Cancel"),
        "blocks": blocks,
    }
    if submit:
        view["submit"] = _plain("Show the plan")
    return view


def metadata(
    channel: str, response_url: str, typed: Mapping[str, Any] = MappingProxyType({})
) -> str:
    """What the modal remembers of the command that opened it; without what was `typed` and has no
    field where that is longer than Slack takes."""
    origin = {"channel": channel, "response_url": response_url}
    whole = json.dumps({**origin, "typed": dict(typed)}) if typed else json.dumps(origin)
    return whole if len(whole) <= _METADATA_LIMIT else json.dumps(origin)


def with_filled(private_metadata: str, filled: Mapping[str, str]) -> str:
    """The same, and what the bot has filled in, as far as Slack takes it: a spec file goes over
    that."""
    whole = json.dumps({**json.loads(private_metadata), "filled": dict(filled)})
    return whole if len(whole) <= _METADATA_LIMIT else private_metadata


def _select(
    name: str,
    label: str,
    placeholder: str,
    given: str | None,
    in_file: bool,
    option: Mapping[str, Any] | None = None,
) -> Block:
    return {
        "type": "input",
        "block_id": name,
        **({"optional": True, "hint": _plain(words.IN_FILE)} if in_file else {}),
        "label": _plain(label),
        "element": {
            "type": "external_select",
            "action_id": name,
            "min_query_length": 0,
            "placeholder": _plain(placeholder),
            **({"initial_option": option} if option else _initial(given)),
        },
    }


def _initial(value: str | None) -> dict[str, Any]:
    return {"initial_option": _option(value)} if value else {}


def _option(value: str) -> dict[str, Any]:
    return {"text": _plain(value[:75]), "value": value[:150]}


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


_FILE: Block = {
    "type": "input",
    "block_id": FILE,
    "label": _plain("Spec file"),
    "hint": _plain(
        "A whole spec in YAML (docs/spec.md). Fields that it leaves out get their defaults; what you "
        "enter in this form overrides it."
    ),
    "element": {
        "type": "file_input",
        "action_id": FILE,
        "filetypes": ["yaml", "yml"],
        "max_files": 1,
    },
}
