"""Rules on the image: what its tag promises, and what is known of its version."""

from deploy.commands import Command
from deploy.images.support import MENDED, newest_patch
from deploy.rules.reading import at, text
from deploy.rules.rule import IMAGES, MIGRATION, OVERVIEW, SUPPORT, Rule, issue
from deploy.rules.view import GatewayView

_DIGEST = Command("tags", options="--digest TAG")


def _state(view: GatewayView) -> str:
    return view.support.state if view.support else ""


def _is_retired(view: GatewayView) -> bool:
    return view.older_than(2) or view.tag in ("v0", "v1")


def _is_unknown(view: GatewayView) -> bool:
    named = view.version is not None or _state(view) == "unknown"
    listed = view.facts.listed
    return named and not view.digest and bool(listed) and view.tag not in listed


def _is_missing(view: GatewayView) -> bool:
    return view.facts.stock is not None and view.facts.stock.pullable is False


def _is_another(view: GatewayView) -> bool:
    stock = view.facts.stock
    return stock is not None and stock.pinned_alike is False and not _is_missing(view)


def _vulnerability(view: GatewayView) -> str:
    mended = MENDED.get(view.version) if view.version else None
    return mended.what if mended else ""


def _patch(view: GatewayView) -> str:
    return view.support.patch if view.support else ""


def _vulnerable_line(view: GatewayView) -> str:
    return f"{_vulnerability(view)}; the newest is {_newest(view)}."


def _newest(view: GatewayView) -> str:
    found = newest_patch(view.version, view.facts.tags) if view.version else ()
    return ".".join(map(str, found))


def _is_always_pulled(view: GatewayView) -> bool:
    policy = text(view.container.get("imagePullPolicy"))
    return _state(view) in ("rolling", "preview") and (
        policy == "Always" or (not policy and view.tag in ("", "latest"))
    )


def _asks_for_arm(view: GatewayView) -> bool:
    return text(at(view.pod, "nodeSelector", "kubernetes.io/arch")).startswith("arm")


def _writes_json(view: GatewayView) -> bool:
    return view.settings.get("telemetry.logs.std", "").lower() == "json"


VERSIONS: tuple[Rule, ...] = (
    Rule(
        "floating-tag",
        "warning",
        "warning",
        lambda view: _state(view) == "rolling",
        "This tag moves: pods may run different versions, and a restart may upgrade them.",
        "Microsoft recommends only a full version, x.y.z, for production.",
        "Choose a full version.",
        OVERVIEW,
    ),
    Rule(
        "floating-tag-pulled",
        "info",
        "warning",
        _is_always_pulled,
        "Every new pod pulls whatever the tag means at that moment.",
        "With imagePullPolicy Always the kubelet resolves the tag each time a container starts; "
        "it is the default for “latest”.",
        "Choose a full version.",
        IMAGES,
    ),
    Rule(
        "preview-tag",
        "warning",
        "deny",
        lambda view: _state(view) == "preview",
        "This is a preview.",
        "Microsoft does not support beta and preview images.",
        "Choose a full version.",
        SUPPORT,
    ),
    Rule(
        "retired-image",
        "warning",
        "deny",
        _is_retired,
        "This image is of version 0 or 1.",
        "Those versions, and the service that configured them, ended on 2023-10-01.",
        "Choose a version 2.",
        MIGRATION,
    ),
    Rule(
        "unsupported-tag",
        "warning",
        "warning",
        lambda view: _state(view) == "unsupported" and not _is_retired(view),
        "This version is no longer supported.",
        "Microsoft supports the last major version's three newest minor versions.",
        "Choose a newer version.",
        SUPPORT,
    ),
    Rule(
        "unknown-tag",
        "info",
        "warning",
        _is_unknown,
        "The registry lists no such tag.",
        "A node that does not have the image yet cannot start a pod.",
        "Choose a tag that the registry has.",
        IMAGES,
    ),
    Rule(
        "unknown-digest",
        "info",
        "warning",
        _is_missing,
        "The registry has no image of this digest.",
        "A node that does not have the image yet cannot start a pod, whatever its tag.",
        f"Choose a digest that the registry has; {_DIGEST} names that of a tag.",
        IMAGES,
    ),
    Rule(
        "digest-of-another",
        "info",
        "warning",
        _is_another,
        "The registry has a different image under this tag than the digest pins.",
        "The digest decides what runs. Findings about the version are based on the tag.",
        f"Pin the tag's own digest ({_DIGEST} shows it), or correct the tag.",
        IMAGES,
    ),
    Rule(
        "pinned-without-version",
        "info",
        "info",
        lambda view: bool(view.digest) and view.support is None and not _is_retired(view),
        "A digest pins the image, and no tag says which version that is.",
        "The bot cannot check whether it is supported or has known issues.",
        "Write the full version before the digest, such as 2.11.1@sha256:….",
        OVERVIEW,
    ),
    Rule(
        "support-unknown",
        "info",
        "info",
        lambda view: _state(view) == "unknown" and not _is_retired(view) and not _is_unknown(view),
        "It is currently unknown whether this version is still supported.",
        "The registry's tags tell which versions are supported. They do not list this one, or could not "
        "be read.",
        "Choose a version that the registry lists, or ask again once it answers.",
        SUPPORT,
    ),
    Rule(
        "vulnerable-image",
        "warning",
        "warning",
        lambda view: bool(_vulnerability(view)),
        "This version has a vulnerability that its next patch fixed.",
        "Microsoft releases a patch for vulnerabilities of the image and of .NET in it.",
        "Choose the newest patch of this minor version:",
        issue(417),
        line=_vulnerable_line,
    ),
    Rule(
        "superseded-patch",
        "info",
        "warning",
        lambda view: bool(_patch(view)) and not _vulnerability(view),
        "A newer patch of this version replaces it.",
        "Patches bring fixes and security updates; Microsoft supports a minor version "
        "through its newest patch.",
        "Choose the newest patch of this minor version:",
        SUPPORT,
        line=lambda view: f"{_patch(view)}.",
    ),
    Rule(
        "memory-growth",
        "info",
        "info",
        lambda view: (view.version or (0, 0, 0))[:2] == (2, 11),
        "Memory use that grows over time is reported for 2.11.",
        "The report, issue 401 of the gateway's repository, is open.",
        "Watch the pods' memory, and keep a memory limit.",
        issue(401),
    ),
    Rule(
        "memory-doubled",
        "info",
        "warning",
        lambda view: view.version == (2, 7, 1),
        "Version 2.7.1 needs twice as much memory as 2.6.0.",
        "Issue 310 of the gateway's repository says so; it was fixed in 2.8.0.",
        "Choose 2.8.0 or newer.",
        issue(310),
    ),
    Rule(
        "backup-restart-loop",
        "warning",
        "warning",
        lambda view: view.has_backup and (view.version or (0, 0, 0))[:2] == (2, 12),
        "With 2.12 pods may not start from the configuration backup.",
        "Issue 418 of the gateway's repository reports 503 and endless restarts; it is "
        "closed, but names no version that fixes it.",
        "Try a restart without network first, or choose 2.11.",
        issue(418),
    ),
    Rule(
        "json-logs-broken",
        "info",
        "warning",
        _writes_json,
        "Not every line of the container's JSON logs is valid JSON.",
        "Records are interleaved under load (issues 278, 384 and 386 of the gateway's "
        "repository); 386 is open, so no version is known to be without it.",
        "Choose logs.format text where a collector drops such lines.",
        issue(386),
        {"logs": {"format": "text"}},
    ),
    Rule(
        "text-log-times",
        "info",
        "info",
        lambda view: (
            view.settings.get("telemetry.logs.std", "text").lower() == "text"
            and view.older_than(2, 11, 0)
        ),
        "This version's text logs use a 12-hour clock without AM or PM, and days "
        "without a leading zero.",
        "Version 2.11.0 corrected it (issues 358 and 368 of the gateway's repository).",
        "Choose 2.11.0 or newer, or have collectors use the timestamps that Kubernetes adds.",
        issue(368),
    ),
    Rule(
        "no-arm-image",
        "warning",
        "deny",
        _asks_for_arm,
        "The pods require ARM64 nodes, but the gateway has no ARM64 image.",
        "Its image is for amd64 only (issue 192 of the gateway's repository, open on 2026-11-28).",
        "Set placement.nodeSelector to kubernetes.io/arch: amd64.",
        issue(192),
    ),
)
