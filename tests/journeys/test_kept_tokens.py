"""Tokens of gateways that others deploy are rotated automatically, and only where that was decided."""

import json
from collections.abc import Iterator

import pytest

from bot.sandbox.legacy import portal_objects, portal_secret
from tests.support.demo import Demo, words
from tests.support.token_world import (
    HOST,
    TAG,
    Room,
    deploying,
    found,
    install,
    known,
    kubectl,
    nothing_minted,
    secret_of,
    shortest_lived,
    token_in,
    token_world,
)

# Each waits for rollouts, and for scans that come twice a minute.
pytestmark = pytest.mark.timeout(600)

GATEWAYS = ("edge-1", "solo-1", "solo-2")
DEAD = "209912312359&c2lnbmF0dXJl"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Development rotates automatically, production does not, and edge-1 runs in production."""
    directory = tmp_path_factory.mktemp("demo")
    world = token_world(directory / "world.yaml", GATEWAYS, ("west",))
    running = Demo(directory / "demo", "--world", str(world))
    try:
        room = Room(running, 0)
        plan = room.approved(deploying("edge-1", "west/prod"))
        room.ana.sees_at(plan, "1 of 1 pods ready after", 90)
        yield running
    finally:
        running.stop()


def test_a_kept_token_that_nobody_else_declares_is_rotated_where_a_decided_action_put_it(
    demo: Demo,
) -> None:
    room, alerts = Room(demo, 1), demo.person("dan", "gateway-alerts")
    by_hand(demo, "west/dev/shop", f"edge-1&{DEAD}")
    short = room.approved("manage-token west/dev/shop --gateway edge-1 --ttl 2d")
    room.ana.sees_at(short, "1 of 1 pods run with the new token after")
    alerts.sees("The bot's request to rotate the token of west/dev/shop .*succeeded", 120)
    # What claims the same of itself is put before those who decide for production.
    with nothing_minted(demo):
        forged(demo, "west/dev/shop", "west/dev/forged")
        asked = alerts.sees("Rotate the token of forged.*Needs 1 approval", 120)
        assert "west/prod/edge-1" in words(asked)


def test_a_kept_token_whose_reference_is_declared_is_rotated_once_its_owner_refers_to_it(
    demo: Demo,
) -> None:
    room, alerts = Room(demo, 2), demo.person("dan", "gateway-alerts")
    install(demo, "west/dev/solo-1", f"solo-1&{DEAD}")
    plan = room.dan.plans("manage-token west/dev/solo-1 --ttl 2d")
    with nothing_minted(demo, "solo-1"):
        room.dan.clicks(plan, "Confirm")
        room.dan.sees_at(plan, "no pod reads it yet")
        alerts.sees(
            r"solo-1 on west/dev \(development\) is denied by Azure|west/dev/solo-1.*expires", 120
        )
    refers_to(demo, "west/dev/solo-1", "solo-1-managed-token")
    alerts.sees("Rotate the token of solo-1 on west/dev.*pods run with the new token", 180)
    assert not secrets(demo, "solo-1-managed-token-previous")
    secret = found(demo, "west", "dev", "secret", "solo-1-managed-token")
    assert secret["metadata"]["annotations"]["gateway-bot.io/manage"] == "token"


def test_a_kept_token_stays_where_the_environment_does_not_rotate_automatically(
    demo: Demo,
) -> None:
    room, alerts = Room(demo, 3), demo.person("dan", "gateway-alerts")
    by_hand(demo, "west/prod/stand", f"solo-2&{DEAD}")
    short = room.approved("manage-token west/prod/stand --gateway solo-2 --ttl 2d")
    room.ana.sees_at(short, "1 of 1 pods run with the new token after")
    before = token_in(secret_of(demo, "west", "prod", "stand"))
    alerts.sees("west/prod/stand .*has a token that expires", 120)
    by_hand(demo, "west/dev/stand", f"solo-2&{DEAD}")
    # By the time the other environment's has been rotated, this one's turn would have come too.
    mine = room.approved("manage-token west/dev/stand --gateway solo-2 --ttl 2d")
    room.ana.sees_at(mine, "1 of 1 pods run with the new token after")
    alerts.sees("Rotate the token of stand on west/dev.*pods run with the new token", 180)
    assert token_in(secret_of(demo, "west", "prod", "stand")) == before


def by_hand(demo: Demo, place: str, token: str) -> None:
    """A gateway at cluster/namespace/name that a person made and nobody declares."""
    cluster, namespace, name = place.split("/")
    items = [portal_secret(name, namespace, token), *portal_objects(name, namespace, HOST, TAG)]
    for item in items:
        item["metadata"].pop("annotations", None)
    listed = {"apiVersion": "v1", "kind": "List", "items": items}
    kubectl(demo, cluster, "create", "--validate=false", "-f", "-", given=listed)
    known(demo, place)


def forged(demo: Demo, place: str, copy: str) -> None:
    """A gateway beside another whose Secret says of itself what the bot's own say, with the token of
    that which expires first."""
    cluster, namespace, name = place.split("/")
    *_, other = copy.split("/")
    secret = shortest_lived(demo, place)
    deployment = found(demo, cluster, namespace, "deployment", name)
    used = secret_of(demo, cluster, namespace, name)["metadata"]["name"]
    deployment = json.loads(json.dumps(deployment).replace(used, secret["metadata"]["name"]))
    objects = [secret, found(demo, cluster, namespace, "configmap", f"{name}-env"), deployment]
    for item in objects:
        kept = {key: item["metadata"].get(key) for key in ("name", "labels", "annotations")}
        item["metadata"] = {**kept, "namespace": namespace}
        item.pop("status", None)
    items = json.loads(json.dumps(objects).replace(f'"{name}', f'"{other}'))
    listed = {"apiVersion": "v1", "kind": "List", "items": items}
    kubectl(demo, cluster, "create", "--validate=false", "-f", "-", given=listed)
    known(demo, copy)


def refers_to(demo: Demo, place: str, secret: str) -> None:
    """The owner of a gateway makes the one change that the bot asked for."""
    cluster, namespace, name = place.split("/")
    reference = {"secretKeyRef": {"name": secret, "key": "value"}}
    container = {"name": name, "env": [{"name": "config.service.auth", "valueFrom": reference}]}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    kubectl(demo, cluster, "patch", "deployment", name, "-n", namespace, "-p", json.dumps(patch))


def secrets(demo: Demo, name: str) -> str:
    """The Secret of that name in west/dev; empty where there is none."""
    return kubectl(demo, "west", "get", "secret", name, "-n", "dev", "--ignore-not-found")
