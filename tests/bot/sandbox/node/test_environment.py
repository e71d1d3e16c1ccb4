"""How a container's environment comes together."""

import base64
import re
from typing import Any

from tests.support.node_bed import Bed, eventually, on_bed

Json = dict[str, Any]


def environment(bed: Bed) -> dict[str, str]:
    (container,) = bed.node.snapshot()["containers"].values()
    found: dict[str, str] = container["env"]
    return found


def tool(**spec: Any) -> Json:
    return {"name": "tool", "image": "busybox:1", **spec}


def config_map(bed: Bed, data: dict[str, str]) -> None:
    item = {"metadata": {"name": "settings", "namespace": "dev"}, "data": data}
    bed.api.put("/api/v1/namespaces/dev/configmaps/settings", item)


@on_bed()
async def test_variables_come_from_objects_fields_and_each_other(bed: Bed) -> None:
    config_map(bed, {"neighborhood.host": "peers", "mode": "fast"})
    secret = {"metadata": {"name": "s"}, "data": {"key": base64.b64encode(b"hidden").decode()}}
    bed.api.put("/api/v1/namespaces/dev/secrets/s", secret)
    field = {"fieldPath": "metadata.labels['app']"}
    env: list[Json] = [
        {"name": "APP", "valueFrom": {"fieldRef": field}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "mode", "value": "slow"},
        {"name": "TEXT", "value": "$(APP) $$(APP) $(NOBODY)"},
        {
            "name": "GONE",
            "valueFrom": {"configMapKeyRef": {"name": "x", "key": "y", "optional": True}},
        },
    ]
    sources = [{"configMapRef": {"name": "settings"}}, {"prefix": "P_", "secretRef": {"name": "s"}}]
    container = tool(env=env, envFrom=sources, resources={"limits": {"cpu": "2"}})
    spec = {"nodeName": "west-node-1", "containers": [container]}
    pod = bed.api.pod("tool", spec, labels={"app": "edge-1"})
    await bed.until_ready("tool")
    found = environment(bed)
    assert found.pop("IP").startswith("127.")
    assert found == {
        "neighborhood.host": "peers",
        "mode": "slow",
        "P_key": "hidden",
        "APP": "edge-1",
        "CPU": "2",
        "TEXT": "edge-1 $(APP) $(NOBODY)",
    }
    assert pod["metadata"]["name"] == "tool"


@on_bed()
async def test_a_missing_key_is_named(bed: Bed) -> None:
    config_map(bed, {"other": "x"})
    reference = {"configMapKeyRef": {"name": "settings", "key": "mode"}}
    bed.run("tool", tool(env=[{"name": "MODE", "valueFrom": reference}]))
    await eventually(lambda: bed.waiting("tool") == "CreateContainerConfigError", "the error")
    message = bed.container("tool")["state"]["waiting"]["message"]
    assert message == "couldn't find key mode in ConfigMap dev/settings"


@on_bed()
async def test_a_missing_config_map_is_named(bed: Bed) -> None:
    bed.run("tool", tool(envFrom=[{"configMapRef": {"name": "settings"}}]))
    await eventually(lambda: bed.waiting("tool") == "CreateContainerConfigError", "the error")
    message = bed.container("tool")["state"]["waiting"]["message"]
    assert message == 'configmap "settings" not found'


@on_bed()
async def test_a_container_that_must_not_be_root_and_is_to_be_is_not_created(bed: Bed) -> None:
    bed.run("tool", tool(securityContext={"runAsUser": 0}), securityContext={"runAsNonRoot": True})
    await eventually(lambda: bed.waiting("tool") == "CreateContainerConfigError", "the error")
    message = bed.container("tool")["state"]["waiting"]["message"]
    assert re.fullmatch(
        r"container's runAsUser breaks non-root policy "
        r'\(pod: "tool_dev\(.*\)", container: tool\)',
        message,
    )
