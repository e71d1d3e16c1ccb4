"""Whether a stopped action wrote nothing more, and whether what is said of it is true."""

import re
from collections.abc import Iterable
from pathlib import Path

from bot.sandbox.cluster.server import Written
from deploy.actions.action import Outcome, State
from deploy.actions.store import ActionStore
from deploy.annotations import ACTION_ANNOTATION, TOKEN_ACTION_ANNOTATION
from deploy.changes.kinds import DELETE, REGENERATE
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.installed import deployment_of
from deploy.observed.pods import token_secret_of
from deploy.observed.token_only import kept_in
from deploy.plans.plan import Plan
from tests.faults.bots import STOPPED
from tests.faults.pressing import NEXT
from tests.support.annotating.kind import ANNOTATE, note_of

_NOBODYS = re.compile(r"/(leases|pods|events|nodes)(/|$)|/stamps-")
"""What is renewed, written by nodes, or written by the next in line."""
_DONE = "Stopped after everything was done"
_MOMENT = 0.001
"""Redis' time of a stop is cut to whole milliseconds, and the write before it may be that close."""


def written_after(journal: Path) -> list[str]:
    """What a bot did after its action was stopped, but take the Lease object, and end it."""
    _, stopped, after = journal.read_text().partition(f"{STOPPED}\n")
    assert stopped
    done = [line for line in after.splitlines() if line != "finish" and "leases" not in line]
    return [f"then did {line!r}" for line in done]


def wrongs(
    cluster: Cluster, audit: Iterable[Written], plan: Plan, store: ActionStore, action_id: str
) -> list[str]:
    """What is wrong with a stopped action, by the API server's own log and what it holds."""
    action = store.get(action_id)
    assert action is not None
    if action.state is not State.STOPPED or action.outcome is None or action.stop_at is None:
        return [f"it ended {action.state}: {action.outcome}"]
    ref = plan.spec.ref
    # Others run meanwhile, whose names may begin as this one does and go on with a number.
    its_own = re.compile(rf"{re.escape(ref.name)}(?!-?\d)")
    late = [
        f"the cluster was asked to {line.verb} {line.path}"
        for line in audit
        if line.at > action.stop_at + _MOMENT
        and its_own.search(line.path)
        and not _NOBODYS.search(line.path)
    ]
    if action.kind == REGENERATE:
        return late
    if action.kind == DELETE:
        return late + _wrong_about_objects(cluster, plan, action.outcome)
    if action.kind == ANNOTATE:
        return late + _wrong_about_note(cluster, plan, action.outcome)
    if plan.manages is not None and not plan.token.mint:
        return late + _wrong_about_end(cluster, plan, action.outcome)
    if plan.manages is not None:
        return late + _wrong_about_one_secret(cluster, plan, action.outcome, action_id)
    return late + _wrong_about_rollout(cluster, plan, action.outcome, action_id)


def wait_of_next(store: ActionStore, action_id: str) -> float:
    """How many seconds after the stop the next in line began; both by Redis' time."""
    action, follows = store.get(action_id), store.get(NEXT)
    assert action is not None
    assert action.stop_at is not None
    assert follows is not None
    assert follows.state is State.SUCCEEDED, follows.outcome
    (began,) = [event.at for event in store.events(NEXT) if event.name == "running"]
    return began - action.stop_at


def wrong_about_azure(store: ActionStore, action_id: str, tokens: tuple[int, ...]) -> list[str]:
    """Whether what is said of the key agrees with what Azure accepts."""
    action = store.get(action_id)
    assert action is not None
    assert action.outcome is not None
    said, dead = _text(action.outcome), tokens == (200, 403)
    unsure = "may be" in said or "may have been" in said
    fits = unsure or ("is regenerated" in said if dead else "Nothing was" in said)
    return [] if fits else [f"Azure says {tokens}, but: {said}"]


def _wrong_about_objects(cluster: Cluster, plan: Plan, outcome: Outcome) -> list[str]:
    said = _listed(outcome, "Gone"), _listed(outcome, "Still there")
    there: tuple[set[str], set[str]] = set(), set()
    for change in plan.changes:
        found = cluster.get(change.kind, plan.spec.ref.namespace, change.name)
        there[found is not None].add(f"{change.kind} {change.name}")
    if outcome.happened.startswith(_DONE) and not there[True]:
        return []
    return [] if said == there else [f"there is {there}, but: {_text(outcome)}"]


def _wrong_about_note(cluster: Cluster, plan: Plan, outcome: Outcome) -> list[str]:
    written = bool(note_of(deployment_of(cluster, plan.spec.ref)))
    how = "after" if written else "before"
    right = (_DONE,) if written else ()
    fits = outcome.happened.startswith((*right, f"Stopped {how} the note was written"))
    return [] if fits else [f"{written=}, but: {_text(outcome)}"]


def _wrong_about_end(cluster: Cluster, plan: Plan, outcome: Outcome) -> list[str]:
    done: tuple[set[str], set[str]] = set(), set()
    for change in plan.changes:
        kept = kept_in(cluster.get(change.kind, plan.spec.ref.namespace, change.name))
        done[kept is None].add(f"{change.kind} {change.name}")
    if outcome.happened.startswith(_DONE) and not done[False]:
        return []
    said = _listed(outcome, "Changes not made"), _listed(outcome, "Changes made")
    return [] if said == done else [f"there is {done}, but: {_text(outcome)}"]


def _wrong_about_one_secret(
    cluster: Cluster, plan: Plan, outcome: Outcome, action_id: str
) -> list[str]:
    said, ref, name = _text(outcome), plan.spec.ref, plan.token.secret or ""
    live, secret = deployment_of(cluster, ref), cluster.get("Secret", ref.namespace, name)
    assert secret is not None
    template = live["spec"]["template"]["metadata"].get("annotations") or {}
    restarted = template.get(TOKEN_ACTION_ANNOTATION) == action_id
    written = secret["metadata"]["annotations"][ACTION_ANNOTATION] == action_id
    if outcome.happened.startswith(_DONE):
        return [] if restarted and written else [f"not done: {said}"]
    expected = [
        f"were {'' if restarted else 'not '}restarted by this action",
        f"Secret {name} was {'' if written else 'not '}written by this action",
        f"Stopped {'after' if written else 'before'} the Secret was written",
    ]
    if written:
        there = cluster.get("Secret", ref.namespace, plan.token.previous) is not None
        expected.append(f"with the previous token is {'there' if there else 'gone'}")
    return [f"it does not say {each!r}: {said}" for each in expected if each not in said]


def _wrong_about_rollout(
    cluster: Cluster, plan: Plan, outcome: Outcome, action_id: str
) -> list[str]:
    said, ref = _text(outcome), plan.spec.ref
    if outcome.happened.startswith(_DONE):
        return [] if _by(cluster, plan, action_id) else [f"not done: {said}"]
    live = cluster.get("Deployment", ref.namespace, ref.name)
    if live is None:
        expected = [f"There is no Deployment {ref.name}"]
    else:
        spec = live["spec"]
        how = "was" if _by(cluster, plan, action_id) else "was not"
        used = token_secret_of(spec["template"]["spec"])
        expected = [
            f"Deployment {ref.name} {how} written by this action: {spec['replicas']} replica",
            spec["template"]["spec"]["containers"][0]["image"],
            f"token from Secret {used[0]}" if used else "",
        ]
    expected += _secrets(cluster, plan, live)
    made = _listed(outcome, "Changes made")
    others = [c for c in plan.changes if c.kind != "Deployment" and c.change != "update"]
    for change in others:
        found = cluster.get(change.kind, ref.namespace, change.name) is not None
        if (found is (change.change == "create")) is not (f"{change.kind} {change.name}" in made):
            expected.append(f"{change.kind} {change.name} in its right place")
    return [f"it does not say {each!r}: {said}" for each in expected if each not in said]


def _secrets(cluster: Cluster, plan: Plan, live: Manifest | None) -> list[str]:
    name, previous = plan.token.secret, plan.token.previous
    said = [f"Secret {previous} with the previous token is still there"] if previous else []
    if not plan.token.mint or not name:
        return said
    used = token_secret_of(live["spec"]["template"]["spec"]) if live else None
    if cluster.get("Secret", plan.spec.ref.namespace, name) is None:
        return [*said, "No new token was put on the cluster"]
    if used is None or used[0] != name:
        return [*said, f"Secret {name} holds a new token that nothing uses"]
    return said


def _by(cluster: Cluster, plan: Plan, action_id: str) -> bool:
    live = cluster.get("Deployment", plan.spec.ref.namespace, plan.spec.ref.name)
    noted = (live or {"metadata": {}})["metadata"].get("annotations") or {}
    return bool(noted.get(ACTION_ANNOTATION) == action_id)


def _listed(outcome: Outcome, title: str) -> set[str]:
    found = re.search(rf"(?:^| ){title}: ([^.]*)\.", outcome.meaning)
    return set(found[1].split(", ")) if found else set()


def _text(outcome: Outcome) -> str:
    return " ".join((outcome.happened, outcome.meaning, outcome.remedy))
