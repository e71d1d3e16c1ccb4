"""A gateway's spec as its Deployment carries it: canonical JSON with the version of its form.

One without a version is from before there were versions, and is read. One of a newer version is not
interpreted: what its fields mean is not known.
"""

import json
from collections.abc import Mapping
from typing import Any

from deploy.errors import InvalidInput
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_from_mapping, spec_to_mapping

VERSION = 1
_KEY = "version"


class NewerSpec(InvalidInput):
    """A newer version of the bot wrote it."""

    def __init__(self) -> None:
        super().__init__("A newer version of the bot wrote this spec.")


def spec_to_text(spec: GatewaySpec) -> str:
    """What the annotation holds: the same text for the same spec."""
    return _canonical({**spec_to_mapping(spec), _KEY: VERSION})


def spec_from_text(text: str) -> GatewaySpec:
    """The spec that `text` holds. NewerSpec, or InvalidInput where it cannot be read."""
    return spec_from_mapping(mapping_from_text(text))


def mapping_from_text(text: str) -> dict[str, Any]:
    """The mapping of the spec, without the version. NewerSpec; InvalidInput where it is none."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict):
            raise TypeError
        version = int(found.pop(_KEY, 0))
    except (ValueError, TypeError) as error:
        raise InvalidInput("The spec cannot be read.") from error
    if version > VERSION:
        raise NewerSpec
    return found


def says(text: str, spec: GatewaySpec) -> bool:
    """Whether `text` holds this very spec, with a version or without."""
    return without_version(text) == _canonical(spec_to_mapping(spec))


def without_version(text: str) -> str:
    """The text as it was before there were versions; one that cannot be read stays as it is."""
    try:
        return _canonical(mapping_from_text(text))
    except InvalidInput:
        return text


def _canonical(mapping: Mapping[str, Any]) -> str:
    return json.dumps(mapping, sort_keys=True, separators=(",", ":"))
