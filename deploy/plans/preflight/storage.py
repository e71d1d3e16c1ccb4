"""Whether the backup's volume can be bound, and mounted by every pod. Pure.

A disk with a file system is mounted by one node alone; a claim that asks for more stays pending. Only
drivers that make nothing else count, looked up 2026-11-29: those of Azure, AWS and Google by the table of
access modes in Kubernetes' documentation ("Persistent Volumes"), DigitalOcean's by issue 136 of its
repository, Linode's by its refusal of MULTI_NODE_MULTI_WRITER. Others, such as local-path, can do both.
"""

from collections.abc import Iterator, Sequence

from deploy.kube.objects import Manifest
from deploy.plans.preflight.outlook import Outlook, Wanted
from deploy.plans.preflight.references import references_of
from deploy.rules.finding import Finding
from deploy.rules.reading import at, mapping, text

_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_BLOCK = frozenset(
    {
        *("disk.csi.azure.com", "kubernetes.io/azure-disk"),
        *("ebs.csi.aws.com", "ebs.csi.eks.amazonaws.com", "kubernetes.io/aws-ebs"),
        *("pd.csi.storage.gke.io", "kubernetes.io/gce-pd"),
        *("dobs.csi.digitalocean.com", "linodebs.csi.linode.com"),
    }
)
_SHARED = frozenset(
    {
        *("file.csi.azure.com", "kubernetes.io/azure-file", "efs.csi.aws.com"),
        *("filestore.csi.storage.gke.io", "nfs.csi.k8s.io", "cephfs.csi.ceph.com"),
        *("rook-ceph.cephfs.csi.ceph.com", "openshift-storage.cephfs.csi.ceph.com"),
    }
)
_RECREATES = "recreates-pods"
_WHERE = "azurefile-csi on AKS, one of EFS on EKS, standard-rwx on GKE"


def storage_findings(
    wanted: Wanted, outlook: Outlook, claim: Manifest | None, *, new: bool
) -> Iterator[Finding]:
    """`claim` is one that the pods mount, which the plan makes where it is `new`."""
    if claim is None:
        return
    said = at(claim, "spec", "accessModes")
    modes = {str(mode) for mode in said} if isinstance(said, list) else set()
    if "ReadWriteMany" not in modes:
        yield from _of_one_node(wanted, outlook, claim, modes, new=new)
    if new and outlook.classes is not None:
        yield from _of_class(claim, modes, outlook.classes)


def _of_one_node(
    wanted: Wanted, outlook: Outlook, claim: Manifest, modes: set[str], *, new: bool
) -> Iterator[Finding]:
    # What a claim asks for cannot be changed later.
    shared = _shared(outlook.classes or ()) if new else ""
    files = {"backup": {"accessMode": "ReadWriteMany", "storageClass": shared}} if shared else None
    name, mode = claim["metadata"]["name"], ", ".join(sorted(modes)) or "ReadWriteOnce"
    if wanted.most > 1:
        yield Finding(
            "access-mode",
            # Where several pods have it already, they may well be on one node.
            "warning"
            if ("PersistentVolumeClaim", name) in references_of(wanted.pod_now)
            else "deny",
            f"Volume {name} is {mode}: pods on other nodes cannot mount it.",
            f"The gateway can have up to {wanted.most} pods; pods that cannot mount the volume "
            "never start.",
            f"Use a claim that is ReadWriteMany ({_WHERE}), or run one pod.",
            files,
        )
    elif wanted.rolls and wanted.gives_up_none:
        # The rule would deny the plan that this leads to.
        stops = _RECREATES not in outlook.denied
        yield Finding(
            "access-mode",
            "warning",
            f"Volume {name} is {mode}: a new pod on another node waits for the old one to stop.",
            "The old one stops only once the new one is ready.",
            "Set rollout.strategy to Recreate; nothing serves traffic between the old pod and "
            "the new one."
            if stops
            else (
                f"Use a claim that is ReadWriteMany ({_WHERE}), or have this environment "
                f"exempted from the rule {_RECREATES} and set rollout.strategy to Recreate."
            ),
            {"rollout": {"strategy": "Recreate"}} if stops else files,
        )


def _of_class(claim: Manifest, modes: set[str], classes: Sequence[Manifest]) -> Iterator[Finding]:
    asked, shared = at(claim, "spec", "storageClassName"), _shared(classes)
    if asked == "" or at(claim, "spec", "volumeName"):
        return
    patch = {"backup": {"storageClass": shared}} if shared else None
    offer = f"Set backup.storageClass to {shared}." if shared else ""
    known = ", ".join(sorted(item["metadata"]["name"] for item in classes)) or "none"
    files = f"Set backup.storageClass to a class for shared files ({_WHERE})."
    found = _named(classes, asked)
    if found is None:
        yield Finding(
            "storage-class",
            # A volume that somebody has made by hand needs no class, and may name one all the same.
            "warning",
            f"The cluster has no StorageClass {asked}."
            if asked
            else "The cluster has no default StorageClass.",
            "Unless a matching volume already exists, the claim and its pods stay pending. "
            f"Available classes: {known}.",
            # Of those that there are, the disks would be denied next.
            offer
            or (files if "ReadWriteMany" in modes else "Set backup.storageClass to one of them."),
            patch,
        )
    elif "ReadWriteMany" in modes and text(found.get("provisioner")) in _BLOCK:
        yield Finding(
            "storage-class",
            "deny",
            f"StorageClass {found['metadata']['name']} provides disks, which only one node can "
            "mount.",
            "A ReadWriteMany claim and its pods would stay pending.",
            offer or files,
            patch,
        )


def _named(classes: Sequence[Manifest], asked: object) -> Manifest | None:
    if asked is not None:
        return next((item for item in classes if item["metadata"]["name"] == asked), None)
    noted = (
        item
        for item in classes
        if mapping(item["metadata"].get("annotations")).get(_DEFAULT) == "true"
    )
    # Of several the newest is taken.
    return max(
        noted, key=lambda item: text(item["metadata"].get("creationTimestamp")), default=None
    )


def _shared(classes: Sequence[Manifest]) -> str:
    """A class of file storage: the plainest name, as the premium ones have more to it."""
    found = (c["metadata"]["name"] for c in classes if text(c.get("provisioner")) in _SHARED)
    return min(found, key=lambda name: (len(name), name), default="")
