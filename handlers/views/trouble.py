"""What is wrong with one gateway: the cause in one line, what it means and since when, and what to do. Pure.

Each fact stands there alone.
"""

from collections.abc import Collection
from dataclasses import dataclass

from deploy.annotations import MANAGER
from deploy.health.attention import BROKEN, Attention, Sign
from deploy.health.heartbeat import Heartbeat
from deploy.health.status import MENDED_BY_TOKEN, ConditionSummary, GatewayDetail, GatewaySummary
from deploy.observed.causes import OF_VERSION, cause_in, meaning_in, remedy_in
from deploy.observed.revision_differences import way_back
from handlers.views import conditions
from handlers.views.renewals import OFFERS
from handlers.views.steps import with_reason
from handlers.views.text import cut, date, escape
from handlers.views.words import evidence
from handlers.views.words import status as words

_SAID = 400
_OF_PODS = (Sign.NOT_RUNNING, Sign.NO_NEW_PODS, Sign.CRASHING, Sign.TOKEN_MISSING)
"""What keeps pods from being ready, the likeliest cause first."""
_SAY_IT = (Sign.TOKEN_EXPIRED, Sign.TOKEN_MISSING, Sign.SCALED_TO_ZERO)
"""Findings whose sentences begin with what a gateway is called then."""
_COUNTED = (Sign.DOWN, Sign.NOT_READY)
"""What the number of ready pods says already."""
_OF_LINK = ("denied", "cut off")
_UNWELL = ("down", "not ready", "degraded")


@dataclass(frozen=True)
class Trouble:
    """What a status begins and ends with: `state` is what it is called there, `why` the cause and what it
    means, `small` what shows it, `remedy` what to do, each in mrkdwn; `link` says that the cause is all
    there is to say of its link to Azure, `rolls_back` that an earlier version is a way out, and `told` are
    the findings that need no line of their own. `says_state` is that `why` begins with what it is
    called."""

    state: str = ""
    why: str = ""
    small: str = ""
    remedy: str = ""
    link: bool = False
    rolls_back: bool = False
    told: Collection[Sign] = _COUNTED
    says_state: bool = False


def trouble_of(gateway: GatewayDetail) -> Trouble:
    """What is wrong with it; without a state where nothing is."""
    s, beat = gateway.summary, gateway.heartbeat
    state = s.state(beat.level)
    if state in _UNWELL:
        return _of_pods(gateway, state)
    refusal = _first(s, Sign.TOKEN_REFUSED, Sign.TOKEN_SUSPECTED)
    if state == "denied" and refusal is not None:
        since = _since(beat.since)
        small = _seen(beat)
        told = (*_COUNTED, refusal.sign)
        return Trouble(
            state,
            f"{_text(refusal)}{since}",
            small,
            _remedy(gateway, refusal.sign),
            True,
            told=told,
        )
    if state in _OF_LINK:
        why = _sentences(
            evidence.sentence(evidence.of_all_pods(beat.evidence)), words.MEANINGS.get(state, "")
        )
        remedy = _remedy(gateway, state)
        return Trouble(state, f"{escape(why)}{_since(beat.since)}", "", remedy, True)
    worst = s.findings[0] if s.findings else None
    if worst is not None and worst.urgency == BROKEN and worst.sign not in _COUNTED:
        told = (*_COUNTED, worst.sign)
        remedy, says = _remedy(gateway, worst.sign), worst.sign in _SAY_IT
        return Trouble(worst.sign.value, _text(worst), "", remedy, told=told, says_state=says)
    return Trouble()


def _of_pods(gateway: GatewayDetail, state: str) -> Trouble:
    """Pods that do not run come before anything about the link: without them it cannot be judged."""
    s, beat = gateway.summary, gateway.heartbeat
    found = _first(s, *_OF_PODS)
    meaning = words.MEANINGS[state]
    since = _since(_unavailable(gateway.conditions))
    told = [*_COUNTED, Sign.ROLLOUT_FAILED]
    if found is None:
        linked = beat.level in _OF_LINK or (beat.level == "unknown" and bool(beat.pods))
        said = evidence.sentence(evidence.of_all_pods(beat.evidence)) if linked else words.NO_CAUSE
        if beat.level in _OF_LINK:
            said = evidence.of_link(beat.level, evidence.of_all_pods(beat.evidence))
        key, small = beat.level if beat.level in _OF_LINK else state, ""
        refusal = _first(s, Sign.TOKEN_REFUSED, Sign.TOKEN_SUSPECTED)
        if beat.level == "denied" and refusal is not None:
            said, small, key = refusal.text, _seen(beat), refusal.sign
            told.append(refusal.sign)
        remedy = _remedy(gateway, key) or _remedy(gateway, state)
        why = escape(_sentences(cut(said, _SAID), meaning))
        link = linked or beat.level == "unknown"
        return Trouble(state, f"{why}{since}", small, remedy, link, told=told)
    known = with_reason(found)
    means = meaning_in(known)
    why = escape(_sentences(means or cut(f"{found.text.rstrip('.')}.", _SAID), meaning))
    small = words.own_words(escape(cut(found.text, _SAID))) if means else ""
    remedy = escape(remedy_in(known)) or _remedy(gateway, found.sign) or _remedy(gateway, state)
    of_version = found.sign is Sign.CRASHING or cause_in(known) in OF_VERSION
    # What others deploy is theirs to roll back.
    back = of_version and _deployed_here(s) and way_back(gateway.actions) is not None
    if back:
        remedy = _sentences(remedy, words.ROLL_BACK.format(ref=escape(str(s.ref))))
    link = beat.level == "unknown"
    return Trouble(state, f"{why}{since}", small, remedy, link, back, (*told, found.sign))


def wrong_conditions(gateway: GatewayDetail, trouble: Trouble) -> list[str]:
    """Conditions that are not as they should be, without those that repeat it."""
    s = gateway.summary
    said = set()
    if trouble.state in _UNWELL:
        said |= {"Available", "Progressing"}
    if s.has(Sign.ROLLOUT_FAILED):
        said.add("Progressing")
    if s.has(Sign.NO_NEW_PODS):
        said.add("ReplicaFailure")
    return conditions.wrong([each for each in gateway.conditions if each.type not in said])


def _first(s: GatewaySummary, *signs: Sign) -> Attention | None:
    return next((f for sign in signs for f in s.findings if f.sign is sign), None)


def _deployed_here(s: GatewaySummary) -> bool:
    return s.manageable and s.managed_by == MANAGER


def _text(finding: Attention) -> str:
    return escape(cut(finding.text, _SAID))


def _seen(beat: Heartbeat) -> str:
    return f"Seen: {escape(evidence.sentence(beat.evidence))}"


def _sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _since(moment: float | None) -> str:
    return f" Since {date(moment)}." if moment else ""


def _unavailable(found: Collection[ConditionSummary]) -> float | None:
    """Since when too few of its pods are available, as Kubernetes has it."""
    gone = (each for each in found if each.type == "Available" and not conditions.is_good(each))
    return next((each.since for each in gone), None)


def _remedy(gateway: GatewayDetail, key: str) -> str:
    """What to do about a finding or a level, with the whole command. No command deploys or scales what
    others deploy, nor what an autoscaler scales."""
    s = gateway.summary
    if key in MENDED_BY_TOKEN and s.renewable and s.renewal is not None:
        return words.renew(f"{OFFERS[s.renewal].command} {escape(str(s.ref))}")
    if key == Sign.TOKEN_MISSING and not _deployed_here(s):
        return words.RESTORE
    if key == Sign.SCALED_TO_ZERO and (gateway.autoscalers or not _deployed_here(s)):
        return ""
    return words.REMEDIES.get(key, "").format(ref=escape(str(s.ref)))
