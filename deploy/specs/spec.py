"""A gateway's spec as text: YAML or a mapping in, `GatewaySpec` out, and back.

This is the edge where a person's words become a type. Every error names the path of the value at
fault; an unknown key is answered with the nearest known one.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from deploy.errors import InvalidInput
from deploy.gateway import GatewayRef
from deploy.specs.fields import SPEC
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.together import check_together

_TEXT_LIMIT = 64 * 1024
_DIGITS = 40


def parse_spec_yaml(text: str) -> GatewaySpec:
    """Read a spec from YAML. InvalidInput says where and why it cannot be one."""
    return spec_from_mapping(load_yaml(text))


def load_yaml(text: str) -> Any:
    """What a person's YAML holds. InvalidInput for what is none, or could unfold without end."""
    if len(text) > _TEXT_LIMIT:
        raise InvalidInput("The spec is too long.", remedy="A spec has at most 64 KiB.")
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise InvalidInput(f"The spec is not YAML: {_first_line(error)}") from error
    except (RecursionError, ValueError, LookupError, AttributeError, OverflowError) as error:
        # A value that only looks like a date or is tagged as what it is not, or nesting without
        # end: PyYAML converts what it has read as if that could not fail.
        raise InvalidInput(f"The spec cannot be read: {type(error).__name__}.") from error


def spec_from_mapping(data: Any) -> GatewaySpec:
    """Read a spec from a mapping as YAML or JSON gives it. InvalidInput as above."""
    if isinstance(data, Mapping) and data.get("name") is None and data.get("gateway") is not None:
        data = {**data, "name": str(data["gateway"]).lower()}
    if isinstance(data, Mapping):
        data = with_pin(data)
    spec: GatewaySpec = SPEC.read(data, "")
    # Only the text tells that replicas were asked for: the data always has a number.
    if spec.autoscaling.most is not None and data.get("replicas") is not None:
        raise InvalidInput(
            "Either replicas or autoscaling sets the number of pods, not both.",
            field="replicas",
        )
    check_together(spec)
    return spec


def with_pin(data: Mapping[str, Any]) -> dict[str, Any]:
    """A spec or a piece of one, whose image may be `tag@digest`, with both in fields of their own.

    InvalidInput for two digests.
    """
    image = data.get("image")
    tag = image.get("tag") if isinstance(image, Mapping) else None
    if not isinstance(image, Mapping) or not isinstance(tag, str) or "@" not in tag:
        return dict(data)
    tag, _, digest = tag.partition("@")
    if image.get("digest") not in (None, digest):
        raise InvalidInput(
            "image.tag and image.digest name two digests.",
            field="image.digest",
            remedy="Leave one of them out.",
        )
    return {**data, "image": {**image, "tag": tag, "digest": digest}}


def spec_of_others_from_mapping(data: Mapping[str, Any]) -> GatewaySpec:
    """As above, of a gateway that others named, here and in Azure: rules on names that this bot gives
    do not bind theirs. InvalidInput for a name that no cluster takes."""
    ref = GatewayRef(str(data["cluster"]), str(data["namespace"]), str(data["name"]))
    spec = spec_from_mapping({**data, "name": "gateway", "gateway": "gateway"})
    apim = dataclasses.replace(spec.apim, gateway=str(data["gateway"]))
    return dataclasses.replace(spec, ref=ref, apim=apim)


def spec_to_mapping(spec: GatewaySpec) -> dict[str, Any]:
    """The mapping that reads back as `spec`; what is at its default is left out."""
    return SPEC.write(spec)


def spec_default(path: str) -> Any:
    """What `spec_to_mapping` leaves out at that path; None where nothing is said by default."""
    field = next(each for each in SPEC.fields if each.path == path)
    default = SPEC.default(field)
    return None if default is None else field.value.write(default)


class _Loader(yaml.SafeLoader):
    """YAML without aliases, which can make a small text unfold without end, or repeated keys."""

    def compose_node(self, parent: Any, index: int) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not accepted")
        compose: Callable[[Any, int], Any] = super().compose_node
        return compose(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        # A tag can say so of what is not a mapping; PyYAML refuses it below.
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.YAMLError(f"“{key}” cannot be a key; keys are text")
            if key in seen:
                raise yaml.YAMLError(f"the key {key} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    """Of so many digits that it can be written down again: Python refuses that of 4300 (gh-95778)."""
    if len(node.value) > _DIGITS:
        raise yaml.constructor.ConstructorError(
            None, None, f"a number has at most {_DIGITS} digits", node.start_mark
        )
    number: int = loader.construct_yaml_int(node)
    return number


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def _first_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{problem} (line {mark.line + 1})" if mark else f"{problem}."
