"""Rules on the gateway's settings: where its configuration is, how it signs in, what it logs."""

import re

from deploy.clouds import PUBLIC, cloud_of, clouds_of
from deploy.rules.reading import at, mapping, mappings, text, whole
from deploy.rules.rule import (
    ENTRA,
    MIGRATION,
    PRODUCTION,
    SECRETS,
    SETTINGS,
    TOKEN,
    WORKLOAD_IDENTITY,
    Rule,
)
from deploy.rules.view import AUTH, GatewayView
from deploy.tokens.token import Token

_ENDPOINT = "config.service.endpoint"
_CLIENT_SECRET = "config.service.auth.azureAd.clientSecret"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY")
_PASSWORD = re.compile(r"://[^/@\s:]*:[^/@\s]+@")
_HOST = re.compile(
    r"(https://)?(?!-)[a-z0-9-]{1,63}(\.(?!-)[a-z0-9-]{1,63}){0,9}\.?(:[0-9]{1,5})?/?"
)
_AUDIENCE = "config.service.auth.tokenAudience"
_ENTRA_AUTHORITY = "config.service.auth.azureAd.authority"
_GROUP = 1001
_AUTHORITY_USERS = (0, 1001)
_LONGEST_DAYS = 30


def _endpoint(view: GatewayView) -> str:
    return view.settings.get(_ENDPOINT, "").lower()


def _is_wrong(view: GatewayView) -> bool:
    """Whether an endpoint has no host, or more than one; the retired one is told apart."""
    endpoint = _endpoint(view).strip()
    if not endpoint or _is_retired(view):
        return False
    return _HOST.fullmatch(endpoint) is None


def _is_retired(view: GatewayView) -> bool:
    return is_retired(_endpoint(view))


def is_retired(endpoint: str) -> bool:
    """Whether it is one of the first configuration service, which ended on 2023-10-01."""
    return ".management." in endpoint.lower() or "/subscriptions/" in endpoint.lower()


def _asks_another_cloud(view: GatewayView) -> bool:
    """Whether it signs in to another cloud than that of its endpoint, explicitly or by default."""
    home = cloud_of(_endpoint(view))
    if not view.auth or home is None:
        return False
    asked = [PUBLIC.audience if view.lacks(_AUDIENCE) else view.settings.get(_AUDIENCE, "")]
    if view.auth == "azureadapp":
        own = view.settings.get(_ENTRA_AUTHORITY, "")
        asked.append(PUBLIC.authority if view.lacks(_ENTRA_AUTHORITY) else own)
    return any(cloud is not home for cloud in clouds_of(asked))


def _lacks_socket(view: GatewayView) -> bool:
    if view.settings.get("telemetry.logs.local", "").lower() != "localsyslog":
        return False
    path = view.settings.get("telemetry.logs.local.localsyslog.endpoint", "")
    names = {
        mount.get("name")
        for mount in mappings(view.container.get("volumeMounts"))
        if path.startswith(text(mount.get("mountPath")) or "/")
    }
    return not any(
        volume.get("name") in names and "hostPath" in volume
        for volume in mappings(view.pod.get("volumes"))
    )


def _holds_credential(view: GatewayView) -> bool:
    return bool(view.settings.get(_CLIENT_SECRET)) or any(
        (name.startswith(AUTH) and _is_token(value))
        or (name in _PROXIES and _PASSWORD.search(value) is not None)
        for name, value in view.settings.items()
    )


def _is_token(value: str) -> bool:
    return value.startswith("GatewayKey ") or Token.parse(value) is not None


def _backup_is_not_owned(view: GatewayView) -> bool:
    groups = (at(view.pod, "securityContext", "fsGroup"), view.security.get("runAsGroup"))
    return view.has_backup and _GROUP not in groups


def _cannot_trust(view: GatewayView) -> bool:
    user = whole(view.security.get("runAsUser"))
    return (
        view.is_on("certificates.local.ca.enabled")
        and user is not None
        and user not in _AUTHORITY_USERS
    )


def _identity_is_not_injected(view: GatewayView) -> bool:
    labels = mapping(at(view.deployment, "spec", "template", "metadata", "labels"))
    return view.auth == "workloadidentity" and labels.get("azure.workload.identity/use") != "true"


def _level(view: GatewayView) -> str:
    return view.settings.get("telemetry.logs.std.level", "").lower()


CONFIGURATION: tuple[Rule, ...] = (
    Rule(
        "no-backup",
        "info",
        "warning",
        lambda view: not view.has_backup,
        "No configuration backup is set up. Running pods are not affected, but a pod that restarts "
        "while Azure is unreachable cannot start.",
        "Without Azure a gateway starts only with its last configuration, from a volume at "
        "/apim/config.",
        "Set backup.size and a backup.storageClass for shared files, or set backup.existingClaim.",
        PRODUCTION,
    ),
    Rule(
        "backup-group",
        "warning",
        "warning",
        _backup_is_not_owned,
        "The gateway may not be able to write its configuration backup.",
        "Microsoft says that /apim/config must be owned by group 1001.",
        "Set security.fsGroup to 1001.",
        PRODUCTION,
        {"security": {"fsGroup": 1001}},
    ),
    Rule(
        "no-endpoint",
        "warning",
        "deny",
        lambda view: view.lacks(_ENDPOINT),
        "Nothing tells the gateway where its configuration is.",
        "config.service.endpoint is required.",
        "Set config.service.endpoint to <service>.configuration.azure-api.net.",
        SETTINGS,
    ),
    Rule(
        "retired-endpoint",
        "warning",
        "deny",
        _is_retired,
        "The endpoint belongs to version 1 of the configuration service, which is retired.",
        "Microsoft retired it on 2023-10-01; version 2 uses <service>.configuration.azure-api.net.",
        "Set config.service.endpoint to <service>.configuration.azure-api.net.",
        MIGRATION,
    ),
    Rule(
        "wrong-endpoint",
        "warning",
        "deny",
        _is_wrong,
        "The endpoint is not the name of a host.",
        "config.service.endpoint takes a host, without a path.",
        "Set config.service.endpoint to <service>.configuration.azure-api.net.",
        SETTINGS,
    ),
    Rule(
        "certificate-unchecked",
        "warning",
        "deny",
        lambda view: (
            not view.uses_token
            and view.is_on("config.service.endpoint.disableCertificateValidation")
        ),
        "The gateway does not verify the certificate of its configuration endpoint.",
        "Microsoft says that turning this check off is for tests only.",
        "Remove config.service.endpoint.disableCertificateValidation.",
        SETTINGS,
    ),
    Rule(
        "plain-credential",
        "warning",
        "deny",
        _holds_credential,
        "A token, client secret or password is in plain text in the Deployment or ConfigMap.",
        "Everybody who may read those can use it; Kubernetes keeps such values in Secrets.",
        "Move it to a Secret and make a new one.",
        SECRETS,
    ),
    Rule(
        "token-lifetime",
        "deny",
        "deny",
        lambda view: (view.facts.token_days or 0) > _LONGEST_DAYS,
        "The requested token lifetime is more than 30 days.",
        "Azure gives a gateway token 30 days at most.",
        "Ask for 30 days or less, or sign in with workload identity.",
        TOKEN,
    ),
    Rule(
        "entra-version",
        "warning",
        "deny",
        lambda view: view.auth == "azureadapp" and view.older_than(2, 3, 0),
        "This version cannot sign in to Entra ID.",
        "The settings for it came with 2.3.",
        "Choose 2.3.0 or newer.",
        SETTINGS,
    ),
    Rule(
        "workload-identity-version",
        "warning",
        "deny",
        lambda view: view.auth == "workloadidentity" and view.older_than(2, 11, 0),
        "This version cannot sign in with workload identity.",
        "It came with 2.11.0.",
        "Choose 2.11.0 or newer.",
        WORKLOAD_IDENTITY,
    ),
    Rule(
        "workload-identity-label",
        "warning",
        "warning",
        _identity_is_not_injected,
        "The pods do not get the workload identity that they sign in with.",
        "Workload identity requires the label azure.workload.identity/use: “true” on the pods.",
        "Add the label; a deployment by this bot does.",
        WORKLOAD_IDENTITY,
    ),
    Rule(
        "entra-gateway-name",
        "warning",
        "warning",
        lambda view: bool(view.auth) and view.lacks("gateway.name"),
        "The gateway signs in to Entra ID, but does not say which gateway it is.",
        "gateway.name is required with Entra ID.",
        "Set gateway.name; a deployment by this bot does.",
        ENTRA,
    ),
    Rule(
        "sovereign-audience",
        "warning",
        "deny",
        _asks_another_cloud,
        "The gateway asks Entra ID of another cloud for its token.",
        "config.service.auth.tokenAudience defaults to https://azure-api.net/configuration. China uses "
        "https://azure-api.cn/configuration, and the US Government "
        "https://azure-api.us/configuration. An app's authority has to be of the same cloud.",
        "Set auth.tokenAudience and, for an app, auth.authority to those of its cloud. A deployment "
        "by this bot does where azure.cloud is set.",
        SETTINGS,
    ),
    Rule(
        "ca-user",
        "warning",
        "warning",
        _cannot_trust,
        "The container runs as a user that cannot install certificate authorities.",
        "Microsoft says that certificates.local.ca.enabled needs root or user 1001.",
        "Set security.runAsUser to 1001.",
        SETTINGS,
        {"security": {"runAsUser": 1001}},
    ),
    Rule(
        "verbose-logs",
        "info",
        "warning",
        lambda view: _level(view) in ("debug", "all"),
        "The log level is meant for finding faults.",
        "Microsoft advises lowering the level for performance; the default is info.",
        "Set logs.level to info, or to warn under load.",
        PRODUCTION,
        {"logs": {"level": "info"}},
    ),
    Rule(
        "syslog-socket",
        "info",
        "warning",
        _lacks_socket,
        "Logs go to a syslog socket that the pods do not have.",
        "With telemetry.logs.local localsyslog the gateway writes to a socket of its node, which "
        "must be mounted.",
        "Mount it with a hostPath volume, or set logs.local.type to rfc5424.",
        SETTINGS,
    ),
    Rule(
        "ingress-controller",
        "info",
        "warning",
        lambda view: view.is_on("k8s.ingress.enabled"),
        "The gateway acts as an ingress controller, which is experimental.",
        "Azure's support does not cover it; it also needs the token of its service account, "
        "which this bot's deployments do not mount.",
        "Set k8s.ingress.enabled to false, and put an ingress controller before the gateway.",
        SETTINGS,
    ),
    Rule(
        "no-logs",
        "info",
        "warning",
        lambda view: view.settings.get("telemetry.logs.std", "").lower() == "none",
        "The container writes no logs.",
        "With telemetry.logs.std none, kubectl logs shows nothing, and the bot cannot detect a lost "
        "link to Azure.",
        "Set logs.format to text or json.",
        SETTINGS,
        {"logs": {"format": "text"}},
    ),
)
