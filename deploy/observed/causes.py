"""Why pods do not come up: told by Kubernetes' own reasons and messages, never by ours. Pure.

Each line of the table is one cause: how Kubernetes words it, what it means, and what to do. The
messages are those of Kubernetes 1.36 and of containerd, of OpenShift for its security constraints.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from deploy.commands import Command


class Cause(StrEnum):
    """What made a rollout fail. The values are names of steps, found in stored actions.

    `OTHER` is what nothing tells, and what was recorded before causes were.
    """

    TOKEN_REFUSED = "roll back: token refused"
    PAUSED = "roll back: paused"
    NAMESPACE_ENDS = "roll back: namespace ends"
    NO_ACCOUNT = "roll back: service account"
    NO_LIMITS = "roll back: limits missing"
    QUOTA = "roll back: quota"
    LIMIT_RANGE = "roll back: limit range"
    POD_SECURITY = "roll back: pod security"
    SECURITY_CONSTRAINT = "roll back: security context constraint"
    POLICY = "roll back: admission policy"
    WEBHOOK_DOWN = "roll back: webhook down"
    WEBHOOK = "roll back: webhook"
    ARCHITECTURE = "roll back: architecture"
    PULL_SECRET = "roll back: pull secret"
    IMAGE = "roll back: image"
    REGISTRY = "roll back: registry"
    PULL = "roll back: pull"
    MISSING_KEY = "roll back: missing key"
    MISSING_OBJECT = "roll back: missing object"
    ROOT = "roll back: root"
    CONFIGURATION = "roll back: configuration"
    INIT = "roll back: init container"
    MEMORY = "roll back: memory"
    CRASH = "roll back: crash"
    ATTACHED = "roll back: attached elsewhere"
    CLAIM = "roll back: claim"
    ZONE = "roll back: zone of the volume"
    RESOURCES = "roll back: resources"
    TAINT = "roll back: taint"
    NODES = "roll back: node selector"
    SCHEDULING = "roll back: scheduling"
    REFUSED = "roll back: refused"
    OTHER = "roll back"


OF_VERSION = frozenset(
    {
        Cause.ARCHITECTURE,
        Cause.PULL_SECRET,
        Cause.IMAGE,
        Cause.PULL,
        Cause.ROOT,
        Cause.CONFIGURATION,
        Cause.INIT,
        Cause.MEMORY,
        Cause.CRASH,
    }
)
"""Causes that an earlier version may be without: they are in its image or its settings."""


@dataclass(frozen=True)
class _Line:
    """`words` are looked for in what Kubernetes says; `reasons`, where given, are the only ones
    under which it says so. With no words the reason alone tells."""

    cause: Cause
    words: str
    means: str
    remedy: str
    reasons: tuple[str, ...] = ()


_PULL = ("ErrImagePull", "ImagePullBackOff", "Failed")
_START = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_SCHEDULER = ("Unschedulable", "FailedScheduling")
_CRASHES = ("CrashLoopBackOff", "ContainerCannotRun", "Error", "StartError")

_TABLE: tuple[_Line, ...] = (
    _Line(
        Cause.PAUSED,
        "",
        "The Deployment is paused, so Kubernetes does not replace its pods.",
        "Run `kubectl rollout resume`, or ask whoever paused it, then deploy again.",
        ("Paused",),
    ),
    _Line(
        Cause.NAMESPACE_ENDS,
        r"because it is being terminated",
        "The namespace is being deleted.",
        "Deploy to another namespace, or wait until this one has been created again.",
    ),
    _Line(
        Cause.NO_ACCOUNT,
        r"error looking up service account",
        "The pods' service account does not exist.",
        "Create it, or set another one in the spec, then deploy again.",
    ),
    _Line(
        Cause.NO_LIMITS,
        r"failed quota: .*must specify",
        "The namespace's quota requires a value that the pods do not set.",
        "Set the field that Kubernetes names, for example resources.limits.cpu, then deploy again.",
    ),
    _Line(
        Cause.QUOTA,
        r"exceeded quota",
        "The namespace's quota is used up.",
        "Request less, or have the quota raised, then deploy again.",
    ),
    _Line(
        Cause.LIMIT_RANGE,
        r"(maximum|minimum) \S+ usage per (Container|Pod)|max limit to request ratio",
        "A LimitRange of the namespace does not allow these resources.",
        "Set resources within the range that Kubernetes names, then deploy again.",
    ),
    _Line(
        Cause.POD_SECURITY,
        r"violates PodSecurity",
        "The namespace's Pod Security level forbids these pods.",
        "Under `security` in the spec, change the fields that Kubernetes names, or have the namespace's "
        "level changed.",
    ),
    _Line(
        Cause.SECURITY_CONSTRAINT,
        r"against any security context constraint",
        "No security context constraint of OpenShift allows these pods.",
        "Have one granted to their service account, or set security.runAsUser and "
        "security.fsGroup to none so that OpenShift chooses them.",
    ),
    _Line(
        Cause.POLICY,
        r"ValidatingAdmissionPolicy '",
        "An admission policy of the cluster forbids these pods.",
        "Change the spec as the policy requires, or ask its owner for an exception.",
    ),
    _Line(
        Cause.WEBHOOK_DOWN,
        r"failed calling webhook",
        "An admission webhook of the cluster does not answer, so nothing can be created.",
        "Have the webhook repaired, then deploy again. The gateway is not the cause.",
    ),
    _Line(
        Cause.WEBHOOK,
        r"admission webhook \S+ denied the request",
        "An admission webhook of the cluster forbids these pods.",
        "Change the spec as the webhook requires, or ask its owner for an exception.",
    ),
    _Line(
        Cause.ARCHITECTURE,
        r"no match(ing manifest)? for (linux|platform|windows)|exec format error",
        "The image is not built for the node's processor architecture.",
        "Set placement.nodeSelector to kubernetes.io/arch: amd64, then deploy again.",
    ),
    _Line(
        Cause.PULL_SECRET,
        r"pull access denied|authentication required|authorization failed|unauthorized|"
        r"40[13] (Unauthorized|Forbidden)",
        "The registry rejects the nodes' credentials for the image.",
        "Set image.pullSecrets to a Secret with access to it, or renew the current one, then "
        "deploy again.",
        _PULL,
    ),
    _Line(
        Cause.IMAGE,
        r"not found|manifest unknown|does not exist|name unknown",
        "The registry does not have this image.",
        "Deploy a tag that exists: `/gateway tags` lists them.",
        _PULL,
    ),
    _Line(
        Cause.REGISTRY,
        r"\b5\d\d (Internal Server Error|Bad Gateway|Service Unavailable|Gateway Timeout)|429 Too Many|"
        r"toomanyrequests|failed to do request|no such host|i/o timeout|connection refused|"
        r"TLS handshake timeout|deadline exceeded",
        "The image's registry cannot be used now.",
        "Nothing yet: Kubernetes keeps trying until the registry works. If that takes long, check its "
        "status, and DNS, proxy and firewall between the nodes and it.",
        _PULL,
    ),
    _Line(
        Cause.PULL,
        "",
        "The image cannot be pulled.",
        "Check that the tag exists and that the nodes can reach the registry and are allowed to pull "
        "from it. Wait, or deploy a tag that works.",
        ("ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff", "InvalidImageName"),
    ),
    _Line(
        Cause.MISSING_KEY,
        r"(couldn't find key|references non-existent (secret|config) key)",
        "A Secret or ConfigMap lacks a key that the pods read.",
        "Add the key, then deploy again.",
    ),
    _Line(
        Cause.MISSING_OBJECT,
        r"(secret|configmap) \S+ not found",
        "A Secret or ConfigMap that the pods read is missing.",
        f"Create it, then deploy again. {Command('rotate', '<gateway>')} creates a new token for "
        "the gateway.",
    ),
    _Line(
        Cause.ROOT,
        r"runAsNonRoot and image will run as root|non-numeric user|breaks non-root policy",
        "The pods must not run as root, and no numeric user is set.",
        "Set security.runAsUser to 1001, then deploy again.",
        _START,
    ),
    _Line(
        Cause.CONFIGURATION,
        "",
        "A container cannot be created from its pod's configuration.",
        "A Secret or ConfigMap that the pods read is missing or wrong. Deploy again to write it "
        "anew.",
        _START,
    ),
    _Line(
        Cause.INIT,
        r"^Init container ",
        "An init container does not finish, so the gateway cannot start.",
        "Check that container's log, and ask its owner to fix it.",
        (*_CRASHES, "OOMKilled"),
    ),
    _Line(
        Cause.MEMORY,
        "",
        "The container needs more memory than its limit.",
        "Raise resources.limits.memory, then deploy again.",
        ("OOMKilled",),
    ),
    _Line(
        Cause.CRASH,
        "",
        "A container exits soon after it starts.",
        "Check the pods' logs, then deploy a version that works or set more memory.",
        _CRASHES,
    ),
    _Line(
        Cause.ATTACHED,
        r"Multi-Attach error",
        "The volume is attached to another node, and only one node can attach it at a time.",
        "Set backup.storageClass to one with ReadWriteMany, or run one pod with "
        "rollout.strategy Recreate.",
    ),
    _Line(
        Cause.CLAIM,
        r"unbound immediate PersistentVolumeClaims|persistentvolumeclaim \S+ (not found|is being)",
        "A volume that the pods need does not exist yet.",
        "Check the claim with `kubectl describe pvc`: its storage class may be wrong or have no "
        "space left.",
    ),
    _Line(
        Cause.ZONE,
        r"volume node affinity conflict",
        "The volume is in a zone where no node can run the pod.",
        "Add a node in that zone, or set backup.storageClass to one whose volumes work in every "
        "zone.",
    ),
    _Line(
        Cause.RESOURCES,
        r"Insufficient [a-z0-9./-]+|Too many pods",
        "No node that the pods may run on has enough resources left.",
        "Request less CPU and memory or fewer replicas, or have nodes added.",
        _SCHEDULER,
    ),
    # The scheduler looks at the labels only of nodes whose taints are tolerated.
    _Line(
        Cause.NODES,
        r"didn't match Pod's node affinity/selector|didn't match pod (anti-)?affinity|"
        r"topology spread constraints",
        "No node whose taints the pods tolerate has the labels that they require.",
        "Change placement, or have nodes with those labels added.",
        _SCHEDULER,
    ),
    _Line(
        Cause.TAINT,
        r"untolerated taint",
        "Every suitable node has a taint that the pods do not tolerate.",
        "Add a toleration under placement.tolerations, or have untainted nodes added.",
        _SCHEDULER,
    ),
    _Line(
        Cause.SCHEDULING,
        "",
        "No node accepts the pod.",
        "Request less CPU and memory or fewer replicas, or have nodes added.",
        ("Unschedulable",),
    ),
    _Line(
        Cause.REFUSED,
        "",
        "Kubernetes refuses to create the pods.",
        "Change the field that Kubernetes names, then deploy again.",
        ("FailedCreate",),
    ),
)
_LONGEST = 5000
_REASON = re.compile(r"\b[A-Z][A-Za-z]+(?=: )")
_MEANS: Mapping[Cause, str] = {line.cause: line.means for line in _TABLE}
_REMEDIES: Mapping[Cause, str] = {line.cause: line.remedy for line in _TABLE}


def cause_of(reason: str, said: str) -> Cause:
    """The cause, by Kubernetes' reason and its words."""
    return next(
        (line.cause for line in _TABLE if _fits(line, reason, said[:_LONGEST])), Cause.OTHER
    )


def meaning_of(cause: Cause) -> str:
    """What it means, in a sentence; empty where nothing is known."""
    return _MEANS.get(cause, "")


def meaning_in(words: str) -> str:
    """What it means, where only Kubernetes' words are at hand, after its reason and perhaps the container's
    name; empty where nothing is known."""
    return meaning_of(cause_in(words))


def remedy_in(words: str) -> str:
    """What to do, in the same way."""
    return remedy_of(cause_in(words))


def cause_in(words: str) -> Cause:
    """The cause, in the same way."""
    causes = (cause_of(reason, words) for reason in _REASON.findall(words[:_LONGEST]))
    return next((each for each in causes if each is not Cause.OTHER), Cause.OTHER)


def remedy_of(cause: Cause) -> str:
    """What to do; empty where nothing is known."""
    return _REMEDIES.get(cause, "")


def _fits(line: _Line, reason: str, said: str) -> bool:
    if line.reasons and reason not in line.reasons:
        return False
    return bool(line.reasons) if not line.words else re.search(line.words, said) is not None
