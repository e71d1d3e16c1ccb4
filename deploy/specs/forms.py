"""The forms of a spec's values: names, quantities, addresses and the like."""

import ipaddress

from deploy.specs.values import Parsed, Text, Whole


def _address(text: str) -> object:
    if "%" in text:
        raise ValueError("a zone")
    return ipaddress.ip_address(text)


def _cidr(text: str) -> object:
    address, _, length = text.partition("/")
    if not length.isdecimal():
        raise ValueError("no prefix length")
    _address(address)
    return ipaddress.ip_network(text)


_DNS = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
_WORD = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_HOST_PORT = r"([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_URL = rf"https?://{_HOST_PORT}(:[0-9]{{1,5}})?(/[A-Za-z0-9._~/%-]*)?"

OBJECT_NAME = Text(rf"(?=.{{1,253}}$){_DNS}", "the name of a Kubernetes object")
KEY = Text(r"(?!\.$|\.\.)[A-Za-z0-9._-]{1,253}", "a key of a Secret or ConfigMap")
_QUALIFIED = rf"((?=[^/]{{1,253}}/){_DNS}/)?{_WORD}"
LABEL_KEY = Text(_QUALIFIED, "a label's or annotation's name such as contoso.com/team")
TAINT = Text(_QUALIFIED, "a taint's key")
LABEL_VALUE = Text(rf"({_WORD})?", "a label's value: at most 63 letters, digits, “-”, “_” and “.”")
FREE_TEXT = Text(r"[^\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]{0,8000}", "text of at most 8000 letters")
_DIGEST = r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})"
TAG = Text(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", "an image tag", also=f"(@{_DIGEST})?")
"""OCI distribution specification, "Pulling manifests"."""
DIGEST = Text(_DIGEST, "a digest such as sha256:… in full, with 64 lower-case hexadecimal digits")
"""The two kinds that registries have; the grammar of references allows more (github.com/distribution/
reference, reference.go; read 2026-11-30)."""
REPOSITORY = Text(
    r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+",
    "a registry host and a path",
)
HOST = Text(r"(https://)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?", "a host name")
GATEWAY = Text(
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,78}[A-Za-z0-9])?", "the name of a gateway in API Management"
)
"""`gatewayId` has 1 to 80 characters (azure-mgmt-apimanagement 5.0.0)."""
_NUMBER = r"(?=[0-9.]*[1-9])(?:[0-9]{1,12}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})"
_QUANTITY = rf"{_NUMBER}(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{{1,2}})?"
"""Kubernetes API, "Quantity", above zero."""
CPU = Text(rf"none|{_QUANTITY}", "a quantity such as 500m or 2, or none", decimal=True)
MEMORY = Text(rf"none|{_QUANTITY}", "a quantity such as 512Mi or 2Gi, or none", decimal=True)
STORAGE = Text(_QUANTITY, "a quantity such as 512Mi or 2Gi", decimal=True)
PREFIX = Text(r"[ -<>-~]{1,253}", "a prefix of names of variables")
PORT_NAME = Text(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?", "the name of a Service's port, or empty")
PORT_TARGET = Text(r"[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?", "a container's port, by number or name")
SHARE = Text(
    r"(100|[1-9]?[0-9])%|[0-9]{1,3}",
    "a number of pods or a percentage such as 25%",
)
URL = Text(_URL, "a URL such as http://proxy:3128 without user or password", hidden=True)
ENDPOINT = Text(rf"{_HOST_PORT}:[0-9]{{1,5}}", "a host and a port such as statsd.monitoring:8125")
LOG_ENDPOINT = Text(r"[A-Za-z0-9_./:\[\]-]{1,253}", "a path, or a host and a port")
GUID = Text(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "an id such as Entra ID shows")
MOMENT = Text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "a moment such as 2026-11-23T15:04:05Z")
ADDRESS = Parsed(_address, "an IP address")
CIDR = Parsed(_cidr, "an address range such as 10.0.0.0/8")
HOSTNAME = Text(rf"(?=.{{1,253}}$){_DNS}", "a host name")
BYPASS = Text(r"[A-Za-z0-9*.:/_-]{1,253}", "a host, domain or address range")
PORT = Whole(1, 65535)
OPEN_PORT = Whole(1024, 65535)
PERCENT = Whole(1, 1000)
