"""With the Roles of `k8s-manifest` in each listed namespace and no other right, the whole journey passes on
a real control plane; its audit log shows that nothing was refused, and that nothing of the Role is not needed."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.legacy import portal_objects, portal_secret
from deploy.kube.rights import role
from tests.journeys.test_deploy import TAG, deploy, kubectl, named, objects
from tests.journeys.test_logs import logs
from tests.journeys.test_operating import decide
from tests.support import limited_bot
from tests.support.control_plane import Process, built
from tests.support.demo import Demo, words
from tests.support.kube_api import KubeApi, Obj
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(900)

LISTED = ("dev", "prod")
HOST = "contoso.configuration.azure-api.net"
GATEWAYS = ("edge-1", "edge-2", "store-7", "legacy-9", "whole-1")
SPEC = f"""\
gateway: whole-1
apim: {{instance: contoso, endpoint: {HOST}}}
cluster: west
namespace: dev
image: {{tag: {TAG}}}
auth: {{type: workloadIdentity, clientId: 11111111-1111-1111-1111-111111111111,
  tenantId: 22222222-2222-2222-2222-222222222222}}
autoscaling: {{minReplicas: 1, maxReplicas: 2}}
backup: {{size: 1Gi, storageClass: nowhere}}
networkPolicy: {{enabled: true}}
placement: {{nodeSelector: {{disk: fast}}}}
rollout: {{progressDeadlineSeconds: 30}}
"""
ROLLOUTS: Obj = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "rollouts.argoproj.io"},
    "spec": {
        "group": "argoproj.io",
        "scope": "Namespaced",
        "names": {"kind": "Rollout", "plural": "rollouts", "singular": "rollout"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}


@dataclass
class Scene:
    """A workspace whose bot has Roles alone, and the cluster as its administrator sees it."""

    demo: Demo
    api: KubeApi
    log: Path


@pytest.fixture(scope="module")
def scene(whole_plane: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    binary, directory = built(), tmp_path_factory.mktemp("listed")
    if binary is None:
        pytest.skip("the audit log is that of `make controlplane`'s control plane")
    process = Process(binary, directory / "plane")
    process.start()
    try:
        plane = process.plane
        api = KubeApi(plane.kubeconfig)
        api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", ROLLOUTS)
        rollouts = "/apis/argoproj.io/v1alpha1/namespaces/dev/rollouts"
        until(lambda: api.request("GET", rollouts).status == 200, "the kind of Argo Rollouts")
        token = limited_bot.grant(api, limited_bot.installed(LISTED))
        bots = limited_bot.kubeconfig(plane, token, directory / "bots")
        west = {"name": "west", "kubeconfig": str(bots), "context": "west"}
        settings = {"clusters": [{**west, "namespaces": list(LISTED)}]}
        everybody = limited_bot.world(directory / "world.yaml", settings, GATEWAYS)
        mine = limited_bot.kubeconfig(plane, token, directory / "mine")
        mine.write_text(plane.kubeconfig.read_text().replace("controlplane", "west"))
        more = ("--world", str(everybody), "--kubeconfig", str(mine))
        demo = Demo(directory / "demo", *more)
        try:
            yield Scene(demo, api, directory / "plane" / "audit.log")
        finally:
            demo.stop()
    finally:
        process.stop()


@pytest.fixture
def demo(scene: Scene) -> Demo:
    return scene.demo


def others_gateway(demo: Demo, name: str, token: str) -> None:
    """A gateway as the portal's YAML puts it."""
    made = [portal_secret(name, "dev", token), *portal_objects(name, "dev", HOST, TAG)]
    path = demo.data / f"{name}.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": made}))
    kubectl(demo, "apply", "-f", str(path))
    demo.person("ana").is_told("list", name)


def token_of(demo: Demo, deployment: str) -> dict[str, Any]:
    """The Secret of the token that the pods of a Deployment run with."""
    (live,) = named(objects(demo, "deployments", "dev"), deployment)
    env = live["spec"]["template"]["spec"]["containers"][0]["env"]
    reference = next(e for e in env if e["name"] == "config.service.auth")["valueFrom"]
    (secret,) = named(objects(demo, "secrets", "dev"), reference["secretKeyRef"]["name"])
    return secret


def others_workload(api: KubeApi, kind: str, name: str, **changes: Any) -> None:
    """What others run in something else than a Deployment."""
    env = [
        {"name": "config.service.endpoint", "value": f"https://{HOST}"},
        {"name": "config.service.auth", "value": "azureAdApp"},
    ]
    image = f"mcr.microsoft.com/azure-api-management/gateway:{TAG}"
    pod = {"containers": [{"name": "gateway", "image": image, "env": env}], **changes}
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod}
    metadata = {"name": name, "namespace": "dev"}
    group = "argoproj.io/v1alpha1" if kind == "Rollout" else "apps/v1"
    spec: Obj = {"selector": {"matchLabels": labels}, "template": template}
    spec |= {} if kind == "DaemonSet" else {"replicas": 1}
    spec |= {"serviceName": name} if kind == "StatefulSet" else {}
    body = {"apiVersion": group, "kind": kind, "metadata": metadata, "spec": spec}
    api.create(f"/apis/{group}/namespaces/dev/{kind.lower()}s", body)


def test_several_namespaces_are_one_view(demo: Demo) -> None:
    ana, ben = demo.person("ana"), demo.person("ben")
    form_places = ana.types("deploy") and ana.options(ana.form("deploy"), "deploy_place", "west")
    assert form_places == ["west/dev", "west/prod"]
    deploy(demo, "edge-1", "west/dev", replicas=2)
    plan = ana.plans(f"deploy store-7 --to west/prod --tag {TAG} --replicas 1")
    ben.clicks(plan, "Approve")
    ana.sees_at(plan, "1 of 1 pods ready after")
    # In which order they come depends on how urgent each is by now.
    seen = (
        "watches only namespaces dev, prod[.]",
        r"edge-1\* on west/dev",
        r"store-7\* on west/prod",
    )
    ana.is_told("list", "".join(f"(?=.*{each})" for each in seen))


def test_a_namespace_outside_the_list_is_refused_with_the_way_out(demo: Demo) -> None:
    ana = demo.person("ana")
    ana.types(f"deploy edge-1 --to west/kube-public --tag {TAG}")
    ana.sees(
        "not one of the namespaces that the bot watches.*Its settings list namespaces dev, prod"
        ".*have kube-public added to `namespaces` of cluster west",
        ephemeral=True,
    )
    ana.types("status west/kube-public/edge-1")
    ana.sees(
        "Namespace “kube-public” on cluster “west” is not one of the namespaces", ephemeral=True
    )


def test_a_gateway_is_operated(demo: Demo) -> None:
    ana = demo.person("ana")
    decide(ana, "scale edge-1 --replicas 3", "Scale edge-1", "3 of 3 pods ready after")
    decide(ana, "restart edge-1", "Restart edge-1", "3 of 3 pods ready after")
    decide(ana, "rotate edge-1", "Rotate the token", "3 of 3 pods run with the new token after")
    newer = "deploy edge-1 --to west/dev --tag 2.12.1"
    decide(ana, newer, "Deploy edge-1", "3 of 3 pods ready after")
    decide(ana, "rollback edge-1", "Roll back edge-1", "3 of 3 pods ready after")
    status = ana.is_told("status edge-1", "edge-1 on west/dev.*3 of 3 pods")
    ana.clicks(status, "More details")
    more = until(
        lambda: "edge-1-live-traffic" in (said := str(ana.views())) and said, "More details"
    )
    assert "not allowed" not in words(status) + more
    for command, told in (
        ("list", "edge-1"),
        ("expiring", "edge-1"),
        ("diff edge-1", "No drift: west/dev/edge-1"),
        ("check edge-1", "Rules for edge-1"),
        ("history edge-1", "rollback"),
    ):
        assert "not allowed" not in words(ana.is_told(command, told)), command
    assert "not allowed" not in words(logs(ana, "edge-1 --tail 5"))


def test_gateways_of_others_are_shown_kept_and_adopted(scene: Scene) -> None:
    demo, ana = scene.demo, scene.demo.person("ana")
    others_workload(scene.api, "StatefulSet", "others-set")
    others_workload(scene.api, "DaemonSet", "others-daemon")
    others_workload(scene.api, "Rollout", "others-rollout")
    for name in ("others-set", "others-daemon", "others-rollout"):
        assert "not allowed" not in words(ana.is_told(f"status {name}", f"{name} on west/dev"))
    # Its pods are ready with a token that Azure knows alone: another Deployment's of that gateway.
    first = f"deploy edge-2 --to west/dev --tag {TAG} --replicas 1 --name first"
    decide(ana, first, "Deploy first", "1 of 1 pods ready after")
    value = base64.b64decode(token_of(demo, "first")["data"]["value"]).decode()
    others_gateway(demo, "edge-2", value.removeprefix("GatewayKey "))
    decide(ana, "adopt edge-2", "Adopt edge-2 on west/dev", "1 of 1 pods ready after")
    dead = f"legacy-9&203001010000&{base64.b64encode(b'signature of a token').decode()}"
    others_gateway(demo, "legacy-9", dead)
    decide(ana, "manage-token legacy-9", "Keep the token of legacy-9", "no pod reads it yet")
    # A kept Secret that pods read is changed at the end; one that none reads would be deleted.
    reference = {"secretKeyRef": {"name": "legacy-9-managed-token", "key": "value"}}
    env = [{"name": "config.service.auth", "valueFrom": reference}]
    pod = {"spec": {"containers": [{"name": "legacy-9", "env": env}]}}
    change = json.dumps({"spec": {"template": pod}})
    kubectl(demo, "patch", "-n", "dev", "deployment/legacy-9", "-p", change)
    kubectl(demo, "rollout", "status", "-n", "dev", "deployment/legacy-9", "--timeout=90s")
    decide(
        ana, "manage-token legacy-9 --end", "Stop keeping", "The bot no longer manages the token"
    )


def test_a_key_is_regenerated_and_the_plan_says_where_nobody_looked(scene: Scene) -> None:
    demo, ana = scene.demo, scene.demo.person("ana")
    # A pod of nothing, which is found by its name alone.
    image = f"mcr.microsoft.com/azure-api-management/gateway:{TAG}"
    env = [{"name": "config.service.auth", "value": "azureAdApp"}]
    container = {"name": "gateway", "image": image, "env": env}
    alone = {"metadata": {"name": "alone"}, "spec": {"containers": [container]}}
    scene.api.create("/api/v1/namespaces/dev/pods", alone)
    ana.is_told("list", "alone")
    decide(ana, "rotate edge-1", "Rotate the token", "3 of 3 pods run with the new token after")
    secret = token_of(demo, "edge-1")
    in_use = secret["metadata"]["annotations"]["gateway-bot.io/token-key"]
    other = {"primary": "secondary", "secondary": "primary"}[in_use]
    plan = ana.plans(f"regenerate-key edge-1 --key {other}")
    assert "On cluster “west” the bot watches only namespaces dev, prod." in words(plan)
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, f"The {other} key of edge-1 is regenerated")


def test_what_a_role_cannot_show_is_said_in_the_plan_and_everything_is_deleted(
    scene: Scene,
) -> None:
    demo, ana = scene.demo, scene.demo.person("ana")
    ana.types("deploy")
    form = ana.spec_form()
    assert ana.submits(form, deploy_file=ana.uploads("whole.yaml", SPEC)) == {"ok": True}
    plan = ana.sees("whole-1.*Nothing has changed yet", ephemeral=False)
    why = "The bot is not allowed to list {} on cluster “west”; only a ClusterRole can allow it."
    unseen = [f"accepts the pods: {why.format('nodes')}", f"volume: {why.format('storageclasses')}"]
    ana.clicks(plan, "Details")

    def details() -> str:
        return json.dumps(ana.views(), ensure_ascii=False)

    until(lambda: all(each in details() for each in unseen), "what a Role cannot show")
    ana.clicks(plan, "Confirm")
    # Before its end the message names Kubernetes' reasons, of which some begin with “Failed”.
    ana.sees_at(plan, "Try again", 180)
    ana.is_told("list", "whole-1")
    decide(ana, "delete whole-1 --with-volumes", "Delete whole-1", "Deleted west/dev/whole-1")
    decide(ana, "delete edge-1", "Delete edge-1", "Deleted west/dev/edge-1")

    def left() -> str:
        return json.dumps([objects(demo, kind, "dev") for kind in ("deploy", "hpa", "pvc", "sa")])

    # Kubernetes keeps a claim until no pod uses it.
    until(lambda: "whole-1" not in left(), "the end of all that was whole-1's")


def test_nothing_was_refused_and_nothing_is_granted_that_is_not_used(scene: Scene) -> None:
    # What only a ConfigMap can show to be a gateway has those of its namespace listed and watched.
    sources = [{"configMapRef": {"name": "someones-env"}}]
    container = {"name": "app", "image": "mirror.example/app:1", "envFrom": sources}
    labels = {"app": "someones"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "replicas": 0, "template": template}
    body = {"metadata": {"name": "someones"}, "spec": spec}
    scene.api.create("/apis/apps/v1/namespaces/dev/deployments", body)

    def unused() -> set[limited_bot.Granted]:
        taken = limited_bot.used(limited_bot.asked(scene.log), LISTED)
        return limited_bot.granted(role("dev")) - taken

    watched = ("", "configmaps", "watch")
    until(lambda: watched not in unused(), "a watch of ConfigMaps", 60)
    assert unused() == set()
    entries = limited_bot.asked(scene.log)
    assert len(entries) > 500, "the log is the one of this journey"
    assert limited_bot.refused(entries) == []
