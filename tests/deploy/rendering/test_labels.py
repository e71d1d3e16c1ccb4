"""The labels of what the bot makes are nobody else's, and those of others stay theirs."""

import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deploy.kube.objects import Manifest
from deploy.rendering.labels import is_marked, marks
from deploy.rendering.manifests import render, token_secret
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_from_mapping
from deploy.tokens.token import Token

TRACKED_BY_OTHERS = ("app.kubernetes.io/instance", "argocd.argoproj.io/instance")
SHARED = ("app.kubernetes.io/name", "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by")
TOKEN = Token("edge-1", datetime.datetime(2026, 12, 1, tzinfo=datetime.UTC), "edge-1&x&sig")
CHART = {"app.kubernetes.io/name": "gateway", "app.kubernetes.io/instance": "edge-1"}
MINIMAL: dict[str, Any] = {
    "gateway": "edge-1",
    "apim": {"instance": "contoso", "endpoint": "contoso.configuration.azure-api.net"},
    "cluster": "west",
    "namespace": "dev",
    "image": {"tag": "2.11.1"},
}
SPECS = st.builds(
    lambda labels, adopted, most: spec_from_mapping(
        {
            **MINIMAL,
            **({"labels": labels} if labels else {}),
            **({"objects": {"selector": CHART, "container": "gateway"}} if adopted else {}),
            **({"autoscaling": {"maxReplicas": most}} if most else {}),
        }
    ),
    st.dictionaries(st.sampled_from(["team", "contoso.com/tier"]), st.just("edge"), max_size=2),
    st.booleans(),
    st.sampled_from([0, 5]),
)


def labels(item: Manifest) -> dict[str, str]:
    found: dict[str, str] = item["metadata"]["labels"]
    return found


@given(SPECS)
def test_no_object_carries_a_label_by_which_others_track_theirs(spec: GatewaySpec) -> None:
    made = (*render(spec, "edge-1-token-a"), token_secret(spec, "edge-1-token-a", TOKEN, "ABC234"))
    for item in made:
        assert not set(labels(item)) & set(TRACKED_BY_OTHERS), item["kind"]
        assert labels(item)["gateway-bot.io/part-of"] == "edge-1"
        assert is_marked(item, spec)


@given(SPECS)
def test_the_shared_labels_of_what_was_adopted_are_not_written(spec: GatewaySpec) -> None:
    adopted = bool(spec.objects.selector)
    for item in render(spec, "edge-1-token-a"):
        assert set(labels(item)).isdisjoint(SHARED) == adopted, item["kind"]
    secret = token_secret(spec, "edge-1-token-a", TOKEN, "ABC234")
    assert labels(secret)["app.kubernetes.io/managed-by"] == "gateway-bot"


@given(SPECS)
def test_pods_have_every_label_that_selects_them(spec: GatewaySpec) -> None:
    deployment = render(spec, "edge-1-token-a")[-1]["spec"]
    chosen = deployment["selector"]["matchLabels"]
    assert chosen.items() <= deployment["template"]["metadata"]["labels"].items()


@given(SPECS)
def test_objects_of_earlier_versions_are_known_and_those_of_others_are_not(
    spec: GatewaySpec,
) -> None:
    _, earlier = marks(spec)
    assert is_marked({"metadata": {"labels": {**earlier, "team": "edge"}}}, spec)
    other = {"app.kubernetes.io/managed-by": "gateway-bot", "app.kubernetes.io/instance": "edge-2"}
    assert not is_marked({"metadata": {"labels": other}}, spec)
    release = {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "edge-1"}
    assert not is_marked({"metadata": {"labels": release}}, spec)
    assert not is_marked({"metadata": {"labels": {"gateway-bot.io/part-of": "edge-2"}}}, spec)
    assert not is_marked({"metadata": {}}, spec)
