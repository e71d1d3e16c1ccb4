"""Every field of a spec, declared once: the reader, the writer and the JSON Schema come from here.

Adding one is a line here and a place for it in the dataclasses.
"""

import dataclasses

from deploy.gateway import NAME_LIMIT
from deploy.specs.forms import (
    DIGEST,
    ENDPOINT,
    FREE_TEXT,
    GATEWAY,
    GUID,
    HOST,
    LABEL_KEY,
    LABEL_VALUE,
    LOG_ENDPOINT,
    OBJECT_NAME,
    REPOSITORY,
    TAG,
    URL,
)
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.nested_fields import CA, KEY_REF
from deploy.specs.object_fields import OBJECTS
from deploy.specs.pod_fields import (
    AUTOSCALING,
    BACKUP,
    DISRUPTION,
    PLACEMENT,
    PROBES,
    REPLICAS,
    RESOURCES,
    ROLLOUT,
    SECURITY,
)
from deploy.specs.record import Field, Record
from deploy.specs.traffic_fields import (
    DISCOVERY,
    DNS,
    HOST_ALIASES,
    HOST_NETWORK,
    NETWORK_POLICY,
    PROXY,
    SERVICE,
)
from deploy.specs.values import Day, Flag, Label, Many, MapOf, OneOf, Text, Whole

SPEC = Record(
    GatewaySpec,
    (
        Field("gateway", "apim.gateway", GATEWAY, "The gateway resource in API Management."),
        Field("apim.instance", "apim.instance", Label(), "The instance's name in the settings."),
        Field(
            "apim.endpoint",
            "apim.configuration_endpoint",
            HOST,
            "Where the gateway fetches its configuration; a custom domain goes here.",
        ),
        Field("cluster", "ref.cluster", Label(), "The cluster's name in the settings."),
        Field("namespace", "ref.namespace", Label(), "Its namespace."),
        Field(
            "name", "ref.name", Label(NAME_LIMIT), "The Deployment's name; gateway in lower case."
        ),
        Field(
            "image.repository",
            "repository",
            REPOSITORY,
            "The image without its tag; a mirror goes here.",
            always=True,
        ),
        Field(
            "image.tag",
            "tag",
            TAG,
            "The version; a full one, x.y.z, stays what it is. tag@sha256:… pins it too.",
        ),
        Field("image.digest", "digest", DIGEST, "Pins the image; another tag is not pinned by it."),
        Field(
            "image.pullPolicy",
            "pull.policy",
            OneOf(("IfNotPresent", "Always", "Never")),
            "When nodes ask the registry; Always suits tags that move.",
        ),
        Field("image.pullSecrets", "pull.secrets", Many(OBJECT_NAME), "For a private registry."),
        *REPLICAS,
        *AUTOSCALING,
        *RESOURCES,
        *SERVICE,
        *ROLLOUT,
        *PROBES,
        Field(
            "logs.level",
            "log_level",
            OneOf(("all", "debug", "info", "warn", "error", "fatal")),
            "Microsoft advises warn under load.",
        ),
        Field("logs.format", "log_format", OneOf(("text", "json", "none")), "json for collectors."),
        Field(
            "logs.local.type",
            "local_logs.sink",
            OneOf(("none", "auto", "localsyslog", "rfc5424", "journal", "json", "forward")),
            "Where logs go in addition to the container's output.",
        ),
        Field("logs.local.endpoint", "local_logs.endpoint", LOG_ENDPOINT, "That sink's address."),
        Field("logs.local.facility", "local_logs.facility", Whole(0, 23), "Syslog's facility."),
        Field("metrics.cloud", "metrics.cloud", Flag(), "Whether Azure Monitor gets metrics."),
        Field("metrics.statsd.endpoint", "metrics.statsd", ENDPOINT, "Turns StatsD on."),
        Field(
            "metrics.statsd.sampling",
            "metrics.statsd_sampling",
            Text(r"0(\.[0-9]{1,6})?|1(\.0{1,6})?", "a number from 0 to 1", decimal=True),
            "Which share of metrics is sent.",
        ),
        Field(
            "metrics.statsd.tagFormat",
            "metrics.statsd_tag_format",
            OneOf(("none", "librato", "dogStatsD", "influxDB")),
            "How the collector wants tags.",
        ),
        Field("metrics.openTelemetry.collector", "metrics.collector", URL, "Turns it on."),
        Field(
            "metrics.openTelemetry.systemMetrics",
            "metrics.system_metrics",
            Flag(),
            "Whether CPU, memory and the like are sent too.",
        ),
        Field(
            "metrics.openTelemetry.buckets",
            "metrics.buckets",
            Many(Whole(1, 3_600_000)),
            "Bounds of the histograms, in milliseconds.",
        ),
        Field(
            "certificateAuthorities",
            "authorities",
            Many(CA),
            "Private authorities that backends and Azure are trusted by.",
        ),
        *DNS,
        *HOST_NETWORK,
        *HOST_ALIASES,
        *PROXY,
        *BACKUP,
        *DISCOVERY,
        *NETWORK_POLICY,
        *DISRUPTION,
        *PLACEMENT,
        *SECURITY,
        Field(
            "auth.type",
            "auth.kind",
            OneOf(("token", "entraApp", "workloadIdentity")),
            "How the gateway signs in; only a token expires after 30 days.",
        ),
        Field("auth.clientId", "auth.client_id", GUID, "The app's or identity's client id."),
        Field("auth.tenantId", "auth.tenant_id", GUID, "Its Entra tenant."),
        Field("auth.clientSecret", "auth.client_secret", KEY_REF, "Where an app's secret is."),
        Field("auth.certificate", "auth.certificate", KEY_REF, "Or its certificate."),
        Field(
            "auth.clientSecretExpires",
            "auth.secret_expires",
            Day(),
            "The day the secret or certificate expires; the bot warns before it.",
        ),
        Field("auth.authority", "auth.authority", URL, "Entra ID in another cloud."),
        Field("auth.tokenAudience", "auth.audience", URL, "API Management in another cloud."),
        Field(
            "auth.serviceAccount",
            "auth.service_account",
            OBJECT_NAME,
            "For workload identity; the gateway's name.",
        ),
        *OBJECTS,
        Field(
            "settings",
            "settings",
            MapOf(
                Text(r"[A-Za-z0-9_.-]{1,253}", "a setting's name"),
                dataclasses.replace(FREE_TEXT, flags=True),
            ),
            "Settings of the container that have no field here.",
        ),
        Field("labels", "labels", MapOf(LABEL_KEY, LABEL_VALUE), "On every object and pod."),
        Field(
            "annotations", "annotations", MapOf(LABEL_KEY, FREE_TEXT), "On every object and pod."
        ),
    ),
)
