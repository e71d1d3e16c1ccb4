"""The fields of what a spec holds as a whole: in a list, or as a reference to a key."""

from deploy.specs.forms import (
    ADDRESS,
    HOSTNAME,
    KEY,
    LABEL_VALUE,
    OBJECT_NAME,
    PREFIX,
    TAINT,
)
from deploy.specs.options import CaSource, DnsOption, HostAlias, KeyRef, Source, Toleration
from deploy.specs.record import Field, Record
from deploy.specs.values import Flag, Many, OneOf, Text, Whole

KEY_REF = Record(
    KeyRef,
    (
        Field("name", "name", OBJECT_NAME, "The Secret."),
        Field("key", "key", KEY, "Its key."),
    ),
)
CA = Record(
    CaSource,
    (
        Field("secret", "secret", OBJECT_NAME, "The Secret that holds it."),
        Field("configMap", "config_map", OBJECT_NAME, "Or the ConfigMap that holds it."),
        Field("key", "key", KEY, "The key under which it is held, as PEM."),
    ),
)
ALIAS = Record(
    HostAlias,
    (
        Field("ip", "ip", ADDRESS, "The address."),
        Field("hostnames", "hostnames", Many(HOSTNAME, 1), "The names that stand for it."),
    ),
)
DNS_OPTION = Record(
    DnsOption,
    (
        Field("name", "name", Text(r"[a-z0-9-]{1,63}", "an option of resolv.conf"), "Its name."),
        Field("value", "value", Text(r"[A-Za-z0-9.-]{1,63}", "its value"), "Its value, if any."),
    ),
)
SOURCE = Record(
    Source,
    (
        Field("configMap", "config_map", OBJECT_NAME, "The ConfigMap."),
        Field("secret", "secret", OBJECT_NAME, "Or the Secret."),
        Field("prefix", "prefix", PREFIX, "What its keys are prefixed with."),
        Field("optional", "optional", Flag(), "Whether it may be missing."),
    ),
)
TOLERATION = Record(
    Toleration,
    (
        Field("key", "key", TAINT, "The taint; any when left out."),
        Field("operator", "operator", OneOf(("Equal", "Exists")), "How the value is compared."),
        Field("value", "value", LABEL_VALUE, "The taint's value."),
        Field(
            "effect",
            "effect",
            OneOf(("NoSchedule", "PreferNoSchedule", "NoExecute")),
            "The taint's effect; any when left out.",
        ),
        Field("tolerationSeconds", "seconds", Whole(0, 86400), "How long a pod bears NoExecute."),
    ),
)
