"""Whoever declares how a gateway reads its token is known, and whose its Secret is."""

import json
from typing import Any

import pytest

from deploy.observed.declaring import declarer, editors, owner_of_secret
from deploy.observed.token_only import restarted_by_reloader, token_reading
from deploy.plans.owners_change import owners_change
from tests.support import managed

REF = {"secretKeyRef": {"name": "edge-1", "key": "gateway-key"}}
AUTH = {"name": "config.service.auth", "valueFrom": REF}
FIELDS: dict[str, Any] = {
    "f:spec": {
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"gw"}': {
                        "f:env": {'k:{"name":"config.service.auth"}': {"f:valueFrom": {}}},
                        "f:envFrom": {},
                    }
                }
            }
        }
    }
}
REPLICAS: dict[str, Any] = {"f:spec": {"f:replicas": {}}}


def deployment(
    *entries: tuple[str, str, dict[str, Any]],
    container: dict[str, Any] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    managed_fields = [
        {"manager": manager, "operation": operation, "fieldsV1": fields}
        for manager, operation, fields in entries
    ]
    return {
        "kind": "Deployment",
        "metadata": {
            "name": "edge-1", "namespace": "prod", "managedFields": managed_fields, **metadata,
        },
        "spec": {
            "template": {
                "spec": {"containers": [{"name": "gw", "env": [AUTH], **(container or {})}]}
            }
        },
    }  # fmt: skip


def who(live: dict[str, Any]) -> str:
    found = declarer(live, token_reading(live))
    return str(found) if found else ""


@pytest.mark.parametrize(
    ("entries", "name"),
    [
        ([("argocd-controller", "Apply", FIELDS)], "Argo CD"),
        ([("argocd-application-controller", "Update", FIELDS)], "Argo CD"),
        ([("kustomize-controller", "Apply", FIELDS)], "Flux"),
        ([("helm", "Update", FIELDS)], "Helm"),
        ([("my-pipeline", "Apply", FIELDS)], "my-pipeline"),
        ([("kubectl", "Apply", FIELDS)], "kubectl apply"),
        ([("kubectl-client-side-apply", "Update", FIELDS)], "kubectl apply"),
        ([("Terraform", "Apply", FIELDS)], "Terraform"),
        ([("HashiCorp", "Update", FIELDS)], "Terraform"),
        ([("kubectl-create", "Update", FIELDS)], ""),
        ([("kubectl-edit", "Update", FIELDS)], ""),
        ([("my-pipeline", "Update", FIELDS)], ""),
        ([("my-pipeline", "Apply", REPLICAS)], ""),
        ([("gateway-bot", "Apply", FIELDS)], ""),
        ([("gateway-bot-token", "Apply", FIELDS)], ""),
        ([], ""),
    ],
)
def test_who_has_applied_the_reference_declares_it_and_who_has_edited_it_does_not(
    entries: list[tuple[str, str, dict[str, Any]]], name: str
) -> None:
    assert who(deployment(*entries)) == name


def test_who_certainly_manages_the_deployment_declares_the_reference() -> None:
    for marks in (managed.ARGO_CD, managed.FLUX, managed.HELM):
        for item in managed.each(marks):
            live = {**deployment(), "metadata": item["metadata"], "kind": item["kind"]}
            assert who(live), item


def test_what_was_last_applied_declares_the_reference_although_somebody_edited_it_since() -> None:
    name = "kubectl.kubernetes.io/last-applied-configuration"
    edited = ("kubectl-edit", "Update", FIELDS)
    applied = {"spec": {"template": {"spec": {"containers": [{"name": "gw", "env": [AUTH]}]}}}}
    assert who(deployment(edited, annotations={name: json.dumps(applied)})) == "kubectl apply"
    for text in ("", "[]", "{}", '{"spec": 1}', "null"):
        assert who(deployment(edited, annotations={name: text})) == ""


def test_a_whole_secret_is_declared_by_whoever_applies_the_list_of_sources() -> None:
    taken = {"env": [], "envFrom": [{"secretRef": {"name": "edge-1"}}]}
    live = deployment(("argocd-controller", "Apply", FIELDS), container=taken)
    assert token_reading(live).how == "whole"
    assert who(live) == "Argo CD"


def secret(*entries: tuple[str, str], **metadata: Any) -> dict[str, Any]:
    managed_fields = [
        {"manager": manager, "operation": operation, "fieldsV1": {"f:data": {".": {}}}}
        for manager, operation in entries
    ]
    name = {"name": "edge-1", "namespace": "prod"}
    return {"kind": "Secret", "metadata": {**name, "managedFields": managed_fields, **metadata}}


@pytest.mark.parametrize(
    ("live", "whose"),
    [
        (secret(ownerReferences=[{"kind": "SealedSecret", "name": "s", "controller": True}]),
         "SealedSecret s"),
        (secret(ownerReferences=[{"kind": "Some", "name": "thing"}]), "perhaps Some thing"),
        (secret(labels={"reconcile.external-secrets.io/managed": "true"}), "External Secrets"),
        (secret(("externalsecrets.external-secrets.io/edge", "Apply")), "External Secrets"),
        (secret(("argocd-controller", "Apply")), "Argo CD"),
        (secret(("helm", "Update")), "Helm"),
        (secret(("some-operator", "Apply")), "some-operator"),
        (secret(("kubectl-create", "Update")), ""),
        (secret(("kubectl-client-side-apply", "Update")), ""),
        (secret(("gateway-bot", "Update")), ""),
        (None, ""),
    ],
)  # fmt: skip
def test_a_secret_with_an_owner_or_a_declaring_manager_is_not_the_bots_to_write(
    live: dict[str, Any] | None, whose: str
) -> None:
    found = owner_of_secret(live)
    assert (str(found) if found else "") == whose


@pytest.mark.parametrize(
    ("annotations", "restarts"),
    [
        ({"reloader.stakater.com/auto": "true"}, True),
        ({"secret.reloader.stakater.com/auto": "true"}, True),
        ({"secret.reloader.stakater.com/reload": "other, edge-1-managed-token"}, True),
        ({"secret.reloader.stakater.com/reload": "other"}, False),
        ({"reloader.stakater.com/auto": "false"}, False),
        ({"configmap.reloader.stakater.com/reload": "edge-1-managed-token"}, False),
        ({}, False),
    ],
)
def test_reloader_restarts_what_it_is_told_to(annotations: dict[str, str], restarts: bool) -> None:
    secret_name = "edge-1-managed-token"
    assert restarted_by_reloader(deployment(annotations=annotations), secret_name) is restarts
    below = deployment()
    below["spec"]["template"]["metadata"] = {"annotations": annotations}
    assert restarted_by_reloader(below, secret_name) is restarts


@pytest.mark.parametrize(
    ("container", "labels", "change"),
    [
        ({}, {"helm.sh/chart": "azure-api-management-gateway-1.15.1"},
         "In the chart's values set `secret.existingSecretName: S` and `secret.createSecret: false`, "
         "then upgrade."),
        ({}, {"helm.sh/chart": "their-own-1.0"},
         "Set `spec.template.spec.containers[gw].env[config.service.auth].valueFrom.secretKeyRef."
         "name: S`."),
        ({"env": [], "envFrom": [{"secretRef": {"name": "edge-1"}}]}, {},
         "Add `- secretRef: {name: S}` as the last entry of "
         "`spec.template.spec.containers[gw].envFrom`."),
        ({"env": [{"name": "config.service.auth", "value": "GatewayKey x"}]}, {},
         "Replace the token by `spec.template.spec.containers[gw].env[config.service.auth]."
         "valueFrom: {secretKeyRef: {name: S, key: value}}`."),
    ],
)  # fmt: skip
def test_an_owner_is_told_the_one_change_that_points_the_pods_to_the_bots_secret(
    container: dict[str, Any], labels: dict[str, str], change: str
) -> None:
    live = deployment(container=container, labels=labels)
    assert owners_change(live, token_reading(live), "S") == change


def test_who_wrote_the_reference_and_declares_nothing_is_named_as_what_it_is() -> None:
    live = deployment(
        ("kubectl-edit", "Update", FIELDS),
        ("my-pipeline", "Update", FIELDS),
        ("kubectl-scale", "Update", REPLICAS),
        ("gateway-bot-token", "Update", FIELDS),
        ("argocd-controller", "Apply", FIELDS),
    )
    assert editors(live, token_reading(live)) == ("kubectl-edit", "my-pipeline")
