"""The modal of `/gateway deploy`: a loading view, the form over live data, and its values."""

import json
from collections.abc import Mapping
from typing import Any

from deploy.errors import GatewayBotError
from handlers.views.reply import Block, View
from handlers.views.text import context, escape, section

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
SERVICE_TYPES = ("LoadBalancer", "ClusterIP", "NodePort")


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
    file: bool = True,
) -> View:
    """The form, with what was typed filled in and what could not be asked said.

    With `file` it takes a spec as a file, which may say what else must be chosen.
    """
    blocks: list[Block] = [section(f":warning: {escape(str(error))}") for error in failed.values()]
    blocks += [
        _select(
            GATEWAY, "Gateway in API Management", "Search gateways", given.get("gateway"), file
        ),
        _select(PLACE, "Cluster and namespace", "Search namespaces", given.get("to"), file),
        _select(TAG, "Image tag", "Search tags", given.get("tag"), file),
        {
            "type": "input",
            "block_id": REPLICAS,
            "optional": True,
            "label": _plain("Replicas"),
            "hint": _plain("Empty keeps what runs or the file says, or starts with 3."),
            "element": {
                "type": "number_input",
                "action_id": REPLICAS,
                "is_decimal_allowed": False,
                "min_value": "1",
                "max_value": "100",
                **({"initial_value": str(given["replicas"])} if "replicas" in given else {}),
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
                "placeholder": _plain("Keep, or LoadBalancer"),
                "options": [_option(kind) for kind in SERVICE_TYPES],
                **_initial(given.get("service")),
            },
        },
        {
            "type": "input",
            "block_id": NAME,
            "optional": True,
            "label": _plain("Name on the cluster"),
            "hint": _plain("Empty takes the gateway's own name."),
            "element": {
                "type": "plain_text_input",
                "action_id": NAME,
                "max_length": 44,
                **({"initial_value": given["name"]} if given.get("name") else {}),
            },
        },
        *([_FILE] if file else []),
        {
            "type": "input",
            "block_id": MORE,
            "optional": True,
            "label": _plain("Further fields, as YAML"),
            "hint": _plain("Any field of the spec (docs/spec.md). Empty keeps what runs."),
            "element": {
                "type": "plain_text_input",
                "action_id": MORE,
                "multiline": True,
                "max_length": 3000,
                "placeholder": _plain("logs:\n  level: warn\nbackup:\n  size: 50Mi"),
            },
        },
        context("Nothing changes yet: next you see exactly what would, and decide."),
    ]
    return _view(private_metadata, blocks, submit=True)


def values(state: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What was chosen, by option name; fields left empty are absent."""
    chosen = {
        "gateway": _selected(state, GATEWAY),
        "to": _selected(state, PLACE),
        "tag": _selected(state, TAG),
        "service": _selected(state, SERVICE),
        "replicas": state.get(REPLICAS, {}).get(REPLICAS, {}).get("value"),
        "name": state.get(NAME, {}).get(NAME, {}).get("value"),
        "more": state.get(MORE, {}).get(MORE, {}).get("value"),
    }
    return {name: value for name, value in chosen.items() if value}


def files(state: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The file objects of what was uploaded."""
    return list(state.get(FILE, {}).get(FILE, {}).get("files") or ())


def _selected(state: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    option = state.get(name, {}).get(name, {}).get("selected_option")
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


def metadata(channel: str, response_url: str) -> str:
    """What the modal remembers of the command that opened it (Slack takes 3,000 characters)."""
    return json.dumps({"channel": channel, "response_url": response_url})


def _select(name: str, label: str, placeholder: str, given: str | None, in_file: bool) -> Block:
    return {
        "type": "input",
        "block_id": name,
        **(
            {"optional": True, "hint": _plain("Needed, unless the spec file says it.")}
            if in_file
            else {}
        ),
        "label": _plain(label),
        "element": {
            "type": "external_select",
            "action_id": name,
            "min_query_length": 0,
            "placeholder": _plain(placeholder),
            **_initial(given),
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
    "optional": True,
    "label": _plain("Spec file"),
    "hint": _plain(
        "A whole spec as YAML (docs/spec.md); what it leaves out gets its default. What you choose "
        "in this form goes over it."
    ),
    "element": {
        "type": "file_input",
        "action_id": FILE,
        "filetypes": ["yaml", "yml"],
        "max_files": 1,
    },
}
