"""Each option, as it is written and as what it becomes."""

from typing import Any

import pytest

from deploy.kube.objects import Manifest
from deploy.observed.pods import token_secret_of
from deploy.rendering.manifests import render
from deploy.specs.spec import spec_from_mapping

SMALL: dict[str, Any] = {
    "gateway": "Edge-1",
    "apim": {"instance": "contoso", "endpoint": "contoso.configuration.azure-api.net"},
    "cluster": "west",
    "namespace": "dev",
    "image": {"tag": "2.11.1"},
}
GUID = "11111111-2222-3333-4444-555555555555"
SECRET = {"name": "app", "key": "secret"}


def rendered(**changes: Any) -> dict[str, Manifest]:
    spec = spec_from_mapping({**SMALL, **changes})
    objects = render(spec, "edge-1-token-a" if spec.auth.kind == "token" else None)
    return {f"{o['kind']} {o['metadata']['name']}": o for o in objects}


def deployment(**changes: Any) -> Manifest:
    return rendered(**changes)["Deployment edge-1"]


def pod(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = deployment(**changes)["spec"]["template"]["spec"]
    return found


def container(**changes: Any) -> dict[str, Any]:
    (found,) = pod(**changes)["containers"]
    assert isinstance(found, dict)
    return found


def live_traffic(**changes: Any) -> Manifest:
    return rendered(**changes)["Service edge-1-live-traffic"]


def setting(**changes: Any) -> dict[str, str]:
    found: dict[str, str] = rendered(**changes)["ConfigMap edge-1-env"]["data"]
    return found


def test_autoscaling_makes_an_autoscaler_and_leaves_the_number_of_pods_to_it() -> None:
    asked = {"minReplicas": 2, "maxReplicas": 9, "targetMemoryUtilization": 70}
    objects = rendered(autoscaling=asked)
    scaler = objects["HorizontalPodAutoscaler edge-1"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 9)
    assert scaler["scaleTargetRef"]["name"] == "edge-1"
    (metric,) = scaler["metrics"]
    assert metric["resource"]["name"] == "memory"
    assert "replicas" not in objects["Deployment edge-1"]["spec"]


def test_autoscaling_without_a_target_goes_by_the_cpu() -> None:
    scaler = rendered(autoscaling={"maxReplicas": 9})["HorizontalPodAutoscaler edge-1"]["spec"]
    (metric,) = scaler["metrics"]
    assert metric["resource"] == {
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 80},
    }


def test_the_rollouts_further_numbers_are_the_deployments() -> None:
    spec = deployment(rollout={"minReadySeconds": 5, "revisionHistoryLimit": 3})["spec"]
    assert (spec["minReadySeconds"], spec["revisionHistoryLimit"]) == (5, 3)


def test_limits_are_memory_as_requested_unless_said() -> None:
    assert container(resources={"memory": "1Gi"})["resources"]["limits"] == {"memory": "1Gi"}
    limits = {"cpu": "4", "memory": "4Gi"}
    assert container(resources={"limits": limits})["resources"]["limits"] == limits


def test_an_image_from_a_private_registry_is_pulled_with_its_secrets() -> None:
    image = {"tag": "v2", "pullPolicy": "Always", "pullSecrets": ["registry"]}
    assert container(image=image)["imagePullPolicy"] == "Always"
    assert pod(image=image)["imagePullSecrets"] == [{"name": "registry"}]


def test_a_load_balancer_may_be_internal_of_a_class_and_for_some_callers_only() -> None:
    internal = {"service.beta.kubernetes.io/azure-load-balancer-internal": "true"}
    service = live_traffic(
        service={
            "externalTrafficPolicy": "Cluster",
            "annotations": internal,
            "loadBalancerClass": "contoso.com/internal",
            "loadBalancerSourceRanges": ["10.0.0.0/8"],
            "nodePorts": {"http": 30080},
        }
    )
    assert service["metadata"]["annotations"] == internal
    spec = service["spec"]
    assert spec["externalTrafficPolicy"] == "Cluster"
    assert spec["loadBalancerClass"] == "contoso.com/internal"
    assert spec["loadBalancerSourceRanges"] == ["10.0.0.0/8"]
    assert [port.get("nodePort") for port in spec["ports"]] == [30080, None]


def test_certificate_authorities_are_mounted_together_and_turned_on() -> None:
    authorities = [{"secret": "root", "key": "tls.crt"}, {"configMap": "more", "key": "ca"}]
    (volume,) = pod(certificateAuthorities=authorities)["volumes"]
    assert volume["projected"]["sources"] == [
        {"secret": {"name": "root", "items": [{"key": "tls.crt", "path": "authority-0.crt"}]}},
        {"configMap": {"name": "more", "items": [{"key": "ca", "path": "authority-1.crt"}]}},
    ]
    (mount,) = container(certificateAuthorities=authorities)["volumeMounts"]
    assert mount["readOnly"] is True
    assert setting(certificateAuthorities=authorities)["certificates.local.ca.enabled"] == "true"


def test_names_are_resolved_as_asked() -> None:
    dns = {"policy": "None", "nameservers": ["10.0.0.10"], "options": [{"name": "edns0"}]}
    asked = pod(dns=dns, hostAliases=[{"ip": "10.0.0.4", "hostnames": ["apim.contoso.com"]}])
    assert asked["dnsPolicy"] == "None"
    assert asked["dnsConfig"] == {"nameservers": ["10.0.0.10"], "options": [{"name": "edns0"}]}
    assert asked["hostAliases"] == [{"ip": "10.0.0.4", "hostnames": ["apim.contoso.com"]}]
    assert "dnsPolicy" not in pod(dns={"policy": "ClusterFirst"})


def test_pods_may_be_on_the_nodes_network() -> None:
    asked = pod(hostNetwork=True, dns={"policy": "ClusterFirstWithHostNet"})
    assert asked["hostNetwork"] is True
    assert asked["dnsPolicy"] == "ClusterFirstWithHostNet"


def test_a_proxys_password_stays_in_its_secret() -> None:
    proxy = {
        "http": "http://proxy:3128",
        "httpsSecret": {"name": "proxy", "key": "url"},
        "bypass": [".svc", "10.0.0.0/8"],
    }
    settings = setting(proxy=proxy)
    assert settings["HTTP_PROXY"] == "http://proxy:3128"
    assert settings["NO_PROXY"] == ".svc,10.0.0.0/8"
    assert "HTTPS_PROXY" not in settings
    env = {variable["name"]: variable["valueFrom"] for variable in container(proxy=proxy)["env"]}
    assert env["HTTPS_PROXY"] == {"secretKeyRef": {"name": "proxy", "key": "url"}}


def test_a_backup_is_a_claim_mounted_where_the_gateway_keeps_its_configuration() -> None:
    backup = {"size": "50Mi", "storageClass": "azurefile"}
    claim = rendered(backup=backup)["PersistentVolumeClaim edge-1-config-backup"]["spec"]
    assert claim == {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "50Mi"}},
        "storageClassName": "azurefile",
    }
    (mount,) = container(backup=backup)["volumeMounts"]
    assert mount["mountPath"] == "/apim/config"


def test_a_backup_may_use_a_claim_that_is_there() -> None:
    backup = {"existingClaim": "shared"}
    assert not any(key.startswith("PersistentVolumeClaim") for key in rendered(backup=backup))
    (volume,) = pod(backup=backup)["volumes"]
    assert volume["persistentVolumeClaim"] == {"claimName": "shared"}


def test_logs_go_to_a_local_sink_too() -> None:
    local = {"type": "rfc5424", "endpoint": "10.0.0.9:514", "facility": 7}
    settings = setting(logs={"local": local})
    assert settings["telemetry.logs.local"] == "rfc5424"
    assert settings["telemetry.logs.local.rfc5424.endpoint"] == "10.0.0.9:514"
    assert settings["telemetry.logs.local.rfc5424.facility"] == "7"


def test_metrics_go_to_statsd_and_opentelemetry_and_not_to_the_cloud() -> None:
    settings = setting(
        metrics={
            "cloud": False,
            "statsd": {"endpoint": "statsd:8125", "sampling": 0.5, "tagFormat": "dogStatsD"},
            "openTelemetry": {
                "collector": "http://otel:4317",
                "systemMetrics": True,
                "buckets": [5, 50],
            },
        }
    )
    told = {k: v for k, v in settings.items() if "metrics" in k or "opentelemetry" in k}
    assert told == {
        "telemetry.metrics.cloud": "false",
        "telemetry.metrics.local": "statsd",
        "telemetry.metrics.local.statsd.endpoint": "statsd:8125",
        "telemetry.metrics.local.statsd.sampling": "0.5",
        "telemetry.metrics.local.statsd.tag-format": "dogStatsD",
        "observability.opentelemetry.enabled": "true",
        "observability.opentelemetry.collector.uri": "http://otel:4317",
        "observability.opentelemetry.system-metrics.enabled": "true",
        "observability.opentelemetry.histogram.buckets": "5,50",
    }


def test_other_discovery_ports_are_told_to_pods_service_and_gateway_alike() -> None:
    discovery = {"rateLimitPort": 5290, "heartbeatPort": 5291}
    settings = setting(discovery=discovery)
    assert settings["policy.rate-limit.sync.port"] == "5290"
    assert settings["neighborhood.heartbeat.port"] == "5291"
    udp = [p["containerPort"] for p in container(discovery=discovery)["ports"][2:]]
    service = rendered(discovery=discovery)["Service edge-1-instance-discovery"]
    assert udp == [p["port"] for p in service["spec"]["ports"]] == [5290, 5291]


@pytest.mark.parametrize(
    ("asked", "budget"),
    [
        ({}, {"maxUnavailable": 1}),
        ({"maxUnavailable": "25%"}, {"maxUnavailable": "25%"}),
        ({"minAvailable": 2}, {"minAvailable": 2}),
    ],
)
def test_the_disruption_budget_is_as_asked(asked: dict[str, Any], budget: dict[str, Any]) -> None:
    spec = rendered(disruptionBudget=asked)["PodDisruptionBudget edge-1"]["spec"]
    assert spec == {**budget, "selector": {"matchLabels": {"app": "edge-1"}}}


def test_the_disruption_budget_may_be_off() -> None:
    assert "PodDisruptionBudget edge-1" not in rendered(disruptionBudget={"enabled": False})


def test_a_network_policy_opens_what_a_gateway_needs_and_what_the_spec_names() -> None:
    assert "NetworkPolicy edge-1" not in rendered()
    scraping = {"from": [{"namespaceSelector": {}}], "ports": [{"port": 15020}]}
    backends = {"to": [{"ipBlock": {"cidr": "10.2.0.0/16"}}], "ports": [{"port": 8443}]}
    spec = rendered(
        networkPolicy={"enabled": True, "ingress": [scraping], "egress": [backends]},
        proxy={"https": "http://proxy.contoso.com:3128"},
        metrics={
            "statsd": {"endpoint": "statsd.monitoring:8125"},
            "openTelemetry": {"collector": "https://collector.monitoring"},
        },
        logs={"local": {"type": "rfc5424", "endpoint": "syslog.monitoring:514"}},
        discovery={"rateLimitPort": 5290},
    )["NetworkPolicy edge-1"]["spec"]
    own = [{"podSelector": {"matchLabels": {"app": "edge-1"}}}]
    shared = [("UDP", 5290), ("UDP", 4291)]
    assert spec["podSelector"] == own[0]["podSelector"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    callers, peers, asked = spec["ingress"]
    assert asked == scraping
    assert ("from" in callers, opened(callers)) == (False, [("TCP", 8080), ("TCP", 8081)])
    assert (peers["from"], opened(peers)) == (own, shared)
    peers, names, outside, asked = spec["egress"]
    assert (peers["to"], opened(peers), asked) == (own, shared, backends)
    assert set(opened(names)) == {(each, n) for each in ("UDP", "TCP") for n in (53, 5353)}
    syslog = [("UDP", 514), ("TCP", 514)]
    assert opened(outside) == [("TCP", 443), ("TCP", 3128), ("UDP", 8125), *syslog]


def opened(rule: dict[str, Any]) -> list[tuple[str, int]]:
    return [(port["protocol"], port["port"]) for port in rule["ports"]]


def test_a_local_sink_opens_no_port() -> None:
    local = {"type": "localsyslog", "endpoint": "/dev/log"}
    made = rendered(networkPolicy={"enabled": True}, logs={"local": local})
    assert opened(made["NetworkPolicy edge-1"]["spec"]["egress"][2]) == [("TCP", 443)]


def test_pods_go_where_they_are_asked_to() -> None:
    affinity: dict[str, Any] = {
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}
    }
    asked = pod(
        placement={
            "whenUnsatisfiable": "DoNotSchedule",
            "affinity": affinity,
            "tolerations": [{"key": "gateway", "operator": "Exists"}],
            "nodeSelector": {"pool": "edge"},
            "priorityClassName": "high",
        }
    )
    assert {s["whenUnsatisfiable"] for s in asked["topologySpreadConstraints"]} == {"DoNotSchedule"}
    assert asked["affinity"] == affinity
    assert asked["tolerations"] == [{"key": "gateway", "operator": "Exists"}]
    assert asked["nodeSelector"] == {"pool": "edge"}
    assert asked["priorityClassName"] == "high"


def test_spreading_may_be_off() -> None:
    assert "topologySpreadConstraints" not in pod(placement={"spread": False})


def test_the_security_context_may_be_another() -> None:
    security = {"runAsUser": 2000, "runAsGroup": 2001, "readOnlyRootFilesystem": True}
    assert pod(security=security)["securityContext"]["runAsUser"] == 2000
    assert pod(security=security)["securityContext"]["runAsGroup"] == 2001
    assert container(security=security)["securityContext"]["readOnlyRootFilesystem"] is True


def test_other_settings_reach_the_container_and_roll_its_pods() -> None:
    settings = {"telemetry.logs.std.color": False}
    assert setting(settings=settings)["telemetry.logs.std.color"] == "false"
    template = deployment(settings=settings)["spec"]["template"]["metadata"]["annotations"]
    assert template != deployment()["spec"]["template"]["metadata"]["annotations"]


def test_labels_and_annotations_are_on_every_object_and_pod_beside_ours() -> None:
    objects = rendered(labels={"team": "edge"}, annotations={"contoso.com/owner": "Ann"})
    template = objects["Deployment edge-1"]["spec"]["template"]
    for metadata in [template["metadata"], *(o["metadata"] for o in objects.values())]:
        assert metadata["labels"]["team"] == "edge"
        assert metadata["labels"]["app"] == "edge-1"
        assert metadata["annotations"]["contoso.com/owner"] == "Ann"
    selector = objects["Deployment edge-1"]["spec"]["selector"]
    assert selector == {"matchLabels": {"app": "edge-1"}}


def test_an_entra_app_signs_in_with_its_secret_and_no_token() -> None:
    auth = {"type": "entraApp", "clientId": GUID, "tenantId": GUID, "clientSecret": SECRET}
    settings = setting(auth=auth)
    assert settings["config.service.auth"] == "azureAdApp"
    assert settings["gateway.name"] == "Edge-1"
    assert settings["config.service.auth.azureAd.clientId"] == GUID
    assert settings["config.service.auth.azureAd.tenantId"] == GUID
    (variable,) = container(auth=auth)["env"]
    assert variable == {
        "name": "config.service.auth.azureAd.clientSecret",
        "valueFrom": {"secretKeyRef": SECRET},
    }
    assert token_secret_of(pod(auth=auth)) is None, "an app's secret is no token"


def test_an_entra_app_signs_in_with_a_certificate_that_is_mounted() -> None:
    auth = {
        "type": "entraApp",
        "clientId": GUID,
        "tenantId": GUID,
        "certificate": {"name": "app", "key": "app.pfx"},
        "authority": "https://login.microsoftonline.us",
        "tokenAudience": "https://azure-api.us/configuration",
    }
    settings = setting(auth=auth)
    (mount,) = container(auth=auth)["volumeMounts"]
    path = settings["config.service.auth.azureAd.certificatePath"]
    assert path == f"{mount['mountPath']}/app.pfx"
    assert settings["config.service.auth.azureAd.authority"] == "https://login.microsoftonline.us"
    assert settings["config.service.auth.tokenAudience"] == "https://azure-api.us/configuration"
    assert "env" not in container(auth=auth)


def test_a_workload_identity_is_a_service_account_and_a_label() -> None:
    auth = {"type": "workloadIdentity", "clientId": GUID, "tenantId": GUID}
    objects = rendered(auth=auth)
    account = objects["ServiceAccount edge-1"]["metadata"]
    assert account["labels"]["azure.workload.identity/use"] == "true"
    assert account["annotations"] == {
        "azure.workload.identity/client-id": GUID,
        "azure.workload.identity/tenant-id": GUID,
    }
    template = objects["Deployment edge-1"]["spec"]["template"]
    assert template["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert template["spec"]["serviceAccountName"] == "edge-1"
    assert setting(auth=auth)["config.service.auth"] == "workloadIdentity"
    assert "env" not in container(auth=auth)
    named = rendered(auth={**auth, "serviceAccount": "apim"})
    assert "ServiceAccount apim" in named
