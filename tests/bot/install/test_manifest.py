"""What `kubectl apply` is given to run the bot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it brings no types
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import bot.run
from bot.__main__ import main
from bot.install.installation import SLACKS_PLACES, Installation
from bot.install.manifest import as_yaml, print_manifest
from bot.install.workload import CHECKSUM, GRACE_SECONDS, replacing
from deploy.errors import InvalidInput
from tests.bot.install.settings_of import (
    CLIENT,
    IMAGE,
    USUAL,
    Obj,
    installed,
    one,
    settings_of,
    text_of,
)
from tests.support.kubernetes_versions import NEWEST, OLDEST

HTTP: Obj = {"slack": {"mode": "http"}, "event_grid": {}}
INGRESS = Installation(IMAGE, host="bot.example.com", ingress_class="nginx")
MIXED = [
    {"name": "west", "in_cluster": True},
    {"name": "east", "kubeconfig": "/etc/gateway-bot/kubeconfig", "context": "east"},
    {"name": "north", "kubeconfig": "/var/north/config", "context": "north"},
]


def container(objects: list[Obj]) -> Obj:
    (found,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def kinds(objects: Sequence[Obj]) -> list[str]:
    return [each["kind"] for each in objects]


def open_ports(policy: Obj) -> set[int]:
    return {
        port["port"]
        for rule in policy["spec"]["egress"]
        for port in rule["ports"]
        if "to" not in rule
    }


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize(
    ("installation", "changes"),
    [
        (None, {}),
        (INGRESS, HTTP),
        (Installation(IMAGE, namespace="ops"), {"clusters": MIXED}),
        (Installation(IMAGE, secrets="files"), {}),
    ],
    ids=["Socket Mode", "HTTP mode", "several clusters", "secrets as files"],
)
def test_kubernetes_knows_every_field_of_the_manifest(
    version: str, installation: Installation | None, changes: Obj
) -> None:
    for each in yaml.safe_load_all(as_yaml(installed(installation, **changes))):
        kubernetes_validate.validate(each, version, strict=True)


def test_two_bots_are_replaced_one_by_one_and_spread() -> None:
    spec = one(installed(), "Deployment")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    keys = [each["topologyKey"] for each in spec["template"]["spec"]["topologySpreadConstraints"]]
    assert keys == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert one(installed(), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


@given(st.integers(1, SLACKS_PLACES), st.integers(1, 10))
def test_never_do_more_bots_connect_than_slack_allows_and_one_is_always_left(
    replicas: int, connections: int
) -> None:
    settings = settings_of(slack={"connections": connections})
    if replicas * connections > SLACKS_PLACES or (
        replicas == 1 and 2 * connections > SLACKS_PLACES
    ):
        with pytest.raises(InvalidInput, match=r"slack\.connections"):
            replacing(settings, replicas)
        return
    found = replacing(settings, replicas)
    assert (replicas + found["maxSurge"]) * connections <= SLACKS_PLACES
    assert replicas - found["maxUnavailable"] >= 1
    assert found["maxSurge"] or found["maxUnavailable"]


def test_http_mode_has_no_connections_to_count() -> None:
    settings = settings_of(slack={"mode": "http", "connections": 10})
    assert replacing(settings, 9) == {"maxSurge": 1, "maxUnavailable": 0}


def test_kubernetes_waits_until_the_bot_has_ended() -> None:
    pod = one(installed(), "Deployment")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == GRACE_SECONDS > bot.run._STOP_SECONDS + 5


def test_another_setting_replaces_the_pods_and_the_same_ones_keep_them() -> None:
    def checksum(**changes: Any) -> str:
        template = one(installed(**changes), "Deployment")["spec"]["template"]
        return str(template["metadata"]["annotations"][CHECKSUM])

    assert checksum() == checksum()
    assert checksum() != checksum(decision={"seconds": 7200})


def test_the_pod_writes_nowhere_but_in_tmp_and_has_no_privilege() -> None:
    pod = one(installed(), "Deployment")["spec"]["template"]["spec"]
    found = container(installed())
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert found["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = [each["mountPath"] for each in found["volumeMounts"] if not each.get("readOnly")]
    assert writable == ["/tmp"]
    assert {"name": "HOME", "value": "/tmp"} in found["env"]


def test_secrets_are_named_and_their_values_are_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-value")
    monkeypatch.setenv("REDIS_URL", "redis://user:value@host")
    objects = installed()
    assert "value@host" not in as_yaml(objects)
    assert "xoxb-value" not in as_yaml(objects)
    assert "Secret" not in kinds(objects)
    named = {
        each["name"]: each["valueFrom"]["secretKeyRef"]
        for each in container(objects)["env"]
        if "valueFrom" in each
    }
    assert set(named) == {
        *("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "REDIS_URL", "GATEWAY_BOT_AUDIT_KEY")
    }
    assert [name for name, where in named.items() if where.get("optional")] == [
        "GATEWAY_BOT_AUDIT_KEY"
    ]


AS_FILES = Installation(IMAGE, secrets="files")


def test_secrets_can_be_files_that_kubernetes_updates() -> None:
    objects = installed(AS_FILES, redis={"url": "redis://host"})
    pod, found = one(objects, "Deployment")["spec"]["template"]["spec"], container(objects)
    assert not [each for each in found["env"] if "valueFrom" in each]
    named = {each["name"]: each["value"] for each in found["env"]}
    variables = ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "REDIS_URL", "GATEWAY_BOT_AUDIT_KEY")
    for variable in variables:
        assert named[f"{variable}_FILE"] == f"/etc/gateway-bot-secrets/{variable}"
    (mount,) = [m for m in found["volumeMounts"] if m["mountPath"] == "/etc/gateway-bot-secrets"]
    # A mount with a subPath is not updated (kubernetes.io/docs/concepts/configuration/secret).
    assert mount == {"name": mount["name"], "mountPath": mount["mountPath"], "readOnly": True}
    (volume,) = [v["projected"] for v in pod["volumes"] if v["name"] == mount["name"]]
    assert volume["defaultMode"] == 0o440
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsUser"]
    required, optional = (source["secret"] for source in volume["sources"])
    assert {required["name"], optional["name"]} == {"gateway-bot"}
    assert [item["key"] for item in required["items"]] == ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"]
    assert [item["path"] for item in optional["items"]] == ["REDIS_URL", "GATEWAY_BOT_AUDIT_KEY"]
    assert "optional" not in required
    assert optional["optional"] is True


def test_the_command_line_takes_how_secrets_are_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gateway-bot.yaml"
    path.write_text(text_of())
    for options, variable in (
        ([], "SLACK_BOT_TOKEN"),
        (["--secrets", "files"], "SLACK_BOT_TOKEN_FILE"),
    ):
        assert main(["k8s-manifest", "--config", str(path), *options]) == 0
        objects = list(yaml.safe_load_all(capsys.readouterr().out))
        assert variable in [each["name"] for each in container(objects)["env"]]


def test_a_password_in_the_settings_does_not_become_a_config_map() -> None:
    for url in (
        "redis://:secret@host:6379",
        "redis+sentinel://user:secret@a:26379,b:26379/main",
        "rediss://host:6380?password=secret@",
        "redis+sentinel://a,b/main?sentinel_password=secret@",
        "rediss://host:6380/0?db=1&ssl_password=secret@",
        "rediss://host:6380?pass%77ord=secret@",
        "redis+cluster://host?sentinel_username=secret@",
        "redis://u:pa/secret@host",
        "redis://u:pa#secret@host",
        "redis://host?USERNAME=secret",
    ):
        with pytest.raises(InvalidInput, match=r"redis\.url holds a user or a password") as refused:
            installed(redis={"url": url})
        assert "secret" not in str(refused.value).replace("the Secret", "")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"redis": {"url": "unix:///run/redis.sock"}}, "is a Unix socket"),
        ({"health": {"port": 0}}, "health.port is 0"),
        ({"slack": {"mode": "http", "http": {"port": 0}}}, "slack.http.port is 0"),
        ({"event_grid": {"port": 0}}, "event_grid.port is 0"),
        ({"images": {"docker_config": "registry.json"}}, "has to be absolute"),
        (
            {
                "clusters": [
                    {"name": "west", "kubeconfig": "/a/config"},
                    {"name": "east", "kubeconfig": "/b/config"},
                ]
            },
            "Two files of the settings are called config",
        ),
        ({"redis": {"url": "redis://host:port"}}, "A host in the Redis URL is wrong"),
        *(
            (
                {"clusters": [{"name": "west", "kubeconfig": path}]},
                r"Write /etc/gateway-bot/[a-z]+\.$",
            )
            for path in (
                *("/tmp/kubeconfig", "/tmp/kube/config", "/kubeconfig", "/etc/kubeconfig"),
                *("/opt/kubeconfig", "/opt/gateway-bot/kubeconfig", "/opt/gateway-bot/bin/config"),
                *("/etc/gateway-bot/kube/config", "/usr/local/kubeconfig", "/etc/ssl/certs/x"),
                *("/var/kubeconfig", "/var/run/kubeconfig", "/var/run/secrets/kubeconfig"),
                *("/var/run/secrets/kubernetes.io/serviceaccount/config", "/proc/config"),
                *("/var/../tmp/kubeconfig", "//tmp/kubeconfig", "/lib/kubeconfig"),
            )
        ),
        (
            {
                "clusters": [
                    {"name": "west", "kubeconfig": "/srv/one"},
                    {"name": "east", "kubeconfig": "/srv/more/two"},
                ]
            },
            "one volume cannot be inside another",
        ),
    ],
)
def test_what_cannot_work_in_a_pod_is_refused(changes: Obj, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        installed(**changes)


def test_the_settings_are_kept_word_for_word_where_the_pod_is_reached() -> None:
    objects = installed(health={"host": "0.0.0.0"})
    text = one(objects, "ConfigMap")["data"]["gateway-bot.yaml"]
    assert yaml.safe_load(text) == {**USUAL, "health": {"host": "0.0.0.0"}}


def test_a_health_port_that_a_kubelet_cannot_reach_is_opened() -> None:
    objects = installed(health={"host": "127.0.0.1", "port": 9000})
    read = yaml.safe_load(one(objects, "ConfigMap")["data"]["gateway-bot.yaml"])
    assert read["health"] == {"host": "0.0.0.0", "port": 9000}
    assert {"name": "health", "containerPort": 9000, "protocol": "TCP"} in container(objects)[
        "ports"
    ]


def test_files_that_the_settings_name_come_from_one_secret_to_their_own_places() -> None:
    objects = installed(clusters=MIXED, images={"docker_config": "/etc/gateway-bot/registry.json"})
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    places = {
        f"{mount['mountPath']}/{item['path']}"
        for mount in container(objects)["volumeMounts"]
        for volume in pod["volumes"]
        if volume["name"] == mount["name"]
        for source in volume.get("projected", {}).get("sources", [])
        for item in source.get("secret", {}).get("items", [])
    }
    assert places == {
        "/etc/gateway-bot/kubeconfig",
        "/etc/gateway-bot/registry.json",
        "/var/north/config",
    }


def test_a_context_without_a_file_is_looked_up_in_a_mounted_kubeconfig() -> None:
    objects = installed(clusters=[{"name": "west", "context": "west"}])
    path = "/etc/gateway-bot/kubeconfig"
    assert {"name": "KUBECONFIG", "value": path} in container(objects)["env"]


def test_a_bot_that_has_no_use_for_a_service_accounts_token_gets_none() -> None:
    away = installed(clusters=[{"name": "west", "context": "west"}])
    assert not {"Role", "ClusterRole", "RoleBinding"} & set(kinds(away))
    pod = one(away, "Deployment")["spec"]["template"]["spec"]
    assert not pod["automountServiceAccountToken"]


def test_workload_identity_is_used_where_no_secret_signs_in() -> None:
    objects = installed()
    annotations = one(objects, "ServiceAccount")["metadata"]["annotations"]
    assert annotations == {"azure.workload.identity/client-id": CLIENT}
    template = one(objects, "Deployment")["spec"]["template"]
    assert template["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    selector = one(objects, "Deployment")["spec"]["selector"]["matchLabels"]
    assert selector.items() <= template["metadata"]["labels"].items()
    secret = installed(azure={"client_id": CLIENT, "tenant_id": CLIENT})
    assert "annotations" not in one(secret, "ServiceAccount")["metadata"]
    assert "AZURE_CLIENT_SECRET" in as_yaml(secret)


def test_socket_mode_is_asked_by_nobody_and_has_neither_service_nor_ingress() -> None:
    objects = installed(INGRESS)
    assert not {"Service", "Ingress"} & set(kinds(objects))
    ingress = one(objects, "NetworkPolicy")["spec"]["ingress"]
    assert ingress == [{"ports": [{"protocol": "TCP", "port": 8086}]}]


def test_http_mode_and_event_grid_are_reached_at_their_paths_alone() -> None:
    objects = installed(INGRESS, **HTTP)
    (rule,) = one(objects, "Ingress")["spec"]["rules"]
    assert rule["host"] == "bot.example.com"
    routes = {
        each["path"]: each["backend"]["service"]["port"]["name"] for each in rule["http"]["paths"]
    }
    assert routes == {"/slack/events": "slack", "/event-grid": "event-grid"}
    named = {each["name"]: each["port"] for each in one(objects, "Service")["spec"]["ports"]}
    assert named == {"slack": 3000, "event-grid": 8087}
    assert "Ingress" not in kinds(installed(**HTTP)), "without a host there is none"


SERVERS, NODES = {(6379, 6379), (6380, 6380)}, {(8500, 8599)}


@pytest.mark.parametrize(
    ("url", "ports"),
    [
        ("rediss://cache.example:10000", {(10000, 10000)}),
        ("redis://cache.example", {(6379, 6379)}),
        ("rediss://cache.example?ssl_ca_certs=/etc/gateway-bot/ca.pem", {(6379, 6379)}),
        ("redis+sentinel://a:26380,b:26381/main", {(26380, 26380), (26381, 26381)} | SERVERS),
        ("rediss+sentinel://a", {(26379, 26379)} | SERVERS),
        ("redis+cluster://[fd00::1]:7000", {(7000, 7000)} | SERVERS | NODES),
        ("rediss+cluster://x:10000?tls_name=x", {(10000, 10000)} | SERVERS | NODES),
        (None, {(10000, 10000)} | SERVERS | NODES),
    ],
)
def test_the_policy_opens_the_ports_of_redis(
    url: str | None, ports: set[tuple[int, int]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    redis: Obj = {"redis": {"url": url}}
    policy = one(installed(**redis), "NetworkPolicy")
    opened = policy["spec"]["egress"][1]["ports"]
    found = {(each["port"], each.get("endPort", each["port"])) for each in opened}
    assert found == ports | {(443, 443), (6443, 6443)}
    path = tmp_path / "gateway-bot.yaml"
    path.write_text(text_of(**redis))
    assert print_manifest(path, Installation(IMAGE), None, None) == 0
    notes = capsys.readouterr().out
    assert ("8500-8599 are assumed" in notes) == (ports > NODES)
    assert ("are assumed" in notes) == (len(ports) > 1)
    for version in (OLDEST, NEWEST):
        kubernetes_validate.validate(policy, version, strict=True)


def test_the_policy_opens_what_the_settings_name_and_nothing_else() -> None:
    objects = installed(
        Installation(IMAGE, redis_ports=(6390,), egress_ports=(16443,)),
        slack={"api_url": "http://slack.example:8080/api/"},
        images={"pull_from": "registry.example:5000/mirror/gateway"},
    )
    policy = one(objects, "NetworkPolicy")
    expected = {53, 5353, 443, 6443, 6390, 8080, 5000, 16443}
    assert open_ports(policy) == expected


def test_the_metadata_service_is_reached_only_by_a_managed_identity() -> None:
    def reaches(**azure: str) -> bool:
        return "169.254.169.254" in as_yaml(installed(azure=azure))

    assert reaches()
    assert not reaches(client_id=CLIENT)
    assert not reaches(client_id=CLIENT, tenant_id=CLIENT)


@pytest.mark.parametrize(
    "wrong",
    [
        Installation(IMAGE, replicas=0),
        Installation(IMAGE, namespace="Ops"),
        Installation(IMAGE, host="bot.example.com; rm"),
        Installation(IMAGE, gateway_namespaces=("prod-*",)),
    ],
)
def test_a_wrong_option_is_refused(wrong: Installation) -> None:
    with pytest.raises(InvalidInput):
        wrong.checked()
