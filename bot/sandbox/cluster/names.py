"""The syntax of names, labels and annotations."""

import re
from collections.abc import Mapping

from bot.sandbox.cluster.errors import Cause, invalid_value, required

_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_SERVICE = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_QUALIFIED = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_PATH_SEGMENT = re.compile(r"^(?!\.$|\.\.$)[^/%]+$")
_DATA_KEY = re.compile(r"^[-._a-zA-Z0-9]+$")

_LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SERVICE_WORDS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_KEY_WORDS = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def dns_label(text: str, field: str) -> list[Cause]:
    """A DNS-1123 label of at most 63 characters."""
    if not text:
        return [required(field)]
    return _checked(text, field, _LABEL, 63, _LABEL_WORDS)


def dns_subdomain(text: str, field: str) -> list[Cause]:
    """A DNS-1123 subdomain of at most 253 characters."""
    return _checked(text, field, _SUBDOMAIN, 253, _SUBDOMAIN_WORDS)


def _checked(
    text: str, field: str, pattern: re.Pattern[str], limit: int, words: str
) -> list[Cause]:
    causes = []
    if len(text) > limit:
        causes.append(invalid_value(field, text, f"must be no more than {limit} characters"))
    if not pattern.match(text):
        causes.append(invalid_value(field, text, words))
    return causes


def object_name(kind: str, text: str) -> list[Cause]:
    """metadata.name, by the rule of the kind."""
    field = "metadata.name"
    if not text:
        return [required(field, "name or generateName is required")]
    if kind == "Service":
        return _checked(text, field, _SERVICE, 63, _SERVICE_WORDS)
    if kind == "Namespace":
        return dns_label(text, field)
    if kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"):
        if _PATH_SEGMENT.match(text):
            return []
        return [invalid_value(field, text, "may not contain '/' or '%'")]
    return dns_subdomain(text, field)


def labels(found: Mapping[str, str], field: str) -> list[Cause]:
    """The syntax of label keys and values."""
    causes: list[Cause] = []
    for key, value in found.items():
        causes += qualified_key(key, field)
        if value and not _QUALIFIED.match(value):
            causes.append(invalid_value(field, value, _VALUE_WORDS))
        elif len(value) > 63:
            causes.append(invalid_value(field, value, "must be no more than 63 bytes"))
    return causes


def qualified_key(key: str, field: str) -> list[Cause]:
    """The syntax of a label or annotation key."""
    prefix, slash, name = key.rpartition("/")
    if slash and not _SUBDOMAIN.match(prefix):
        return [invalid_value(field, key, f"prefix part {_SUBDOMAIN_WORDS}")]
    if len(name) > 63:
        return [invalid_value(field, key, "name part must be no more than 63 bytes")]
    if not _QUALIFIED.match(name):
        return [invalid_value(field, key, _KEY_WORDS)]
    return []


def data_key(key: str, field: str) -> list[Cause]:
    """The syntax of a ConfigMap's or Secret's key."""
    if _DATA_KEY.match(key) and key not in (".", "..") and len(key) <= 253:
        return []
    words = (
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
        "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
        "'[-._a-zA-Z0-9]+')"
    )
    return [invalid_value(f"{field}[{key}]", key, words)]
