"""Gateways as versions deployed them whose label was `app.kubernetes.io/instance`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.kube.cluster import FIELD_MANAGER
from deploy.kube.objects import Manifest
from deploy.specs.gateway_spec import GatewaySpec

EARLIER = Path(__file__).parents[1] / "deploy/rendering/golden/labelled_by_instance"


def labelled_as_earlier(item: Manifest, spec: GatewaySpec) -> Manifest:
    """An object of that gateway, with the labels that such a version gave it and its pods."""
    made = json.loads((EARLIER / "small.json").read_text())[0]["metadata"]["labels"]
    selector: Mapping[str, str] = dict(spec.objects.selector) or {"app": spec.ref.name}
    recommended = {name: value for name, value in made.items() if name != "app"}
    labels = {**recommended, "app.kubernetes.io/instance": spec.ref.name, **selector}
    found = {**item, "metadata": {**item["metadata"], "labels": labels}}
    if item["kind"] == "Deployment":
        template = item["spec"]["template"]
        metadata = {**template["metadata"], "labels": labels}
        found["spec"] = {**item["spec"], "template": {**template, "metadata": metadata}}
    return found


def as_applied(deployment: Manifest) -> Manifest:
    """A Deployment as it is live once this bot has applied it: its pods' labels are the bot's."""
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    owned: dict[str, Any] = {"f:labels": {f"f:{name}": {} for name in labels}}
    entry = {
        "manager": FIELD_MANAGER,
        "operation": "Apply",
        "fieldsV1": {"f:spec": {"f:template": {"f:metadata": owned}}},
    }
    return {**deployment, "metadata": {**deployment["metadata"], "managedFields": [entry]}}
