"""What to do next about a gateway of a list, in a sentence with the whole command. Pure."""

from deploy.health.attention import Attention, Sign
from deploy.health.fleet import Row
from deploy.health.status import MENDED_BY_TOKEN
from deploy.observed.causes import remedy_in
from handlers.views.renewals import OFFERS
from handlers.views.words import fleet as fleet_words
from handlers.views.words import incidents
from handlers.views.words import status as words

_BY_WORDS = (Sign.NOT_RUNNING, Sign.NO_NEW_PODS)
"""Findings in Kubernetes' own words, which tell the cause."""


def next_step(row: Row) -> str:
    """The remedy of the worst that is known of it, else where to read more; empty where nothing is wrong.
    A token that only expires soon has its own sentence."""
    s, level = row.summary, row.seen.heartbeat.level
    if row.urgency <= 0:
        return ""
    if s.renewable and s.renewal is not None and s.has(*MENDED_BY_TOKEN):
        return fleet_words.renew(s.renewal, f"{OFFERS[s.renewal].command} {s.ref}")
    found = next((f for sign in _BY_WORDS for f in s.findings if f.sign is sign), None)
    if found is not None and (known := remedy_in(with_reason(found))):
        return known
    if s.has(Sign.CRASHING):
        return words.REMEDIES[Sign.CRASHING].format(ref=s.ref)
    if level in incidents.REMEDIES:
        return incidents.REMEDIES[level]
    return fleet_words.look_at(str(s.ref))


def with_reason(finding: Attention) -> str:
    """Kubernetes' words of a finding as the table of causes reads them."""
    # What Kubernetes says of pods that it does not create comes without its reason.
    return f"FailedCreate: {finding.text}" if finding.sign is Sign.NO_NEW_PODS else finding.text
