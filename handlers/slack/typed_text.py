"""What a person typed, from what Slack makes of it. Pure.

With `should_escape`, a command's text comes with `&`, `<` and `>` as entities and with links in angle
brackets: `<https://a.b/c>`, or `<http://a.b|a.b>` and `<mailto:c@a.b|c@a.b>` where the scheme was not
typed (slackhq/slack-api-docs, page_formatting.md; nimbella/command-sets#244). Mentions of people, groups
and channels stay as they are.
"""

import re
from collections.abc import Mapping
from typing import Any

# Possessive, so that no bracket that is never closed is looked at twice.
_LINK = re.compile(
    r"<(?P<url>(?P<scheme>https?|ftps?|mailto|tel):[^<>|\s]++)(?:\|(?P<label>[^<>]*+))?>",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(amp|lt|gt);")
_CHARACTERS = {"amp": "&", "lt": "<", "gt": ">"}


def as_typed(text: str) -> str:
    """The text of a command as it was typed."""
    return _ENTITY.sub(lambda found: _CHARACTERS[found[1]], without_links(text))


def without_links(text: str) -> str:
    """The text with each link's brackets gone: its label where it is the address that was typed,
    else its address, so that no label hides where a link leads."""
    return _LINK.sub(_address, text)


def filled_in(values: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The values of a form, without links in what was typed there."""
    return {
        block: {name: _filled(value) for name, value in inputs.items()}
        for block, inputs in values.items()
    }


def _filled(value: Any) -> Any:
    given = value.get("value") if isinstance(value, Mapping) else None
    return {**value, "value": without_links(given)} if isinstance(given, str) else value


def _address(link: re.Match[str]) -> str:
    url, scheme, label = link["url"], link["scheme"], link["label"]
    bare = url[len(scheme) + 1 :].removeprefix("//")
    if label and _same(label, url, bare):
        return label
    return bare if label and scheme.lower() in ("mailto", "tel") else url


def _same(label: str, url: str, bare: str) -> bool:
    return label.rstrip("/").casefold() in (url.rstrip("/").casefold(), bare.rstrip("/").casefold())
