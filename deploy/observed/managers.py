"""The managers of an object, read from its metadata alone. Pure.

What such a manager declares it writes again, so a change by anybody else is undone. Only what a
manager itself leaves behind makes it certain; what merely suggests one is said as “perhaps”. The
marks, all looked up 2026-11-29:

- Argo CD writes the annotation `argocd.argoproj.io/tracking-id`, and ignores one that names another
  object (argo-cd.readthedocs.io, "Resource Tracking", release 3.3). Its older label,
  `app.kubernetes.io/instance`, is a common one that charts write too, so it counts only beside a
  field manager of Argo CD's: `argocd-controller` (argoproj/argo-cd, common/common.go,
  ArgoCDSSAManager), before that `argocd-application-controller`.
- Flux writes the labels `kustomize.toolkit.fluxcd.io/name` and `…/namespace` as field manager
  `kustomize-controller`, and leaves an object alone that says `…/reconcile: disabled` or `…/ssa:
  Ignore` (fluxcd/kustomize-controller, docs/spec/v1/kustomizations.md). Its helm-controller adds
  `helm.toolkit.fluxcd.io/name` and `…/namespace` to what a chart renders (fluxcd/helm-controller,
  internal/postrender/origin_labels.go).
- Helm counts an object as a release's by the label `app.kubernetes.io/managed-by: Helm` together
  with the annotations `meta.helm.sh/release-name` and `…-namespace` (helm/helm,
  pkg/action/validate.go). Charts write the label themselves, also where something else applies what
  they render. Without an upgrade nothing repairs a release, and whoever has this bot adopt one is told
  to stop upgrading it, so its marks are no longer certain then.
- Azure Arc installs its extensions as Helm releases with the label
  `clusterconfig.azure.com/extension-version`, as seen on those of AKS. That the extension of API
  Management has it is not documented.
- External Secrets writes the label `reconcile.external-secrets.io/managed` (apis/externalsecrets,
  LabelManaged), the Secrets Store CSI driver `secrets-store.csi.k8s.io/managed` (its
  controllers, SecretManagedLabel); operators, and Sealed Secrets, an owner reference.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deploy.annotations import MANAGER
from deploy.kube.objects import Manifest

ARGO_CD, FLUX, HELM, AZURE_ARC = "Argo CD", "Flux", "Helm", "Azure Arc"

_ARGO_MANAGERS = ("argocd-controller", "argocd-application-controller")
_ARGO_PREFIX = "argocd.argoproj.io/"
_ARGO_LABELS = (f"{_ARGO_PREFIX}instance", "app.kubernetes.io/instance")
_TRACKING = re.compile(
    r"(?P<app>[^:]+):[^:/]*/(?P<kind>[^:]+):(?P<namespace>[^:/]*)/(?P<name>[^:]+)"
)
_KUSTOMIZE, _HELM_RELEASE = "kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io"
_RELEASE = "meta.helm.sh/release-name"
_RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
_MANAGED_BY = "app.kubernetes.io/managed-by"
_ARC = "clusterconfig.azure.com/extension-version"
_SYNCED = {
    "reconcile.external-secrets.io/managed": "External Secrets",
    "secrets-store.csi.k8s.io/managed": "Secrets Store CSI driver",
}
_DECLARED = ("f:spec", "f:data", "f:stringData", "f:binaryData")


@dataclass(frozen=True)
class Manager:
    """The manager of an object: the `tool`, and the object of that tool, as far as known.

    `tool` is empty where an owner reference tells, which then is `kind` and `name`. `paused` says
    that the object itself tells its manager to leave it alone.
    """

    tool: str
    kind: str = ""
    name: str = ""
    namespace: str = ""
    certain: bool = True
    paused: bool = False

    @property
    def is_helm(self) -> bool:
        """Whether it applies what a chart renders from values."""
        return self.tool in (HELM, AZURE_ARC) or self.kind == "HelmRelease"

    @property
    def undoes(self) -> bool:
        """Whether it is certain that it takes back what others change, now or with its next run."""
        return self.certain and not self.paused

    def __str__(self) -> str:
        where = "/".join(part for part in (self.namespace, self.name) if part)
        what = " ".join(part for part in (self.kind, where) if part)
        named = f"{self.tool} ({what})" if self.tool and what else self.tool or what
        return named if self.certain else f"perhaps {named}"


def manager_of(item: Manifest, *, adopted: bool = False) -> Manager | None:
    """The managers of a live object beside whoever asks; None where nothing suggests anybody.

    Where several marks are found the one counts that is certain, of several the one that stands
    above the others: what an operator or Argo CD applies may be what a chart rendered. Without
    managedFields, which a reader may have left out, labels and annotations are believed. `adopted` says
    that this bot has adopted the gateway.
    """
    found = [made for read in _READERS if (made := read(item)) is not None]
    if adopted:
        found = [replace(m, certain=False) if m.tool in (HELM, AZURE_ARC) else m for m in found]
    return next((each for each in found if each.certain), found[0] if found else None)


def _owner(item: Manifest) -> Manager | None:
    owners = item["metadata"].get("ownerReferences") or ()
    for owner in sorted(owners, key=lambda each: not each.get("controller")):
        certain = bool(owner.get("controller"))
        return Manager("", str(owner.get("kind", "")), str(owner.get("name", "")), certain=certain)
    return None


def _synced(item: Manifest) -> Manager | None:
    labels = _labels(item)
    for label, tool in _SYNCED.items():
        if labels.get(label) == "true":
            return Manager(tool)
    return None


def _argo_cd(item: Manifest) -> Manager | None:
    labels, annotations = _labels(item), _annotations(item)
    tracking = annotations.get(f"{_ARGO_PREFIX}tracking-id")
    if tracking is not None:
        application = _tracked_as(item, tracking)
        if application:
            return Manager(ARGO_CD, "application", application)
    label = next((labels[name] for name in _ARGO_LABELS if labels.get(name)), "")
    if set(_ARGO_MANAGERS) & (_writers(item) or set()):
        return Manager(ARGO_CD, "application" if label else "", label, certain=bool(label))
    hinted = (name for name in (*labels, *annotations) if name.startswith(_ARGO_PREFIX))
    # A tracking id of another object was copied with it, and Argo CD does not count that.
    if any(name != f"{_ARGO_PREFIX}tracking-id" for name in hinted):
        named = labels.get(_ARGO_LABELS[0], "")
        return Manager(ARGO_CD, "application" if named else "", named, certain=False)
    return None


def _tracked_as(item: Manifest, tracking: str) -> str:
    """The application that tracks the object; empty where the id is of another object."""
    said, metadata = _TRACKING.fullmatch(tracking), item["metadata"]
    if said is None:
        return ""
    same = (
        said["name"] == metadata["name"]
        and said["namespace"] in ("", metadata.get("namespace", ""))
        and said["kind"] == item.get("kind", said["kind"])
    )
    return said["app"] if same else ""


def _flux_release(item: Manifest) -> Manager | None:
    helm = _helm(item)
    released = helm is not None and helm.certain
    return _flux(item, _HELM_RELEASE, "HelmRelease", "helm-controller", confirmed=released)


def _flux_kustomization(item: Manifest) -> Manager | None:
    return _flux(item, _KUSTOMIZE, "Kustomization", "kustomize-controller")


def _flux(
    item: Manifest, group: str, kind: str, writer: str, *, confirmed: bool = False
) -> Manager | None:
    labels, annotations = _labels(item), _annotations(item)
    name, namespace = labels.get(f"{group}/name", ""), labels.get(f"{group}/namespace", "")
    writers = _writers(item)
    if not (name or namespace):
        return None
    wrote = writers is None or writer in writers or confirmed
    said = {**labels, **annotations}
    paused = (
        said.get(f"{group}/reconcile") == "disabled"
        or str(said.get(f"{group}/ssa", "")).lower() == "ignore"
    )
    return Manager(
        FLUX, kind, name, namespace, certain=bool(name and namespace and wrote), paused=paused
    )


def _azure_arc(item: Manifest) -> Manager | None:
    if _ARC not in _labels(item):
        return None
    helm = _helm(item)
    known = helm is not None and helm.certain
    name = helm.name if helm else ""
    return Manager(AZURE_ARC, "extension" if name else "", name, certain=known)


def _helm(item: Manifest) -> Manager | None:
    labels, annotations = _labels(item), _annotations(item)
    release = annotations.get(_RELEASE, "")
    namespace = annotations.get(_RELEASE_NAMESPACE, "")
    labelled = labels.get(_MANAGED_BY) == HELM
    if not (labelled or release or "helm.sh/chart" in labels or labels.get("heritage") == HELM):
        return None
    certain = labelled and bool(release) and not _copied(item)
    return Manager(HELM, "release" if release else "", release, namespace, certain=certain)


def _copied(item: Manifest) -> bool:
    """Whether nothing but a person or this bot wrote what the object is: it took the marks along."""
    writers = _writers(item)
    return bool(writers) and all(
        name == MANAGER or name.startswith("kubectl") for name in writers or ()
    )


def _writers(item: Manifest) -> set[str] | None:
    """The field managers of what the object declares; None where they were not read."""
    managed = item["metadata"].get("managedFields")
    if managed is None:
        return None
    return {
        str(entry.get("manager", ""))
        for entry in managed
        if not entry.get("subresource")
        and any(field in (entry.get("fieldsV1") or {}) for field in _DECLARED)
    }


def _labels(item: Manifest) -> Mapping[str, Any]:
    return item["metadata"].get("labels") or {}


def _annotations(item: Manifest) -> Mapping[str, Any]:
    return item["metadata"].get("annotations") or {}


_READERS = (_owner, _synced, _argo_cd, _flux_release, _flux_kustomization, _azure_arc, _helm)
