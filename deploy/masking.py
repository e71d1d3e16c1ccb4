"""Keeps secrets out of everything that is shown, logged or stored."""

import re

HIDDEN = "[hidden]"

# A gateway token is `<gateway>&<yyyyMMddHHmm>&<base64 signature>`; its third part is the secret.
# The separators may come percent-encoded when a library prints a URL.
# JSON writers and URLs write the separators, and signs of the signature, in other ways. Of a row of
# backslashes only the first is looked at: from each it would take the square of their number.
_AND = r"(?:&amp;|&|%26|(?<!\\)\\+u0026)"
_TOKEN = re.compile(
    rf"({_AND}\d{{12}}{_AND})(?:[A-Za-z0-9+/=_%-]|\\+u00[0-9a-f]{{2}}){{8,}}", re.IGNORECASE
)
# "GatewayKey " in base64, which is how a Secret's data carries a token. The last character of the
# prefix also depends on what follows the space, so it is not part of the match.
_ENCODED_TOKEN = re.compile(r"R2F0ZXdheUtleS[A-Za-z0-9+/=_-]*")
_BEARER = re.compile(r"(\bBearer\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
# One that was cut lacks its last parts.
_JSON_WEB_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}")
_SLACK_TOKEN = re.compile(r"\b(?:xox[a-z](?:\.xox[a-z])?|xapp)-[A-Za-z0-9-]{6,}")
"""Tokens of bots, users and apps (api.slack.com/concepts/token-types), rotated ones included."""
_GATEWAY_KEY = re.compile(r"(\bGatewayKey(?:\s+|%20|\+))([A-Za-z0-9+/=_%&.~-]{20,})(\[hidden\])?")
"""A gateway token of any other shape, by the word before it."""
_PASSWORD = re.compile(r"(://[^/@\s:]*:)[^/@\s]+(?=@)")
"""Of a URL, as a proxy's."""
_ANSI = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*(?:[@-~]|\Z)|\][^\x07\x1b]*(?:\x07|\x1b\\|\Z)|[ -/]*(?:[0-~]|\Z)|)"
)
"""What a terminal takes for colours, titles and moves of its cursor (ECMA-48); the last may be cut, and one
may stand alone."""


def masked(text: str, limit: int) -> str:
    """`text` with its secrets hidden, in at most `limit` characters, its end replaced by an ellipsis.

    No more than twice that is looked through; a secret has to be seen whole to be hidden, so the
    rest is cut before, and what is shown after.
    """
    hidden = mask_secrets(text[: 2 * limit])
    return hidden if len(hidden) <= limit else hidden[: limit - 1] + "…"


def mask_secrets(text: str) -> str:
    """`text` without colours, which could stand within a secret, and with the signatures of gateway
    tokens, bearer tokens, Slack tokens, JSON web tokens and URLs' passwords hidden."""
    return hide_secrets(uncolored(text))


def hide_secrets(text: str) -> str:
    """The same of a value, which is otherwise kept to the character: it is compared."""
    text = _TOKEN.sub(rf"\g<1>{HIDDEN}", text)
    text = _GATEWAY_KEY.sub(lambda found: found[0] if found[3] else f"{found[1]}{HIDDEN}", text)
    text = _ENCODED_TOKEN.sub(HIDDEN, text)
    text = _SLACK_TOKEN.sub(HIDDEN, text)
    text = _PASSWORD.sub(rf"\g<1>{HIDDEN}", text)
    text = _BEARER.sub(rf"\g<1>{HIDDEN}", text)
    return _JSON_WEB_TOKEN.sub(HIDDEN, text)


def uncolored(text: str) -> str:
    """`text` without what only a terminal can show."""
    return _ANSI.sub("", text) if "\x1b" in text else text
