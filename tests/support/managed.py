"""Live objects as those who manage them leave them behind, and such as only look like it.

Each is one of a few kinds with one set of marks. The marks are those of published manifests and of
the tools' own sources (deploy/observed/managers.py names them), with neutral names.
"""

from collections.abc import Iterator, Sequence
from typing import Any

Marks = dict[str, Any]
"""`labels`, `annotations`, `owners`, and `writers`: field managers with what each declares."""

KINDS = ("Deployment", "StatefulSet", "Service", "ConfigMap", "Secret")
_APPLY, _UPDATE = "Apply", "Update"
_CONTROLLER = ("kube-controller-manager", _UPDATE, "status")
_KUBECTL = [("kubectl-client-side-apply", _UPDATE, "")]
_INSTANCE = {"app.kubernetes.io/instance": "edge"}
_CHART = {
    "app.kubernetes.io/managed-by": "Helm",
    "helm.sh/chart": "azure-api-management-gateway-1.16.1",
    **_INSTANCE,
}
_RELEASE = {"meta.helm.sh/release-name": "edge", "meta.helm.sh/release-namespace": "prod"}
_KUSTOMIZATION = {
    "kustomize.toolkit.fluxcd.io/name": "edge",
    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
}
_HELM_RELEASE = {
    "helm.toolkit.fluxcd.io/name": "edge",
    "helm.toolkit.fluxcd.io/namespace": "flux-system",
}
_EXTENSION = {"clusterconfig.azure.com/extension-version": "1.0.0"}
_HELM = [("helm", _UPDATE, "")]
_ARGO = [("argocd-controller", _APPLY, "")]
_OLD_ARGO = [("argocd-application-controller", _UPDATE, "")]
_FLUX = [("kustomize-controller", _APPLY, "")]
_HELM_CONTROLLER = [("helm-controller", _UPDATE, "")]
TRACKED = "argocd.argoproj.io/tracking-id"


def _declared(kind: str) -> str:
    return "f:data" if kind in ("ConfigMap", "Secret") else "f:spec"


def live(kind: str, marks: Marks, *, name: str = "edge-1", namespace: str = "prod") -> Marks:
    """An object of that kind with those marks, as a read of it gives them."""
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    metadata["labels"] = {"app": name, **marks.get("labels", {})}
    annotations = dict(marks.get("annotations", {}))
    if TRACKED in annotations:
        annotations[TRACKED] = annotations[TRACKED].format(kind=kind, place=f"{namespace}/{name}")
    metadata["annotations"] = annotations
    if "owners" in marks:
        metadata["ownerReferences"] = marks["owners"]
    if "writers" in marks:
        metadata["managedFields"] = [
            {
                "manager": manager,
                "operation": operation,
                "fieldsV1": {"f:status" if below else _declared(kind): {}},
                **({"subresource": below} if below else {}),
            }
            for manager, operation, below in (*marks["writers"], _CONTROLLER)
        ]
    return {"kind": kind, "metadata": metadata}


def each(marks: Sequence[Marks]) -> Iterator[Marks]:
    """Every kind with every set of marks."""
    for kind in KINDS:
        for one in marks:
            yield live(kind, one)


ARGO_CD: Sequence[Marks] = (
    {"annotations": {TRACKED: "edge:apps/{kind}:{place}"}, "writers": _ARGO},
    {
        # Argo CD in any namespace, applied on the client's side, of a chart.
        "annotations": {TRACKED: "edge:/{kind}:{place}"},
        "labels": _CHART,
        "writers": _OLD_ARGO,
    },
    {"labels": _INSTANCE, "writers": _ARGO},
    {"labels": {**_CHART, "argocd.argoproj.io/instance": "edge"}, "writers": _OLD_ARGO},
)
LIKE_ARGO_CD: Sequence[Marks] = (
    # Helm's own label: of a release, of a chart that kubectl applied, without field managers.
    {"labels": _CHART, "annotations": _RELEASE, "writers": _HELM},
    {"labels": _INSTANCE, "writers": _KUBECTL},
    {"labels": _INSTANCE},
    # Copied from an object that Argo CD tracks.
    {"annotations": {TRACKED: "edge:apps/{kind}:other/edge-9"}, "writers": _KUBECTL},
    {"annotations": {TRACKED: "edge"}, "writers": _KUBECTL},
    # It only restarted it, or wrote its status.
    {"labels": _INSTANCE, "writers": [*_KUBECTL, ("argocd-controller", _UPDATE, "status")]},
    {"labels": _INSTANCE, "writers": [*_KUBECTL, ("argocd-server", _UPDATE, "")]},
)
PERHAPS_ARGO_CD: Sequence[Marks] = (
    # Applied by it, but with a label of its administrator's own.
    {"labels": {"example.com/application": "edge"}, "writers": _ARGO},
    {"annotations": {"argocd.argoproj.io/sync-wave": "2"}, "writers": _KUBECTL},
    {"labels": {"argocd.argoproj.io/instance": "edge"}, "writers": _KUBECTL},
    {"annotations": {"argocd.argoproj.io/sync-options": "Prune=false"}},
)

FLUX: Sequence[Marks] = (
    {"labels": _KUSTOMIZATION, "writers": _FLUX},
    {"labels": {**_KUSTOMIZATION, **_CHART}, "writers": [*_FLUX, *_KUBECTL]},
    {"labels": {**_HELM_RELEASE, **_CHART}, "annotations": _RELEASE, "writers": _HELM_CONTROLLER},
    {"labels": _HELM_RELEASE, "writers": _HELM_CONTROLLER},
)
LIKE_FLUX: Sequence[Marks] = (
    {"labels": {"app.kubernetes.io/part-of": "flux", **_INSTANCE}, "writers": _KUBECTL},
    {"labels": {"toolkit.fluxcd.io/tenant": "edge"}, "writers": _KUBECTL},
    # k3s has a helm-controller too.
    {"labels": _CHART, "annotations": _RELEASE, "writers": _HELM_CONTROLLER},
    {"annotations": {"fluxcd.io/automated": "true"}, "writers": _KUBECTL},
    {"annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}, "writers": _KUBECTL},
)
PERHAPS_FLUX: Sequence[Marks] = (
    {"labels": _KUSTOMIZATION, "writers": _KUBECTL},
    {"labels": {"kustomize.toolkit.fluxcd.io/name": "edge"}, "writers": _FLUX},
    {"labels": _HELM_RELEASE, "writers": _KUBECTL},
    {"labels": {**_HELM_RELEASE, **_CHART}, "annotations": _RELEASE, "writers": _KUBECTL},
)

HELM: Sequence[Marks] = (
    {"labels": _CHART, "annotations": _RELEASE, "writers": _HELM},
    {"labels": _CHART, "annotations": _RELEASE, "writers": [*_HELM, *_KUBECTL]},
    {
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": _RELEASE,
        "writers": [("terraform-provider-helm_v2.12.1_x5", _UPDATE, "")],
    },
    {"labels": _CHART, "annotations": _RELEASE},
)
LIKE_HELM: Sequence[Marks] = (
    {"labels": _INSTANCE, "writers": _KUBECTL},
    {"labels": {"app.kubernetes.io/managed-by": "gateway-bot"}, "writers": _KUBECTL},
    {"labels": {"app.kubernetes.io/managed-by": "helmfile-team"}, "writers": _KUBECTL},
    {"annotations": {"helm.sh/resource-policy": "keep"}, "writers": _KUBECTL},
)
PERHAPS_HELM: Sequence[Marks] = (
    {"labels": _CHART, "writers": _KUBECTL},
    {"labels": _CHART, "annotations": _RELEASE, "writers": _KUBECTL},
    # What this bot adopted of a release.
    {
        "labels": {"app.kubernetes.io/managed-by": "gateway-bot"},
        "annotations": _RELEASE,
        "writers": [("gateway-bot", _APPLY, "")],
    },
    {"labels": {"heritage": "Helm", "chart": "gateway-0.1.0", "release": "edge"}},
)

AZURE_ARC: Sequence[Marks] = (
    {"labels": {**_CHART, **_EXTENSION}, "annotations": _RELEASE, "writers": _HELM},
    {"labels": {**_CHART, **_EXTENSION}, "annotations": _RELEASE},
    {
        "labels": {"app.kubernetes.io/managed-by": "Helm", **_EXTENSION},
        "annotations": _RELEASE,
        "writers": [("extension-operator", _UPDATE, "")],
    },
    {
        "labels": {**_CHART, **_EXTENSION},
        "annotations": _RELEASE,
        "writers": [*_HELM, *_KUBECTL],
    },
)
LIKE_AZURE_ARC: Sequence[Marks] = (
    {"labels": _CHART, "annotations": _RELEASE, "writers": _HELM},
    {"labels": {"azure-arc": "true"}, "writers": _KUBECTL},
    {"annotations": {"clusterconfig.azure.com/note": "1"}, "writers": _KUBECTL},
    {"labels": {"azure.workload.identity/use": "true"}, "writers": _KUBECTL},
)
PERHAPS_AZURE_ARC: Sequence[Marks] = (
    {"labels": _EXTENSION, "writers": _KUBECTL},
    {"labels": {**_CHART, **_EXTENSION}, "writers": _KUBECTL},
    {"labels": {**_CHART, **_EXTENSION}, "annotations": _RELEASE, "writers": _KUBECTL},
    {"labels": _EXTENSION},
)


def _owner(kind: str, *, controller: bool = True) -> list[dict[str, Any]]:
    return [
        {"apiVersion": "example.com/v1", "kind": kind, "name": "edge", "controller": controller}
    ]


OWNED: Sequence[Marks] = (
    {"owners": _owner("ApiGateway"), "writers": [("operator", _UPDATE, "")]},
    {"owners": _owner("SealedSecret"), "labels": _CHART, "annotations": _RELEASE},
    {"owners": [*_owner("Note", controller=False), *_owner("ApiGateway")]},
    {"labels": {"reconcile.external-secrets.io/managed": "true"}},
)
LIKE_OWNED: Sequence[Marks] = (
    {"owners": [], "writers": _KUBECTL},
    {"labels": {"reconcile.external-secrets.io/managed": "false"}, "writers": _KUBECTL},
    {"labels": {"owner": "ApiGateway"}, "writers": _KUBECTL},
    {"annotations": {"sealedsecrets.bitnami.com/cluster-wide": "true"}, "writers": _KUBECTL},
)
