"""Binds PersistentVolumeClaims to volumes made for them."""

from collections.abc import Iterable

from bot.sandbox.cluster.admission import CLAIM_PROTECTION
from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.controllers.events import Recorder
from bot.sandbox.cluster.decoding import Options
from bot.sandbox.cluster.deletion import delete
from bot.sandbox.cluster.kinds import CLAIM, POD, STORAGE_CLASS, VOLUME
from bot.sandbox.cluster.objects import (
    Obj,
    copy,
    get,
    is_terminating,
    name_of,
    namespace_of,
    uid_of,
)
from bot.sandbox.cluster.store import Change, Key

DISK = "disk.csi.azure.com"
"""Azure's driver for disks, which one node alone can mount."""
_ONE_NODE = (
    'failed to provision volume with StorageClass "{}": rpc error: code = InvalidArgument '
    "desc = Volume capability not supported"
)
_OPTIONS = Options(manager="kube-controller-manager")


class VolumeController:
    """Provisions at once what a StorageClass is there for, keeps claims that are in use, and removes
    released volumes."""

    name = "persistent-volume"

    def __init__(self, api: Api) -> None:
        self._api = api
        self._events = Recorder(api, "persistentvolume-controller")

    def keys(self, change: Change) -> Iterable[Key]:
        """The changed claim; those of a changed pod; every claim when a class changed."""
        if change.storage == CLAIM.storage:
            return [(namespace_of(change.obj), name_of(change.obj))]
        if change.storage == POD.storage:
            return [(namespace_of(change.obj), name) for name in _claims_of(change.obj)]
        return self.all_keys() if change.storage == STORAGE_CLASS.storage else []

    def all_keys(self) -> Iterable[Key]:
        """Every claim."""
        return [(namespace_of(c), name_of(c)) for c in self._api.store.all(CLAIM)]

    def reconcile(self, key: Key) -> float | None:
        """Bind one claim, or clean up after one that is gone."""
        claim = self._api.find(CLAIM, *key)
        if claim is None:
            for volume in self._api.store.all(VOLUME):
                reference = get(volume, "spec", "claimRef", default={})
                ours = (reference.get("namespace"), reference.get("name")) == key
                if ours and get(volume, "spec", "persistentVolumeReclaimPolicy") == "Delete":
                    delete(self._api, VOLUME, "", name_of(volume))
            return None
        if is_terminating(claim):
            self._release(claim)
            return None
        if get(claim, "status", "phase") == "Bound":
            return None
        class_name = get(claim, "spec", "storageClassName", default="")
        chosen = self._api.find(STORAGE_CLASS, "", class_name)
        if chosen is None:
            message = f'storageclass.storage.k8s.io "{class_name}" not found'
            if class_name:
                self._events.warning(claim, "ProvisioningFailed", message)
            return None
        if chosen.get("provisioner") == DISK and "ReadWriteMany" in claim["spec"]["accessModes"]:
            self._events.warning(claim, "ProvisioningFailed", _ONE_NODE.format(class_name))
            return None
        self._bind(claim, chosen)
        return None

    def _release(self, claim: Obj) -> None:
        # As in Kubernetes, a pod that is on no node uses nothing yet: no kubelet would start it then.
        used = any(
            name_of(claim) in _claims_of(pod)
            and get(pod, "spec", "nodeName")
            and get(pod, "status", "phase") not in ("Succeeded", "Failed")
            for pod in self._api.store.all(POD, namespace_of(claim))
        )
        finalizers = claim["metadata"].get("finalizers", [])
        if used or CLAIM_PROTECTION not in finalizers:
            return
        changed = copy(claim)
        changed["metadata"]["finalizers"] = [f for f in finalizers if f != CLAIM_PROTECTION]
        self._api.update(CLAIM, namespace_of(claim), name_of(claim), changed, _OPTIONS)

    def _bind(self, claim: Obj, chosen: Obj) -> None:
        name = f"pvc-{uid_of(claim)}"
        capacity = {"storage": claim["spec"]["resources"]["requests"]["storage"]}
        if self._api.find(VOLUME, "", name) is None:
            spec: Obj = {
                "accessModes": claim["spec"]["accessModes"],
                "capacity": capacity,
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": namespace_of(claim),
                    "name": name_of(claim),
                    "uid": uid_of(claim),
                },
                "hostPath": {"path": f"/var/lib/volumes/{name}"},
                "persistentVolumeReclaimPolicy": chosen.get("reclaimPolicy", "Delete"),
                "storageClassName": name_of(chosen),
            }
            volume = self._api.create(
                VOLUME, "", {"metadata": {"name": name}, "spec": spec}, _OPTIONS
            )
            bound = copy(volume)
            bound["status"] = {"phase": "Bound"}
            self._api.update_status(VOLUME, bound, "kube-controller-manager")
        changed = copy(claim)
        changed["spec"]["volumeName"] = name
        changed["metadata"].setdefault("annotations", {})["pv.kubernetes.io/bind-completed"] = "yes"
        written = copy(
            self._api.update(CLAIM, namespace_of(claim), name_of(claim), changed, _OPTIONS)
        )
        written["status"] = {
            "phase": "Bound",
            "accessModes": claim["spec"]["accessModes"],
            "capacity": capacity,
        }
        self._api.update_status(CLAIM, written, "kube-controller-manager")
        self._events.normal(
            claim, "ProvisioningSucceeded", f"Successfully provisioned volume {name}"
        )


def _claims_of(pod: Obj) -> list[str]:
    volumes = get(pod, "spec", "volumes", default=[])
    return [name for v in volumes if (name := get(v, "persistentVolumeClaim", "claimName"))]
