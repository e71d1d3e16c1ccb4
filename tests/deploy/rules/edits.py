"""Edits of a bundle, to make of a good one what a rule looks for."""

import dataclasses
from collections.abc import Callable
from typing import Any

from deploy.rules import Facts
from tests.deploy.rules.bundles import FACTS, Bundle, container_of, kind_of, pod_of

Edit = Callable[[Bundle], object]
"""Changes a bundle in place, or says by returning Facts what is known beside it."""


def deployment(**spec: Any) -> Edit:
    return lambda b: kind_of(b, "Deployment")["spec"].update(spec)


def namespace(name: str) -> Edit:
    return lambda b: [o["metadata"].update(namespace=name) for o in b]


def pod(**spec: Any) -> Edit:
    return lambda b: pod_of(b).update(spec)


def container(**spec: Any) -> Edit:
    return lambda b: container_of(b).update(spec)


def tag(name: str) -> Edit:
    return container(image=f"mcr.microsoft.com/azure-api-management/gateway:{name}")


def setting(name: str, value: str) -> Edit:
    return lambda b: kind_of(b, "ConfigMap")["data"].update({name: value})


def unset(name: str) -> Edit:
    return lambda b: kind_of(b, "ConfigMap")["data"].pop(name)


def security(**context: Any) -> Edit:
    return lambda b: container_of(b)["securityContext"].update(context)


def pod_security(**context: Any) -> Edit:
    return lambda b: pod_of(b)["securityContext"].update(context)


def live(**spec: Any) -> Edit:
    return lambda b: kind_of(b, "Service", "live-traffic")["spec"].update(spec)


def budget(**spec: Any) -> Edit:
    def edit(bundle: Bundle) -> None:
        kept = kind_of(bundle, "PodDisruptionBudget")["spec"]
        kept.pop("maxUnavailable")
        kept.update(spec)

    return edit


def without(kind: str, name: str = "") -> Edit:
    return lambda b: b.remove(kind_of(b, kind, name))


def lacking(*fields: str) -> Edit:
    return lambda b: [container_of(b).pop(field) for field in fields]


def resources(**kinds: dict[str, Any]) -> Edit:
    return container(resources=kinds)


def strategy(unavailable: Any, surge: Any) -> Edit:
    return deployment(
        strategy={"rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}}
    )


def autoscaler(least: int | None, most: int) -> Edit:
    scaler = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "edge-1", "namespace": "prod"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "edge-1"},
            "maxReplicas": most,
            **({} if least is None else {"minReplicas": least}),
        },
    }
    return lambda b: b.append(scaler)


def backup(bundle: Bundle) -> None:
    claim = {"name": "b", "persistentVolumeClaim": {"claimName": "b"}}
    pod_of(bundle)["volumes"] = [claim]
    container_of(bundle)["volumeMounts"] = [{"name": "b", "mountPath": "/apim/config"}]


def empty_backup(bundle: Bundle) -> None:
    backup(bundle)
    pod_of(bundle)["volumes"] = [{"name": "b", "emptyDir": {}}]


def identity_labels(bundle: Bundle) -> None:
    template = kind_of(bundle, "Deployment")["spec"]["template"]
    template["metadata"]["labels"]["azure.workload.identity/use"] = "true"


def env(name: str, value: str) -> Edit:
    return container(env=[{"name": name, "value": value}])


def facts(**changes: Any) -> Edit:
    return lambda b: dataclasses.replace(FACTS, **changes)


def both(*edits: Edit) -> Edit:
    def edit(bundle: Bundle) -> object:
        told = [each(bundle) for each in edits]
        return next((each for each in told if isinstance(each, Facts)), None)

    return edit


def nothing(bundle: Bundle) -> None:
    """The bundle as this bot renders it."""


MICROSOFT = "mcr.microsoft.com/azure-api-management/gateway"


FROM_SECRET = {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}


def image(repository: str, version: str = ":2.11.0") -> Edit:
    return container(image=f"{repository}{version}")


def beside(**spec: Any) -> Edit:
    """A container beside the gateway's that is given its token too."""
    env = [{"name": "Config.Service.Auth", **FROM_SECRET}]
    other = {"name": "beside", "image": f"{MICROSOFT}:2.11.0", "env": env, **spec}
    return lambda b: pod_of(b)["containers"].append(other)


def more_env(*variables: dict[str, Any]) -> Edit:
    return lambda b: container_of(b)["env"].extend(variables)


DIGEST = f"sha256:{'0a' * 32}"
PINNED = tag(f"2.11.1@{DIGEST}")
SHORT = {"httpGet": {"path": "/s", "port": 8080}}
PATIENT = {**SHORT, "periodSeconds": 10, "failureThreshold": 10}
TOKEN = "GatewayKey edge-1&202612312359&c2lnbmF0dXJlLW9mLWEtdG9rZW4="
ENDPOINT = "config.service.endpoint"
V1_URL = "https://c.management.azure-api.net/subscriptions/s?api-version=2019-12-01"
WORKLOAD = env("config.service.auth", "workloadIdentity")
ENTRA = env("config.service.auth", "azureAdApp")
UNCHECKED = f"{ENDPOINT}.disableCertificateValidation"
UNCHECKED_CALLS = setting(UNCHECKED, "true")
_SETTINGS: dict[str, Any] = {
    "instance": "contoso",
    "endpoints": ("contoso.configuration.azure-api.net", "eu.example"),
    "repositories": (MICROSOFT, "registry.example/gw"),
}
KNOWN = facts(**_SETTINGS)
MINTS = facts(**_SETTINGS, token_days=29)
SENDS = facts(**_SETTINGS, redirects=frozenset({"endpoint"}))
GIVES = facts(**_SETTINGS, redirects=frozenset({"image"}))
UNCHECKS = facts(**_SETTINGS, redirects=frozenset({"certificates"}))
