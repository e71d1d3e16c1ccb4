"""The syntax of names, labels, ports and keys, in the API server's words.

What is wrong with a text comes as sentences, none where it is right: `Check`s turn them into causes.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping

from bot.sandbox.cluster.errors import Cause, invalid_value, required

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_UNDERSCORED = re.compile(r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_ENV_NAME = re.compile(r"[ -<>-~]+")
_HEADER = re.compile(r"[-A-Za-z0-9]+")

_LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    f"for validation is '{_LABEL.pattern}')"
)
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    f"for validation is '{_SUBDOMAIN.pattern}')"
)
_UNDERSCORED_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' "
    "or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex "
    f"used for validation is '{_UNDERSCORED.pattern}')"
)
_VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    f"'12345', regex used for validation is '({_QUALIFIED.pattern})?')"
)
_KEY_WORDS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    f"validation is '{_QUALIFIED.pattern}')"
)
_DATA_KEY_WORDS = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
    "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
    f"'{_DATA_KEY.pattern}')"
)
_ENV_WORDS = (
    "a valid environment variable name must consist only of printable ASCII characters other than "
    "'='"
)
_HEADER_WORDS = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', "
    f"regex used for validation is '{_HEADER.pattern}')"
)


def _wrong(
    text: str, pattern: re.Pattern[str], words: str, limit: int = 0, unit: str = "characters"
) -> list[str]:
    found = [f"must be no more than {limit} {unit}"] if limit and len(text) > limit else []
    return found if pattern.fullmatch(text) else [*found, words]


def label(text: str) -> list[str]:
    """A DNS-1123 label of at most 63 characters."""
    if "." in text and _SUBDOMAIN.fullmatch(text):
        return ["must not contain dots"]
    return _wrong(text, _LABEL, _LABEL_WORDS, 63)


def subdomain(text: str) -> list[str]:
    """A DNS-1123 subdomain of at most 253 characters."""
    return _wrong(text, _SUBDOMAIN, _SUBDOMAIN_WORDS, 253)


def search_path(text: str) -> list[str]:
    """A DNS search path: a subdomain that may have underscores; `.` alone is the root."""
    return (
        [] if text == "." else _wrong(text.removesuffix("."), _UNDERSCORED, _UNDERSCORED_WORDS, 253)
    )


def host(text: str) -> list[str]:
    """A host name of an Ingress: a subdomain, the first label of which may be `*`."""
    if "*" not in text:
        return subdomain(text)
    pattern = re.compile(rf"\*\.{_SUBDOMAIN.pattern}")
    words = (
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, "
        "which must consist of lower case alphanumeric characters, '-' or '.' and end with an "
        "alphanumeric character (e.g. '*.example.com', regex used for validation is "
        f"'{pattern.pattern}')"
    )
    return _wrong(text, pattern, words, 253)


def qualified(text: str) -> list[str]:
    """A key of a label: a name of at most 63 bytes, before it perhaps a subdomain and a slash."""
    parts = text.split("/")
    if len(parts) > 2:
        hint = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a valid label key {_KEY_WORDS} {hint}"]
    found: list[str] = []
    if len(parts) == 2:
        prefix = parts[0]
        found += (
            [
                f"prefix part {words}"
                for words in _wrong(prefix, _SUBDOMAIN, _SUBDOMAIN_WORDS, 253, "bytes")
            ]
            if prefix
            else ["prefix part must be non-empty"]
        )
    name = parts[-1]
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > 63:
        found.append("name part must be no more than 63 bytes")
    return found if _QUALIFIED.fullmatch(name) else [*found, f"name part {_KEY_WORDS}"]


def label_value(text: str) -> list[str]:
    """The value of a label."""
    return _wrong(text, _QUALIFIED, _VALUE_WORDS, 63, "bytes") if text else []


def data_key(text: str) -> list[str]:
    """A key of a ConfigMap or Secret."""
    found = _wrong(text, _DATA_KEY, _DATA_KEY_WORDS, 253)
    if text in (".", ".."):
        return [*found, f"must not be '{text}'"]
    return [*found, "must not start with '..'"] if text.startswith("..") else found


def env_name(text: str) -> list[str]:
    """The name of an environment variable."""
    return _wrong(text, _ENV_NAME, _ENV_WORDS)


def header(text: str) -> list[str]:
    """The name of an HTTP header."""
    return _wrong(text, _HEADER, _HEADER_WORDS)


def port_name(text: str) -> list[str]:
    """The name of a port."""
    found = ["must be no more than 15 characters"] if len(text) > 15 else []
    if not re.fullmatch(r"[-a-z0-9]+", text):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", text):
        found.append("must contain at least one letter (a-z)")
    if "--" in text:
        found.append("must not contain consecutive hyphens")
    if text[:1] == "-" or text[-1:] == "-":
        found.append("must not begin or end with a hyphen")
    return found


def path_segment(text: str) -> list[str]:
    """A name that can be one segment of a URL's path."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{mark}'" for mark in "/%" if mark in text]


def descending_path(text: str) -> list[str]:
    """A relative path that stays below where it begins."""
    found = ["must be a relative path"] if text.startswith("/") else []
    return [*found, *no_steps_back(text)]


def no_steps_back(text: str) -> list[str]:
    """A path without `..`."""
    return ["must not contain '..'"] if ".." in text.split("/") else []


def ip_address(text: str) -> list[str]:
    """An IP address in its usual form."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", text) and all(
            int(p) < 256 for p in text.split(".")
        ):
            return ["must not have leading 0s"]
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []


def cidr(text: str) -> list[str]:
    """A network with its prefix length, and no bits beyond that."""
    try:
        network = ipaddress.ip_interface(text)
    except ValueError:
        network = None
    if network is None or "/" not in text:
        return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]
    if network.ip != network.network.network_address:
        return ["must not have bits set beyond the prefix length"]
    return []


def _anything(_text: str) -> list[str]:
    """The server asks nothing of the name of these."""
    return []


_NAME_RULES: dict[str, Callable[[str], list[str]]] = {
    "Service": label,
    "Namespace": label,
    "Role": path_segment,
    "RoleBinding": path_segment,
    "ClusterRole": path_segment,
    "ClusterRoleBinding": path_segment,
    "PodDisruptionBudget": _anything,
}


def object_name(kind: str, metadata: Mapping[str, str]) -> list[Cause]:
    """metadata.name and metadata.generateName, by the rule of the kind."""
    rule = _NAME_RULES.get(kind, subdomain)
    name, prefix = metadata.get("name", ""), metadata.get("generateName", "")
    # What is added to a prefix ends in a letter or digit, so that it may end in a hyphen.
    wrong = rule(f"{prefix[:-1]}a" if prefix.endswith("-") else prefix) if prefix else []
    causes = [invalid_value("metadata.generateName", prefix, words) for words in wrong]
    if not name:
        return [*causes, required("metadata.name", "name or generateName is required")]
    return causes + [invalid_value("metadata.name", name, words) for words in rule(name)]


def labels(found: Mapping[str, str], field: str) -> list[Cause]:
    """The syntax of label keys and values."""
    causes: list[Cause] = []
    for key, value in found.items():
        causes += [invalid_value(field, key, words) for words in qualified(key)]
        causes += [invalid_value(field, value, words) for words in label_value(value)]
    return causes


def annotations(found: Mapping[str, str], field: str) -> list[Cause]:
    """The syntax of annotation keys, which are compared in small letters."""
    return [invalid_value(field, key, words) for key in found for words in qualified(key.lower())]


def data_keys(found: Mapping[str, str], field: str) -> list[Cause]:
    """The syntax of a ConfigMap's or Secret's keys."""
    return [
        invalid_value(f"{field}[{key}]", key, words) for key in found for words in data_key(key)
    ]
