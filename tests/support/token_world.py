"""A world in which gateways are shared between environments, and what attackers do in it."""

import base64
import copy
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bot.sandbox.legacy import portal_objects, portal_secret
from bot.sandbox.world import DEFAULT
from deploy.actions.connection import connect
from deploy.actions.leases import GatewayLeases
from deploy.annotations import SPEC_ANNOTATION
from deploy.azure import ApimInstance, resource_of
from tests.support.demo import Demo, Message, Person, is_answer, words
from tests.support.kubectl import kubectl_path
from tests.support.waiting import until

TAG = "2.11.1"
APPROVERS = "<!subteam^S0APPROVE>"
COLLECTOR = "collector.example.net"
HOST = "contoso.configuration.azure-api.net"
LISTED_HOST = "apim.contoso.example"
"""A host of contoso's own that its settings list as an endpoint."""
MIRROR = "mirror.contoso.example/apim/gateway"
"""An image repository that the settings list."""
GATEWAYS = ("edge-1", "Edge-U", "pay-1", "gone-1", "shared-1", "late-1", "solo-1", "solo-2", "kube-1",
            "between-1", "between-2")  # fmt: skip
ROOMS = tuple(f"ROOM{number}" for number in range(10, 60))
"""Channels of which each test takes one: Slack takes one message a second in each."""
EAST_ROOM = -5
"""The number of the channel in which changes of production-east are asked for and decided on."""
_PRODUCTION = {
    cluster: {
        "name": f"production-{cluster}",
        "clusters": [cluster],
        "namespaces": ["prod"],
        "production": True,
        "approval": {"approvers": {"groups": ["S0APPROVE"]}, "quorum": quorum},
        "channels": channels,
    }
    for cluster, quorum, channels in (("west", 1, []), ("east", 2, [f"C0{ROOMS[EAST_ROOM]}"]))
}
SOMEBODY = "ABC234"
"""The id of an action that no bot has."""


def token_world(path: Path, gateways: Sequence[str], clusters: Sequence[str]) -> Path:
    """Write its world file: development is listed first and rotates automatically, namespace `lab`
    is in no environment, two entries of the settings are one service, and `shared-*` is governed by
    development alone."""
    world: dict[str, Any] = copy.deepcopy(yaml.safe_load(DEFAULT.read_text()))
    world["azure"]["gateways"] = [{"name": name, "location": "North"} for name in gateways]
    service = {key: world["azure"][key] for key in ("subscription", "resource_group", "service")}
    again = {key: value.upper() for key, value in service.items()}
    shared = [{"match": "shared-*", "governed_by": ["development"]}]
    world |= {
        "clusters": [{"name": name, "namespaces": ["dev", "prod", "lab"]} for name in clusters],
        "channels": [*world["channels"], *({"id": f"C0{r}", "name": r.lower()} for r in ROOMS)],
        "production": [each for each in world["production"] if each["cluster"] in clusters],
        "legacy": None,
        "settings": {
            "apim": [
                {"name": "contoso", **service, "endpoints": [LISTED_HOST], "gateways": shared},
                {"name": "again", **again},
            ],
            "environments": [
                {"name": "development", "namespaces": ["dev"], "rotation": "auto"},
                *(_PRODUCTION[name] for name in clusters),
            ],
            "rotation": {"at_once": 5},
            "images": {"repositories": ["mcr.microsoft.com/azure-api-management/gateway", MIRROR]},
        },
    }
    path.write_text(yaml.safe_dump(world))
    return path


def deploying(gateway: str, place: str, *more: str) -> str:
    """The command that deploys a gateway of contoso with one pod."""
    return " ".join((f"deploy contoso/{gateway} --to {place} --tag {TAG} --replicas 1", *more))


class Room:
    """A channel of its own, and those who meet there."""

    def __init__(self, demo: Demo, number: int) -> None:
        self.demo = demo
        self.ana, self.ben, self.chen, self.dan = (
            demo.person(name, ROOMS[number].lower()) for name in ("ana", "ben", "chen", "dan")
        )

    def confirmed(self, command: str, end: str = "1 of 1 pods ready after") -> Message:
        """The plan of what dan may decide alone, once it is carried out."""
        plan = self.dan.plans(command)
        assert "Confirm" in labels(plan), words(plan)
        self.dan.clicks(plan, "Confirm")
        self.dan.sees_at(plan, end)
        return plan

    def approved(self, command: str, *approvers: str) -> Message:
        """The plan of what ana asks for, once it is approved, by ben where nobody is named."""
        plan = self.ana.plans(command)
        for name in approvers or ("ben",):
            person: Person = getattr(self, name)
            person.clicks(plan, "Approve")
        return plan


def minted(demo: Demo) -> list[str]:
    """The gateway of each token or key that Azure was asked for, in order."""
    paths = [entry["path"].lower() for entry in demo.get("log", kind="azure")["entries"]]
    asked = ("/generatetoken", "/regeneratekey")
    return [path.split("/")[-2] for path in paths if path.endswith(asked)]


@contextmanager
def nothing_minted(demo: Demo, *but: str) -> Iterator[None]:
    """While the block runs Azure is asked for no token but for one of each gateway of `but`."""
    before = minted(demo)
    yield
    assert tuple(minted(demo)[len(before) :]) == but


def answered(person: Person, act: Callable[[], Any], pattern: str = "", seconds: float = 60) -> str:
    """The words of the next message that this person alone sees, once `act` is done."""
    before = {message["ts"] for message in person.messages()}
    act()

    def look() -> str | None:
        for message in person.messages():
            new = message["ts"] not in before and message.get("is_ephemeral")
            if new and is_answer(message) and pattern in words(message):
                return words(message)
        return None

    return until(look, f"an answer with {pattern!r}", seconds)


def labels(message: Message) -> list[str]:
    """What the buttons of a message read."""
    blocks = message.get("blocks") or []
    elements = [e for block in blocks for e in block.get("elements") or []]
    elements += [block["accessory"] for block in blocks if "accessory" in block]
    return [e["text"]["text"] for e in elements if e.get("type") == "button"]


def gains_nothing(person: Person, plan: Message, approvals: int = 1) -> None:
    """A plan that others must approve, of which its requester can make nothing."""
    plural = "s" if approvals > 1 else ""
    assert f"Needs {approvals} approval{plural} from {APPROVERS}" in words(plan), words(plan)
    assert "Confirm" not in labels(plan)
    refusal = answered(person, lambda: person.clicks(plan, "Approve"))
    assert "somebody else must approve or deny it" in refusal
    person.clicks(plan, "Cancel")
    person.sees_at(plan, "Cancelled by")


def kubectl(demo: Demo, cluster: str, *arguments: str, given: Any = None) -> str:
    """Run kubectl as somebody who may do everything; `given` are objects on standard input."""
    done = subprocess.run(
        [kubectl_path(), "--kubeconfig", str(demo.kubeconfig), "--context", cluster, *arguments],
        input=None if given is None else json.dumps(given),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def found(demo: Demo, cluster: str, namespace: str, kind: str, name: str) -> dict[str, Any]:
    """One object."""
    text = kubectl(demo, cluster, "-n", namespace, "get", kind, name, "-o", "json")
    item: dict[str, Any] = json.loads(text)
    return item


def secret_of(demo: Demo, cluster: str, namespace: str, name: str) -> dict[str, Any]:
    """The Secret that a gateway takes its token from."""
    return _secret_used_by(demo, cluster, found(demo, cluster, namespace, "deployment", name))


def _secret_used_by(demo: Demo, cluster: str, deployment: Mapping[str, Any]) -> dict[str, Any]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    reference = container["env"][0]["valueFrom"]["secretKeyRef"]["name"]
    return found(demo, cluster, deployment["metadata"]["namespace"], "secret", reference)


def shortest_lived(demo: Demo, place: str) -> dict[str, Any]:
    """Of the Secrets that this bot made for a gateway at cluster/namespace/name, the one whose token
    expires first."""
    cluster, namespace, name = place.split("/")
    listed = json.loads(kubectl(demo, cluster, "-n", namespace, "get", "secrets", "-o", "json"))
    made = [s for s in listed["items"] if s["metadata"]["name"].startswith(f"{name}-token-")]
    return min(made, key=lambda secret: token_in(secret).split("&")[1])


def token_in(secret: Mapping[str, Any]) -> str:
    """The text of a token, as whoever may read Secrets has it."""
    return base64.b64decode(secret["data"]["value"]).decode().removeprefix("GatewayKey ")


def install(demo: Demo, place: str, token: str) -> None:
    """A gateway by the portal's YAML at cluster/namespace/name; the bot knows it afterwards."""
    cluster, namespace, name = place.split("/")
    items = [portal_secret(name, namespace, token), *portal_objects(name, namespace, HOST, TAG)]
    listed = {"apiVersion": "v1", "kind": "List", "items": items}
    kubectl(demo, cluster, "apply", "--validate=false", "-f", "-", given=listed)
    known(demo, place)


def copied(
    demo: Demo, place: str, copy_place: str, secret: Mapping[str, Any] | None = None
) -> None:
    """All of a gateway that this bot deployed, once more and under another name elsewhere, as if this
    bot had put it there; with `secret`, where given, in place of the one that it uses."""
    cluster, namespace, name = place.split("/")
    other_cluster, other_namespace, other = copy_place.split("/")
    deployment = found(demo, cluster, namespace, "deployment", name)
    used = _secret_used_by(demo, cluster, deployment)
    if secret is not None:
        was, now = used["metadata"]["name"], secret["metadata"]["name"]
        used = dict(secret)
        deployment = json.loads(json.dumps(deployment).replace(was, now))
    items = [
        used,
        found(demo, cluster, namespace, "configmap", f"{name}-env"),
        deployment,
    ]
    spec = json.loads(items[-1]["metadata"]["annotations"][SPEC_ANNOTATION])
    spec |= {"cluster": other_cluster, "namespace": other_namespace, "name": other}
    for item in items:
        kept = {key: item["metadata"].get(key) for key in ("name", "labels", "annotations")}
        item["metadata"] = {**kept, "namespace": other_namespace}
        item.pop("status", None)
    items = json.loads(json.dumps(items).replace(name, other))
    # It says of itself whose token it holds, as the original does.
    items[-1]["metadata"]["annotations"][SPEC_ANNOTATION] = json.dumps(spec)
    listed = {"apiVersion": "v1", "kind": "List", "items": items}
    ours = ("--server-side", "--field-manager=gateway-bot")
    kubectl(demo, other_cluster, "apply", "--validate=false", *ours, "-f", "-", given=listed)
    known(demo, copy_place)


def known(demo: Demo, place: str) -> None:
    """Wait until the bot shows the gateway at cluster/namespace/name."""
    cluster, namespace, name = place.split("/")
    dan = demo.person("dan", "gateway-alerts")
    shown = f"{name} on {cluster}/{namespace}"
    until(lambda: shown in answered(dan, lambda: dan.types(f"status {place}"), name), shown)


@contextmanager
def held(demo: Demo, gateway: str) -> Iterator[None]:
    """Another bot's action changes the tokens of that gateway while the block runs."""
    settings = yaml.safe_load((demo.data / "gateway-bot.yaml").read_text())["apim"][0]
    instance = ApimInstance(
        settings["name"], settings["subscription"], settings["resource_group"],
        settings["service"], HOST,
    )  # fmt: skip
    leases = GatewayLeases(connect(f"unix://{demo.data}/redis/valkey.sock"))
    name = f"apim:{resource_of(instance, gateway)}"
    lease = leases.acquire(name, SOMEBODY, "another bot", 300.0)
    assert lease.fence
    try:
        yield
    finally:
        leases.renew(name, "another bot", lease.fence, 0)
