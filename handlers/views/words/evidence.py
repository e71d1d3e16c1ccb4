"""What gateways and Kubernetes say of a trouble, as a person reads it. A status shows their own words beside it."""

import re

from deploy.health.attention import Attention, Sign
from deploy.observed.causes import meaning_in
from handlers.views.words.ways_out import within

_EXCEPTION = re.compile(r"\b[\w.]+Exception(?: \(\w+\))?: (?=\S)")
_EVERY_POD = re.compile(r"^(\d+) of \1 pods: ")
_LEVELS = {"unknown": "Link unknown", "cut off": "Cut off from Azure"}


def without_class(said: str) -> str:
    """What an exception says, without its class: “Connection refused”."""
    return _EXCEPTION.sub("", said)


def of_all_pods(evidence: str) -> str:
    """Evidence that all pods of a gateway share, without their number."""
    return _EVERY_POD.sub("", evidence)


def sentence(evidence: str) -> str:
    """Evidence as a sentence."""
    return f"{evidence[:1].upper()}{evidence[1:]}.".replace("..", ".")


def of_link(level: str, evidence: str) -> str:
    """How the link of a gateway is, and what shows it."""
    said = without_class(evidence)
    return f"{_LEVELS.get(level, level.capitalize())}: {said}.".replace("..", ".")


def brief(finding: Attention) -> str:
    """A finding in a sentence: of pods that do not run, what that means. How many there are stands beside it."""
    means = _meaning(finding)
    return f"Not running: {within(means)}." if means else finding.text


def in_full(finding: Attention) -> str:
    """A finding in its own words, and before them what they mean."""
    means = _meaning(finding)
    return f"{means} {finding.text}" if means else finding.text


def _meaning(finding: Attention) -> str:
    return meaning_in(finding.text) if finding.sign is Sign.NOT_RUNNING else ""
