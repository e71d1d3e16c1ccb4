"""For every rule, edits of a good bundle that trip it and edits that come close but do not."""

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


SHORT = {"httpGet": {"path": "/s", "port": 8080}}
PATIENT = {**SHORT, "periodSeconds": 10, "failureThreshold": 10}
TOKEN = "GatewayKey edge-1&202612312359&c2lnbmF0dXJlLW9mLWEtdG9rZW4="
ENDPOINT = "config.service.endpoint"
V1_URL = "https://c.management.azure-api.net/subscriptions/s?api-version=2019-12-01"
WORKLOAD = env("config.service.auth", "workloadIdentity")
ENTRA = env("config.service.auth", "azureAdApp")
UNCHECKED = f"{ENDPOINT}.disableCertificateValidation"
UNCHECKED_CALLS = setting(UNCHECKED, "true")
MICROSOFT = "mcr.microsoft.com/azure-api-management/gateway"
_SETTINGS: dict[str, Any] = {
    "instance": "contoso",
    "endpoints": ("contoso.configuration.azure-api.net", "eu.example"),
    "repositories": (MICROSOFT, "registry.example/gw"),
}
KNOWN = facts(**_SETTINGS)
MINTS = facts(**_SETTINGS, token_days=29)
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


TRIPS: tuple[tuple[str, str, Edit], ...] = (
    ("default-namespace", "the namespace is default", namespace("default")),
    ("single-replica", "there is one pod", deployment(replicas=1)),
    ("single-replica", "replicas are left to Kubernetes", deployment(replicas=None)),
    ("few-replicas", "there are two pods", deployment(replicas=2)),
    ("autoscaler-minimum", "the autoscaler may go to two", autoscaler(2, 9)),
    ("autoscaler-minimum", "its minimum is left to Kubernetes", autoscaler(None, 9)),
    ("rollout-implicit", "there is no strategy", deployment(strategy={})),
    (
        "rollout-implicit",
        "maxSurge is left out",
        deployment(strategy={"rollingUpdate": {"maxUnavailable": 1}}),
    ),
    ("rollout-stops-all", "as many may stop as there are", strategy(3, 0)),
    ("rollout-stops-all", "all percent may stop", strategy("100%", "25%")),
    ("rollout-stops-all", "pods are recreated", deployment(strategy={"type": "Recreate"})),
    (
        "rollout-stops-all",
        "both round to none and there is one pod",
        both(deployment(replicas=1), strategy("50%", 0)),
    ),
    ("short-termination", "pods get ten seconds", pod(terminationGracePeriodSeconds=10)),
    ("no-disruption-budget", "there is no budget", without("PodDisruptionBudget")),
    (
        "no-disruption-budget",
        "the budget is for other pods",
        budget(maxUnavailable=1, selector={"matchLabels": {"app": "other"}}),
    ),
    ("blocking-disruption-budget", "no pod may be missing", budget(maxUnavailable=0)),
    ("blocking-disruption-budget", "no percent may be missing", budget(maxUnavailable="0%")),
    ("blocking-disruption-budget", "all pods must be there", budget(minAvailable=3)),
    ("blocking-disruption-budget", "the share rounds up to all", budget(minAvailable="67%")),
    ("no-spread", "nothing spreads the pods", lambda b: pod_of(b).pop("topologySpreadConstraints")),
    ("floating-tag", "the tag is v2", tag("v2")),
    (
        "floating-tag",
        "there is no tag",
        container(image="mcr.microsoft.com/azure-api-management/gateway"),
    ),
    (
        "floating-tag-pulled",
        "v2 is always pulled",
        both(tag("v2"), container(imagePullPolicy="Always")),
    ),
    (
        "floating-tag-pulled",
        "latest is pulled by default",
        both(tag("latest"), lacking("imagePullPolicy")),
    ),
    ("preview-tag", "the tag is a preview", tag("v2-preview")),
    ("preview-tag", "the tag is beta", tag("beta")),
    ("retired-image", "the version is 1", tag("1.3.2")),
    ("retired-image", "the tag is v1", tag("v1")),
    ("unsupported-tag", "three minor versions are newer", tag("2.9.0")),
    ("unknown-tag", "the registry has no such version", tag("2.12.9")),
    ("support-unknown", "the registry said nothing", facts(tags=())),
    ("memory-growth", "the version is 2.11.1", tag("2.11.1")),
    ("memory-doubled", "the version is 2.7.1", tag("2.7.1")),
    ("backup-restart-loop", "2.12 has a backup", both(tag("2.12.1"), backup)),
    (
        "json-logs-broken",
        "2.8.1 writes JSON",
        both(tag("2.8.1"), setting("telemetry.logs.std", "json")),
    ),
    ("missing-requests", "there are no resources", lacking("resources")),
    ("missing-requests", "only CPU is requested", resources(requests={"cpu": "2"})),
    (
        "small-requests",
        "half a core is requested",
        resources(requests={"cpu": "500m", "memory": "2Gi"}),
    ),
    ("small-requests", "a GiB is requested", resources(requests={"cpu": 2, "memory": "1Gi"})),
    (
        "limit-under-request",
        "the limit is less",
        resources(requests={"cpu": "2", "memory": "4Gi"}, limits={"memory": "2Gi"}),
    ),
    ("small-memory-limit", "256Mi are the limit", resources(limits={"memory": "256Mi"})),
    ("no-readiness-probe", "there is none", lacking("readinessProbe")),
    ("no-liveness-probe", "there is none", lacking("livenessProbe")),
    ("impatient-startup", "the startup probe has Kubernetes' times", container(startupProbe=SHORT)),
    (
        "impatient-startup",
        "only a liveness probe is there, with Kubernetes' times",
        both(lacking("startupProbe"), container(livenessProbe=SHORT)),
    ),
    ("weak-security-context", "there is none", lacking("securityContext")),
    (
        "weak-security-context",
        "not all capabilities are dropped",
        security(capabilities={"drop": ["KILL"]}),
    ),
    ("weak-security-context", "it may be root", pod_security(runAsNonRoot=False)),
    ("privileged", "the container is privileged", security(privileged=True)),
    ("read-only-root", "the root is read-only", security(readOnlyRootFilesystem=True)),
    ("host-network-dns", "the policy is left to Kubernetes", pod(hostNetwork=True)),
    ("host-network-dns", "the policy is Default", pod(hostNetwork=True, dnsPolicy="Default")),
    ("node-dns", "the policy is Default", pod(dnsPolicy="Default")),
    ("uneven-traffic", "the policy is Local", live(externalTrafficPolicy="Local")),
    ("client-address-lost", "the policy is Cluster", live(externalTrafficPolicy="Cluster")),
    ("no-discovery", "there is no headless Service", without("Service", "discovery")),
    ("no-discovery", "the setting is missing", unset("neighborhood.host")),
    (
        "no-discovery",
        "the Service is not headless",
        lambda b: kind_of(b, "Service", "discovery")["spec"].update(clusterIP="10.0.0.7"),
    ),
    (
        "no-discovery",
        "an autoscaler may add pods",
        both(without("Service", "discovery"), autoscaler(1, 4)),
    ),
    ("discovery-ports", "only TCP ports are named", container(ports=[{"containerPort": 4290}])),
    (
        "discovery-ports",
        "the settings name other ports",
        setting("neighborhood.heartbeat.port", "5291"),
    ),
    ("no-backup", "nothing is mounted", nothing),
    ("no-backup", "what is mounted ends with its pod", empty_backup),
    ("backup-group", "no group is given", both(backup, pod(securityContext={}))),
    ("no-endpoint", "it is missing", unset(ENDPOINT)),
    ("retired-endpoint", "it is the ARM path", setting(ENDPOINT, V1_URL)),
    ("certificate-unchecked", "the check is off", both(ENTRA, setting(UNCHECKED, "True"))),
    (
        "token-to-unknown-endpoint",
        "a new token would go there",
        both(MINTS, setting(ENDPOINT, "collector.example")),
    ),
    (
        "token-to-unknown-endpoint",
        "a variable in another case may go before the ConfigMap",
        both(MINTS, more_env({"name": "CONFIG.service.endpoint", "value": "collector.example"})),
    ),
    (
        "token-to-unknown-endpoint",
        "a Secret hides the host",
        both(MINTS, more_env({"name": ENDPOINT, **FROM_SECRET})),
    ),
    (
        "token-to-unknown-endpoint",
        "a ConfigMap that cannot be read may name another",
        both(MINTS, lambda b: container_of(b)["envFrom"].append({"configMapRef": {"name": "x"}})),
    ),
    (
        "token-to-unknown-endpoint",
        "a container beside it sends the token there",
        both(
            MINTS,
            beside(
                env=[
                    {"name": "config.service.auth", **FROM_SECRET},
                    {"name": ENDPOINT, "value": "collector.example"},
                ]
            ),
        ),
    ),
    (
        "token-to-unknown-endpoint",
        "the settings do not have its instance",
        facts(token_days=29, endpoints=()),
    ),
    (
        "token-to-unknown-endpoint",
        "it is not asked for over TLS",
        both(MINTS, setting(ENDPOINT, "http://contoso.configuration.azure-api.net")),
    ),
    ("unknown-endpoint", "it runs there", both(KNOWN, setting(ENDPOINT, "collector.example"))),
    ("token-in-unknown-image", "pods would run it", both(MINTS, image("evil.example/gw"))),
    (
        "token-in-unknown-image",
        "it looks like the name",
        both(MINTS, image(f"evil.example/{MICROSOFT}")),
    ),
    (
        "token-in-unknown-image",
        "a container beside the gateway is given the token",
        both(MINTS, beside(image="evil.example/gw:1")),
    ),
    ("unknown-image", "pods run it", both(KNOWN, image("evil.example/gw"))),
    ("token-without-certificate", "the check is off", UNCHECKED_CALLS),
    (
        "token-without-certificate",
        "its name is in another case",
        setting(UNCHECKED.upper(), "TRUE"),
    ),
    (
        "token-without-certificate",
        "a Secret says whether it is on",
        more_env({"name": UNCHECKED, **FROM_SECRET}),
    ),
    ("plain-credential", "the token is a variable", env("config.service.auth", TOKEN)),
    (
        "plain-credential",
        "the token is a setting",
        both(lacking("env"), setting("config.service.auth", TOKEN)),
    ),
    (
        "plain-credential",
        "the client secret is a setting",
        setting("config.service.auth.azureAd.clientSecret", "s"),
    ),
    (
        "plain-credential",
        "the proxy's URL has a password",
        env("HTTPS_PROXY", "http://u:p@proxy:3128"),
    ),
    ("token-lifetime", "31 days are asked for", facts(token_days=31)),
    ("entra-version", "2.2.0 signs in to Entra ID", both(ENTRA, tag("2.2.0"))),
    ("workload-identity-version", "2.10.1 has workload identity", both(WORKLOAD, tag("2.10.1"))),
    (
        "workload-identity-version",
        "a fact tells what the objects hide",
        both(tag("2.10.1"), facts(auth="workloadIdentity")),
    ),
    ("workload-identity-label", "the pods have no label", WORKLOAD),
    ("entra-gateway-name", "no setting names the gateway", ENTRA),
    (
        "ca-user",
        "another user runs it",
        both(setting("certificates.local.ca.enabled", "true"), pod_security(runAsUser=2000)),
    ),
    ("verbose-logs", "the level is debug", setting("telemetry.logs.std.level", "debug")),
    ("verbose-logs", "the level is all", env("telemetry.logs.std.level", "all")),
    ("no-logs", "the format is none", setting("telemetry.logs.std", "none")),
)

SPARES: tuple[tuple[str, str, Edit], ...] = (
    ("default-namespace", "the namespace begins so", namespace("default-apim")),
    ("single-replica", "there are two pods", deployment(replicas=2)),
    ("single-replica", "an autoscaler counts them", both(deployment(replicas=1), autoscaler(3, 9))),
    ("few-replicas", "there are three pods", deployment(replicas=3)),
    ("autoscaler-minimum", "the minimum is three", autoscaler(3, 9)),
    ("rollout-implicit", "both are set", strategy(0, 1)),
    ("rollout-stops-all", "one of three may stop", strategy(1, 0)),
    ("rollout-stops-all", "99 percent of three round down to two", strategy("99%", 0)),
    ("rollout-stops-all", "one pod surges", both(deployment(replicas=1), strategy("50%", 1))),
    ("short-termination", "it is left to Kubernetes", pod(terminationGracePeriodSeconds=None)),
    (
        "no-disruption-budget",
        "one pod needs none",
        both(deployment(replicas=1), without("PodDisruptionBudget")),
    ),
    ("no-disruption-budget", "the budget is for all pods", budget(maxUnavailable=1, selector={})),
    ("blocking-disruption-budget", "two must be there", budget(minAvailable=2)),
    ("blocking-disruption-budget", "one percent rounds up to a pod", budget(maxUnavailable="1%")),
    (
        "no-spread",
        "anti-affinity spreads them",
        both(
            lambda b: pod_of(b).pop("topologySpreadConstraints"),
            pod(affinity={"podAntiAffinity": {"requiredDuringScheduling": [{}]}}),
        ),
    ),
    (
        "floating-tag",
        "a digest pins it",
        container(image="r.io/azure-api-management/gateway@sha256:0a"),
    ),
    ("floating-tag-pulled", "a full version is always pulled", container(imagePullPolicy="Always")),
    ("preview-tag", "the tag is v2", tag("v2")),
    ("retired-image", "the version is 2.0.0", tag("2.0.0")),
    ("unsupported-tag", "two minor versions are newer", tag("2.10.1")),
    ("unknown-tag", "the registry said nothing", both(tag("2.12.9"), facts(tags=()))),
    ("support-unknown", "the registry answers", nothing),
    ("memory-growth", "the version is 2.11.0", nothing),
    ("memory-doubled", "the version is 2.8.0", tag("2.8.0")),
    ("backup-restart-loop", "2.12 has no backup", tag("2.12.1")),
    (
        "json-logs-broken",
        "2.9.0 writes JSON",
        both(tag("2.9.0"), setting("telemetry.logs.std", "json")),
    ),
    ("missing-requests", "limits stand in", resources(limits={"cpu": "2", "memory": "2Gi"})),
    ("small-requests", "what is advised is requested", nothing),
    (
        "small-requests",
        "the quantity is of a rare form",
        resources(requests={"cpu": "2", "memory": "2e9"}),
    ),
    ("limit-under-request", "both are the same", nothing),
    ("small-memory-limit", "1Gi is the limit", resources(limits={"memory": "1Gi"})),
    ("no-readiness-probe", "there is one", nothing),
    ("no-liveness-probe", "there is one", nothing),
    ("impatient-startup", "it is given 100 seconds", container(startupProbe=PATIENT)),
    ("impatient-startup", "nothing kills it", lacking("startupProbe", "livenessProbe")),
    ("weak-security-context", "the pod says who runs it", nothing),
    (
        "privileged",
        "it is left to Kubernetes",
        lambda b: container_of(b)["securityContext"].pop("privileged"),
    ),
    ("read-only-root", "the root can be written", security(readOnlyRootFilesystem=False)),
    (
        "host-network-dns",
        "the policy is the one for it",
        pod(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"),
    ),
    ("node-dns", "the policy is ClusterFirst", pod(dnsPolicy="ClusterFirst")),
    ("uneven-traffic", "callers come from inside", live(type="ClusterIP")),
    ("client-address-lost", "the policy is Local", live(externalTrafficPolicy="Local")),
    (
        "no-discovery",
        "one pod needs none",
        both(deployment(replicas=1), without("Service", "discovery")),
    ),
    (
        "no-discovery",
        "a source that cannot be read may set it",
        both(
            unset("neighborhood.host"),
            lambda b: container_of(b)["envFrom"].append({"secretRef": {"name": "s"}}),
        ),
    ),
    (
        "discovery-ports",
        "the settings and the ports agree",
        both(
            setting("neighborhood.heartbeat.port", "5291"),
            lambda b: container_of(b)["ports"][3].update(containerPort=5291),
        ),
    ),
    ("no-backup", "a claim is mounted", backup),
    ("backup-group", "the group is 1001", backup),
    (
        "no-endpoint",
        "it comes from a Secret",
        both(
            unset(ENDPOINT),
            container(
                env=[{"name": ENDPOINT, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
            ),
        ),
    ),
    (
        "retired-endpoint",
        "it has a scheme",
        setting(ENDPOINT, "https://c.configuration.azure-api.net"),
    ),
    (
        "certificate-unchecked",
        "the check is on",
        both(ENTRA, setting(UNCHECKED, "false")),
    ),
    ("certificate-unchecked", "it holds a token, which another rule is for", UNCHECKED_CALLS),
    (
        "token-to-unknown-endpoint",
        "it is the instance's own, however it is written",
        both(MINTS, setting(ENDPOINT, "https://Contoso.Configuration.azure-api.net:443/")),
    ),
    ("token-to-unknown-endpoint", "it is listed", both(MINTS, setting(ENDPOINT, "eu.example"))),
    ("token-to-unknown-endpoint", "no token is made", both(KNOWN, setting(ENDPOINT, "c.example"))),
    ("unknown-endpoint", "it is listed", both(KNOWN, setting(ENDPOINT, "eu.example"))),
    ("unknown-endpoint", "another rule denies it", both(MINTS, setting(ENDPOINT, "c.example"))),
    ("token-in-unknown-image", "the mirror is listed", both(MINTS, image("registry.example/gw"))),
    ("token-in-unknown-image", "no token is made", both(KNOWN, image("evil.example/gw"))),
    (
        "token-in-unknown-image",
        "a digest pins Microsoft's",
        both(MINTS, image(MICROSOFT, "@sha256:a")),
    ),
    ("unknown-image", "the mirror is listed", both(KNOWN, image("registry.example/gw"))),
    ("unknown-image", "another rule denies it", both(MINTS, image("evil.example/gw"))),
    ("token-without-certificate", "the check is on", setting(UNCHECKED, "False")),
    ("token-without-certificate", "it holds no token", both(ENTRA, UNCHECKED_CALLS)),
    ("plain-credential", "a Secret has the token", nothing),
    ("plain-credential", "the setting names a way to sign in", ENTRA),
    ("plain-credential", "the proxy's URL has none", env("HTTPS_PROXY", "http://proxy:3128/a:b")),
    ("token-lifetime", "30 days are asked for", facts(token_days=30)),
    ("entra-version", "2.3.0 signs in to Entra ID", both(ENTRA, tag("2.3.0"))),
    ("workload-identity-version", "2.11.0 has workload identity", WORKLOAD),
    ("workload-identity-label", "the pods have the label", both(WORKLOAD, identity_labels)),
    ("entra-gateway-name", "a setting names it", both(ENTRA, setting("gateway.name", "edge-1"))),
    (
        "ca-user",
        "root runs it",
        both(setting("certificates.local.ca.enabled", "true"), pod_security(runAsUser=0)),
    ),
    ("verbose-logs", "the level is warn", setting("telemetry.logs.std.level", "warn")),
    ("no-logs", "the format is json", setting("telemetry.logs.std", "json")),
)
