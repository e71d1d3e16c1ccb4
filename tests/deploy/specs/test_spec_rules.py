"""What is refused, with the path of the value at fault."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.errors import InvalidInput
from deploy.specs.quantities import quantity
from deploy.specs.schema import json_schema
from deploy.specs.settings import FREE, OWNED
from deploy.specs.spec import spec_from_mapping
from deploy.specs.together import CONTRADICTIONS
from tests.support.specs import MAPPINGS

SMALL: dict[str, Any] = {
    "gateway": "Edge-1",
    "apim": {"instance": "contoso", "endpoint": "contoso.configuration.azure-api.net"},
    "cluster": "west",
    "namespace": "dev",
    "image": {"tag": "2.11.1"},
}
GUID = "11111111-2222-3333-4444-555555555555"
REF = {"name": "app", "key": "secret"}
APP = {"type": "entraApp", "clientId": GUID, "tenantId": GUID}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"replicas": 3, "autoscaling": {"maxReplicas": 5}}, "replicas"),
        ({"autoscaling": {"minReplicas": 6, "maxReplicas": 5}}, "autoscaling.minReplicas"),
        ({"autoscaling": {"minReplicas": 2}}, "autoscaling.maxReplicas"),
        ({"rollout": {"maxSurge": 0}}, "rollout.maxSurge"),
        ({"rollout": {"minReadySeconds": 600}}, "rollout.minReadySeconds"),
        ({"resources": {"limits": {"memory": "1Gi"}}}, "resources.limits.memory"),
        ({"resources": {"limits": {"cpu": "1999m"}}}, "resources.limits.cpu"),
        ({"service": {"nodePorts": {"http": 30080}, "type": "ClusterIP"}}, "service.nodePorts"),
        ({"service": {"nodePorts": {"http": 30080, "https": 30080}}}, "service.nodePorts.https"),
        (
            {"service": {"type": "ClusterIP", "externalTrafficPolicy": "Local"}},
            "service.externalTrafficPolicy",
        ),
        (
            {"service": {"type": "NodePort", "loadBalancerClass": "x"}},
            "service.loadBalancerClass",
        ),
        (
            {"service": {"type": "NodePort", "loadBalancerSourceRanges": ["10.0.0.0/8"]}},
            "service.loadBalancerSourceRanges",
        ),
        (
            {"service": {"loadBalancerSourceRanges": ["10.0.0.1/8"]}},
            "service.loadBalancerSourceRanges[0]",
        ),
        ({"service": {"annotations": {"gateway-bot.io/spec": "{}"}}}, "service.annotations.gatew"),
        (
            {
                "certificateAuthorities": [{"secret": "ca", "key": "ca.crt"}],
                "security": {"runAsUser": 1000},
            },
            "security.runAsUser",
        ),
        ({"certificateAuthorities": [{"key": "ca.crt"}]}, "certificateAuthorities[0]"),
        (
            {"certificateAuthorities": [{"secret": "a", "configMap": "b", "key": "c"}]},
            "certificateAuthorities[0]",
        ),
        ({"backup": {"size": "1Gi", "existingClaim": "c"}}, "backup.existingClaim"),
        ({"backup": {"storageClass": "fast"}}, "backup.size"),
        ({"backup": {"size": "1Gi"}, "security": {"fsGroup": 0}}, "security.fsGroup"),
        ({"dns": {"policy": "None"}}, "dns.nameservers"),
        ({"dns": {"policy": "ClusterFirstWithHostNet"}}, "dns.policy"),
        ({"dns": {"nameservers": ["dns.contoso.com"]}}, "dns.nameservers[0]"),
        ({"proxy": {"http": "http://a:1", "httpSecret": REF}}, "proxy.httpSecret"),
        ({"proxy": {"https": "http://a:1", "httpsSecret": REF}}, "proxy.httpsSecret"),
        ({"discovery": {"rateLimitPort": 4291}}, "discovery.heartbeatPort"),
        ({"networkPolicy": {"enabled": True}, "hostNetwork": True}, "networkPolicy.enabled"),
        ({"networkPolicy": {"egress": [{"ports": [{"port": 1}]}]}}, "networkPolicy.egress"),
        (
            {"networkPolicy": {"enabled": True, "ingress": [{"to": []}]}},
            "networkPolicy.ingress[0].to",
        ),
        ({"networkPolicy": {"ingress": [{"ports": [{"port": 1}]}]}}, "networkPolicy.ingress"),
        (
            {"networkPolicy": {"enabled": True, "egress": [{"from": []}]}},
            "networkPolicy.egress[0].from",
        ),
        (
            {"disruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}},
            "disruptionBudget.minAvailable",
        ),
        (
            {"disruptionBudget": {"enabled": False, "minAvailable": 1}},
            "disruptionBudget.enabled",
        ),
        ({"logs": {"local": {"type": "rfc5424"}}}, "logs.local.endpoint"),
        ({"logs": {"local": {"endpoint": "a:1"}}}, "logs.local.endpoint"),
        ({"logs": {"local": {"facility": 1}}}, "logs.local.facility"),
        ({"metrics": {"statsd": {"sampling": 0.5}}}, "metrics.statsd.endpoint"),
        (
            {"metrics": {"openTelemetry": {"systemMetrics": True}}},
            "metrics.openTelemetry.collector",
        ),
        (
            {"metrics": {"openTelemetry": {"collector": "http://a:1", "buckets": [2, 1]}}},
            "metrics.openTelemetry.buckets",
        ),
        ({"placement": {"affinity": {"nodeAfinity": {}}}}, "placement.affinity.nodeAfinity"),
        ({"placement": {"tolerations": [{"value": "x"}]}}, "placement.tolerations[0].key"),
        (
            {"placement": {"tolerations": [{"key": "x", "tolerationSeconds": 5}]}},
            "placement.tolerations[0].tolerationSeconds",
        ),
        (
            {"placement": {"tolerations": [{"operator": "Exists", "value": "x"}]}},
            "placement.tolerations[0].value",
        ),
        ({"security": {"runAsUser": 0}}, "security.runAsUser"),
        ({"labels": {"app": "other"}}, "labels.app"),
        ({"labels": {"app.kubernetes.io/name": "other"}}, "labels.app.kubernetes.io/name"),
        ({"labels": {"team": "a b"}}, "labels.team"),
        ({"labels": {"-team": "a"}}, "labels.-team"),
        ({"annotations": {"gateway-bot.io/spec": "{}"}}, "annotations.gateway-bot.io/spec"),
        ({"auth": {"clientId": GUID}}, "auth.clientId"),
        ({"auth": {"type": "workloadIdentity", "tenantId": GUID}}, "auth.clientId"),
        ({"auth": APP}, "auth.clientSecret"),
        ({"auth": {**APP, "clientSecret": REF, "certificate": REF}}, "auth.clientSecret"),
        ({"auth": {**APP, "clientSecret": REF, "serviceAccount": "x"}}, "auth.serviceAccount"),
        ({"auth": {**APP, "clientSecret": "hunter2"}}, "auth.clientSecret"),
        ({"settings": {"telemetry.logs.std": "json"}}, "settings.telemetry.logs.std"),
        ({"settings": {"telemetry.logs.std.color": "maybe"}}, "settings.telemetry.logs.std.color"),
        ({"hostAliases": [{"ip": "10.0.0.4", "hostnames": []}]}, "hostAliases[0].hostnames"),
        ({"hostAliases": [{"ip": "10.0.0.4"}]}, "hostAliases[0].hostnames"),
    ],
)
def test_what_contradicts_itself_is_refused_with_its_path(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as error:
        spec_from_mapping({**SMALL, **changes})
    assert error.value.field.startswith(field)


def test_cluster_first_on_the_nodes_network_is_allowed() -> None:
    spec = spec_from_mapping({**SMALL, "hostNetwork": True, "dns": {"policy": "ClusterFirst"}})
    assert spec.network.host_network


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("telemetry.logs.std.level", "Use logs.level."),
        ("config.service.auth", "Use auth.type."),
        ("HTTPS_PROXY", "Use proxy.http"),
        ("telemetry.logs.std.colour", "Did you mean settings.telemetry.logs.std.color?"),
        ("runtime.deployment.mechanism", "set by the bot"),
    ],
)
def test_a_setting_that_may_not_be_set_is_answered_with_what_may(name: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        spec_from_mapping({**SMALL, "settings": {name: "x"}})


@pytest.mark.parametrize("password", ["http://ann:hunter2@proxy:3128", "hunter2"])
def test_a_password_in_a_proxys_address_is_refused_and_not_repeated(password: str) -> None:
    with pytest.raises(InvalidInput) as error:
        spec_from_mapping({**SMALL, "proxy": {"https": password}})
    assert error.value.field == "proxy.https"
    assert "hunter2" not in str(error.value)


def known(path: str) -> bool:
    schema: Any = json_schema()
    for key in path.split("."):
        schema = schema["properties"].get(key)
        if schema is None:
            return False
    return True


@pytest.mark.parametrize("path", sorted({c.field for c in CONTRADICTIONS} | set(OWNED.values())))
def test_a_path_that_people_are_told_is_a_field(path: str) -> None:
    assert known(path)


def test_a_setting_is_free_or_has_a_field_and_never_both() -> None:
    assert not FREE.keys() & OWNED.keys()


@pytest.mark.parametrize(
    ("less", "more"), [("999m", "1"), ("0.5", "501m"), ("1G", "1Gi"), ("1000Ki", "1Mi")]
)
def test_quantities_compare_as_kubernetes_counts(less: str, more: str) -> None:
    assert quantity(less) < quantity(more)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@settings(deadline=None)
@given(MAPPINGS, st.data())
def test_any_value_anywhere_is_taken_or_refused_with_its_path(
    mapping: dict[str, Any], data: st.DataObject
) -> None:
    # What is drawn may be drawn again, by other tests too: it is not to be changed.
    mapping = copy.deepcopy(mapping)
    holder: Any = mapping
    key = data.draw(st.sampled_from(sorted(holder)))
    while isinstance(holder[key], dict) and holder[key] and data.draw(st.booleans()):
        holder = holder[key]
        key = data.draw(st.sampled_from(sorted(holder)))
    holder[key] = data.draw(anything)
    field = "none needed"
    try:
        spec_from_mapping(mapping)
    except InvalidInput as error:
        field = error.field
    assert field
