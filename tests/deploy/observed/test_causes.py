"""Each cause by Kubernetes' own words, as control planes, kubelets and registries write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.observed.causes import Cause, cause_of, meaning_of, remedy_of

CREATE, SCHEDULER = "FailedCreate", "Unschedulable"
POD = 'pods "edge-1-5d847dd449-x" is forbidden: '
SAID = (
    (Cause.PAUSED, "Paused", "The Deployment is paused, so Kubernetes does not replace its pods."),
    (
        Cause.NAMESPACE_ENDS,
        CREATE,
        f"{POD}unable to create new content in namespace dev because it is being terminated",
    ),
    (
        Cause.NO_ACCOUNT,
        CREATE,
        f'{POD}error looking up service account dev/gw: serviceaccount "gw" not found',
    ),
    (Cause.NO_LIMITS, CREATE, f"{POD}failed quota: compute: must specify limits.cpu for: edge-1"),
    (
        Cause.QUOTA,
        CREATE,
        f"{POD}exceeded quota: compute, requested: requests.cpu=2, used: requests.cpu=7, limited: requests.cpu=8",
    ),
    (
        Cause.LIMIT_RANGE,
        CREATE,
        f"{POD}maximum memory usage per Container is 1Gi, but limit is 2Gi",
    ),
    (Cause.LIMIT_RANGE, CREATE, f"{POD}cpu max limit to request ratio per Container is 2, but 4"),
    (
        Cause.POD_SECURITY,
        CREATE,
        f'{POD}violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
    ),
    (
        Cause.SECURITY_CONSTRAINT,
        CREATE,
        f"{POD}unable to validate against any security context constraint: [provider restricted-v2]",
    ),
    (
        Cause.POLICY,
        CREATE,
        f"{POD}ValidatingAdmissionPolicy 'images' with binding 'images' denied request: registry",
    ),
    (Cause.WEBHOOK, CREATE, 'admission webhook "validate.kyverno.svc" denied the request: no'),
    (
        Cause.WEBHOOK_DOWN,
        CREATE,
        'Internal error occurred: failed calling webhook "x.example": Post "https://x": refused',
    ),
    (Cause.REFUSED, CREATE, "something that nobody has met"),
    (
        Cause.ARCHITECTURE,
        "ErrImagePull",
        "no match for platform in manifest: not found",
    ),
    (Cause.ARCHITECTURE, "CrashLoopBackOff", "exec /gateway: exec format error"),
    (
        Cause.PULL_SECRET,
        "ErrImagePull",
        "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized",
    ),
    (Cause.PULL_SECRET, "ImagePullBackOff", "pull access denied, repository does not exist"),
    (Cause.IMAGE, "ErrImagePull", "mcr.microsoft.com/azure-api-management/gateway:9.9: not found"),
    (Cause.IMAGE, "ImagePullBackOff", "manifest unknown"),
    (
        Cause.REGISTRY,
        "ImagePullBackOff",
        'Back-off pulling image "mcr.microsoft.com/x:1": ErrImagePull: failed to resolve reference: '
        "unexpected status from HEAD request: 503 Service Unavailable",
    ),
    (
        Cause.REGISTRY,
        "ErrImagePull",
        'failed to do request: Head "https://mcr.microsoft.com/v2/x/manifests/1": dial tcp: lookup '
        "mcr.microsoft.com: no such host",
    ),
    (Cause.REGISTRY, "ErrImagePull", "429 Too Many Requests - toomanyrequests: the rate limit"),
    (Cause.PULL, "ImagePullBackOff", 'Back-off pulling image "x"'),
    (Cause.MISSING_OBJECT, "CreateContainerConfigError", 'secret "edge-1-token" not found'),
    (
        Cause.MISSING_OBJECT,
        "FailedMount",
        'MountVolume.SetUp failed for volume "certs" : configmap "certs" not found',
    ),
    (
        Cause.MISSING_KEY,
        "CreateContainerConfigError",
        "couldn't find key value in Secret dev/edge-1-token",
    ),
    (Cause.MISSING_KEY, "FailedMount", "references non-existent secret key: tls.crt"),
    (
        Cause.ROOT,
        "CreateContainerConfigError",
        "container has runAsNonRoot and image will run as root",
    ),
    (
        Cause.ROOT,
        "CreateContainerConfigError",
        'container\'s runAsUser breaks non-root policy (pod: "edge-1_dev(u-1)", container: gateway)',
    ),
    (Cause.CONFIGURATION, "RunContainerError", "failed to create task for container"),
    (Cause.INIT, "CrashLoopBackOff", "Init container istio-init: CrashLoopBackOff: back-off 40s"),
    (Cause.MEMORY, "OOMKilled", "OOMKilled."),
    (
        Cause.CRASH,
        "CrashLoopBackOff",
        "CrashLoopBackOff: back-off 5m0s restarting failed container",
    ),
    (Cause.CRASH, "Error", "Error: exit code 134."),
    (Cause.ATTACHED, "FailedAttachVolume", 'Multi-Attach error for volume "pvc-1"'),
    (
        Cause.CLAIM,
        SCHEDULER,
        "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
    ),
    (Cause.CLAIM, SCHEDULER, '0/3 nodes are available: persistentvolumeclaim "b" not found.'),
    (
        Cause.ZONE,
        SCHEDULER,
        "0/3 nodes are available: 3 node(s) had volume node affinity conflict.",
    ),
    (Cause.RESOURCES, SCHEDULER, "0/3 nodes are available: 3 Insufficient cpu."),
    (
        Cause.RESOURCES,
        SCHEDULER,
        "0/3 nodes are available: 1 Too many pods, 2 node(s) had untolerated taint {a: b}.",
    ),
    (
        Cause.TAINT,
        SCHEDULER,
        "0/3 nodes are available: 3 node(s) had untolerated taint {gpu: true}.",
    ),
    (
        Cause.NODES,
        SCHEDULER,
        "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
    ),
    (
        Cause.NODES,
        SCHEDULER,
        "0/4 nodes are available: 1 node(s) had untolerated taint(s), "
        "3 node(s) didn't match Pod's node affinity/selector.",
    ),
    (
        Cause.NODES,
        SCHEDULER,
        "0/2 nodes are available: 2 node(s) didn't match pod topology spread constraints.",
    ),
    (Cause.SCHEDULING, SCHEDULER, "0/2 nodes are available."),
    (Cause.OTHER, "Evicted", "The node was low on resource: memory."),
    (Cause.OTHER, "", ""),
)


@pytest.mark.parametrize(("cause", "reason", "said"), SAID)
def test_kubernetes_own_words_tell_the_cause(cause: Cause, reason: str, said: str) -> None:
    assert cause_of(reason, said) is cause


def test_every_cause_has_a_case_a_sentence_and_a_remedy_of_its_own() -> None:
    told = set(Cause) - {Cause.TOKEN_REFUSED, Cause.OTHER}
    assert {cause for cause, _, _ in SAID} - {Cause.OTHER} == told
    assert len({meaning_of(cause) for cause in told}) == len(told)
    assert all(meaning_of(cause).endswith(".") and remedy_of(cause) for cause in told)


@given(st.text(max_size=30), st.text(max_size=300))
def test_whatever_is_said_has_a_cause(reason: str, said: str) -> None:
    assert cause_of(reason, said) in Cause
