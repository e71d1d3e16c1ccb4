"""Everything that a view shows, as large as it can be: names as long as Kubernetes lets them, texts of
any alphabet, and more of each than a message holds."""

import dataclasses
import datetime
import functools
from typing import Any

from deploy.access import Approval, Environment, Freeze, Ground, Verdict
from deploy.actions.action import Action, Denial, Outcome, State, Step, Vote
from deploy.actions.audit import AuditEntry
from deploy.actions.batches import Batch, BatchMember, Unplanned
from deploy.actions.batches import Selection as BatchSelection
from deploy.actions.windows import Window
from deploy.changes.authority import Powers
from deploy.errors import Unavailable
from deploy.expiry.rotation_stops import RotationStop
from deploy.expiry.thresholds import DEFAULT
from deploy.expiry.tracked import ExpiryFacts, Tracked
from deploy.gateway import GatewayRef
from deploy.health.attention import BROKEN, Attention, Sign
from deploy.health.belongings import EventSummary, ServiceSummary
from deploy.health.fleet import Row, rows_of
from deploy.health.heartbeat import Heartbeat, PodHeartbeat
from deploy.health.incidents import CUT_OFF, DENIED, DOWN, Incident, Member
from deploy.health.levels import Seen
from deploy.health.replica_courses import ReplicaCount
from deploy.health.status import ConditionSummary, GatewayDetail, GatewaySummary, PodStatus
from deploy.logs.lines import Line
from deploy.observed.history import Revision
from deploy.observed.managers import ARGO_CD, Manager
from deploy.observed.other_rotation import Rotator
from deploy.observed.pods import PodProgress
from deploy.plans.plan import FieldChange, ObjectChange, OwnershipConflict, Plan, WayBack
from deploy.policy import People, Policy, Requirement
from deploy.rules.finding import Exempted, Finding
from deploy.rules.rule import Severity
from deploy.tokens.token_plan import TokenPlan
from handlers.views.batch_state import BatchState
from handlers.views.batch_state import Row as BatchRow
from handlers.views.home import Home
from tests.support.shown import NOW, PLAN, SPEC, shown_action

NAME = ("long-name-" * 7)[:63]
GATEWAY = ("long-name-" * 5)[:44]
"""As long as this bot lets a gateway's name be."""
REF = GatewayRef(f"cluster-{'x' * 50}", ("namespace-" * 7)[:63], GATEWAY)
USERS = tuple(f"U0{n:09}" for n in range(6))
PRODUCTION = Environment(f"production-{'e' * 40}", production=True)


_SEVERITIES: tuple[Severity, ...] = ("deny", "warning", "info")


class Largest:
    """All of it with texts made of `filler`."""

    def __init__(self, filler: str) -> None:
        self.filler = filler
        self.plan = functools.cache(self._plan)

    def text(self, length: int) -> str:
        """So many characters of what people or clusters say."""
        return (self.filler * length)[:length]

    def error(self) -> Unavailable:
        return Unavailable(self.text(500), meaning=self.text(500), remedy=self.text(500))

    def environment(self, ref: GatewayRef) -> Environment:
        return PRODUCTION

    def _plan(self, *, denied: bool = False) -> Plan:
        """Everything changes, and every rule has something to say."""
        path = "spec.template.spec.containers[long-name].env[config.service.auth].valueFrom.name"
        field = FieldChange(path, self.text(900), self.text(901), restarts_pods=True)
        labels = FieldChange('metadata.labels["app.kubernetes.io/name"]', self.text(63), None)
        image = FieldChange("spec.x.image", f"r/{self.text(200)}:1", f"r/{self.text(200)}:2")
        changes = tuple(
            ObjectChange("Deployment", f"{NAME}{n}", "update", (field, image, labels) * 6)
            for n in range(12)
        )
        findings = [
            Finding(f"rule-{n}", severity, self.text(250), self.text(250), self.text(250), {"a": n})
            for severity in _SEVERITIES[0 if denied else 1 :]
            for n in range(15)
        ]
        agreed = dataclasses.replace(findings[-1], exempted=Exempted(self.text(200), "2027-03-31"))
        return dataclasses.replace(
            PLAN,
            spec=dataclasses.replace(SPEC, ref=REF, tag=("2.11.1-" * 20)[:128]),
            changes=changes,
            findings=(*findings, agreed),
            conflicts=tuple(
                OwnershipConflict("Deployment", NAME, f"{self.text(60)}{n}", path)
                for n in range(60)
            ),
            warnings=(self.text(500),) * 20,
            on_failure=WayBack(secret=NAME),
            token=TokenPlan(NAME, mint=True, expires_at=None, reason=self.text(200)),
        )

    def action(self, state: State, *, denied: bool = False, **more: Any) -> Action:
        """With every party to it, every step, and more pods than anybody reads."""
        people = People(users=USERS, groups=tuple(f"S0{n:09}" for n in range(6)))
        required = tuple(Requirement(f"environment-{n}", people, 3) for n in range(4))
        pod = {
            "ready": False, "state": "CreateContainerConfigError", "restarts": 12_345,
            "node": NAME, "trouble": self.text(500), "event": self.text(400),
            "log": "\n".join([self.text(400)] * 9),
        }  # fmt: skip
        pods = [{**pod, "name": f"{NAME[:60]}{n:03}"} for n in range(100)]
        given: dict[str, Any] = {
            "ref": REF,
            "policy": Policy(required, break_glass=self.text(500)),
            "plan": self.plan(denied=denied),
            "votes": tuple(Vote(u, u, "approve", NOW, "d") for u in USERS),
            "decided_by": USERS[0],
            "decided_at": NOW,
            "outcome": Outcome(state, self.text(500), self.text(900), self.text(500)),
            "progress": {
                "desired": 100, "ready": 0, "old": 99, "pods": pods, "stale_since": NOW,
                "trouble": [self.text(500)] * 9,
            },
            "steps": tuple(Step(f"step-{n}", NOW, self.text(300)) for n in range(60)),
            "why": self.text(500),
            "reason": self.text(500),
            "denied": Denial(USERS[1], self.text(500), NOW, USERS[2], "7K3MAB"),
        }  # fmt: skip
        return shown_action(state, **{**given, **more})

    def summary(self, number: int = 0) -> GatewaySummary:
        signs = (Sign.TOKEN_REFUSED, Sign.RESTARTED, Sign.DOWN)
        return GatewaySummary(
            ref=dataclasses.replace(REF, name=f"{GATEWAY[:40]}{number:03}"),
            gateway=self.text(80),
            tag=("2.11.1-" * 20)[:128],
            desired=1000,
            ready=0,
            updated=998,
            available=997,
            created_at=NOW,
            managed_by=self.text(60),
            findings=tuple(Attention(BROKEN, sign, self.text(300)) for sign in signs),
            token_secret=NAME,
            token_expires_at=NOW + 9,
            token_source="annotation",
            token_kept=True,
            as_of=NOW,
            stale=self.text(400),
        )

    def rows(self) -> tuple[Row, ...]:
        every = [self.summary(number) for number in range(40)]
        beat = Heartbeat("cut off", self.text(300), NOW)
        seen = {each.ref: Seen(beat, NOW - 99) for each in every}
        return rows_of(every, seen, ("2.11.1",), (PRODUCTION,))

    def failed(self) -> dict[str, Unavailable]:
        return {f"{REF.cluster[:50]}{n:02}": self.error() for n in range(40)}

    def detail(self) -> GatewayDetail:
        progress = PodProgress(
            NAME, "CreateContainerConfigError", False, 12_345, NAME, created_at=NOW,
            last_exit=self.text(200),
        )  # fmt: skip
        pods = tuple(
            PodStatus(
                dataclasses.replace(progress, name=f"{NAME[:60]}{n:03}"),
                f"{NAME[:60]}{n:03}",
                PodHeartbeat(str(n), "cut off", f"{self.text(190)}{n}"),
            )
            for n in range(100)
        )
        service = ServiceSummary(
            NAME, "LoadBalancer", "10.0.0.1", ",".join(["203.0.113.254"] * 20),
            ", ".join(["30001:30001/TCP"] * 20), NOW,
        )  # fmt: skip
        return GatewayDetail(
            summary=self.summary(),
            heartbeat=Heartbeat("denied", self.text(400), NOW),
            pods=pods,
            ended=(progress,) * 20,
            services=(service,) * 20,
            conditions=(ConditionSummary("Progressing", "False", "Why", self.text(900)),) * 5,
            events=(EventSummary(NOW, "Warning", "BackOff", self.text(1000), NAME),) * 10,
            actions=self.revisions()[:3],
            replicas=tuple(ReplicaCount(NOW - n, 1, 2) for n in range(3600, 0, -60)),
            manager=Manager(ARGO_CD, "application", NAME),
            rotators=tuple(Rotator(NAME, f"{NAME}{n}", False) for n in range(30)),
            unread=(self.text(300),) * 20,
            autoscalers=(f"KEDA ScaledObject {NAME}",),
        )

    def revisions(self) -> tuple[Revision, ...]:
        image = f"registry.example/{self.text(300)}:{('2.11.1-' * 20)[:128]}"
        return tuple(
            Revision(n, image, NOW, 1000, current=n == 99, action="7K3MAB", requester=USERS[0])
            for n in range(99, 0, -1)
        )

    def entries(self) -> list[AuditEntry]:
        return [
            AuditEntry(
                n, NOW, "denied", USERS[0], f"ID{n:04}", "deploy", str(REF), self.text(500), ""
            )
            for n in range(60)
        ]

    def tracked(self, number: int = 0) -> Tracked:
        facts = ExpiryFacts(
            dataclasses.replace(REF, name=f"{GATEWAY[:40]}{number:03}"), self.text(80),
            f"environment-{'e' * 40}", NOW + 9, "token", DEFAULT, ("C0ALERTS",),
            why=self.text(500), refused_since=NOW, secret=NAME,
            kind="StatefulSet" if number % 2 else "Deployment", renewal="manage",
        )  # fmt: skip
        return Tracked(
            facts, NOW, 1, 1, 0.0, "", NOW + 5, USERS[0], self.text(300), (), (), self.text(900)
        )

    def stop(self, resumed_by: str = "") -> RotationStop:
        return RotationStop(f"production-{'e' * 40}", 3, NOW, 5, self.text(900), resumed_by)

    def incident(self, over_at: float | None = None) -> Incident:
        troubles = dict.fromkeys((DOWN, CUT_OFF, DENIED), self.text(400))
        members = {
            str(dataclasses.replace(REF, name=f"{GATEWAY[:40]}{n:03}")): Member(troubles, NOW)
            for n in range(60)
        }
        return Incident("i", REF.cluster, members, NOW, node=NAME, over_at=over_at)

    def batch(self, state: State | None) -> BatchState:
        """Of a hundred gateways in ten namespaces."""
        rows = tuple(self._batch_row(number, state) for number in range(100))
        members = tuple(BatchMember(each.ref, (f"ID{n:04}",)) for n, each in enumerate(rows))
        selection = BatchSelection(
            "restart", {"all": "true"}, USERS[0], "C1", self.text(500), self.text(500)
        )
        unplanned = self.unplanned()
        return BatchState(Batch("BATCH2", selection, members, unplanned, True, 1, NOW), rows)

    def unplanned(self) -> tuple[Unplanned, ...]:
        return tuple(Unplanned(f"{REF}{n}", self.text(500)) for n in range(40))

    def _batch_row(self, number: int, state: State | None) -> BatchRow:
        ref = dataclasses.replace(
            REF, namespace=f"{REF.namespace[:62]}{number % 10}", name=f"{GATEWAY[:40]}{number:03}"
        )
        action = self.action(state, ref=ref, id=f"ID{number:04}", batch="B") if state else None
        return BatchRow(ref, PRODUCTION.name, True, action)

    def freeze(self) -> Freeze:
        moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
        return Freeze(self.text(500), moment, moment + datetime.timedelta(days=9))

    def home(self) -> Home:
        """Every section of the tab, with more in each than it shows."""
        rows = self.rows()
        return Home(
            user=USERS[0],
            at=NOW,
            decide=[self.action(State.PENDING)] * 20,
            asked=[self.action(State.RUNNING)] * 20,
            rows=rows,
            own=rows[:9],
            failed=self.failed(),
            freezes=[(PRODUCTION, self.freeze())] * 20,
            windows=[self.window()] * 20,
            changes=self.entries(),
            unread=[("What changed", self.text(900))] * 9,
        )

    def powers(self) -> list[Powers]:
        """Of as many environments as settings may well have."""
        people = People(users=USERS, groups=("S1",))
        verdict = Verdict(False, Ground.NOT_NAMED, people)
        environment = dataclasses.replace(
            PRODUCTION, clusters=(REF.cluster,) * 3, namespaces=(REF.namespace,) * 3,
            approval=Approval(people, 2),
        )  # fmt: skip
        return [Powers(environment, verdict, verdict, verdict, None)] * 6

    def window(self, **more: Any) -> Window:
        base = Window("w", 1, REF, USERS[0], USERS[1], self.text(500), NOW, NOW + 60, 60.0)
        return dataclasses.replace(base, **more)

    def log(self) -> list[Line]:
        return [
            Line(NOW, f"{NAME[:60]}{n % 3:03}", self.text(2000), "warn", self.text(100))
            for n in range(60)
        ]
