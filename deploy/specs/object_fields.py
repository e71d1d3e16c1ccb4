"""Fields of a spec for objects that were there before this bot came."""

from deploy.specs.forms import LABEL_KEY, LABEL_VALUE, OBJECT_NAME, PORT_NAME, PORT_TARGET
from deploy.specs.nested_fields import SOURCE
from deploy.specs.record import Field
from deploy.specs.values import Many, MapOf, OneOf, Raw

KEPT = ("probes", "startupProbe", "readinessProbe", "livenessProbe", "ports", "security")

OBJECTS = (
    Field(
        "objects.selector",
        "objects.selector",
        MapOf(LABEL_KEY, LABEL_VALUE),
        "Of an adopted gateway: the labels that select its pods.",
    ),
    Field(
        "objects.labelSelector",
        "objects.label_selector",
        Raw(("matchLabels",), lists=("matchExpressions",)),
        "Its Deployment's whole selector, where that has expressions.",
    ),
    Field(
        "objects.sources",
        "objects.sources",
        Many(SOURCE),
        "ConfigMaps and Secrets that its container takes in whole; a later one wins.",
    ),
    Field(
        "objects.keeps",
        "objects.keeps",
        Many(OneOf(KEPT)),
        "Parts of its Deployment that the bot does not write.",
    ),
    Field(
        "objects.serviceSelector",
        "objects.service_selector",
        MapOf(LABEL_KEY, LABEL_VALUE),
        "The labels by which its Service of live traffic selects pods.",
    ),
    Field("objects.httpName", "objects.http_name", PORT_NAME, "That Service's port for HTTP."),
    Field("objects.httpTarget", "objects.http_target", PORT_TARGET, "Where it leads."),
    Field("objects.httpsName", "objects.https_name", PORT_NAME, "That Service's port for HTTPS."),
    Field("objects.httpsTarget", "objects.https_target", PORT_TARGET, "Where it leads."),
    Field("objects.backupVolume", "objects.backup_volume", OBJECT_NAME, "Its backup's volume."),
    Field("objects.container", "objects.container", OBJECT_NAME, "Its container's name."),
    Field("objects.configMap", "objects.config_map", OBJECT_NAME, "Its settings' ConfigMap."),
    Field("objects.service", "objects.service", OBJECT_NAME, "Its Service of live traffic."),
    Field(
        "objects.discoveryService",
        "objects.discovery_service",
        OBJECT_NAME,
        "Its Service over which pods find each other.",
    ),
    Field(
        "objects.disruptionBudget",
        "objects.disruption_budget",
        OBJECT_NAME,
        "Its PodDisruptionBudget.",
    ),
)
