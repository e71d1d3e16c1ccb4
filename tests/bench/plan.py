"""From a command to its plan and from a click to what is applied, beside `kubectl diff` and `kubectl apply`.

A whole bot as in production, with the sandbox's Slack, Azure and Redis on the same machine, on the
real control plane, which `make controlplane` builds. kubectl gets the very objects that the bot
renders, in a namespace of its own and in turn with it; its figures include its process start, and it
has its discovery cache. The bot's plan counts from the delivery of the command to the post of the
plan, its apply from the delivery of the click to the answer to the last write, as Slack's log and the
API server's audit log have them: what Azure, Redis and Slack take is in it, and for a new gateway a
token is minted, which kubectl does not do. Both wait for a rollout to end before anything else.
"""

import contextlib
import dataclasses
import datetime
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy.annotations import SPEC_ANNOTATION
from deploy.gateway import GatewayRef
from deploy.observed.pods import token_secret_of
from deploy.rendering.manifests import render
from deploy.specs.annotation import spec_from_text
from tests.bench.results import Result, milliseconds
from tests.cluster.conftest import named_west
from tests.support.control_plane import ControlPlane, Process, built
from tests.support.demo import Demo, Person
from tests.support.kube_api import KubeApi, Obj
from tests.support.kubectl import Kubectl
from tests.support.processes import ROOT
from tests.support.waiting import until

ROUNDS = 5
REACH = 0.3
UPDATE_SECONDS = 1.0
"""A message is updated once a second."""
_OURS, _PEERS = "dev", "peer"
_TAGS = ("2.11.1", "2.12.1")
_CHANNELS = 20
_COMMAND = "deploy contoso/{name} --to west/dev --tag {tag} --cpu 100m --memory 256Mi"
_SPECS: Mapping[str, str] = {
    "small": " --replicas 1 --set disruptionBudget.enabled=false",
    "full": (
        " --set autoscaling.minReplicas=1 --set autoscaling.maxReplicas=3"
        " --set autoscaling.targetCPUUtilization=70 --set logs.level=warn"
        " --set metrics.statsd.endpoint=statsd.monitoring:8125"
        " --set service.externalTrafficPolicy=Local --set service.httpPort=80"
        " --set labels.team=edge --set annotations.owner=edge"
    ),
}
_CASES = ("new", "one field", "no change")
_WRITES = frozenset({"create", "update", "patch", "delete"})


@dataclass
class Taken:
    """Seconds of each round, and how many requests the bot's took."""

    plan: list[float] = field(default_factory=list)
    apply: list[float] = field(default_factory=list)
    requests: list[tuple[int, int]] = field(default_factory=list)
    behind: list[float] = field(default_factory=list)
    """By how much the message that says that all pods are ready came after `kubectl rollout status` had
    returned, of the same rollout."""

    @property
    def whole(self) -> list[float]:
        """Both parts of each round; without a change there is nothing to apply."""
        if not self.apply:
            return self.plan
        return [sum(each) for each in zip(self.plan, self.apply, strict=True)]


def main() -> list[Result]:
    """Print the table."""
    binary = built()
    if binary is None:
        print("left out: there is no control plane; `make controlplane` builds one")
        return []
    with tempfile.TemporaryDirectory(prefix="bench-plan-") as name:
        directory = Path(name)
        process = Process(binary, directory / "plane")
        process.start()
        try:
            with _demo(process.plane, directory) as demo:
                found = Bench(demo, process.plane, directory).measured()
        finally:
            process.stop()
    _print(found)
    return list(_results(found))


class Bench:
    """One bot and one kubectl, in turn."""

    def __init__(self, demo: Demo, plane: ControlPlane, directory: Path) -> None:
        self._demo = demo
        self._api = KubeApi(plane.kubeconfig, plane.context)
        self._audit = plane.kubeconfig.parent / "audit.log"
        self._kubectl = Kubectl(plane.kubeconfig, directory)
        self._file = directory / "objects.yaml"
        self._turn = 0
        self._api.create("/api/v1/namespaces", {"metadata": {"name": _PEERS}})

    def measured(self) -> Mapping[tuple[str, str], tuple[Taken, Taken]]:
        """Ours and the peer's by spec and case."""
        found: dict[tuple[str, str], tuple[Taken, Taken]] = defaultdict(lambda: (Taken(), Taken()))
        # What is first used now is no part of it: a bot that runs has its connections, and kubectl
        # its discovery cache.
        self._round("small", "warm-0", defaultdict(lambda: (Taken(), Taken())))
        for number in range(ROUNDS):
            for spec in _SPECS:
                self._round(spec, f"{spec}-{number}", found)
        return found

    def _round(
        self, spec: str, name: str, found: dict[tuple[str, str], tuple[Taken, Taken]]
    ) -> None:
        for case, tag in zip(_CASES, (*_TAGS, _TAGS[-1]), strict=True):
            ours, peers = found[spec, case]
            command = _COMMAND.format(name=name, tag=tag) + _SPECS[spec]
            self._ours(command, ours, changes=case != _CASES[-1])
            self._write_objects(name)
            self._peers(name, peers, changes=case != _CASES[-1])
        for namespace in (_OURS, _PEERS):
            self._delete(namespace, name)

    def _ours(self, command: str, taken: Taken, *, changes: bool) -> None:
        person = self._person()
        log = _Log(self._demo)
        if not changes:
            assert person.types(command)["ok"]
            until(lambda: log.has("response_url"), "an answer")
            began, ended = log.first("delivery"), log.first("response_url")
            taken.plan.append(ended - began)
            taken.requests.append((len(self._asked(began, ended)), 0))
            return
        plan = person.plans(command)
        began, ended = log.first("delivery"), log.first("request", method="chat.postMessage")
        taken.plan.append(ended - began)
        planned = len(self._asked(began, ended))
        log = _Log(self._demo)
        with ThreadPoolExecutor(1) as beside:
            name = command.split()[1].rpartition("/")[2]
            returned = beside.submit(self._rolled_out, name, self._generation(name))
            person.clicks(plan, "Confirm")
            person.sees_at(plan, "1 of 1 pods ready after", 120)
            taken.behind.append(log.updated("1 of 1 pods ready after") - returned.result())
        began = log.first("delivery")
        written = [each for each in self._asked(began) if each.writes and not each.lease]
        (applied,) = [each for each in written if each.resource == "deployments"]
        assert applied == written[-1], written
        taken.apply.append(applied.ended - began)
        taken.requests.append((planned, len(self._asked(began, applied.ended))))

    def _generation(self, name: str) -> int:
        """Of its Deployment; 0 where there is none."""
        path = f"/apis/apps/v1/namespaces/{_OURS}/deployments/{name}"
        return 0 if self._api.gone(path) else int(self._api.get(path)["metadata"]["generation"])

    def _rolled_out(self, name: str, generation: int) -> float:
        """When `kubectl rollout status` returned, which is started once the Deployment has changed."""
        until(lambda: self._generation(name) > generation, "a change", 120)
        self._kubectl("rollout", "status", "-n", _OURS, f"deployment/{name}")
        return time.time()

    def _peers(self, name: str, taken: Taken, *, changes: bool) -> None:
        given = ("-n", _PEERS, "-f", str(self._file))
        taken.plan.append(_timed(lambda: self._kubectl.run("diff", "--server-side", *given)))
        if changes:
            apply = ("apply", "--server-side", *given)
            taken.apply.append(_timed(lambda: self._kubectl(*apply)))
            self._kubectl("rollout", "status", "-n", _PEERS, f"deployment/{name}")

    def _write_objects(self, name: str) -> None:
        """What the bot has applied, for kubectl, and the Secret that its pods need."""
        live = self._api.get(f"/apis/apps/v1/namespaces/{_OURS}/deployments/{name}")
        spec = spec_from_text(live["metadata"]["annotations"][SPEC_ANNOTATION])
        used = token_secret_of(live["spec"]["template"]["spec"])
        assert used is not None
        there = dataclasses.replace(spec, ref=GatewayRef("west", _PEERS, name))
        self._file.write_text(yaml.safe_dump_all(render(there, used[0])))
        path = "/api/v1/namespaces/{}/secrets"
        if self._api.gone(f"{path.format(_PEERS)}/{used[0]}"):
            secret = self._api.get(f"{path.format(_OURS)}/{used[0]}")
            body = {"metadata": {"name": used[0]}, "data": secret["data"]}
            self._api.create(path.format(_PEERS), body)

    def _delete(self, namespace: str, name: str) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        self._api.delete(path, "?propagationPolicy=Background")
        pods = f"/api/v1/namespaces/{namespace}/pods?labelSelector=app%3D{name}"
        until(lambda: not self._api.items(pods), "no pods", 120)

    def _person(self) -> Person:
        """Somebody in the next channel: one takes one message a second."""
        self._turn += 1
        return self._demo.person("ana", f"bench-{self._turn % _CHANNELS}")

    def _asked(self, since: float, until_: float = float("inf")) -> "list[Request]":
        """The bot's requests of that time, in the order of their ends; watches and what its caches
        read of Secrets beside them left out."""
        found = [Request.of(json.loads(line)) for line in self._audit.read_text().splitlines()]
        mine = [
            each for each in found if each.ours and since <= each.began and each.ended <= until_
        ]
        return sorted(mine, key=lambda each: each.ended)


@dataclass(frozen=True)
class Request:
    """One request as the API server's audit log has it; `began` and `ended` are epoch seconds."""

    began: float
    ended: float
    verb: str
    resource: str
    dry: bool
    ours: bool

    @classmethod
    def of(cls, event: Obj) -> "Request":
        """From an event of the log."""
        resource = (event.get("objectRef") or {}).get("resource", "")
        ours = str(event.get("userAgent")).startswith("gateway-bot")
        return cls(
            _epoch(event["requestReceivedTimestamp"]),
            _epoch(event["stageTimestamp"]),
            event["verb"],
            resource,
            "dryRun=" in event["requestURI"],
            ours and event["stage"] == "ResponseComplete" and event["verb"] != "watch",
        )

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.verb in _WRITES and not self.dry

    @property
    def lease(self) -> bool:
        """Whether it is of what keeps others from the gateway meanwhile."""
        return self.resource == "leases"


class _Log:
    """What Slack's log has from now on."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self._after = max(each["n"] for each in demo.get("log")["entries"])

    def has(self, kind: str) -> bool:
        return bool(self._entries(kind))

    def first(self, kind: str, **facts: Any) -> float:
        """When the first such entry was made, in epoch seconds."""
        return float(
            next(
                each["at"]
                for each in self._entries(kind)
                if all(each[name] == value for name, value in facts.items())
            )
        )

    def updated(self, text: str) -> float:
        """When the first update with that text was made, in epoch seconds."""
        return float(
            next(
                each["at"]
                for each in self._entries("request")
                if each["method"] == "chat.update" and text in json.dumps(each["args"])
            )
        )

    def _entries(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._demo.get("log", kind=kind, after=str(self._after))[
            "entries"
        ]
        return found


@contextlib.contextmanager
def _demo(plane: ControlPlane, directory: Path) -> Iterator[Demo]:
    world = yaml.safe_load((ROOT / "bot/sandbox/world.yaml").read_text())
    names = ["warm-0", *(f"{spec}-{number}" for spec in _SPECS for number in range(ROUNDS))]
    world["azure"]["gateways"] += [
        {"name": name, "description": name, "location": name} for name in names
    ]
    world["channels"] += [
        {"id": f"C0BENCH{number}", "name": f"bench-{number}", "topic": "Plans"}
        for number in range(_CHANNELS)
    ]
    # The other cluster would be the sandbox's own, on the same two cores.
    for part in ("clusters", "production"):
        world[part] = world[part][:1]
    path = directory / "world.yaml"
    path.write_text(yaml.safe_dump(world))
    kubeconfig = named_west(plane, directory / "west")
    made = Demo(directory / "demo", "--world", str(path), "--kubeconfig", str(kubeconfig))
    try:
        yield made
    finally:
        made.stop()


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _epoch(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


def _print(found: Mapping[tuple[str, str], tuple[Taken, Taken]]) -> None:
    for (spec, case), (ours, peers) in found.items():
        ratio = statistics.median(ours.whole) / statistics.median(peers.whole)
        reached = "reached" if ratio <= REACH else "NOT reached"
        print(f"{spec}, {case}: {ratio:.2f}× (reach {REACH}×: {reached})", flush=True)
        rows = [("plan", ours.plan, "kubectl diff --server-side", peers.plan)]
        if ours.apply:
            rows += [("apply", ours.apply, "kubectl apply --server-side", peers.apply)]
        for part, taken, peer, theirs in rows:
            print(f"  {part:6} {_said(taken)}   {peer} {_said(theirs)}")
        planned, applied = (sorted(each) for each in zip(*ours.requests, strict=True))
        print(f"  requests: {_spread(planned)} for the plan, {_spread(applied)} for the apply")


def _results(found: Mapping[tuple[str, str], tuple[Taken, Taken]]) -> Iterator[Result]:
    for (spec, case), (ours, peers) in found.items():
        own, theirs = statistics.median(ours.whole), statistics.median(peers.whole)
        yield Result(
            *("plan and apply", f"{spec} spec, {case}", milliseconds(own), f"≤ {REACH}×"),
            *(own / theirs <= REACH, milliseconds(theirs), own / theirs),
        )
    behind = sorted(each for ours, _ in found.values() for each in ours.behind)
    median = statistics.median(behind)
    yield Result(
        "last pod ready to message",
        f"after `kubectl rollout status` returned, {len(behind)} rollouts",
        f"{median * 1000:+.0f} ms ({behind[0] * 1000:+.0f} to {behind[-1] * 1000:+.0f})",
        f"one Slack update: < {UPDATE_SECONDS:.0f} s",
        median < UPDATE_SECONDS,
    )


def _said(taken: Sequence[float]) -> str:
    low, high = min(taken) * 1000, max(taken) * 1000
    return f"{statistics.median(taken) * 1000:5.0f} ms ({low:.0f}–{high:.0f})"


def _spread(counts: Sequence[int]) -> str:
    return str(counts[0]) if counts[0] == counts[-1] else f"{counts[0]}–{counts[-1]}"


if __name__ == "__main__":
    main()
