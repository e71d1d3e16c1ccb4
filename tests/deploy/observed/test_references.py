"""What pods are given by name, wherever their spec says it."""

from typing import Any

import pytest
import yaml

from deploy.observed.references import config_maps_of, secrets_of
from deploy.rendering.manifests import render
from deploy.specs.spec import spec_from_mapping
from tests.support.processes import ROOT

KEY = {"name": "s", "key": "k"}
SECRETS: dict[str, dict[str, Any]] = {
    "a variable": {"containers": [{"env": [{"name": "A", "valueFrom": {"secretKeyRef": KEY}}]}]},
    "a whole Secret as variables": {"containers": [{"envFrom": [{"secretRef": {"name": "s"}}]}]},
    "a container that runs first": {"initContainers": [{"envFrom": [{"secretRef": KEY}]}]},
    "a volume": {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
    "a projected volume": {"volumes": [{"projected": {"sources": [{"secret": {"name": "s"}}]}}]},
    "a driver's volume": {"volumes": [{"csi": {"nodePublishSecretRef": {"name": "s"}}}]},
    "a file share": {"volumes": [{"azureFile": {"secretName": "s", "shareName": "x"}}]},
}
OTHERS: dict[str, dict[str, Any]] = {
    "what an image is pulled with": {"imagePullSecrets": [{"name": "s"}]},
    "a volume's own name": {"volumes": [{"name": "s", "emptyDir": {}}]},
    "a ConfigMap": {"containers": [{"envFrom": [{"configMapRef": {"name": "s"}}]}]},
    "an empty reference": {"containers": [{"envFrom": [{"secretRef": {}}, {"secretRef": None}]}]},
}


@pytest.mark.parametrize("pod", SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_is_found_in(pod: dict[str, Any]) -> None:
    assert secrets_of(pod) == {"s"}


@pytest.mark.parametrize("pod", OTHERS.values(), ids=OTHERS.keys())
def test_no_secret_is_found_in(pod: dict[str, Any]) -> None:
    assert secrets_of(pod) == frozenset()


def test_config_maps_are_found_in_variables_and_volumes() -> None:
    pod = {
        "containers": [
            {
                "envFrom": [{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "s"}}],
                "env": [{"name": "B", "valueFrom": {"configMapKeyRef": {"name": "b", "key": "k"}}}],
            }
        ],
        "volumes": [
            {"name": "c", "configMap": {"name": "c"}},
            {"name": "d", "projected": {"sources": [{"configMap": {"name": "d"}}]}},
        ],
    }
    assert config_maps_of(pod) == {"a", "b", "c", "d"}


def test_every_secret_that_a_whole_spec_names_is_found_in_its_pods() -> None:
    whole = yaml.safe_load((ROOT / "tests/data/specs/everything.yaml").read_text())
    deployment = render(spec_from_mapping(whole), None)[-1]
    named = {"contoso-issuing", "proxy"}
    assert secrets_of(deployment["spec"]["template"]["spec"]) == named
