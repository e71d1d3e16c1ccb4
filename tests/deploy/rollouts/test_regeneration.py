"""Keys regenerated: only where no pod holds a token of them, and then every such token is dead."""

import base64
import contextlib
import dataclasses
import datetime
import json
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.actions.action import Action, State, Step
from deploy.annotations import SPEC_ANNOTATION, WORKLOAD_ANNOTATION
from deploy.deadline import Deadline
from deploy.errors import Conflict, GatewayBotError, NotGranted, Unavailable
from deploy.gateway import GatewayRef, GatewayResource
from deploy.governance.custody import Keep
from deploy.health.cache import CachedGateway, ClusterCache, Snapshot
from deploy.health.levels import Levels
from deploy.health.status import gateway_detail
from deploy.observed.token_only import KeptToken
from deploy.plans.plan import Plan
from deploy.plans.requests import KeyRequest
from deploy.rendering.manifests import token_secret
from deploy.rendering.token_only import own_secret
from deploy.rollouts.regeneration import (
    Regenerator,
    check_unheld,
    plan_regeneration,
)
from deploy.rollouts.survey import Holding, Survey, TokenHolder
from deploy.specs.options import Objects
from deploy.specs.spec import spec_to_mapping
from deploy.tokens.token import KeyType, SecretFacts, Token, expiry_for
from tests.support.custody import LocalCustody
from tests.support.gateway_bed import RecordingRun, action_for
from tests.support.rotation_bed import INSTANCE, RotationBed, rotation_bed, spec_of
from tests.support.waiting import until

REF = GatewayRef("west", "dev", "edge-1")


class Bench:
    """A gateway, and what regenerates its keys."""

    def __init__(self, bed: RotationBed) -> None:
        self.bed = bed
        self.cache = ClusterCache(bed.cluster)
        self.cache.start()
        self.survey = Survey({"west": self.cache})
        self.regenerator = self.made(allowed=True)

    def made(
        self, *, allowed: bool, custody: LocalCustody | None = None, patience: float = 1.0
    ) -> Regenerator:
        bed = self.bed
        return Regenerator(
            self.survey,
            {"west": bed.cluster},
            bed.arm,
            bed.instances,
            custody or LocalCustody(),
            lambda action: None,
            allowed=allowed,
            patience=patience,
        )

    def plan(self, key: KeyType) -> Plan:
        return plan_regeneration(self.survey, self.bed.cluster, REF, key)[0]

    def action(self, key: KeyType) -> Action:
        return action_for(self.plan(key), kind="regenerate-key", request=KeyRequest(REF, key))

    def free(self) -> KeyType:
        """The key that no pod holds a token of, whatever ran before."""
        return "secondary" if self.bed.in_use().key == "primary" else "primary"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with rotation_bed(tmp_path_factory.mktemp("keys")) as bed:
        made = Bench(bed)
        yield made
        made.cache.stop(Deadline.after(5))


def test_a_key_whose_token_a_pod_holds_is_not_regenerated(bench: Bench) -> None:
    key = bench.bed.in_use().key
    assert key is not None
    with pytest.raises(Conflict) as refused:
        bench.plan(key)
    assert f"2 pods still hold a token of the {key} key of edge-1" in refused.value.happened
    for pod in bench.bed.pods():
        assert f"west/dev/{pod}" in refused.value.happened
    assert "Rotate west/dev/edge-1 first" in refused.value.remedy


def test_a_rotation_frees_the_key_and_its_old_tokens_die_with_it(bench: Bench) -> None:
    bed = bench.bed
    before = bed.in_use()
    assert bed.rotate().state is State.SUCCEEDED
    # The old ones have the token until they are gone, which is after the rotation has ended.
    until(lambda: len(bed.cluster.list("Pod", "dev")) == 2, "the end of the old pods")
    leaked = bed.token(before.name)
    assert bed.azure.poll(leaked).status_code == 200, "it is good for weeks still"
    freed = bench.free()
    plan = bench.plan(freed)
    told = [(change.kind, change.name) for change in plan.changes]
    assert told == [
        ("Key", f"{freed} of contoso/edge-1"),
        ("Secret", f"west/dev/edge-1: {before.name}"),
    ]
    run = RecordingRun()
    outcome = bench.regenerator.execute(bench.action(freed), run)
    assert outcome.state is State.SUCCEEDED
    assert run.steps == ["look", "regenerate"]
    assert bed.azure.poll(leaked).status_code == 403
    assert bed.azure.poll(bed.token(bed.in_use().name)).status_code == 200


def test_a_plan_that_no_longer_holds_is_not_carried_out(bench: Bench) -> None:
    action = bench.action(bench.free())
    moved = dataclasses.replace(action, digest="0" * 64)
    assert bench.regenerator.execute(moved, RecordingRun()).state is State.SUPERSEDED


def test_settings_that_no_longer_allow_it_are_obeyed(bench: Bench) -> None:
    outcome = bench.made(allowed=False).execute(bench.action(bench.free()), RecordingRun())
    assert outcome.state is State.FAILED
    assert "settings no longer allow" in outcome.happened


def test_trouble_in_azure_is_said_and_an_unknown_end_is_not_guessed(bench: Bench) -> None:
    action = bench.action(bench.free())
    bench.bed.azure.azure.faults.set("arm_status", "403")
    outcome = bench.regenerator.execute(action, RecordingRun())
    again = dataclasses.replace(action, steps=(Step("regenerate", 0.0),))
    resumed = bench.regenerator.execute(again, RecordingRun())
    bench.bed.azure.azure.faults.set("arm_status", "none")
    assert outcome.state is State.FAILED
    assert "regenerateKey/action" in outcome.meaning
    assert "Nothing was changed." in outcome.meaning
    assert resumed.state is State.UNKNOWN
    assert "may have regenerated the key" in resumed.meaning


@pytest.mark.parametrize("untouched", [True, False])
@pytest.mark.parametrize("error", [Unavailable, Conflict])
def test_an_answer_that_is_lost_for_good_leaves_it_open_whether_the_key_was_regenerated(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: type[GatewayBotError], untouched: bool
) -> None:
    def lost(*_: object) -> None:
        raised = error("Azure does not answer.")
        raised.untouched = untouched
        raise raised

    monkeypatch.setattr(bench.bed.arm, "regenerate_key", lost)
    outcome = bench.regenerator.execute(bench.action(bench.free()), RecordingRun())
    if untouched:
        assert (outcome.state, outcome.meaning) == (State.FAILED, "Nothing was changed.")
    else:
        assert outcome.state is State.UNKNOWN
        assert "may have regenerated the key" in outcome.meaning


def test_a_key_that_may_be_new_is_not_regenerated_again_once_a_token_was_made_with_it(
    bench: Bench,
) -> None:
    bed = bench.bed
    begun = dataclasses.replace(bench.action(bench.free()), steps=(Step("regenerate", 0.0),))
    expiry = expiry_for(datetime.datetime.now(datetime.UTC))
    token = bed.arm.generate_token(INSTANCE, "edge-1", bench.free(), expiry)
    bed.cluster.create(token_secret(bed.spec, "edge-1-token-made", token, "MADE", bench.free()))
    outcome = bench.regenerator.execute(begun, RecordingRun())
    assert outcome.state is State.UNKNOWN
    assert "may have regenerated the key" in outcome.meaning
    assert bed.azure.poll(f"GatewayKey {token.value}").status_code == 200
    bed.cluster.delete("Secret", "dev", "edge-1-token-made")


def test_a_refused_token_that_looks_right_is_said_to_be_of_elsewhere_or_of_an_old_key(
    bench: Bench,
) -> None:
    bed = bench.bed
    bed.azure.call("POST", "/gateways/edge-1/regenerateKey", body={"keyType": bed.in_use().key})

    def denied() -> str:
        found = gateway_detail(bench.cache, REF).heartbeat
        return found.evidence if found.level == "denied" else ""

    evidence = until(denied, "a refusal")
    assert "Its token names edge-1 and has not expired" in evidence
    assert "another API Management instance, or its key was regenerated" in evidence
    # A rotation mends it, and what was known against the previous token is not said of the new one.
    levels = Levels({"west": bench.cache})
    assert gateway_detail(bench.cache, REF, judged=levels.judged).summary.renewable
    assert bed.rotate().state is State.SUCCEEDED
    used = bed.in_use().name

    def forgotten() -> bool:
        (gateway,) = bench.cache.read().gateways
        facts = gateway.token.facts if gateway.token else None
        known = facts is not None and facts.name == used
        return known and levels.last(gateway).heartbeat.refusal is None

    until(forgotten, "that the new token is not refused")


def gateway_of(name: str, *env: dict[str, Any], settings: str = "") -> CachedGateway:
    container: dict[str, Any] = {"name": "gateway", "env": list(env)}
    if settings:
        container["envFrom"] = [{"configMapRef": {"name": settings}}]
    metadata = {"name": name, "namespace": "dev"}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    deployment = {
        "metadata": metadata,
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template},
    }
    return CachedGateway(GatewayRef("west", "dev", name), deployment, (), None)


def surveyed(
    gateway: CachedGateway,
    pod: CachedGateway | None = None,
    settings: Mapping[str, str] | None = None,
    kind: str = "ConfigMap",
) -> tuple[TokenHolder, ...]:
    """What a survey finds of a gateway that this bot did not install, and of its one pod."""
    spec = (pod or gateway).deployment["spec"]["template"]["spec"]
    cluster = SimpleNamespace(
        list=lambda kind, *_, **__: [{"metadata": {"name": "p1"}, "spec": spec}],
        get=lambda *_: {"kind": kind, "metadata": {"name": "s"}, "data": settings or {}},
    )
    snapshot = Snapshot("west", (gateway,), 0.0)
    cache: Any = SimpleNamespace(read=lambda: snapshot, cluster=cluster)
    return Survey({"west": cache}).holding(spec_of()).pods


def test_a_pod_whose_token_is_in_no_secret_counts_as_holding_the_key() -> None:
    inline = {"name": "config.service.auth", "value": "GatewayKey edge-1&202612010000&c2ln"}
    (found,) = surveyed(gateway_of("by-hand", inline))
    assert (found.pod, found.facts, found.why_unknown) == ("p1", None, "it is in no Secret")
    elsewhere = {"name": "config.service.auth", "value": "GatewayKey edge-7&202612010000&c2ln"}
    assert surveyed(gateway_of("by-hand", elsewhere)) == ()
    (hidden,) = surveyed(gateway_of("by-hand", settings="by-hand-env"))
    assert hidden.why_unknown == "it is in no Secret"


def test_a_pod_that_takes_a_whole_secret_holds_the_token_that_is_in_it() -> None:
    whole = gateway_of("edge-1")
    container = whole.deployment["spec"]["template"]["spec"]["containers"][0]
    container["envFrom"] = [{"secretRef": {"name": "s"}}]
    text = base64.b64encode(b"GatewayKey edge-1&202612010000&c2ln").decode()
    (found,) = surveyed(whole, settings={"config.service.auth": text}, kind="Secret")
    assert (found.pod, found.secret) == ("p1", "s")
    assert found.facts is not None
    assert (found.facts.gateway, found.facts.key) == ("edge-1", None)


def test_a_gateway_that_signs_in_holds_no_key_but_its_pods_of_before_do() -> None:
    entra = {"name": "config.service.auth", "value": "workloadIdentity"}
    name = {"name": "gateway.name", "value": "edge-1"}
    moved = gateway_of("edge-1", entra, name)
    assert surveyed(moved) == ()
    told = {"config.service.auth": "azureAdApp"}
    assert surveyed(gateway_of("edge-1", settings="edge-1-env"), settings=told) == ()
    reading = {"secretKeyRef": {"name": "s", "key": "value"}}
    before = gateway_of("edge-1", {"name": "config.service.auth", "valueFrom": reading})
    (found,) = surveyed(moved, before)
    assert found.secret == "s"


def test_each_gateway_whose_kept_tokens_cannot_be_read_keeps_a_key_from_being_regenerated() -> None:
    entra = {"name": "config.service.auth", "value": "workloadIdentity"}
    inline = {"name": "config.service.auth", "value": "GatewayKey edge-1&202612010000&c2ln"}
    gateways = (gateway_of("one", entra), gateway_of("two", entra), gateway_of("three", inline))

    def read(kind: str, *_: object, **__: object) -> list[Any]:
        if kind == "Secret":
            raise NotGranted("The bot is not allowed to read secrets.", remedy="Let it read them.")
        return [{"metadata": {"name": "p1"}, "spec": spec}] if spec else []

    snapshot = Snapshot("west", gateways[:2], 0.0)
    cluster = SimpleNamespace(list=read, get=read)
    cache: Any = SimpleNamespace(read=lambda: snapshot, cluster=cluster)
    spec = gateways[0].deployment["spec"]["template"]["spec"]
    found = Survey({"west": cache}).holding(spec_of())
    assert found.pods == ()
    with pytest.raises(Unavailable) as refused:
        check_unheld("edge-1", "primary", found)
    assert refused.value.happened == (
        "Secrets that may keep a token of west/dev/one, west/dev/two cannot be read: "
        "The bot is not allowed to read secrets."
    )
    assert refused.value.remedy == "Let it read them."
    snapshot, spec = (
        Snapshot("west", gateways[2:], 0.0),
        gateways[2].deployment["spec"]["template"]["spec"],
    )
    with pytest.raises(Conflict) as both:
        check_unheld("edge-1", "primary", Survey({"west": cache}).holding(spec_of()))
    assert "key made the token of 1 pod (it is in no Secret): west/dev/p1." in both.value.happened
    assert "may keep a token of west/dev/three cannot be read" in both.value.happened


def test_of_an_adopted_gateway_the_token_counts_that_was_kept_while_others_deployed_it() -> None:
    spec = dataclasses.replace(spec_of(), objects=Objects(selector=(("app", "edge-1"),)))
    metadata = {"annotations": {SPEC_ANNOTATION: json.dumps(spec_to_mapping(spec))}}
    adopted = gateway_of("edge-1")
    adopted.deployment["metadata"].update(metadata)
    token = Token.parse("GatewayKey edge-1&209912312359&c2lnbmF0dXJl")
    assert token is not None
    kept = own_secret(
        REF, "edge-1-managed-token", KeptToken("edge-1", "contoso", "edge-1"), "value", token,
        "ABC111", "primary", now=0.0, immutable=False,
    )  # fmt: skip

    def listed(kind: str, _: str, label_selector: str = "") -> list[Any]:
        return [kept] if kind == "Secret" and WORKLOAD_ANNOTATION in label_selector else []

    cluster = SimpleNamespace(
        list=listed,
        get=lambda *_: adopted.deployment,
        at_once=lambda calls: [call() for call in calls],
    )
    cache: Any = SimpleNamespace(read=lambda: Snapshot("west", (adopted,), 0.0), cluster=cluster)
    (spare,) = Survey({"west": cache}).holding(spec_of()).spare
    assert (spare.secret, spare.facts and spare.facts.key) == ("edge-1-managed-token", "primary")


def held(key: KeyType | None) -> TokenHolder:
    return TokenHolder(REF, "p1", "s", SecretFacts("s", "edge-1", None, "annotation", True, key))


def test_a_token_whose_key_is_not_known_counts_as_holding_it() -> None:
    with pytest.raises(
        Conflict, match=r"cannot determine which key made the token of .*: west/dev/p1"
    ):
        check_unheld("edge-1", "primary", Holding((held(None),), ()))
    unread = TokenHolder(REF, "p1", "s", None, "it may not be read")
    with pytest.raises(Conflict, match=r"cannot determine which key .* \(it may not be read\)"):
        check_unheld("edge-1", "primary", Holding((unread,), ()))
    check_unheld("edge-1", "primary", Holding((held("secondary"),), (held("primary"),)))


class Contended(LocalCustody):
    """The gateway is another action's the first time, which ends meanwhile."""

    def __init__(self, other: Callable[[], object]) -> None:
        super().__init__()
        self._other = other
        self._tries = 0

    @contextlib.contextmanager
    def held(self, resource: GatewayResource, action_id: str) -> Iterator[Keep]:
        self._tries += 1
        if self._tries == 1:
            self._other()
            raise Unavailable("Action XYZ is changing the tokens of edge-1.", untouched=True)
        with super().held(resource, action_id) as keep:
            yield keep


def test_a_token_that_was_made_while_it_waited_for_its_turn_is_not_killed(bench: Bench) -> None:
    bed, key = bench.bed, bench.free()
    action = bench.action(key)
    regenerator = bench.made(allowed=True, custody=Contended(bed.rotate), patience=30.0)
    outcome = regenerator.execute(action, RecordingRun())
    assert outcome.state is State.FAILED
    assert f"pods still hold a token of the {key} key" in outcome.happened
    assert bed.in_use().key == key
    assert bed.azure.poll(bed.token(bed.in_use().name)).status_code == 200
