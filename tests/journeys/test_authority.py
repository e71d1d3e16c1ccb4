"""B1 of issue 12: nobody gets the token of a production gateway by asking for it somewhere else.

Each attack is made by dan, who is neither in the team nor an approver, and ends with no
`generateToken` in Azure's log. What needs nobody's approval must go on without another click.
"""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.support.demo import Demo, broken, words
from tests.support.token_world import (
    COLLECTOR,
    EAST_ROOM,
    GATEWAYS,
    HOST,
    LISTED_HOST,
    MIRROR,
    SOMEBODY,
    TAG,
    Room,
    answered,
    copied,
    deploying,
    found,
    gains_nothing,
    held,
    install,
    labels,
    minted,
    nothing_minted,
    secret_of,
    shortest_lived,
    token_in,
    token_world,
)
from tests.support.waiting import until

# The first one waits for five deployments.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with demo_of(tmp_path_factory.mktemp("demo"), ("west", "east")) as running:
        yield running


@contextmanager
def demo_of(directory: Path, clusters: Sequence[str], *arguments: str) -> Iterator[Demo]:
    """A demo on these clusters, of which production's gateways run."""
    world = token_world(directory / "world.yaml", GATEWAYS, clusters)
    running = Demo(directory / "demo", "--world", str(world), *arguments)
    try:
        in_production(running, clusters)
        yield running
    finally:
        running.stop()


def in_production(demo: Demo, clusters: Sequence[str]) -> None:
    """edge-1, Edge-U and shared-1 run in west/prod, and pay-1 in east/prod; gone-1 did as `shop`."""
    rooms = [Room(demo, -number) for number in range(1, 1 - EAST_ROOM)]
    plans = [
        rooms[0].approved(deploying("gone-1", "west/prod", "--name shop")),
        rooms[1].approved(deploying("edge-1", "west/prod")),
        rooms[2].approved(deploying("Edge-U", "west/prod")),
        rooms[3].approved(deploying("shared-1", "west/prod")),
    ]
    if "east" in clusters:
        plans.append(rooms[-1].approved(deploying("pay-1", "east/prod"), "ben", "chen"))
    for room, plan in zip(rooms, plans, strict=False):
        room.ana.sees_at(plan, "1 of 1 pods ready after", 90)
    rooms[0].ana.sees_at(rooms[0].approved("delete shop"), "Deleted west/prod/shop")


@pytest.fixture
def room(demo: Demo, numbers: Iterator[int]) -> Room:
    return Room(demo, next(numbers))


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return itertools.count()


def test_the_token_is_not_sent_where_the_settings_know_nobody(demo: Demo, room: Room) -> None:
    dan = room.dan
    with nothing_minted(demo):
        reported = (
            f"deploy contoso/edge-1 --to west/dev --tag {TAG} --set apim.endpoint={COLLECTOR}"
        )
        said = answered(dan, lambda: dan.types(reported))
        assert "the rules forbid it" in said
        assert f"endpoints: [{LISTED_HOST}, {COLLECTOR}]" in said, "the line for the settings"
        image = f"{reported.rpartition(' --set')[0]} --set image.repository=dan.example/gateway"
        assert "the rules forbid it" in answered(dan, lambda: dan.types(image))


HERE = deploying("edge-1", "west/dev")
ASKED = {
    "by its name": HERE,
    "under another name": f"{HERE} --name mine",
    "by another entry of the same service": HERE.replace("contoso/", "again/"),
    "for an endpoint that is listed": f"{HERE} --set apim.endpoint={LISTED_HOST}",
    "by overriding a freeze": f'{HERE} --break-glass "urgent"',
    "for an image that is listed": f"{HERE} --set image.repository={MIRROR}",
    "with capitals in its name": deploying("Edge-U", "west/dev"),
    "just renamed and deleted": deploying("gone-1", "west/dev"),
}


@pytest.mark.parametrize("command", ASKED.values(), ids=ASKED.keys())
def test_a_token_that_production_holds_takes_productions_approval(
    demo: Demo, room: Room, command: str
) -> None:
    with nothing_minted(demo):
        plan = room.dan.plans(command)
        assert "This also requires approval for production-west" in words(plan)
        gains_nothing(room.dan, plan)


def test_a_token_that_production_of_another_cluster_holds_takes_its_approval(
    demo: Demo, room: Room
) -> None:
    dan = room.dan
    with nothing_minted(demo):
        plan = dan.plans(deploying("edge-1", "east/dev"))
        assert "This also requires approval for production-west" in words(plan)
        gains_nothing(dan, plan)
        plan = dan.plans(deploying("pay-1", "west/dev"))
        assert "This also requires approval for production-east" in words(plan)
        # Its approvers hear of it in their own channel, and decide there.
        chen = Room(demo, EAST_ROOM).chen
        chen.clicks(chen.sees("approvers of production-east must approve too.*pay-1"), "Show")
        chen.clicks(chen.sees("Needs 2 approvals", ephemeral=True), "Approve")
        gains_nothing(dan, dan.sees_at(plan, "1 of 2 approvals"), approvals=2)


def test_a_spec_given_as_a_file_takes_productions_approval(demo: Demo, room: Room) -> None:
    dan = room.dan
    spec = (
        f"gateway: edge-1\napim: {{instance: again, endpoint: {LISTED_HOST}}}\n"
        f"cluster: west\nnamespace: dev\nname: file\nimage: {{tag: {TAG}}}\n"
    )
    with nothing_minted(demo):
        dan.types("deploy")
        form = dan.spec_form()
        assert dan.submits(form, deploy_file=dan.uploads("edge.yaml", spec)) == {"ok": True}
        gains_nothing(dan, dan.sees("Deploy file to west/dev.*Nothing has changed yet"))


def test_asking_again_after_a_denial_takes_productions_approval_and_shows_the_denial(
    demo: Demo, room: Room
) -> None:
    dan, ben = room.dan, room.ben
    with nothing_minted(demo):
        plan = dan.plans(deploying("edge-1", "west/dev"))
        ben.clicks(plan, "Deny")
        ben.submits(ben.form("action_deny_modal"), deny_reason="use edge-1-dev")
        denied = dan.sees_at(plan, "Denied by <@U0BEN>")
        dan.clicks(denied, "Ask again")
        again = until(
            lambda: next((m for m in dan.messages() if m["ts"] > plan["ts"] and labels(m)), None),
            "the plan again",
        )
        assert "use edge-1-dev" in words(again)
        gains_nothing(dan, again)


def test_a_fix_takes_productions_approval(demo: Demo, room: Room) -> None:
    dan = room.dan
    with nothing_minted(demo):
        plan = dan.plans(deploying("edge-1", "west/dev"))
        fix = next(label for label in labels(plan) if label.startswith("Fix"))
        dan.clicks(plan, fix)
        fixed = dan.sees("Nothing has changed yet.*(replicas: |Replicas\\* )3")
        assert fixed["ts"] != plan["ts"]
        gains_nothing(dan, fixed)


def test_a_look_alike_that_holds_productions_token_gets_no_new_one(demo: Demo, room: Room) -> None:
    """By the portal's YAML, which is adopted, and as a copy of what this bot deployed."""
    dan = room.dan
    with nothing_minted(demo):
        install(demo, "west/dev/portal-1", token_in(secret_of(demo, "west", "prod", "edge-1")))
        gains_nothing(dan, dan.plans("adopt portal-1"))
        copied(demo, "west/prod/edge-1", "west/dev/copy-1")
        gains_nothing(dan, dan.plans("rotate copy-1"))


def test_what_ran_in_development_first_takes_productions_approval_once_it_runs_there(
    demo: Demo, room: Room
) -> None:
    room.confirmed(deploying("late-1", "west/dev"))
    plan = room.approved(deploying("late-1", "west/prod"))
    assert "within the last 30 days, in less protected places: west/dev/late-1" in words(plan)
    room.ana.sees_at(plan, "1 of 1 pods ready after")
    with nothing_minted(demo):
        key = room.dan.plans("regenerate-key west/dev/late-1 --key secondary")
        gains_nothing(room.dan, key)
        gains_nothing(room.dan, room.dan.plans(deploying("late-1", "west/dev", "--name late-2")))
        # Only development decided on the token that is there.
        gains_nothing(room.dan, room.dan.plans("rotate west/dev/late-1"))


def test_a_deployment_made_with_kubectl_in_production_takes_productions_approval(
    demo: Demo, room: Room
) -> None:
    dan = room.dan
    alone = dan.plans(deploying("kube-1", "west/dev"))
    assert "Confirm" in labels(alone)
    with nothing_minted(demo):
        install(demo, "west/prod/by-hand", "kube-1&209912312359&c2lnbmF0dXJl")
        dan.clicks(alone, "Confirm")
        # It was shown as what dan decides alone.
        dan.sees_at(alone, "This now requires approval")
        fresh = dan.sees("Needs 1 approval.*west/prod/by-hand|west/prod/by-hand.*Needs 1 approval")
        gains_nothing(dan, fresh)


def test_production_that_appears_between_the_decision_and_the_mint_decides(
    demo: Demo, room: Room
) -> None:
    dan = room.dan
    plan = dan.plans(deploying("between-1", "west/dev"))
    with nothing_minted(demo):
        with held(demo, "between-1"):
            dan.clicks(plan, "Confirm")
            dan.sees_at(plan, f"Action {SOMEBODY} is changing the tokens|Minting a token")
            install(demo, "west/prod/between-1", "between-1&209912312359&c2lnbmF0dXJl")
        dan.sees_at(plan, "This now requires approval")
        gains_nothing(dan, dan.sees("Needs 1 approval.*west/prod/between-1"))


def test_production_that_this_bot_deploys_between_the_decision_and_the_mint_decides(
    demo: Demo, room: Room
) -> None:
    dan = room.dan
    plan = dan.plans(deploying("between-2", "east/dev"))
    with nothing_minted(demo, "between-2"):
        with broken(demo, "cluster east", "api_slow_ms", 4000, 0):
            dan.clicks(plan, "Confirm")
            there = room.approved(deploying("between-2", "west/prod"))
            dan.sees_at(plan, "This now requires approval")
        room.ana.sees_at(there, "1 of 1 pods ready after")
        gains_nothing(dan, dan.sees("Needs 1 approval.*west/prod/between-2"))


def test_what_follows_its_target_alone_in_a_shared_place_needs_no_other_click(
    demo: Demo, room: Room
) -> None:
    plan = room.approved(deploying("edge-1", "west/dev"))
    room.ana.sees_at(plan, "1 of 1 pods ready after")
    secret = secret_of(demo, "west", "dev", "edge-1")["metadata"]["name"]
    with nothing_minted(demo):
        room.confirmed("restart west/dev/edge-1")
        room.confirmed("scale west/dev/edge-1 --replicas 2", "2 of 2 pods ready after")
        newer = deploying("edge-1", "west/dev").replace(TAG, "2.12.1")
        room.confirmed(newer, "1 of 1 pods ready after")
    assert secret_of(demo, "west", "dev", "edge-1")["metadata"]["name"] == secret


GUID = "00000000-0000-0000-0000-000000000001"
SIGN_IN = f"--set auth.clientId={GUID} --set auth.tenantId={GUID}"
ENTRA = f"--set auth.type=workloadIdentity {SIGN_IN}"
REDIRECTIONS = {
    "an endpoint": f"--set apim.endpoint={LISTED_HOST}",
    "an image": f"--set image.repository={MIRROR}",
    "host aliases": f'--set "hostAliases=[{{ip: 203.0.113.9, hostnames: [{COLLECTOR}]}}]"',
    "a proxy": f"--set proxy.https=http://{COLLECTOR}:3128",
    "a certificate authority": '--set "certificateAuthorities=[{configMap: dans, key: ca.crt}]"',
}


@pytest.mark.parametrize("redirection", REDIRECTIONS.values(), ids=REDIRECTIONS.keys())
def test_a_kept_token_is_sent_elsewhere_only_with_productions_approval(
    demo: Demo, room: Room, redirection: str
) -> None:
    dan = room.dan
    with nothing_minted(demo):
        plan = dan.plans(deploying("edge-1", "west/dev", redirection).replace(TAG, "2.12.1"))
        assert "new token" not in words(plan)
        gains_nothing(dan, plan)


@pytest.mark.parametrize(
    "unlisted", [f"apim.endpoint={COLLECTOR}", "image.repository=dan.example/gateway"]
)
def test_a_kept_token_is_not_sent_where_the_settings_know_nobody(room: Room, unlisted: str) -> None:
    command = deploying("edge-1", "west/dev", f"--set {unlisted}")
    assert "the rules forbid it" in answered(room.dan, lambda: room.dan.types(command))


def test_pods_that_hold_a_token_are_not_led_elsewhere_by_a_gateway_that_signs_in(
    demo: Demo, room: Room
) -> None:
    """They read the ConfigMap that the next pods read, and there are more of them after `scale`."""
    dan = room.dan
    plan = room.approved(deploying("Edge-U", "west/dev"))
    room.ana.sees_at(plan, "1 of 1 pods ready after")
    # No node has so much CPU, so the pods with the token stay.
    signs_in = deploying("Edge-U", "west/dev", ENTRA, "--cpu 900")
    elsewhere = f"{signs_in} --set apim.endpoint={LISTED_HOST}"
    with nothing_minted(demo):
        collected = f"{signs_in} --set apim.endpoint={COLLECTOR}"
        assert "the rules forbid it" in answered(dan, lambda: dan.types(collected))
        gains_nothing(dan, dan.plans(elsewhere))
        plan = dan.plans(signs_in)
        dan.clicks(plan, "Confirm")
        dan.clicks(dan.sees_at(plan, "0 of 1", 60), "Stop rollout")
        dan.sees_at(plan, "Stopped", 30)
        assert "the rules forbid it" in answered(dan, lambda: dan.types(collected))
        gains_nothing(dan, dan.plans(elsewhere))
        plan = dan.plans("scale west/dev/edge-u --replicas 2")
        dan.clicks(plan, "Confirm")
        dan.sees_at(plan, "of 2", 60)
    settings = found(demo, "west", "dev", "configmap", "edge-u-env")["data"]
    assert settings["config.service.endpoint"] == HOST


def test_no_token_is_used_without_checking_certificates(demo: Demo, room: Room) -> None:
    unchecked = "settings: {config.service.endpoint.disableCertificateValidation: 'true'}"
    room.dan.types("deploy")
    form = room.dan.form("deploy")
    sent = room.dan.submits(
        form,
        deploy_gateway="contoso/edge-1",
        deploy_place="west/dev",
        deploy_tag="2.12.1",
        deploy_replicas="1",
        deploy_more=unchecked,
    )
    assert sent == {"ok": True}
    room.dan.sees("the rules forbid it.*token-without-certificate", ephemeral=True)


def test_a_gateway_that_the_settings_share_is_deployed_by_the_targets_decision(
    demo: Demo, room: Room
) -> None:
    room.confirmed(deploying("shared-1", "west/dev"))
    assert minted(demo)[-1] == "shared-1"


def test_a_look_alike_in_an_unlisted_namespace_locks_nobody_out(demo: Demo, room: Room) -> None:
    install(demo, "west/lab/solo-1", "solo-1&209912312359&c2lnbmF0dXJl")
    plan = room.confirmed(deploying("solo-1", "west/dev"))
    assert "The same gateway runs outside every environment: west/lab/solo-1" in words(plan)
    assert minted(demo)[-1] == "solo-1"


def test_a_production_cluster_that_cannot_be_read_stops_nobody(demo: Demo, room: Room) -> None:
    with broken(demo, "cluster east", "api_down", True, False):
        room.confirmed(deploying("solo-2", "west/dev"))
    assert minted(demo)[-1] == "solo-2"


def test_a_token_is_rotated_automatically_only_where_a_decided_action_put_it(
    demo: Demo, room: Room
) -> None:
    """edge-1 in west/dev was approved by production; copy-2 is a copy of it with its token."""
    alerts = demo.person("dan", "gateway-alerts")
    with nothing_minted(demo, "edge-1", "edge-1"):
        room.confirmed("rotate west/dev/edge-1 --ttl 2d", "1 of 1 pods run with the new token")
        # edge-1 may be rotated automatically by now; the token that lives two days is kept.
        short = shortest_lived(demo, "west/dev/edge-1")
        copied(demo, "west/dev/edge-1", "west/dev/copy-2", short)
        # Scans come twice a minute.
        asked = alerts.sees("Rotate the token of copy-2.*Needs 1 approval", 120)
        assert "west/prod/edge-1" in words(asked)
        alerts.sees("Rotate the token of edge-1 on west/dev.*pods run with the new token", 180)


def kept(room: Room, name: str) -> None:
    """edge-1 runs in development under that name, as production has approved."""
    plan = room.approved(deploying("edge-1", "west/dev", f"--name {name}"))
    room.ana.sees_at(plan, "1 of 1 pods ready after")


def test_a_token_is_mounted_in_no_pod_of_another_gateway(demo: Demo, room: Room) -> None:
    """solo-1 is dan's own to decide on, and not what production has approved."""
    kept(room, "kept")
    token = secret_of(demo, "west", "dev", "kept")["metadata"]["name"]
    app = f'{SIGN_IN} --set auth.type=entraApp --set "auth.clientSecret={{name: {token}, key: value}}"'
    authority = f'--set "certificateAuthorities=[{{secret: {token}, key: value}}]"'
    room.confirmed(deploying("solo-1", "west/dev", "--name own"))
    with nothing_minted(demo):
        for command in (
            deploying("solo-1", "west/dev", "--name thief", app),
            deploying("solo-1", "west/dev", "--name own", authority),
            deploying("edge-1", "west/dev", "--name kept", authority),
        ):
            said = answered(room.dan, partial(room.dan.types, command), "the rules forbid")
            assert "token-by-reference" in said
            assert f"Found: [{token}]" in said


def test_the_settings_of_a_gateway_are_overwritten_by_no_other(demo: Demo, room: Room) -> None:
    kept(room, "owner")
    before = found(demo, "west", "dev", "configmap", "owner-env")["data"]
    entra = ENTRA
    settings = f"--set objects.configMap=owner-env --set apim.endpoint={COLLECTOR}"
    command = deploying("solo-2", "west/dev", "--name thief", entra, settings)
    with nothing_minted(demo):
        said = answered(room.dan, lambda: room.dan.types(command), "the rules forbid")
        assert "object-of-another" in said
        assert "Found: [ConfigMap owner-env of owner]" in said
    assert found(demo, "west", "dev", "configmap", "owner-env")["data"] == before
