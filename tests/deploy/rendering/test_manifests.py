import base64
import datetime
from typing import Any

from deploy.annotations import ACTION_ANNOTATION
from deploy.gateway import ApimGateway, GatewayRef
from deploy.observed.token_facts import secret_facts
from deploy.rendering.manifests import render, token_secret, with_action
from deploy.specs.gateway_spec import GatewaySpec
from deploy.tokens.token import Token

SPEC = GatewaySpec(
    ref=GatewayRef("west", "dev", "edge-1"),
    apim=ApimGateway("contoso", "Edge-1", "contoso.configuration.azure-api.net"),
    tag="2.11.1",
)
TOKEN = Token("Edge-1", datetime.datetime(2026, 12, 1, 8, 30, tzinfo=datetime.UTC), "Edge-1&x&sig")


def rendered() -> dict[str, dict[str, Any]]:
    objects = {f"{o['kind']} {o['metadata']['name']}": o for o in render(SPEC, "edge-1-token-a")}
    assert len(objects) == 5
    return objects


def pod() -> dict[str, Any]:
    found: dict[str, Any] = rendered()["Deployment edge-1"]["spec"]["template"]["spec"]
    return found


def test_names_and_ports_are_those_a_portal_user_knows() -> None:
    objects = rendered()
    assert objects["ConfigMap edge-1-env"]["data"]["neighborhood.host"] == (
        "edge-1-instance-discovery"
    )
    assert objects["Service edge-1-instance-discovery"]["spec"]["clusterIP"] == "None"
    live = objects["Service edge-1-live-traffic"]["spec"]
    assert live["externalTrafficPolicy"] == "Local"
    assert [p["port"] for p in live["ports"]] == [80, 443]
    ports = {(p["containerPort"], p["protocol"]) for p in pod()["containers"][0]["ports"]}
    assert ports == {(8080, "TCP"), (8081, "TCP"), (4290, "UDP"), (4291, "UDP")}


def test_the_selector_is_the_portals_so_that_its_pods_are_never_orphaned() -> None:
    assert rendered()["Deployment edge-1"]["spec"]["selector"] == {"matchLabels": {"app": "edge-1"}}


def test_the_token_comes_from_the_secret_and_from_nowhere_else() -> None:
    (variable,) = pod()["containers"][0]["env"]
    assert variable["name"] == "config.service.auth"
    assert variable["valueFrom"] == {"secretKeyRef": {"name": "edge-1-token-a", "key": "value"}}


def test_every_probe_asks_the_status_path_and_a_start_may_take_ten_minutes() -> None:
    container = pod()["containers"][0]
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[name]["httpGet"]["path"] == "/status-0123456789abcdef"
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 300


def test_pods_run_as_advised() -> None:
    assert pod()["securityContext"]["runAsUser"] == 1001
    assert pod()["securityContext"]["fsGroup"] == 1001
    security = pod()["containers"][0]["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert "readOnlyRootFilesystem" not in security, "the image does not support it"
    assert pod()["containers"][0]["resources"]["requests"] == {"cpu": "2", "memory": "2Gi"}
    assert {c["topologyKey"] for c in pod()["topologySpreadConstraints"]} == {
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    }


def test_a_changed_setting_rolls_the_pods() -> None:
    def config_hash(spec: GatewaySpec) -> str:
        deployment = render(spec, "t")[-1]
        annotations = deployment["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["gateway-bot.io/config-hash"])

    louder = GatewaySpec(ref=SPEC.ref, apim=SPEC.apim, tag=SPEC.tag, log_level="debug")
    assert config_hash(SPEC) != config_hash(louder)


def test_who_asked_is_written_on_the_deployment_and_not_on_its_pods() -> None:
    *others, deployment = with_action(render(SPEC, "t"), "7K3MAB", "U1")
    assert deployment["metadata"]["annotations"][ACTION_ANNOTATION] == "7K3MAB"
    template = deployment["spec"]["template"]["metadata"]["annotations"]
    assert ACTION_ANNOTATION not in template
    assert all(ACTION_ANNOTATION not in o["metadata"].get("annotations", {}) for o in others)


def test_a_tokens_secret_is_immutable_and_tells_when_it_expires() -> None:
    secret = token_secret(SPEC, "edge-1-token-a", TOKEN, "7K3MAB")
    assert secret["immutable"] is True
    assert base64.b64decode(secret["data"]["value"]) == b"GatewayKey Edge-1&x&sig"
    facts = secret_facts(secret)
    assert (facts.expires_at, facts.source) == (TOKEN.expires_at, "annotation")
    assert "sig" not in repr(TOKEN) + repr(facts)
