"""The JSON Schema of a gateway's spec, for editors and checks before anything is deployed.

It tells known names, types and forms. What contradicts what is told only by reading the spec.
"""

from typing import Any

from deploy.specs.fields import SPEC
from deploy.specs.settings import FREE

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
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


def _setting(schema: dict[str, Any]) -> dict[str, Any]:
    words = schema.get("enum", [])
    return {"enum": [*words, True, False]} if words == ["true", "false"] else schema
