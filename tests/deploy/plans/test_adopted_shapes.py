"""Shapes of gateways of others that are near those of the portal, and are adopted as well."""

from typing import Any

from deploy.observed.given import content_of
from deploy.plans.adoption import Adoption, derive
from deploy.plans.variables import with_variables
from deploy.rendering.manifests import render
from tests.deploy.plans.test_adoption import gateway, load, rendered
from tests.support.gateway_bed import INSTANCE

Manifest = dict[str, Any]
_TOKEN = "R2F0ZXdheUtleSBlZGdlLTEmMjAzMDAxMDEwMDAwJmMybG4="


def adopted(objects: dict[str, list[Manifest]], *secrets: Manifest) -> Adoption:
    return derive(
        objects["Deployment"][0],
        objects["Service"],
        objects["ConfigMap"],
        [],
        [],
        cluster="west",
        instance=INSTANCE,
        gateway="edge-1",
        secrets={each["metadata"]["name"]: content_of(each) for each in secrets},
    )


def secret(name: str, **data: str) -> Manifest:
    return {"kind": "Secret", "metadata": {"name": name}, "data": data}


def test_of_several_secrets_that_are_taken_in_whole_the_one_with_the_token_is_named() -> None:
    objects = load("portal-v2")
    gateway(objects)["env"] = []
    for name in ("token-4k8m2t", "cache-7d2h5f"):
        gateway(objects)["envFrom"].append({"secretRef": {"name": name}})
    token = secret("token-4k8m2t", **{"config.service.auth": _TOKEN})
    told = " ".join(adopted(objects, token, secret("cache-7d2h5f", cache="eA==")).notes)
    assert "Secret token-4k8m2t stays, but its token is no longer used." in told
    assert "cache-7d2h5f" not in told


def test_a_config_map_that_may_be_missing_and_is_hides_nothing() -> None:
    objects = load("portal-v2")
    missing = {"configMapRef": {"name": "of-this-cluster", "optional": True}}
    gateway(objects)["envFrom"].insert(0, missing)
    assert "could not be read" not in " ".join(adopted(objects).notes)


def test_a_setting_in_other_case_is_not_said_to_stay() -> None:
    objects = load("portal-v2")
    gateway(objects)["env"].append({"name": "Telemetry.Logs.Std.Level", "value": "Warn"})
    adoption = adopted(objects)
    assert adoption.spec.log_level == "warn"
    stay, become = (
        next((note for note in adoption.notes if note.startswith(begin)), "")
        for begin in ("These settings stay", "A spec cannot hold these settings")
    )
    assert "Telemetry.Logs.Std.Level" not in stay
    assert "Telemetry.Logs.Std.Level becomes warn" in become


def test_a_service_that_names_a_port_keeps_the_name_beside_ports_that_stay() -> None:
    objects = load("portal-v2")
    gateway(objects)["ports"] = [{"name": "http", "containerPort": 8080}, {"containerPort": 8081}]
    live = objects["Service"][0]
    live["spec"]["ports"] = [
        {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"},
        {"name": "https", "port": 443, "targetPort": 8081, "protocol": "TCP"},
    ]
    services = {s["metadata"]["name"]: s for s in rendered(adopted(objects), "Service")}
    assert services[live["metadata"]["name"]]["spec"]["ports"] == live["spec"]["ports"]


def test_only_the_probe_that_can_never_succeed_is_replaced() -> None:
    objects = load("portal-v2")
    probes = {
        "startupProbe": {"tcpSocket": {"port": 8080}},
        "readinessProbe": {"httpGet": {"path": "/status-0123456789abcdef", "port": "http"}},
        "livenessProbe": {"httpGet": {"path": "/status-0123456789abcdef", "port": 8082}},
    }
    gateway(objects).update(probes)
    adoption = adopted(objects)
    (wanted,) = rendered(adoption, "Deployment")
    container = wanted["spec"]["template"]["spec"]["containers"][0]
    assert probes.keys() & container.keys() == {"livenessProbe"}
    assert container["livenessProbe"]["httpGet"]["port"] == "http"
    assert any(
        note.startswith("Gateways do not listen on the port of its livenessProbe")
        for note in adoption.notes
    )


def test_of_a_variable_that_is_there_twice_the_last_counts_and_one_is_left() -> None:
    objects = load("portal-v2")
    (live,) = objects["Deployment"]
    level = "telemetry.logs.std.level"
    gateway(objects)["env"] += [{"name": level, "value": text} for text in ("info", "warn")]
    spec = adopted(objects).spec
    wanted = with_variables(render(spec, "token-a"), spec, live, take_over=True)
    (deployment,) = [item for item in wanted if item["kind"] == "Deployment"]
    env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [each for each in env if each["name"] == level] == [{"name": level, "value": "warn"}]
