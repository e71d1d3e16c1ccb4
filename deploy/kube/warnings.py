"""What an API server warns of beside an answer that it gives all the same. Pure.

It comes in `Warning` headers of the form `299 - "text"` (kubernetes.io, "Warning: Helpful Warnings
Ahead"; RFC 7234, 5.5): deprecated fields, Pod Security in warning mode, policies, webhooks.
"""

import re
from collections.abc import Iterable

from deploy.masking import masked

_MOST = 8
_LONGEST = 400
_READ = 20_000
"""Of all headers of an answer, so many characters are looked at; a server sends 10,000 at most."""
_WARNING = re.compile(r'\b\d{3} \S{1,100} "((?:[^"\\]|\\.)*+)"')
_ESCAPED = re.compile(r"\\(.)")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")


def warnings_in(headers: Iterable[str]) -> tuple[str, ...]:
    """The texts of the headers, on one line each, without secrets and repetitions, in their order.

    Of very many the first are given, of a long one its beginning.
    """
    text = ", ".join(headers)[:_READ]
    return distinct(_shown(found) for found in _WARNING.findall(text))


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """Each text once, as many as anybody reads."""
    return tuple(dict.fromkeys(text for text in texts if text))[:_MOST]


def _shown(quoted: str) -> str:
    text = _UNSEEN.sub(" ", _ESCAPED.sub(r"\1", quoted))
    return masked(text.strip(), _LONGEST)
