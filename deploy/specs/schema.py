"""The JSON Schema of a gateway's spec, for editors and checks before anything is deployed.

It tells known names, types and forms. Contradictions show only by reading the spec.
"""

from typing import Any

from deploy.specs.fields import SPEC
from deploy.specs.settings import FREE
from deploy.specs.token_spec import MANAGE, NEEDED, TOKEN

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def file_schema() -> dict[str, Any]:
    """That of a spec file, draft 2020-12: of a whole gateway, or of one of which only the token is
    kept."""
    whole = {key: value for key, value in json_schema().items() if key != "$schema"}
    return {
        "$schema": _DIALECT,
        "title": whole.pop("title"),
        "if": {"type": "object", "required": [MANAGE]},
        "then": _token_schema(),
        "else": whole,
    }


def json_schema() -> dict[str, Any]:
    """That of a whole gateway."""
    schema = SPEC.schema()
    # Left out, it is the gateway's name in lower case.
    schema["required"].remove("name")
    schema["properties"]["settings"] = {
        "type": "object",
        "description": schema["properties"]["settings"]["description"],
        "properties": {name: _setting(value.schema()) for name, value in FREE.items()},
        "additionalProperties": False,
    }
    return {"$schema": _DIALECT, "title": "Self-hosted gateway", **schema}


def _token_schema() -> dict[str, Any]:
    said = {
        "gateway": "The gateway resource in API Management.",
        "cluster": "The cluster's name in the settings.",
        "namespace": "Its namespace.",
        "name": "Its Deployment's name; gateway in lower case.",
    }
    return {
        "type": "object",
        "properties": {
            MANAGE: {"const": TOKEN, "description": "Others deploy it, and its token is kept."},
            **{
                name: {"type": "string", "minLength": 1, "description": text}
                for name, text in said.items()
            },
        },
        "required": [MANAGE, *NEEDED],
        "additionalProperties": False,
    }


def _setting(schema: dict[str, Any]) -> dict[str, Any]:
    words = schema.get("enum", [])
    return {"enum": [*words, True, False]} if words == ["true", "false"] else schema
