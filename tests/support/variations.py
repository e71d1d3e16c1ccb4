"""Objects that the product writes, each changed in one way, and what an API server said of it."""

import copy
import datetime
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy.rendering.manifests import render, token_secret
from deploy.specs.spec import spec_from_mapping
from deploy.tokens.token import Token
from tests.support.gateway_bed import SIGNATURE
from tests.support.kube_api import APPLY, MERGE, KubeApi, Obj

RECORDED = Path("tests/data/refusals.json")
RECORDED_VERSION = "v1.37."
"""The API server that was asked: others have other words, and some have other rules."""
_SPEC = Path("tests/data/specs/everything.yaml")
_OTHERS = (
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "edge"},
        "spec": {
            "ingressClassName": "nginx",
            "rules": [
                {
                    "host": "a.contoso.com",
                    "http": {
                        "paths": [
                            {
                                "path": "/",
                                "pathType": "Prefix",
                                "backend": {"service": {"name": "edge", "port": {"number": 80}}},
                            }
                        ]
                    },
                }
            ],
        },
    },
    {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "edge"},
        "spec": {"holderIdentity": "bot", "leaseDurationSeconds": 15, "leaseTransitions": 1},
    },
)
_PLURALS = {
    "Ingress": "ingresses",
    "ServiceAccount": "serviceaccounts",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "PersistentVolumeClaim": "persistentvolumeclaims",
}


@dataclass(frozen=True)
class Variation:
    """One change of an object: `sets` fields by their paths (None takes one away), or, once the
    object is there, a merge `patch`. `how` is the request: apply, create or update."""

    kind: str
    how: str = "apply"
    sets: Obj = field(default_factory=dict)
    patch: Obj = field(default_factory=dict)
    said: Any = None
    """None where it is accepted; of what is invalid, field and message of each cause; else status,
    reason and message."""

    def __str__(self) -> str:
        return f"{self.how} {self.kind} {self.sets or ''}{self.patch or ''}"


def recorded() -> Iterator[Variation]:
    """Every variation, with what a real API server said of it."""
    for kind, entries in json.loads(RECORDED.read_text()).items():
        for entry in entries:
            yield Variation(kind, **entry)


def written(namespace: str) -> dict[str, Obj]:
    """By kind, an object as the product writes it; the headless Service is called so."""
    spec = spec_from_mapping({**yaml.safe_load(_SPEC.read_text()), "namespace": namespace})
    made: dict[str, Obj] = {str(other["kind"]): other for other in copy.deepcopy(_OTHERS)}
    expires_at = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
    token = Token("Edge-1", expires_at, f"Edge-1&202701010000&{SIGNATURE}")
    objects = (*render(spec, "edge-token"), token_secret(spec, "edge-token", token, "a1"))
    for manifest in objects:
        body = copy.deepcopy(dict(manifest))
        for port in body["spec"]["ports"] if body["kind"] == "Service" else ():
            # One of the whole cluster's: it may be in use.
            port.pop("nodePort", None)
        headless = body["kind"] == "Service" and body["spec"].get("clusterIP") == "None"
        made["HeadlessService" if headless else body["kind"]] = body
    # Of a class that no cluster has, so that no claim is bound: the words depend on it.
    made["PersistentVolumeClaim"]["spec"]["storageClassName"] = "of-nobody"
    for body in made.values():
        body["metadata"]["namespace"] = namespace
    return made


def verdict(api: KubeApi, namespace: str, objects: dict[str, Obj], variation: Variation) -> Any:
    """What the server says of the variation, in the form that is recorded. Nothing stays but what
    an update needs, which has a name of its own."""
    body = copy.deepcopy(objects[variation.kind])
    group, kind = body["apiVersion"], body["kind"]
    plural = _PLURALS.get(kind, f"{kind.lower()}s")
    root = f"/api/{group}" if "/" not in group else f"/apis/{group}"
    path = f"{root}/namespaces/{namespace}/{plural}"
    name = body["metadata"]["name"]
    for asked, value in variation.sets.items():
        _change(body, asked.split("."), value)
    if variation.how == "update":
        body["metadata"]["name"] = name = f"{name}-{secrets.token_hex(4)}"
        api.create(path, body)
        answer = api.request("PATCH", f"{path}/{name}?dryRun=All", variation.patch, MERGE)
        api.delete(f"{path}/{name}")
    elif variation.how == "create":
        answer = api.request("POST", f"{path}?dryRun=All&fieldValidation=Strict", body)
    else:
        query = "fieldManager=test&force=true&dryRun=All"
        answer = api.request("PATCH", f"{path}/{name}?{query}", body, APPLY)
    if answer.status < 300:
        return None
    if answer.reason != "Invalid":
        words = f"{answer.status} {answer.reason}: {answer.message}"
        return words.replace(name, "NAME").replace(namespace, "NAMESPACE")
    # What follows in further lines is Go's own picture of a difference.
    causes = answer.body["details"].get("causes") or []
    return sorted(f"{c.get('field')}: {c['message'].partition(chr(10))[0]}" for c in causes)


def _change(body: Any, steps: list[str], value: Any) -> None:
    here = body
    for step in steps[:-1]:
        here = here[int(step)] if step.isdigit() else here.setdefault(step, {})
    if value is None:
        here.pop(steps[-1], None)
    else:
        here[steps[-1]] = copy.deepcopy(value)
